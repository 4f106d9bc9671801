"""The mails of a privacy request: to the account's owner, or to the address that asked without a sign-in.

No mail carries a word of the request or of its answer: these are read in the portal, after sign-in or by reference and
code. Mails to somebody without an account are stored nowhere but in the outbox, until they were sent.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse

from accounts import mailing
from accounts.models import Account
from accounts.safeguards import outbox
from retention.models import PrivacyRequest

Context = dict[str, Any]


def received(request: PrivacyRequest, account: Account) -> None:
    """Confirm a request of a signed-in customer."""
    context = {"requested_at": request.received_at, "answer_by": request.expected_by}
    _to_account(account, request, "received", context, request.received_at)


def code(request: PrivacyRequest, code: str, *, signs_in: bool, number: int, at: dt.datetime) -> None:
    """Send the code that proves the address, alike to everybody but for the sentence about signing in."""
    context = {
        "code": code,
        "requested_at": request.received_at,
        "ends_at": request.code_ends_at,
        "answer_by": request.expected_by,
        "by_agent": request.agent is not None,
        "signs_in": signs_in,
        "find_path": reverse("retention:ask_find"),
    }
    _to_stranger(request, f"code:{number}", "code", context, at)


def confirmed(request: PrivacyRequest, code: str, at: dt.datetime) -> None:
    """Send the lasting code, once the address is proved."""
    context = {
        "code": code,
        "requested_at": request.received_at,
        "answer_by": request.expected_by,
        "find_path": reverse("retention:ask_find"),
    }
    _to_stranger(request, "confirmed", "confirmed", context, at)


def to_agent(request: PrivacyRequest, at: dt.datetime) -> None:
    """Tell an agent that the request is here and that the person is asked directly."""
    if request.agent:
        context = {
            "requested_at": request.received_at,
            "answer_by": request.expected_by,
            "status_path": reverse("retention:ask_find"),
        }
        _to_stranger(request, "agent", "agent", context, at, to=str(request.agent["email"]))


def extended(request: PrivacyRequest, was_due_at: dt.datetime, at: dt.datetime) -> None:
    """Tell the new due date, the old one, and where the reason stands."""
    _tell(request, "extended", {"due_at": was_due_at, "answer_by": request.expected_by, "changed_at": at}, at)


def answered(request: PrivacyRequest, message: Any, at: dt.datetime) -> None:
    """Tell that staff wrote."""
    _tell(request, f"answered:{message}", {"answered_at": at, "answer_by": request.expected_by}, at, "answered")


def decided(request: PrivacyRequest, at: dt.datetime) -> None:
    """Tell that the request was fulfilled or denied; of a denial also how to appeal and to complain."""
    _tell(request, request.status, {"changed_at": at, "requested_at": request.received_at}, at)


def withdrawn(request: PrivacyRequest, at: dt.datetime) -> None:
    """Tell that the request was withdrawn: whoever did not do that can ask again."""
    _tell(request, "withdrawn", {"cancelled_at": at}, at)


def template(name: str) -> str:
    """Return the template of one of these mails."""
    return f"retention/mail/request_{name}.txt"


def _tell(request: PrivacyRequest, event: str, context: Context, at: dt.datetime, name: str = "") -> None:
    if request.account is not None:
        _to_account(request.account, request, event, context, at, name)
    elif request.address_confirmed_at is not None:
        _to_stranger(request, event, name or event, {**context, "status_path": reverse("retention:ask_find")}, at)


def _to_account(
    account: Account, request: PrivacyRequest, event: str, context: Context, at: dt.datetime, name: str = ""
) -> None:
    path = reverse("retention:request", args=[request.reference])
    # After the due date nobody reads stored mails any more, and nothing is added to them.
    mailing.mail(
        account,
        f"request:{request.pk}:{event}",
        template(name or event),
        {**context, "reference": request.reference, "status_path": path},
        at=at,
        store=account.may_sign_in(at),
    )


def _to_stranger(
    request: PrivacyRequest, event: str, name: str, context: Context, at: dt.datetime, to: str | None = None
) -> None:
    subject, body = mailing.render(template(name), {**context, "reference": request.reference})
    content = {"to": to or request.email, "subject": subject, "body": body}
    outbox.post("mail", f"request:{request.pk}:{event}", content, subject=request.pk, at=at)
