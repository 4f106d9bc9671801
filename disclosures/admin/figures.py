"""Tables of figures in the admin: for partners (P13), and the half-yearly ones that are published (silence.md, S11)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone

from accounts.admin_base import Act, Eyes, RecordAdmin, Section, asking
from accounts.models import User
from accounts.templatetags.portal_tags import moment
from disclosures import aggregates, transparency
from disclosures.models import AggregateTable, TransparencyTable

HIDDEN = f"hidden (fewer than {aggregates.FEWEST} accounts could be told apart)"


class MakeForm(forms.Form):
    """Which question, about which quarter."""

    query = forms.ChoiceField(label="Question", choices=[(name, q.title) for name, q in aggregates.QUERIES.items()])
    period = forms.ChoiceField(label="Quarter")


class MakeAggregate(Act):
    """Make the table of a declared question about a quarter that has ended."""

    slug, label, permission = "make", "Make a table of figures", "disclosures.make_aggregate"
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return [
            f"It counts accounts. Figures under {aggregates.FEWEST}, and what would give them away, are hidden.",
            "Each question has one answer a quarter. Asking again shows the same table.",
            "Nothing is sent. To give it to a partner, prepare a disclosure; another person approves it.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form = MakeForm(data)
        quarters = aggregates.closed_quarters(timezone.now())
        form.fields["period"].choices = [(name, name) for name in quarters]  # type: ignore[attr-defined]
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        table = aggregates.make(form.cleaned_data["query"], form.cleaned_data["period"], by=user)
        return f"The table {table} is there."


@admin.register(AggregateTable)
class AggregateTableAdmin(RecordAdmin):
    """Frozen tables for partners."""

    acts = (MakeAggregate,)
    list_display = ("query", "period", "made_at", "made_by")
    list_filter = ("period",)
    ordering = ("-made_at",)
    subject_field = "pk"

    def name_of(self, record: Any) -> str:
        return f"table of figures {record}"

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        return {"made_by": lambda table: eyes.who(table.made_by)}

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        asked = aggregates.QUERIES.get(record.query)
        facts = [
            ("Question", asked.title if asked else record.query),
            ("Quarter", record.period),
            ("Made", moment(record.made_at)),
            ("Made by", eyes.who(record.made_by)),
            ("SHA-256", record.sha256),
        ]
        rows = [(row["row"], row["column"], HIDDEN if row["count"] is None else row["count"]) for row in record.rows]
        return [Section("About", facts), Section("Figures", head=("Row", "Column", "Accounts"), rows=rows)]


class IssueForm(forms.Form):
    """Which half-year."""

    half_year = forms.ChoiceField(label="Half-year")


class IssueFigures(Act):
    """Publish the figures of a half-year, or again what changed."""

    slug, label, permission = "issue", "Publish the figures of a half-year", "disclosures.freeze_transparency"
    needs_record = False

    def hindrance(self, record: Any, user: User) -> str:
        return "" if self._names() else "No half-year has ended yet. The clock publishes each one after its end."

    def _names(self) -> list[str]:
        return sorted(transparency.closed(timezone.now()), reverse=True)

    def consequences(self, record: Any) -> list[str]:
        return [
            "What nothing forbids us to report is published at once, on a page that everybody can read.",
            "Where the figures changed since the last issue, a new issue marks the change. Issues stay.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form = IssueForm(data)
        form.fields["half_year"].choices = [(name, name) for name in self._names()]  # type: ignore[attr-defined]
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        table = transparency.freeze(form.cleaned_data["half_year"], by=user.actor)
        return f"Issue {table.issue} of {table.half_year} is published."


@admin.register(TransparencyTable)
class TransparencyTableAdmin(RecordAdmin):
    """Issues of the half-yearly figures."""

    acts = (IssueFigures,)
    list_display = ("half_year", "issue", "frozen_at", "frozen_by")
    ordering = ("-half_year", "-issue")
    subject_field = "pk"

    def name_of(self, record: Any) -> str:
        return f"figures of {record.half_year}, issue {record.issue}"

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        return {"frozen_by": lambda table: eyes.who(table.frozen_by)}

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Half-year", record.half_year),
            ("Issue", record.issue),
            ("Published", moment(record.frozen_at)),
            ("Published by", eyes.who(record.frozen_by)),
            ("National security letters", record.figures["national_security_letters"]),
            ("SHA-256", record.sha256),
        ]
        rows = [
            (line.label, *(line.values[name] for name in transparency.LEGAL))
            for line in transparency.lines(record, "requests")
        ]
        return [Section("About", facts), Section("Requests", head=("Kind", *transparency.LEGAL), rows=rows)]
