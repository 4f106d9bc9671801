"""The way from a ticket to the deletion it is about, for pages of accounts, which knows no deletions."""

from __future__ import annotations

from django import template
from django.urls import reverse

from accounts.models import Ticket
from retention.models import DeletionRequest

register = template.Library()


@register.simple_tag
def deletion_url(ticket: Ticket) -> str:
    """Return the address of the deletion that a ticket was opened for, cancelled or not; empty for any other ticket."""
    if ticket.kind != Ticket.Kind.DELETION:
        return ""
    asked = DeletionRequest.objects.filter(ticket=ticket.pk, account=ticket.account_id).only("reference").first()
    return reverse("retention:delete_status", args=[asked.reference]) if asked else ""
