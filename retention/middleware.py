"""What a closed account may still open until its due date, and nothing after it.

Until then: status, cancel, messages, invoices and paying them, what we hold and who looked at it, a copy of it, legal
texts, help, sign-out. Every other page answers
409 and names the way. At the due date sign-in ends for everybody, whatever holds the account: an open
session is ended and its owner sent to the page that answers by reference and code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, State, Ticket, User
from retention.models import DeletionRequest

OPEN_WHEN_CLOSED = frozenset(
    {
        # Answers 409 too, but for a form that was sent twice, which leads to its request.
        "retention:delete_check",
        "retention:delete_status",
        "retention:delete_cancel",
        "retention:delete_reopen",
        "retention:delete_find",
        "retention:requests",
        "retention:request",
        "retention:request_withdraw",
        "retention:ask_start",
        "retention:ask_for",
        "retention:ask_agent",
        "retention:ask_find",
        "retention:ask_status",
        "retention:ask_withdraw",
        "accounts:tickets",
        "accounts:ticket",
        "accounts:ticket_file",
        "accounts:ticket_settle",
        "accounts:invoices",
        "accounts:invoice",
        "accounts:invoice_pay",
        # The page that stops a change of an address by the code of a mail: whoever is signed in.
        "accounts:email_stop",
        "accounts:invoice_pdf",
        "accounts:messages",
        "accounts:message",
        "accounts:legal",
        "accounts:legal_document",
        "accounts:legal_text",
        "accounts:help",
        "accounts:accessibility",
        "accounts:gpc",
        "disclosures:how",
        "disclosures:notices",
        "disclosures:notice",
        "disclosures:notice_copy",
        "disclosures:notice_give_up",
        # Whoever closes an account still answers what it was told.
        "disclosures:abuse_notices",
        "disclosures:abuse_notice",
        "disclosures:abuse_acknowledge",
        "disclosures:abuse_fixed",
        "disclosures:abuse_notice_file",
        "disclosures:abuse_disagree",
        "disclosures:abuse_time",
        "disclosures:counter",
        "disclosures:counter_sign",
        "disclosures:strike_appeal",
        "disclosures:consent",
        "disclosures:consent_withdraw",
        "disclosures:delivery",
        "disclosures:copyright_agent",
        # For the services that hand mail on: nobody is signed in there.
        "disclosures:report_mail",
        "disclosures:report",
        "disclosures:report_abuse",
        "disclosures:report_copyright",
        "disclosures:transparency",
        "disclosures:transparency_file",
        "retention:data",
        "retention:data_category",
        "retention:data_public",
        "retention:exports",
        "retention:export_new",
        "retention:export",
        "retention:export_download",
        "retention:export_remove",
        "disclosures:activity",
        # Of a closed account too a key that is lost must be ended.
        "accounts:tokens",
        "accounts:token_end",
        "account_login",
        "account_logout",
        "account_reauthenticate",
        "mfa_authenticate",
        "mfa_login_webauthn",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "account_reset_password",
        "account_reset_password_done",
        "account_reset_password_from_key",
        "account_reset_password_from_key_done",
        "health",
    }
)


class ClosedAccountMiddleware:
    """Ends sessions past the due date and keeps closed accounts to the pages they may open."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session and not request.user.is_authenticated:
            ended = User.objects.filter(pk=request.session[SESSION_KEY], account__state=State.CLOSED).exists()
            request.session.flush()
            if ended:
                return redirect("retention:delete_find")
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Answer 409 for a page that a closed account does not open."""
        user = request.user
        if not isinstance(user, User) or user.account is None or user.account.state == State.ACTIVE:
            return None
        match = request.resolver_match
        if match is not None and (match.view_name in OPEN_WHEN_CLOSED or match.view_name.startswith("api:")):
            return None
        return closed_page(request, user.account)


def closed_page(request: HttpRequest, account: Account) -> HttpResponse:
    """Answer 409 with what a closed account may still open."""
    asked = DeletionRequest.objects.open().filter(account=account).first()
    if asked is None:
        if account.due_at is None or timezone.now() >= account.due_at:
            return redirect("retention:delete_find")
        # An import closed it: nobody asked, so there is no reference to name.
        reopen_url = reverse("retention:delete_reopen")
        context = {"due_at": account.due_at, "closing_url": reopen_url, "cancel_url": reopen_url}
        return render(request, "retention/closed.html", context, status=409)
    ticket = Ticket.objects.shown().filter(pk=asked.ticket).only("reference").first()
    status_url = reverse("retention:delete_status", args=[asked.reference])
    context = {
        "reference": asked.reference,
        "due_at": asked.due_at,
        "closing_url": status_url,
        "status_url": status_url,
        "cancel_url": reverse("retention:delete_cancel", args=[asked.reference])
        if timezone.now() < asked.due_at
        else "",
        "messages_url": reverse("accounts:ticket", args=[ticket.reference]) if ticket else "",
    }
    return render(request, "retention/closed.html", context, status=409)
