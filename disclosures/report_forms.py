"""The public forms of the abuse desk: a copyright notice with its six elements (17 USC 512(c)(3)), and other abuse."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.page_forms import SentOnce
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email
from disclosures.composing import ACCURACY, GOOD_FAITH, KINDS, LONGEST_PLACE, MOST_PLACES, Told, kept, place
from disclosures.reports.shape import Kind, Party, Report
from retention import dates


class Words(forms.CharField):
    """A text that holds no card number."""

    def __init__(self, label: Any, *, rows: int = 0, missing: Any = "", **kwargs: Any) -> None:
        if rows:
            kwargs["widget"] = forms.Textarea(attrs={"rows": rows})
        if missing:
            kwargs["error_messages"] = {"required": missing}
        super().__init__(label=label, validators=[refuse_card_number], **kwargs)


class ReporterForm(SentOnce):
    """Who reports, and which material it is about."""

    name = Words(_("Your name"), max_length=200, missing=_("Enter your name."))
    email = Words(_("Your e-mail address"), max_length=254, missing=_("Enter your e-mail address."))
    material = Words(
        _("Addresses of the material, one a line"),
        rows=5,
        max_length=20_000,
        help_text=_("Write the whole address of each page or file: https://www.example.com/page"),
        missing=_("Enter at least one address of the material."),
    )

    def clean_email(self) -> str:
        """Return the address as it is written to."""
        return clean_email(self.cleaned_data["email"])

    def clean_material(self) -> list[str]:
        """Return the addresses; raise ValidationError for what is no address of the web and no IP address."""
        lines = list(dict.fromkeys(line.strip() for line in self.cleaned_data["material"].splitlines() if line.strip()))
        if len(lines) > MOST_PLACES:
            raise ValidationError(_("Send at most %(most)s addresses at once.") % {"most": MOST_PLACES})
        if not all(len(line) <= LONGEST_PLACE and place(line) for line in lines):
            raise ValidationError(_("Write each address as https://www.example.com/page or as an IP address."))
        return lines

    def party(self) -> Party:
        """Return who reports."""
        given = self.cleaned_data
        email = given["email"]
        return Party(
            organisation=given.get("organisation", ""),
            contact=given["name"],
            email=email,
            phone=given.get("phone", ""),
            address=given.get("postal", ""),
            domain=email.rpartition("@")[2],
        )

    def raw(self) -> bytes:
        """Return what was sent, as it is kept."""
        return kept({name: value for name, value in self.cleaned_data.items() if name != "submission"})

    def told(self, at: dt.datetime | None = None) -> Told:
        """Return what every report says; each place was seen at `at`."""
        places = (replace(found, at=at) for line in self.cleaned_data["material"] if (found := place(line)))
        return Told(self.party(), tuple(places), self.raw(), door="form")


class CopyrightForm(ReporterForm):
    """A notice with exactly its six elements."""

    organisation = Words(_("Whose rights you act for, if not your own"), max_length=200, required=False)
    work = Words(
        _("The work that was copied"),
        rows=4,
        max_length=5_000,
        help_text=_("Name it so that we know it: title, author, where it is published."),
        missing=_("Name the work."),
    )
    phone = Words(_("Your telephone number"), max_length=40, missing=_("Enter your telephone number."))
    postal = Words(_("Your postal address"), rows=3, max_length=500, missing=_("Enter your postal address."))
    good_faith = forms.BooleanField(
        label=GOOD_FAITH,
        error_messages={"required": _("Tick this if you believe it: without it this is no notice.")},
    )
    accuracy = forms.BooleanField(
        label=ACCURACY,
        error_messages={"required": _("Tick this if it is so: without it this is no notice.")},
    )
    signature = Words(
        _("Sign by typing your full name"), max_length=200, missing=_("Type your full name to sign the notice.")
    )
    field_order = (
        "work",
        "material",
        "name",
        "organisation",
        "email",
        "phone",
        "postal",
        "good_faith",
        "accuracy",
        "signature",
    )

    def report(self) -> Report:
        """Return the notice in the shape of every other report."""
        return self.told().notice(self.cleaned_data["work"], self.cleaned_data["signature"])


class AbuseForm(ReporterForm):
    """Anything else."""

    kind = forms.ChoiceField(
        label=_("What it is"),
        choices=KINDS,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose what it is.")},
    )
    what = Words(_("What happened"), rows=6, max_length=20_000, missing=_("Say what happened, in a few sentences."))
    seen_at = forms.DateTimeField(
        label=_("When you saw it"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        validators=[dates.refuse_unlikely],
        help_text=_("Day and time, in the time zone that is named below: 2026-11-26 14:30"),
        error_messages={"invalid": _("Write it like 2026-11-26 14:30.")},
    )
    field_order = ("kind", "what", "material", "seen_at", "name", "email")

    def report(self) -> Report:
        """Return the report in the shape of every other one."""
        given = self.cleaned_data
        seen_at = given["seen_at"].astimezone(dt.UTC) if given["seen_at"] else None
        return self.told(seen_at).complaint(Kind(given["kind"]), given["what"])
