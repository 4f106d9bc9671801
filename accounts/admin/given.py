"""Business and confidential information in the admin (P28-P30).

Business items are read by role like everything else. Of a confidential one staff see when it came and whether it is a
text or a file, nothing more: `OpenConfidential` asks for a reason, and its answer shows the item once. No GET does.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts import confiding, giving
from accounts.admin.links import account_link
from accounts.admin_base import ERASED, HIDDEN, Act, Eyes, RecordAdmin, Section, asking, staff
from accounts.datamap import Category
from accounts.downloading import download
from accounts.models import Account, BusinessItem, ConfidentialItem, User
from accounts.page_forms import LONGEST_BODY, LONGEST_SUBJECT, SentOnce
from accounts.roles import View, category_view
from accounts.templatetags.portal_tags import moment

ENDED = "Sign-in to this account has ended."


class BusinessNoteForm(SentOnce):
    """A note about what a customer does."""

    title = forms.CharField(label="Title", max_length=LONGEST_SUBJECT)
    text = forms.CharField(
        label="Note",
        max_length=LONGEST_BODY,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="The owners of the account read it and may remove it. Write no card numbers.",
    )


class NoteBusiness(Act):
    """Note something about a customer's business; an act of the customer card."""

    slug, label, permission = "note-business", "Record business information", "accounts.note_business"
    form_class = BusinessNoteForm

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.may_sign_in(timezone.now()) else ENDED

    def consequences(self, record: Any) -> list[str]:
        return [
            "It is kept with the account as business information and shared only with consent.",
            "The owners of the account read it in the portal and may remove it.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        giving.note(record.pk, by=user, **form.cleaned_data)
        return f"Your note is kept with account {record.number}."


class OpenForm(forms.Form):
    """Why an item is opened, by the list and in words."""

    reason = forms.ChoiceField(label="Reason", choices=confiding.Reason.choices, widget=forms.RadioSelect)
    text = forms.CharField(
        label="Reason in your words",
        min_length=confiding.SHORTEST_WORDS,
        max_length=confiding.LONGEST_WORDS,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The owners of the account read it. Write no card numbers.",
    )
    part = forms.ChoiceField(label="What to open", choices=confiding.Part.choices, widget=forms.RadioSelect)

    def clean_text(self) -> str:
        """Return the words as they are kept; blanks say nothing."""
        return confiding.clean_words(self.cleaned_data["text"])


class OpenConfidential(Act):
    """Open a confidential item, for a reason."""

    slug, label, permission = "open-confidential", "Open a confidential item", "accounts.open_confidential"

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.account.may_sign_in(timezone.now()) else f"{ENDED} Nobody could read that you opened this."

    def consequences(self, record: Any) -> list[str]:
        return [
            "The ledger says that you opened it and why. The owners are told by mail, and read your words.",
            "It is shown once, as the answer to this form. To see it again, open it again.",
            "Do not open it for a matter that the customer must not know of.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form = OpenForm(data)
        if len(confiding.parts_of(record)) < len(confiding.Part):
            del form.fields["part"]
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> Section | HttpResponse:
        given = form.cleaned_data
        part = confiding.Part(given.get("part") or confiding.parts_of(record)[0])
        reason = confiding.Reason(given["reason"])
        shown = confiding.open_item(record.pk, by=user, reason=reason, words=given["text"], part=part)
        if part == confiding.Part.FILE:
            return download(self.request, shown.file_name, shown.media_type, shown.content)
        facts = [("Opening", shown.reference), ("Title", shown.title), ("Text", shown.text)]
        return Section("Shown once: it is not on any other page", facts=facts)


def kind_of(item: BusinessItem | ConfidentialItem) -> str:
    """Return what an item is, without a word of it."""
    if item.media_type:
        return f"{item.get_media_type_display()} file, {filesizeformat(item.size)}"
    return "text"


@admin.register(BusinessItem)
class BusinessItemAdmin(RecordAdmin):
    """Business information: what customers do, as they or staff noted it."""

    list_display = ("id", "account", "source", "created_at")
    list_filter = ("source",)
    list_select_related = ("account",)
    ordering = ("-created_at",)

    def name_of(self, record: Any) -> str:
        return f"business information of account {record.account.number}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[BusinessItem]:
        return super().get_queryset(request).filter(removed_at=None).defer("content")

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        file: Any = "none"
        if record.media_type:
            name = eyes.on(record, "file_name")
            where = reverse("admin:accounts_businessitem_file", args=[record.pk])
            file = name if name in {HIDDEN, ERASED} else format_html('<a href="{}">{}</a>', where, name)
        facts = [
            ("Account", account_link(record)),
            ("Kept since", moment(record.created_at)),
            ("From", record.get_source_display()),
            ("Kind", kind_of(record)),
            ("Title", eyes.on(record, "title")),
            ("Text", eyes.on(record, "text")),
            ("File", file),
        ]
        return [Section("Business information", facts=facts)]

    def get_urls(self) -> list[URLPattern]:
        """Return the file of an item besides its pages."""
        view = self.admin_site.admin_view(self.file_view)
        return [path("<uuid:object_id>/file/", view, name=self.url_name("file")), *super().get_urls()]

    def file_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Give the file of an item out as a download; the ledger says so before."""
        user = staff(request)
        if not self.has_view_permission(request) or category_view(user, Category.BUSINESS) != View.SHOWN:
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        item = self.one(request, object_id)
        eyes = Eyes(user)
        name = eyes.on(item, "file_name")
        if name == ERASED or item.content is None:
            raise Http404
        eyes.record(item.account_id, item)
        return download(request, name, item.media_type, item.content)


@admin.register(ConfidentialItem)
class ConfidentialItemAdmin(RecordAdmin):
    """Confidential information: that it is there, whose and since when; opened by the act only."""

    acts = (OpenConfidential,)
    list_display = ("id", "account", "kind", "created_at")
    list_select_related = ("account",)
    ordering = ("-created_at",)

    def name_of(self, record: Any) -> str:
        return f"confidential information of account {record.account.number}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConfidentialItem]:
        # Nothing sealed is read for a list or a record's page: what was not read cannot slip out.
        kept = super().get_queryset(request).filter(removed_at=None)
        return kept.defer("title", "text", "file_name", "content")

    @admin.display(description="kind")
    def kind(self, item: ConfidentialItem) -> str:
        return kind_of(item)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        opened = confiding.openings(record.account_id, [record.pk])[record.pk]
        facts = [
            ("Account", account_link(record)),
            ("Kept since", moment(record.created_at)),
            ("Kind", kind_of(record)),
            ("Opened by staff", f"{len(opened)} times" if opened else "never"),
        ]
        rows = [(moment(entry.at), entry.reason, ", ".join(entry.roles), entry.reference) for entry in opened]
        return [
            Section("Confidential information", facts=facts),
            Section("Openings", head=("When", "Reason", "Role", "Reference"), rows=rows),
        ]


def confidential_section(account: Account) -> Section:
    """Return how many items a customer gave in confidence, each as a link to where it is opened."""
    room: Any = admin.site.get_model_admin(ConfidentialItem)
    items = ConfidentialItem.objects.filter(account=account, removed_at=None).only("media_type", "size", "created_at")
    rows = [
        (format_html('<a href="{}">{}</a>', room.url_of(item), kind_of(item)), moment(item.created_at))
        for item in items.order_by("created_at", "pk")
    ]
    return Section(f"Given in confidence: {len(rows)}", head=("Kind", "Kept since"), rows=rows)


def business_section(account: Account) -> Section:
    """Return what is kept about a customer's business, each as a link to its page."""
    room: Any = admin.site.get_model_admin(BusinessItem)
    items = BusinessItem.objects.filter(account=account, removed_at=None).only(
        "media_type", "size", "created_at", "source"
    )
    rows = [
        (
            format_html('<a href="{}">{}</a>', room.url_of(item), kind_of(item)),
            item.get_source_display(),
            moment(item.created_at),
        )
        for item in items.order_by("created_at", "pk")
    ]
    return Section("Business information", head=("Kind", "From", "Kept since"), rows=rows)
