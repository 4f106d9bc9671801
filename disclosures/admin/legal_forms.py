"""The forms of the acts on legal requests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.admin_base import Identifiers
from accounts.page_forms import SentOnce
from accounts.uploading import MOST_FILES, FilesInput
from disclosures.models import Check, Instrument, LegalLetter, LegalRequest, Outcome, Recipient, Sought
from disclosures.receiving import Person
from retention import dates
from retention.admin.fields import MomentField, held_categories

LONGEST = 5_000
NO_CARDS = "Write no card numbers."
# How the moment stands beside an IP address: "203.0.113.9 2026-11-01 12:30", in UTC.
MOMENTS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ")


class Moment(MomentField):
    """A moment that may be needed, and is none that nobody means."""

    def __init__(self, label: str, *, is_needed: bool = False, **kwargs: Any) -> None:
        super().__init__(label, validators=[dates.refuse_unlikely], **kwargs)
        self.required = is_needed


class Words(forms.CharField):
    """A text of several lines."""

    def __init__(self, label: str, *, rows: int = 4, longest: int = LONGEST, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", NO_CARDS)
        super().__init__(
            label=label,
            max_length=longest,
            widget=forms.Textarea(attrs={"rows": rows}),
            **kwargs,
        )


class Documents(forms.FileField):
    """PDF files, several at once; what they are is looked at by the act."""

    def __init__(self, label: str, *, required: bool) -> None:
        hint = f"PDF only, at most {MOST_FILES} files and 25 MB together."
        super().__init__(label=label, required=required, widget=FilesInput(attrs={"accept": ".pdf"}), help_text=hint)

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files: Sequence[Any] = data if isinstance(data, list | tuple) else [data] if data else []
        if self.required and not files:
            raise ValidationError("Choose at least one PDF file.", code="required")
        if len(files) > MOST_FILES:
            raise ValidationError(f"Send at most {MOST_FILES} files at once.", code="many")
        return list(files)


class Categories(forms.MultipleChoiceField):
    """The kinds of data that can be asked for."""

    def __init__(self, label: str, **kwargs: Any) -> None:
        super().__init__(label=label, required=False, widget=forms.CheckboxSelectMultiple, **kwargs)
        self.choices = held_categories()


class Authority(forms.ChoiceField):
    """A registered recipient, or none yet."""

    def __init__(self) -> None:
        super().__init__(
            label="Registered authority or party",
            required=False,
            choices=_recipients,
            help_text="Register it from a source of your own before, never from the letter itself.",
        )

    def clean(self, value: Any) -> Any:
        return super().clean(value) or None


def _recipients() -> list[tuple[str, str]]:
    found = Recipient.objects.open(timezone.now()).exclude(kind=Recipient.Kind.PARTNER).order_by("name", "pk")
    named = found.values_list("pk", "name", "reference", "jurisdiction")
    return [("", "not known yet"), *((str(pk), f"{name}, {place} ({ref})") for pk, name, ref, place in named)]


class Letter(Identifiers):
    """The reference of a preservation letter that prepared the ground."""

    def __init__(self) -> None:
        super().__init__(
            label="Preservation letter before it", max_length=20, required=False, help_text="By reference: LEG-…"
        )

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value)).strip().upper()
        if not text:
            return None
        letters = LegalRequest.objects.filter(reference=text, instrument=Instrument.PRESERVATION)
        found = letters.values_list("pk", flat=True).first()
        if found is None:
            raise ValidationError("No preservation letter has this reference. Check it for typing errors.")
        return found


class Scope(forms.Form):
    """What is asked for, by when, and of which time."""

    recipient_id = Authority()
    jurisdiction = forms.RegexField(
        r"^\s*[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?\s*$",
        label="Jurisdiction",
        required=False,
        max_length=10,
        help_text="The country, for a state of the United States with it: US-IL. A federal body is US.",
        error_messages={"invalid": "Write it like US, US-IL or DE."},
    )
    due_at = Moment("Due")
    categories = Categories("What it asks for")
    period_from = Moment("Of the time from", help_text="Empty means from the beginning.")
    period_to = Moment("Of the time until", help_text="Empty means without end.")
    preserved_by_id = Letter()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        begin, end = data.pop("period_from", None), data.pop("period_to", None)
        if begin and end and end <= begin:
            self.add_error("period_to", "Give an end that is later than the beginning.")
        data["period"] = (begin, end)
        return data


class PersonsForm(forms.Form):
    """Whom a request seeks, one a line."""

    accounts = Identifiers(
        label="Account numbers", required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="One a line."
    )
    emails = Identifiers(
        label="E-mail addresses", required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="One a line."
    )
    domains = Identifiers(
        label="Domains",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One a line. There is no search by domain: a person decides whose it is.",
    )
    addresses = Identifiers(
        label="IP addresses with their time",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One a line, the time in UTC: 203.0.113.9 2026-11-01 12:30",
    )

    def clean_addresses(self) -> list[Person]:
        return [_at_a_time(line) for line in _lines(self.cleaned_data["addresses"])]

    def persons(self) -> list[Person]:
        """Return everybody the form names."""
        given, kinds = self.cleaned_data, Sought.Kind
        named = [
            *(Person(kinds.ACCOUNT, line) for line in _lines(given.pop("accounts"))),
            *(Person(kinds.EMAIL, line) for line in _lines(given.pop("emails"))),
            *(Person(kinds.DOMAIN, line) for line in _lines(given.pop("domains"))),
        ]
        return [*named, *given.pop("addresses")]


def _lines(text: str) -> list[str]:
    return list(dict.fromkeys(line.strip()[:320] for line in text.splitlines() if line.strip()))


def _at_a_time(line: str) -> Person:
    address, _, rest = line.partition(" ")
    for shape in MOMENTS:
        try:
            moment = dt.datetime.strptime(rest.strip().removesuffix(" UTC"), shape).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
        dates.refuse_unlikely(moment)
        return Person(Sought.Kind.ADDRESS, address, moment)
    raise ValidationError("Write each IP address with its time in UTC: 203.0.113.9 2026-11-01 12:30")


class ReceiveForm(SentOnce, PersonsForm, Scope):
    """A request as it was served."""

    instrument = forms.ChoiceField(label="Instrument", choices=Instrument.choices)
    is_governmental = forms.BooleanField(label="It comes from a government body or a court", required=False)
    authority = forms.CharField(label="Authority, as the letter names it", max_length=200)
    official = forms.CharField(label="Named official", max_length=200, required=False)
    docket = forms.CharField(label="Docket", max_length=100, required=False)
    sender = forms.CharField(
        label="Address it came from",
        max_length=254,
        required=False,
        help_text="Compared with the address on file, never relied on.",
    )
    served_how = forms.ChoiceField(label="Served", choices=LegalRequest.Served.choices)
    served_at = Moment("Served on", is_needed=True)
    wording = Words("What it asks, in its words", required=False)
    documents = Documents("Documents", required=False)
    field_order = (
        "instrument",
        "is_governmental",
        "authority",
        "recipient_id",
        "official",
        "docket",
        "jurisdiction",
        "sender",
        "served_how",
        "served_at",
        "due_at",
        "accounts",
        "emails",
        "domains",
        "addresses",
        "categories",
        "period_from",
        "period_to",
        "wording",
        "preserved_by_id",
        "documents",
    )


class FindForm(forms.Form):
    """One field for reference, docket and whom a request seeks."""

    wanted = Identifiers(
        label="Reference, docket, account number, e-mail address or IP address",
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "size": 40}),
    )


class DocumentsForm(forms.Form):
    """Documents for a request that is there."""

    documents = Documents("Documents", required=True)
    is_for_customer = forms.BooleanField(
        label="This is the copy that goes to the customer with the notice", required=False
    )


class DecideForm(forms.Form):
    """Whose account it is that nobody or several were found for."""

    sought = forms.ChoiceField(label="Person sought", widget=forms.RadioSelect)
    number = Identifiers(
        label="Account number", max_length=20, required=False, help_text="Empty means: not a customer of ours."
    )


class CheckForm(forms.Form):
    """One item of the checklist."""

    item = forms.ChoiceField(label="Check", choices=Check.choices)
    is_met = forms.ChoiceField(label="Is it met?", choices=[("yes", "Yes"), ("no", "No")], widget=forms.RadioSelect)
    confirmed_at = forms.CharField(
        label="Confirmed at",
        max_length=254,
        required=False,
        help_text="For the authority: the e-mail address or telephone number on file where it confirmed the request.",
    )
    sender = forms.CharField(
        label="Address in the letter", max_length=254, required=False, help_text="Compared with the one on file."
    )
    note = Words("Note", rows=3, longest=500, required=False)


class NarrowForm(forms.Form):
    """What is left of a request."""

    categories = Categories("What is still asked for")
    period_from = Moment("Of the time from")
    period_to = Moment("Of the time until")
    reason = Words("Who agreed, and how", rows=3, longest=1_000)


class ReasonForm(forms.Form):
    """Why."""

    reason = Words("Grounds", longest=2_000)


class TimeForm(forms.Form):
    """Another date."""

    due_at = Moment("Agreed date", is_needed=True)


class LetterForm(forms.Form):
    """Which letter."""

    kind = forms.ChoiceField(label="Letter", choices=LegalLetter.Kind.choices, widget=forms.RadioSelect)


class EditForm(forms.Form):
    """The words of a letter."""

    subject = forms.CharField(label="Subject", max_length=200)
    body = Words("Text", rows=18, longest=10_000)


class SendForm(forms.Form):
    """How a letter goes."""

    how = forms.ChoiceField(
        label="How it goes",
        widget=forms.RadioSelect,
        choices=[
            ("mail", "By e-mail to the address on file"),
            ("post", "By post: I sent it"),
            ("hand", "By hand: I gave it"),
            ("fax", "By fax: I sent it"),
        ],
    )


class CloseForm(forms.Form):
    """How a request ends."""

    outcome = forms.ChoiceField(label="Outcome", choices=Outcome.choices, widget=forms.RadioSelect)
    reason = Words("Reason", longest=2_000)


class NoteForm(forms.Form):
    """A note for colleagues."""

    text = Words("Your note")
