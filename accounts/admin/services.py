"""Services in the admin: their addresses over time, their suspensions; waive a minimum term."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.utils import timezone

from accounts import forgiving
from accounts.admin.links import account_link
from accounts.admin.money import amount
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import IpAssignment, Service, Suspension, User
from accounts.roles import may
from accounts.templatetags.portal_tags import moment

RECENT = 50


class Waive(Act):
    """Waive a minimum term."""

    slug, label, permission = "waive", "Waive the minimum term", "accounts.waive_term"

    def hindrance(self, record: Any, user: User) -> str:
        if Service.objects.bound(timezone.now()).filter(pk=record.pk).exists():
            return ""
        return "No minimum term of this service runs, so there is nothing to waive."

    def consequences(self, record: Any) -> list[str]:
        return [
            "The customer may end this service before its minimum term is over.",
            "The term no longer stops the deletion of the account.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        forgiving.waive(record.pk, by=user)
        return "The minimum term is waived."


@admin.register(Service)
class ServiceAdmin(RecordAdmin):
    """Services: read, waive the minimum term."""

    acts = (Waive,)
    list_display = ("id", "account", "plan", "started_at", "term_ends_at", "term_waived_at", "stops_at")
    list_filter = ("plan",)
    list_select_related = ("account",)
    ordering = ("-started_at",)

    def name_of(self, record: Any) -> str:
        return f"service {record.plan} of account {record.account.number}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Account", account_link(record)),
            ("Plan", record.plan),
            ("Monthly", amount(record.monthly_cents, "USD")),
            ("Started", moment(record.started_at)),
            ("Minimum term ends", moment(record.term_ends_at) or "no minimum term"),
            ("Minimum term waived", moment(record.term_waived_at) or "no"),
            ("Paid until", moment(record.paid_until) or "not in advance"),
            ("Stops", moment(record.ends_at) or "not planned"),
        ]
        parts = [Section("Service", facts=[*eyes.facts(record), *facts]), self._suspensions(eyes, record)]
        if may(eyes.user, "accounts.view_ipassignment"):
            parts.append(self._addresses(eyes, record))
        return parts

    def _suspensions(self, eyes: Eyes, service: Any) -> Section:
        both = Q(service=None) | Q(service=service.pk)
        found = Suspension.objects.filter(both, account=service.account_id).order_by("placed_at", "pk")
        rows = [
            (
                row.get_ground_display(),
                "this service" if row.service else "the whole account",
                moment(row.placed_at),
                eyes.who(row.placed_by),
                moment(row.lifted_at) or "stands",
            )
            for row in found
        ]
        head = ("By", "Covers", "Placed", "Who", "Lifted")
        return Section("Suspensions", head=head, rows=rows)

    def _addresses(self, eyes: Eyes, service: Any) -> Section:
        found = IpAssignment.objects.filter(account=service.account_id, service=service.pk)
        rows = [
            (eyes.on(row, "address"), moment(row.assigned_at), moment(row.ended_at) or "now")
            for row in found.order_by("-assigned_at", "-pk")[:RECENT]
        ]
        return Section(f"Addresses, the newest {RECENT}", head=("Address", "From", "Until"), rows=rows)
