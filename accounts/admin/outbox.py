"""The outbox in the admin: read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin_base import Eyes, RecordAdmin, Section, staff
from accounts.roles import sees_sealed
from accounts.safeguards import outbox
from accounts.safeguards.models import OutboxMessage
from accounts.templatetags.portal_tags import moment


@admin.register(OutboxMessage)
class OutboxAdmin(RecordAdmin):
    """The outbox: where each message stands, never its content."""

    list_display = ("id", "kind", "state", "attempts", "last_error", "created_at", "due_at", "ended_at")
    list_filter = ("state", "kind")
    ordering = ("-created_at",)
    subject_field = "subject"

    def name_of(self, record: Any) -> str:
        return f"outbox message: {record.kind}, {record.get_state_display()}"

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).defer("content")
        return rows if sees_sealed(staff(request)) else rows.exclude(event__startswith=outbox.SEALED)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Kind", record.kind),
            ("State", record.get_state_display()),
            ("Attempts", record.attempts),
            ("Last error", record.last_error or "none"),
            ("Written", moment(record.created_at)),
            ("Due", moment(record.due_at) or "waits for its event"),
            ("Ended", moment(record.ended_at) or "not yet"),
        ]
        return [Section("Message", facts=facts)]
