"""The public forms of the abuse desk: a copyright notice with its six elements (17 USC 512(c)(3)), and other abuse."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.page_forms import SentOnce
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email
from disclosures.reports import reading
from disclosures.reports.shape import Declaration, Format, Item, Kind, Mail, Party, Report, Source
from retention import dates

MOST_ADDRESSES = 100
LONGEST_ADDRESS = 2_000
KINDS = (
    (Kind.PHISHING, _("Phishing or fraud")),
    (Kind.MALWARE, _("Malware")),
    (Kind.SPAM, _("Unwanted mail")),
    (Kind.ATTACK, _("An attack or a scan")),
    (Kind.NCII, _("Intimate images without consent")),
    (Kind.CSAM, _("Sexual abuse of children")),
    (Kind.TRADEMARK, _("Trademark")),
    (Kind.OTHER, _("Something else")),
)


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
        if len(lines) > MOST_ADDRESSES:
            raise ValidationError(_("Send at most %(most)s addresses at once.") % {"most": MOST_ADDRESSES})
        if not all(len(line) <= LONGEST_ADDRESS and (_address(line) or _host(line)) for line in lines):
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
        """Return what was sent, as it is kept: JSON of the fields by their names."""
        fields = {name: value for name, value in self.cleaned_data.items() if name != "submission"}
        return json.dumps(fields, ensure_ascii=False, default=str, sort_keys=True).encode()

    def sources(self, at: dt.datetime | None = None) -> tuple[Source, ...]:
        """Return what each line names: an address at a time, or a host with its URL."""
        return tuple(
            Source(address=_address(line), at=at)
            if _address(line)
            else Source(address=_address(_host(line)), domain=_host(line), urls=(line,), at=at)
            for line in self.cleaned_data["material"]
        )


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
        label=_(
            "I believe in good faith that the owner of the copyright, its agent or the law did not allow this use."
        ),
        error_messages={"required": _("Tick this if you believe it: without it this is no notice.")},
    )
    accuracy = forms.BooleanField(
        label=_(
            "What I say here is accurate. Under penalty of perjury: I am the owner of the right, or allowed to act for "
            "the owner."
        ),
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
        given, who = self.cleaned_data, self.party()
        report = Report(
            Format.FREE_TEXT,
            Kind.COPYRIGHT,
            document="form",
            notice_type="DMCA",
            mail=Mail(reply_address=who.email, sent_from=who),
            reporter=who,
            sender=who,
            sources=self.sources(),
            items=tuple(Item(title=given["work"][:500], url=line) for line in given["material"]),
            declarations=(
                Declaration("good faith", str(self.fields["good_faith"].label)),
                Declaration("accuracy", str(self.fields["accuracy"].label)),
                Declaration("signature", given["signature"]),
            ),
            text=given["work"],
            fields=json.loads(self.raw()),
        )
        return hashed(report, self.raw())


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
        given, who = self.cleaned_data, self.party()
        seen_at = given["seen_at"].astimezone(dt.UTC) if given["seen_at"] else None
        report = Report(
            Format.FREE_TEXT,
            Kind(given["kind"]),
            document="form",
            mail=Mail(reply_address=who.email, sent_from=who),
            reporter=who,
            sender=who,
            reported_at=seen_at,
            sources=self.sources(seen_at),
            items=tuple(Item(url=line) for line in given["material"]),
            text=given["what"],
            fields=json.loads(self.raw()),
        )
        return hashed(report, self.raw())


def hashed(report: Report, raw: bytes) -> Report:
    """Return the report with the hash of what was sent, so that the same form sent twice is known."""
    return replace(report, content_hash=reading.content_hash(report, raw))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[] ")))
    except ValueError:
        return ""


def _host(line: str) -> str:
    try:
        parts = urlsplit(line if "//" in line else f"//{line}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    return host if "." in host and parts.scheme in {"", "http", "https", "ftp"} else ""
