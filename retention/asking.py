"""Asking for a right without a sign-in: for the person, or by an agent with a signed permission (11 CCR 7060-7063).

Nothing here looks at an account but for one lookup of the address, which costs a stranger and a customer the same: its
one effect is a sentence in the mail, read by whoever owns the mailbox. A code in that mail proves the address
(`proving`). The request's words are sealed under a key of its own.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import signing_in
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email, digest
from retention import proving, request_letters, requesting
from retention.models import PrivacyRequest
from retention.models.privacy import OWN_KEY, Reason
from retention.requesting import USED, Wish

# What a person may give to be recognised by; staff compare it with what is held.
FACTS = ("account_number", "invoice", "postcode", "phone", "service")


@dataclass(frozen=True)
class Agent:
    """Who acts for the person, and the permission the person signed."""

    name: str
    email: str
    file_name: str
    permission: bytes

    def who(self) -> dict[str, str]:
        """Return name and address as they are sealed."""
        return {"name": self.name, "email": self.email}


@dataclass(frozen=True)
class Person:
    """Who asks: name, address, what they give to be recognised by, and whom they let act for them."""

    name: str
    email: str
    facts: dict[str, str] = field(default_factory=dict)
    agent: Agent | None = None


def ask(wish: Wish, person: Person, *, submission: UUID, at: dt.datetime | None = None) -> PrivacyRequest:
    """Make a request of somebody without a sign-in, mail the code to the address, and return the request.

    A repetition returns the first request; a new code is mailed only when the earlier one opens nothing any more.
    Raises ValidationError for an address of the wrong form or a card number, NotActionable for a form that was used
    for something else.
    """
    at = at or timezone.now()
    email = clean_email(person.email)
    _refuse_cards(wish, person)
    own_digest = digest("email", email)
    try:
        with keyring(), transaction.atomic(durable=True):
            _lock(own_digest)
            own = PrivacyRequest.objects.filter(account=None, email_digest=own_digest)
            made = requesting.known(submission, own, wish, at) or requesting.running(own, wish)
            if made is not None:
                if made.submission != submission and proving.is_used_up(made, at):
                    proving.send_code(made, signs_in=_signs_in(email), at=at)
                return made
            request = requesting.new(wish, submission, at)
            _fill(request, person, email, own_digest)
            proving.give_code(request, at)
            request.save(force_insert=True)
            ledger.record(ledger.SYSTEM, "request.received", request.pk, at=at, **requesting.facts_of(request))
            proving.mail_code(request, signs_in=_signs_in(email), at=at)
            request_letters.to_agent(request, at)
    except IntegrityError as error:
        if "submission" not in str(error):
            raise
        raise NotActionable(USED) from None
    return request


def _fill(request: PrivacyRequest, person: Person, email: str, own_digest: bytes) -> None:
    request.name, request.email, request.email_digest = person.name, email, own_digest
    request.facts = {name: value for name, value in sorted(person.facts.items()) if value} or None
    request.reason = Reason.NEED_VERIFICATION
    if person.agent is not None:
        request.agent = person.agent.who()
        request.permission_name, request.permission = person.agent.file_name, person.agent.permission


def _signs_in(email: str) -> bool:
    """Return whether the address signs in to an account: the same one query either way."""
    user = signing_in.find(email)
    return user is not None and user.account is not None and signing_in.may_sign_in(user)


def _lock(own_digest: bytes) -> None:
    """Let requests of one address come one after the other: there is no account row to lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtext(%s), %s)",
            [OWN_KEY, int.from_bytes(own_digest[:4], "big", signed=True)],
        )


def _refuse_cards(wish: Wish, person: Person) -> None:
    texts = [wish.details, person.name, *person.facts.values()]
    if person.agent is not None:
        texts += [person.agent.name, person.agent.file_name]
        try:
            clean_email(person.agent.email)
        except ValidationError as error:
            raise ValidationError({"agent_email": error.messages}) from None
    for text in texts:
        refuse_card_number(text)
