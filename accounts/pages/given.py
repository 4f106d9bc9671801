"""What customers tell us about their business, and what they give us in confidence (P28-P30).

Two pages alike: a list, a form for a text or a file, and a page per item from which it is downloaded, removed or, when
confidential, moved to business. Owners only; what is removed is not there (404). Each act asks once more on a page of
its own.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import confiding, giving
from accounts.doors import account_of, customer, customer_page, for_roles, is_too_often, too_often
from accounts.downloading import download
from accounts.members import Part
from accounts.models import BusinessItem, ConfidentialItem
from accounts.page_forms import LONGEST_BODY, LONGEST_SUBJECT, SentOnce
from accounts.safeguards.cards import refuse_card_number
from accounts.uploading import REFUSED, UploadsField, takes_files

ENTRIES_A_PAGE = 25


class GiveForm(SentOnce):
    """A title, and a text or a file."""

    title = forms.CharField(
        label=gettext_lazy("Title"),
        max_length=LONGEST_SUBJECT,
        validators=[refuse_card_number],
        error_messages={"required": gettext_lazy("Write in a few words what it is.")},
    )
    text = forms.CharField(
        label=gettext_lazy("Text"),
        required=False,
        max_length=LONGEST_BODY,
        widget=forms.Textarea(attrs={"rows": 6}),
        validators=[refuse_card_number],
        help_text=gettext_lazy("Write a text here, or choose a file below."),
    )
    attached = UploadsField(label=gettext_lazy("File"), required=False, most=1)
    field_order = ("title", "text", "attached")

    def clean(self) -> dict[str, Any]:
        """Ask for a text or a file, not for both."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and bool(given.get("text")) == bool(given.get("attached")):
            self.add_error("text", _("Write a text or choose a file: one of the two."))
        return given

    @property
    def what(self) -> dict[str, Any]:
        """Return what an act is given."""
        given = self.cleaned_data
        file = given["attached"][0] if given["attached"] else None
        return {"title": given["title"], "text": given["text"], "file": file, "submission": given["submission"]}


@customer_page
@for_roles(Part.BUSINESS)
@takes_files
def business(request: HttpRequest) -> HttpResponse:
    """Show what we know about the customer's business, and take more."""
    if request.FILES and is_too_often(request, "send_file"):
        return too_often(request)
    form = GiveForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid() and _took(request, form, giving.give):
        messages.success(request, _("We keep this with your account."))
        return redirect("accounts:business")
    items = BusinessItem.objects.filter(account=account_of(request), removed_at=None)
    return _list(request, "accounts/business.html", items, form)


@customer_page
@for_roles(Part.CONFIDENTIAL)
@takes_files
def confidential(request: HttpRequest) -> HttpResponse:
    """Show what the customer gave in confidence and when staff opened it, and take more."""
    if request.FILES and is_too_often(request, "send_file"):
        return too_often(request)
    form = GiveForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid() and _took(request, form, confiding.confide):
        messages.success(request, _("We keep this in confidence."))
        return redirect("accounts:confidential")
    items = ConfidentialItem.objects.filter(account=account_of(request), removed_at=None)
    return _list(request, "accounts/confidential.html", items, form)


@customer_page
@for_roles(Part.BUSINESS)
def business_item(request: HttpRequest, item: UUID) -> HttpResponse:
    """Show one item."""
    return render(request, "accounts/business_item.html", {"item": _of_business(request, item)})


@customer_page
@for_roles(Part.CONFIDENTIAL)
def confidential_item(request: HttpRequest, item: UUID) -> HttpResponse:
    """Show one item with every opening by staff."""
    found = _in_confidence(request, item)
    opened = confiding.openings(found.account_id, [found.pk])[found.pk]
    page = Paginator(opened, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/confidential_item.html", {"item": found, "page": page})


@customer_page
@for_roles(Part.BUSINESS)
def business_file(request: HttpRequest, item: UUID) -> HttpResponse:
    """Give the file of an item out, as a download."""
    return _file(request, _of_business(request, item))


@customer_page
@for_roles(Part.CONFIDENTIAL)
def confidential_file(request: HttpRequest, item: UUID) -> HttpResponse:
    """Give the file of an item out to its owner, as a download; that is no opening by staff."""
    return _file(request, _in_confidence(request, item))


@customer_page
@for_roles(Part.BUSINESS)
def business_remove(request: HttpRequest, item: UUID) -> HttpResponse:
    """Ask once more, then remove an item."""
    found = _of_business(request, item)
    if request.method == "POST":
        giving.remove(found.pk, by=customer(request))
        messages.success(request, _("This is removed."))
        return redirect("accounts:business")
    return _ask_once_more(request, found, "accounts:business_item")


@customer_page
@for_roles(Part.CONFIDENTIAL)
def confidential_remove(request: HttpRequest, item: UUID) -> HttpResponse:
    """Ask once more, then remove an item."""
    found = _in_confidence(request, item)
    if request.method == "POST":
        confiding.withdraw(found.pk, by=customer(request))
        messages.success(request, _("This is removed."))
        return redirect("accounts:confidential")
    return _ask_once_more(request, found, "accounts:confidential_item")


@customer_page
@for_roles(Part.CONFIDENTIAL)
def confidential_move(request: HttpRequest, item: UUID) -> HttpResponse:
    """Explain what moving an item to business means, then move it."""
    found = _in_confidence(request, item)
    if request.method == "POST":
        moved = confiding.move_to_business(found.pk, by=customer(request))
        messages.success(request, _("This is business information now."))
        return redirect("accounts:business_item", item=moved.pk)
    return render(request, "accounts/confidential_move.html", {"item": found})


def _took(request: HttpRequest, form: GiveForm, act: Any) -> bool:
    """Do the act with what the form holds; what it minds stands in the form then."""
    if is_too_often(request, "write_message"):
        form.add_error(None, _("You sent a lot in a short time. Wait a few minutes, then try again."))
        return False
    try:
        act(account_of(request), by=customer(request), **form.what)
    except ValidationError as error:
        form.add_error(None, error)
        return False
    return True


def _ask_once_more(request: HttpRequest, item: BusinessItem | ConfidentialItem, page: str) -> HttpResponse:
    """Show what removing means, for either kind of item; `page` is the item's own."""
    context = {"item": item, "keep_url": reverse(page, args=[item.pk])}
    return render(request, "accounts/given_remove.html", context)


def _list(request: HttpRequest, template: str, items: Any, form: GiveForm) -> HttpResponse:
    shown = items.defer("content", "text").order_by("-created_at", "-pk")
    page = Paginator(shown, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {"page": page, "form": form}
    if items.model is ConfidentialItem:
        opened = confiding.openings(account_of(request).pk, [item.pk for item in page.object_list])
        context["rows"] = [(item, opened[item.pk]) for item in page.object_list]
    return render(request, template, context, status=REFUSED if form.is_bound else 200)


def _of_business(request: HttpRequest, item: UUID) -> BusinessItem:
    own = BusinessItem.objects.filter(account=account_of(request), removed_at=None).defer("content")
    return get_object_or_404(own, pk=item)


def _in_confidence(request: HttpRequest, item: UUID) -> ConfidentialItem:
    own = ConfidentialItem.objects.filter(account=account_of(request), removed_at=None).defer("content")
    return get_object_or_404(own, pk=item)


def _file(request: HttpRequest, item: BusinessItem | ConfidentialItem) -> HttpResponse:
    if item.content is None:
        raise Http404("This item is a text, not a file.")
    return download(request, item.file_name or "file", item.media_type, item.content)
