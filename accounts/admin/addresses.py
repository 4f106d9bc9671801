"""Addresses of services in the admin: who held an address at a moment, for the abuse desk and legal.

The address is typed into a form that is posted: it stands in no URL, log or ledger entry. The ledger says who looked
one up, and each customer that was found counts as looked at.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import format_html

from accounts import assigning
from accounts.admin.links import account_link
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import Account, IpAssignment, Service, User
from accounts.roles import roles_of
from accounts.safeguards import ledger
from accounts.templatetags.portal_tags import moment

MOST = 100


class AddressField(forms.CharField):
    """An address or network, in any of its spellings."""

    def clean(self, value: Any) -> str:
        """Return the text that names it; raise ValidationError with the way to write it."""
        text = str(super().clean(value))
        return assigning.text_of(assigning.parsed(text))


class WhenField(forms.DateTimeField):
    """A moment as a report writes it: with an offset, or in the time zone in use."""

    def clean(self, value: Any) -> dt.datetime:
        """Return the moment; raise ValidationError for an hour that the clocks leave out or give twice."""
        try:
            found: dt.datetime = super().clean(value)
        except ValidationError as error:
            if error.code == "ambiguous_timezone":
                words = "The clocks change on this day. Write the offset behind the time, for instance +00:00."
                raise ValidationError(words) from None
            raise
        return found


class WhoHeldForm(forms.Form):
    """An address, and when it concerned somebody."""

    address = AddressField(
        label="Address or network",
        max_length=assigning.LONGEST,
        help_text="For instance 192.0.2.7, 192.0.2.0/24 or 2001:db8::/64.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "size": 40}),
    )
    when = WhenField(
        label="Day and time",
        help_text="As the report writes it, with its offset: 2026-11-25 14:30:00+00:00. "
        "Without an offset it is a time of the zone this page shows.",
        widget=forms.DateTimeInput(attrs={"autocomplete": "off", "size": 30}),
        error_messages={"invalid": "Write day and time like 2026-11-25 14:30:00+00:00."},
    )


class WhoHeld(Act):
    """Say who held an address at a moment."""

    slug, label, permission = "who-held", "Show who held an address", "accounts.view_ipassignment"
    form_class = WhoHeldForm
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return [
            "The customer who held the address is shown once, on the next page.",
            "The ledger says that you looked an address up, and whom you found.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> Section:
        at = form.cleaned_data["when"]
        found = assigning.who_held(form.cleaned_data["address"], at, most=MOST + 1)
        rows = [self._row(holding) for holding in found[:MOST]]
        _note(user, found[:MOST])
        more = f", the first {MOST}" if len(found) > MOST else ""
        title = format_html("Who held it on {}{}", moment(at), more)
        head = ("Address", "Account", "Service", "From", "Until")
        return Section(title, head=head, rows=rows, empty="Nobody held this address then.")

    def _row(self, holding: assigning.Holding) -> tuple[Any, ...]:
        card: Any = self.room.admin_site.get_model_admin(Account)
        service = reverse(f"{self.room.admin_site.name}:accounts_service_change", args=[holding.service])
        return (
            holding.address,
            format_html('<a href="{}">{}</a>', card.url_of(Account(pk=holding.account)), holding.account_number),
            format_html('<a href="{}">{}</a>', service, holding.service),
            moment(holding.assigned_at),
            moment(holding.ended_at) or "now",
        )


def _note(user: User, found: list[assigning.Holding]) -> None:
    """Write who looked, and a view for each customer that was found; never the address."""
    roles = sorted(roles_of(user))
    views = [
        ledger.Fact(
            user.actor,
            "viewed",
            holding.account,
            {
                "categories": ["network"],
                "roles": roles,
                "kind": IpAssignment._meta.label_lower,
                "object": holding.assignment,
            },
        )
        for holding in found
    ]
    ledger.record_many([ledger.Fact(user.actor, "address.looked_up", None, {"found": len(found)}), *views])


@admin.register(IpAssignment)
class IpAssignmentAdmin(RecordAdmin):
    """Addresses of services: read, look one up."""

    acts = (WhoHeld,)
    list_display = ("id", "account", "service", "assigned_at", "ended_at")
    list_select_related = ("account",)
    ordering = ("-assigned_at",)

    def name_of(self, record: Any) -> str:
        return f"address of account {record.account.number}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        service = Service.objects.filter(pk=record.service).first()
        facts = [
            ("Account", account_link(record)),
            ("Service", service_link(service) if service else "deleted"),
            ("From", moment(record.assigned_at)),
            ("Until", moment(record.ended_at) or "now"),
        ]
        return [Section("Address", facts=[*eyes.facts(record), *facts])]


def service_link(service: Service) -> str:
    """Return a link to the page of a service, by its plan."""
    room: Any = admin.site.get_model_admin(Service)
    return format_html('<a href="{}">{}</a>', room.url_of(service), service.plan)
