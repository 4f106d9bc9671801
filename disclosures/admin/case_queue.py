"""The queue of abuse cases: which customers gave no answer, and whose counter-notice runs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from disclosures import countering, notifying
from disclosures.models import AbuseCase


class CustomerStands(admin.SimpleListFilter):
    """How it stands with the customer of a case."""

    title, parameter_name = "customer", "customer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("silent", "No answer for 24 hours"), ("counter", "Counter-notice pending")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AbuseCase]) -> QuerySet[AbuseCase]:
        """Return the open cases of that kind: the clock of a case stands in the notice of its customer."""
        if self.value() == "silent":
            silent = notifying.silent(timezone.now() - notifying.NO_ANSWER)
            return queryset.filter(Exists(silent.filter(case=OuterRef("pk"))), closed_at=None)
        if self.value() == "counter":
            return queryset.filter(Exists(countering.pending().filter(notice__case=OuterRef("pk"))), closed_at=None)
        return queryset
