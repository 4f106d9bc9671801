"""What every page of the admin keeps to: records are read, changed by acts only, and never deleted.

`RecordAdmin` shows a record with personal fields masked or hidden by role, and writes one ledger entry per
view of personal data. Lists show nothing personal. `Act` is one permissioned view: GET shows the
consequences, POST acts and redirects. Nothing is written to Django's own log of changes, which would copy
values and outlive an erasure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.views import View as HttpView

from accounts import proofs
from accounts.datamap import Audience, Category, Personal
from accounts.errors import NotActionable
from accounts.keys.keyring import KeyDestroyed
from accounts.models import Person, User
from accounts.models.money import BILLED_TO
from accounts.roles import View, category_view, may, roles_of
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.templatetags.portal_tags import moment

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

HIDDEN = "hidden for your role"
ERASED = "erased"
NONE = "none"


@dataclass(frozen=True)
class Section:
    """A part of a record's page: facts as label and value, or a table with a head."""

    title: str
    facts: Sequence[tuple[str, Any]] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    empty: str = "None."


@dataclass(frozen=True)
class Column:
    """A column of a list made by `read`; two of one name are the same to Django, which asks for them anew."""

    name: str
    short_description: str
    read: Callable[[Any], Any] = field(compare=False)
    admin_order_field: str | None = None

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, record: Any) -> Any:
        return self.read(record)


@dataclass
class Eyes:
    """The eyes of one member of staff on one page: what they may see, and what they have been shown."""

    user: User
    seen: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)
    _knows_colleagues: bool = False

    def who(self, actor: str | UUID | None) -> str:
        """Return who did something, as this role may be told: a colleague by the name they sign in with.

        That is no look at a customer, and stands in no ledger. Where the role may not read names, the actor stays
        as the ledger has it.
        """
        known = f"staff:{actor}" if isinstance(actor, UUID) else actor or ""
        if known not in self._names:
            self._names[known] = self._name(known)
        return self._names[known]

    def know_colleagues(self) -> None:
        """Learn the names of all colleagues at once: a list of many rows would ask for each."""
        if self._knows_colleagues or category_view(self.user, Category.IDENTITY) != View.SHOWN:
            return
        self._knows_colleagues = True
        for person in Person.objects.filter(account=None):
            actor = f"staff:{person.user_id}"
            self._names.setdefault(actor, _name_of(person) or actor)

    def _name(self, actor: str) -> str:
        kind, _, pk = actor.partition(":")
        if kind == "staff" and category_view(self.user, Category.IDENTITY) == View.SHOWN:
            person = Person.objects.filter(user_id=pk, account=None).first() if _is_id(pk) else None
            return _name_of(person) or actor
        return {ledger.SYSTEM: "the portal", "user": "the customer", "token": "another system"}.get(kind, actor)

    def on(self, record: models.Model, name: str) -> str:
        """Return a personal field as this role may see it, and note its category when anything is shown."""
        entry: Personal = type(record).__dict__["personal"]
        view = category_view(self.user, entry.category)
        if view == View.HIDDEN or Audience.STAFF not in entry.fields[name].shown:
            return HIDDEN
        self.seen.add(entry.category.value)
        try:
            value = getattr(record, name)
        except KeyDestroyed:
            return ERASED
        return _words(value, view)

    def facts(self, record: models.Model) -> list[tuple[str, Any]]:
        """Return every personal field of a record that staff may be shown at all, with its label."""
        entry: Personal = type(record).__dict__["personal"]
        shown = [name for name, held in entry.fields.items() if Audience.STAFF in held.shown]
        return [(str(entry.fields[name].label), self.on(record, name)) for name in shown]

    def record(self, subject: UUID | None, looked_at: models.Model) -> None:
        """Write the one ledger entry of this page; nothing when nothing personal was shown."""
        if self.seen:
            ledger.record(
                self.user.actor,
                "viewed",
                subject,
                categories=sorted(self.seen),
                roles=sorted(roles_of(self.user)),
                kind=looked_at._meta.label_lower,
                object=looked_at.pk,
            )


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _name_of(person: Person | None) -> str:
    try:
        return str(person.username or person.name) if person else ""
    except KeyDestroyed:
        return ""


def _words(value: Any, view: View) -> str:
    if value in (None, "", {}, []):
        return NONE
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: BILLED_TO.index(name) if name in BILLED_TO else len(BILLED_TO))
        return ", ".join(_words(value[name], view) for name in names if value[name])
    if isinstance(value, list):
        return ", ".join(_words(item, view) for item in value)
    return view.of(value)


class Act(HttpView):
    """One thing a role may do to one record (or, with `needs_record = False`, from a list).

    Subclasses name `slug`, `label` (begins with a verb), `permission`, and say what `perform` does. The act
    itself owns its transaction: this view is outside the one Django's admin wraps around its own change
    views.
    """

    slug: ClassVar[str]
    label: ClassVar[str]
    permission: ClassVar[str]
    form_class: ClassVar[type[forms.Form]] = forms.Form
    needs_record: ClassVar[bool] = True
    calm: ClassVar[str] = "Go back without doing this"
    http_method_names = ["get", "head", "post"]
    room: Any = None

    def done_before(self, record: Any, data: Any) -> str:
        """Return the sentence that says what this very form changed when it was sent before; empty when it was not."""
        return ""

    def hindrance(self, record: Any, user: User) -> str:
        """Return why the act cannot be done now, as a sentence; empty when it can."""
        return ""

    def consequences(self, record: Any) -> list[str]:
        """Return what will have happened afterwards, a sentence each."""
        return []

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        """Return what one must know to decide."""
        return []

    def form(self, record: Any, data: Any = None) -> forms.Form:
        """Return the form of the act."""
        return asking(self.form_class(data))

    def perform(self, record: Any, form: forms.Form, user: User) -> str | Section | HttpResponse:
        """Do it and return the sentence that says what changed.

        A section instead is shown at once and nowhere kept: a message would pass through the session. An answer of its
        own is a file, which is given out once.
        """
        raise NotImplementedError

    def destination(self, record: Any) -> str:
        """Return where to go afterwards: the record, or the list."""
        return str(self.room.url_of(record) if record is not None else self.room.list_url())

    @classmethod
    def is_open_to(cls, user: User) -> bool:
        """Return whether one of the user's roles has this act."""
        return may(user, cls.permission)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not self.is_open_to(staff(request)):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, object_id: UUID | None = None) -> HttpResponse:
        record = self._record(request, object_id)
        return self._page(request, record, self.form(record))

    def post(self, request: HttpRequest, object_id: UUID | None = None) -> HttpResponse:
        record = self._record(request, object_id)
        done_before = self.done_before(record, request.POST)
        if done_before:
            return self._done(request, record, done_before)
        form = self.form(record, request.POST)
        hindrance = self.hindrance(record, staff(request))
        if hindrance:
            return self._page(request, record, form, status=409)
        if not form.is_valid():
            return self._page(request, record, form, status=422)
        try:
            done = self.perform(record, form, staff(request))
        except NotActionable as error:
            return self._page(request, record, form, status=409, refusal=str(error))
        except ValidationError as error:
            form.add_error(None, error)
            return self._page(request, record, form, status=422)
        if isinstance(done, HttpResponse):
            return done
        if isinstance(done, Section):
            page: HttpResponse = self.room.page(request, self.label, [done])
            return page
        return self._done(request, record, done)

    def _done(self, request: HttpRequest, record: Any, done: str) -> HttpResponse:
        messages.success(request, done)
        return HttpResponseRedirect(self.destination(record))

    def _record(self, request: HttpRequest, object_id: UUID | None) -> Any:
        return self.room.one(request, object_id) if self.needs_record else None

    def _page(
        self, request: HttpRequest, record: Any, form: forms.Form, status: int = 200, refusal: str = ""
    ) -> HttpResponse:
        user = staff(request)
        eyes = Eyes(user)
        context = {
            **self.room.admin_site.each_context(request),
            "opts": self.room.opts,
            "title": self.label,
            "record": record,
            "record_name": capfirst(self.room.name_of(record)) if record is not None else "",
            "record_url": self.destination(record),
            "list_url": self.room.list_url(),
            "form": form,
            "hindrance": self.hindrance(record, user),
            "refusal": refusal,
            "consequences": self.consequences(record),
            "sections": self.sections(eyes, record),
            "label": self.label,
            "calm": self.calm,
            "looks_only": "post" not in self.http_method_names,
        }
        if record is not None:
            eyes.record(self.room.subject_of(record), record)
        request.current_app = self.room.admin_site.name
        return TemplateResponse(request, "admin/act.html", context, status=status)


class FreshAct(Act):
    """An act that shows or changes a secret: it asks for a second factor used within the last ten minutes.

    What was sent without one is not kept: whoever confirms comes back to the page by GET, with nothing done.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if self.is_open_to(staff(request)) and not proofs.second_factor_is_fresh(request):
            return HttpResponseRedirect(f"{reverse('mfa_reauthenticate')}?{urlencode({'next': request.path})}")
        return super().dispatch(request, *args, **kwargs)


class RecordAdmin(ModelAdmin):
    """A model whose rows staff read and act upon; nothing is added, changed or deleted but by an act."""

    acts: ClassVar[Sequence[type[Act]]] = ()
    # Where the ledger looks for the subject of a view.
    subject_field: ClassVar[str] = "account_id"
    list_per_page = 50
    show_full_result_count = False
    # Counts beside filters would be queries over everything, and one more place to leak from.
    show_facets = admin.ShowFacets.NEVER
    # What columns are called where Django's own name of the field says it worse.
    labels: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        """Return the parts of a record's page."""
        raise NotImplementedError

    def name_of(self, record: Any) -> str:
        """Return what staff call a record: by reference or number, never by an id where there is a better word."""
        return f"{self.opts.verbose_name} {record}"

    def columns(self, eyes: Eyes) -> Mapping[str, Callable[[Any], Any]]:
        """Return what makes the columns that depend on who reads them, by the name they have in `list_display`."""
        return {}

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns as this reader sees them: each moment with its zone, as on every other page."""
        own = self.columns(Eyes(staff(request)))
        return [self._column(name, own.get(str(name))) for name in self.list_display]

    def _column(self, name: Any, read: Callable[[Any], Any] | None) -> Any:
        fields: dict[str, Any] = {field.name: field for field in self.opts.get_fields()}
        if read is not None:
            return Column(name, self.labels.get(name) or str(fields[name].verbose_name), read)
        if isinstance(fields.get(name), models.DateTimeField):
            label = str(fields[name].verbose_name)
            return Column(name, label, lambda record: moment(getattr(record, name)) or None, name)
        return name

    def subject_of(self, record: Any) -> UUID | None:
        """Return whose data a record is."""
        subject: UUID | None = getattr(record, self.subject_field, None)
        return subject

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(staff(request), f"{self.opts.app_label}.view_{self.opts.model_name}")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        """Return list, record and acts; there is no page to add, change, delete or see Django's history."""
        wrap = self.admin_site.admin_view
        urls = [
            path("", wrap(self.changelist_view), name=self.url_name("changelist")),
            path("<uuid:object_id>/", wrap(self.record_view), name=self.url_name("change")),
        ]
        for act in self.acts:
            where = f"<uuid:object_id>/{act.slug}/" if act.needs_record else f"{act.slug}/"
            urls.append(path(where, wrap(act.as_view(room=self)), name=self.url_name(act.slug)))
        return urls

    def url_name(self, page: str) -> str:
        """Return the name of one of this model's pages, without the namespace."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def url_of(self, record: models.Model, page: str = "change") -> str:
        """Return the address of a record's page or act."""
        return reverse(f"{self.admin_site.name}:{self.url_name(page)}", args=[record.pk])

    def list_url(self, page: str = "changelist") -> str:
        """Return the address of the list, or of an act that needs no record."""
        return reverse(f"{self.admin_site.name}:{self.url_name(page)}")

    def one(self, request: HttpRequest, object_id: UUID | None) -> Any:
        """Return a record this user may see; 404 for every other, in the same words."""
        record = self.get_detail_queryset(request).filter(pk=object_id).first()
        if record is None:
            raise Http404
        return record

    def get_detail_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Return what a record's page is made from: the rows of the list, with what only the page needs."""
        return self.get_queryset(request)

    def record_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Show one record; a view of personal data is one ledger entry, written before the page is made."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        record = self.one(request, object_id)
        eyes = Eyes(staff(request))
        sections = self.sections(eyes, record)
        eyes.record(self.subject_of(record), record)
        title = capfirst(self.name_of(record))
        return self.page(request, title, sections, self.open_acts(eyes.user, record))

    def page(
        self,
        request: HttpRequest,
        title: str,
        sections: Sequence[Section],
        acts: Sequence[tuple[str, str, str]] = (),
    ) -> HttpResponse:
        """Return a page of sections, with the acts that can be gone to."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "list_url": self.list_url(),
            "sections": sections,
            "acts": [act for act in acts if not act[2]],
            "hindered": [act for act in acts if act[2]],
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/record.html", context)

    def open_acts(self, user: User, record: Any) -> list[tuple[str, str, str]]:
        """Return (label, address, hindrance) of the acts this user has; with a hindrance there is no link."""
        offered = [act for act in self.acts if act.needs_record and act.is_open_to(user)]
        return [(act.label, self.url_of(record, act.slug), act(room=self).hindrance(record, user)) for act in offered]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Return whether a list may be asked for this: by its declared filters, and refuse everything else.

        Any other column could be guessed letter by letter: a password's hash, or the epoch that tells of a
        sealed hold. The refusal names no column, and repeats nothing that was sent.
        """
        if lookup in self.declared_lookups():
            return True
        raise SuspiciousOperation("A list was asked for by something that is none of its filters.")

    def declared_lookups(self) -> set[str]:
        """Return the query parameters that the declared filters of the list read, and no others."""
        names = {entry for entry in self.list_filter if isinstance(entry, str)}
        own = {entry.parameter_name for entry in self.list_filter if not isinstance(entry, str)}  # type: ignore[union-attr]
        return own | {f"{name}{ending}" for name in names for ending in ("", "__exact", "__isnull")}

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Return False: no page of this site picks a record for another."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        offered = [act for act in self.acts if not act.needs_record and act.is_open_to(staff(request))]
        links = [(act.label, self.list_url(act.slug)) for act in offered]
        return super().changelist_view(request, {"list_acts": links, **(extra_context or {})})


class Identifiers(forms.CharField):
    """Numbers, references, addresses or ids that something is looked up by; what is none of them finds nothing."""


def asking(form: forms.Form) -> forms.Form:
    """Return the form with an error for an empty field that says what to enter, and for a card number in words (P4)."""
    for each in form.fields.values():
        if each.widget.is_hidden:
            continue
        if isinstance(each, forms.CharField) and not isinstance(each, Identifiers):
            each.validators.append(refuse_card_number)
        label = str(each.label)
        each.error_messages["required"] = f"Enter this: {label[:1].lower()}{label[1:]}."
    return form


def staff(request: HttpRequest) -> User:
    """Return the signed-in member of staff; the site has let nobody else through."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
