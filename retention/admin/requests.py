"""Privacy requests in the admin: the queue by days left, the record with its timeline, and the acts on it.

What somebody without an account gave to be recognised by is shown beside what is held to whoever may verify it, and
only after the address was proved. Records past their time are listed for those alone who may know of sealed matters
(silence.md, S7, S9).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from accounts.admin_base import Eyes, RecordAdmin, Section, staff
from accounts.roles import may, sees_sealed
from accounts.safeguards import ledger
from retention import conversing, request_clocks
from retention.admin.request_acts import Answer, AssignToMe, Deny, Extend, Fulfil, Note, Verify
from retention.admin.request_sections import DAY, conversation, days_left, is_hidden, standing, timeline, words
from retention.models import PrivacyRequest


class Standing(admin.SimpleListFilter):
    """How a request stands with the clock and with its verification."""

    title, parameter_name = "standing", "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("overdue", "Overdue"),
            ("soon", "Due within 7 days"),
            ("extended", "Extended"),
            ("verified", "Verified, not decided"),
            ("unverified", "To verify"),
            ("unproved", "Waits for the code"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PrivacyRequest]) -> QuerySet[PrivacyRequest]:
        now, is_open = timezone.now(), Q(decided_at=None)
        chosen = {
            "overdue": is_open & Q(expected_by__lt=now),
            "soon": is_open & Q(expected_by__gte=now, expected_by__lt=now + 7 * DAY),
            "extended": is_open & Q(extended_at__isnull=False),
            "verified": is_open & Q(verified_at__isnull=False),
            "unverified": is_open & Q(verified_at=None, address_confirmed_at__isnull=False),
            "unproved": is_open & Q(verified_at=None, address_confirmed_at=None),
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


class Whose(admin.SimpleListFilter):
    """Who of staff takes care of a request."""

    title, parameter_name = "whose", "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "Mine"), ("unassigned", "Unassigned")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PrivacyRequest]) -> QuerySet[PrivacyRequest]:
        if self.value() == "mine":
            return queryset.filter(assigned_to=staff(request).pk)
        return queryset.filter(assigned_to=None) if self.value() == "unassigned" else queryset


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(RecordAdmin):
    """Privacy requests: the queue, the record, the acts."""

    acts = (AssignToMe, Verify, Answer, Note, Extend, Fulfil, Deny)
    list_display = (
        "reference",
        "right",
        "regime",
        "is_verified",
        "received_at",
        "expected_by",
        "days_left",
        "status",
        "assigned_to",
    )
    list_filter = (Standing, Whose, "status", "right", "regime")
    # Open ones first (they have no such time, and nulls come first), by days left; then the latest to end.
    ordering = ("-decided_at", "expected_by", "pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PrivacyRequest]:
        """Return the requests; records past their time only for those who see sealed matters."""
        rows: QuerySet[PrivacyRequest] = super().get_queryset(request).select_related("account").defer("permission")
        if sees_sealed(staff(request)):
            return rows
        past = request_clocks.records_since(timezone.now())
        return rows.filter(Q(decided_at=None) | Q(decided_at__gt=past))

    def columns(self, eyes: Eyes) -> Any:
        return {"assigned_to": lambda request: eyes.who(request.assigned_to) if request.assigned_to else "nobody"}

    @admin.display(description="verified", boolean=True)
    def is_verified(self, request: PrivacyRequest) -> bool:
        return request.verified_at is not None

    @admin.display(description="days left", ordering="expected_by")
    def days_left(self, request: PrivacyRequest) -> str:
        return days_left(request)

    def subject_of(self, record: Any) -> Any:
        return conversing.subject_of(record)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [standing(eyes, record), words(eyes, record), conversation(eyes, record), timeline(eyes, record)]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = path("<uuid:object_id>/permission/", wrap(self.permission), name=self.url_name("permission"))
        return [own, *super().get_urls()]

    def permission(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Give the signed permission of an agent as a download, to whoever verifies, once the address is proved."""
        user = staff(request)
        if not may(user, "retention.verify_request"):
            raise PermissionDenied
        record = self.one(request, object_id)
        if record.permission is None or record.address_confirmed_at is None or is_hidden(user, record):
            raise Http404
        name, content = str(record.permission_name), bytes(record.permission)
        ledger.record(user.actor, "viewed", self.subject_of(record), kind="retention.permission", object=record.pk)
        return HttpResponse(
            content,
            content_type="application/octet-stream",
            headers={
                # RFC 6266: a plain name for all, the true one encoded.
                "Content-Disposition": f"attachment; filename=\"permission\"; filename*=UTF-8''{quote(name, safe='')}",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox; default-src 'none'",
            },
        )
