"""The API of systems that sell: they register customers and ask how an account stands.

A registration makes the account with its owner; the owner gets a link to set a password at the address that was given,
and no password is ever taken here. A sign-in name that is in use is 409 and names nobody. What an account answers is
its number, its state and its dates: after the due date every account has "ended", whatever its erasure waits for
(silence.md, S9).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import idempotency
from accounts.api_base import IDEMPOTENCY_KEY, PROBLEMS, ApiView, account_numbered, system, taken
from accounts.api_parsing import Problem, RefusesUnknownFields
from accounts.api_tokens import Caller
from accounts.credentials import ask_for_reset
from accounts.idempotency import Answer, once
from accounts.models import Account, Address, Contact, Person, SignInIdentifier, State, User
from accounts.phones import clean_phone
from accounts.registering import NUMBER, USERNAME, NameTaken, PostalAddress, register
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email, digest
from accounts.safeguards.models import LedgerEntry

REGISTERED = "account.registered_by"
ENDED = "ended"


class Text(serializers.CharField):
    """Personal text: no card number, no control characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validators.append(refuse_card_number)


class AddressGiven(RefusesUnknownFields):
    """A billing address."""

    street = Text(max_length=200)
    city = Text(max_length=100)
    region = Text(max_length=100, required=False, allow_null=True, default=None)
    postcode = Text(max_length=20, required=False, allow_null=True, default=None)
    country = serializers.RegexField(r"^[A-Z]{2}$", help_text="ISO 3166-1 alpha-2")


class Registration(RefusesUnknownFields):
    """A new customer."""

    name = Text(max_length=200)
    email = serializers.EmailField(max_length=254, help_text="where the owner gets the link to set a password")
    username = serializers.RegexField(rf"^{USERNAME.pattern}$", required=False, allow_null=True, default=None)
    company = Text(max_length=200, required=False, allow_null=True, default=None)
    phone = Text(max_length=40, required=False, allow_null=True, default=None)
    address = AddressGiven(required=False, allow_null=True, default=None)

    def validate_email(self, value: str) -> str:
        """Return the address as it is compared; a look-alike is refused."""
        return clean_email(value)


class AccountStanding(serializers.Serializer[Any]):
    """An account as other systems may know it."""

    number = serializers.CharField()
    state = serializers.ChoiceField([State.ACTIVE.value, State.CLOSED.value, ENDED])
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True, help_text="when the customer's time to cancel ends")


class RegisterAccount(ApiView):
    """`POST /api/v1/accounts/`."""

    required_scope = "accounts:write"

    @extend_schema(
        operation_id="register_account",
        summary="Register a customer",
        parameters=[IDEMPOTENCY_KEY],
        request=Registration,
        responses={
            201: AccountStanding,
            200: OpenApiResponse(AccountStanding, "This system registered the same customer before."),
            **PROBLEMS,
        },
    )
    def post(self, request: Request) -> Response:
        """Make an account with its owner, who is mailed a link to set a password."""
        caller = system(request)
        fields = taken(Registration, request)
        return once(request, caller.pk, lambda: _register(caller, fields))


class ReadAccount(ApiView):
    """`GET /api/v1/accounts/<number>/`."""

    required_scope = "accounts:read"

    @extend_schema(
        operation_id="read_account",
        summary="See how an account stands",
        parameters=[
            OpenApiParameter("number", {"type": "string", "pattern": f"^{NUMBER.pattern}$"}, OpenApiParameter.PATH)
        ],
        responses={200: AccountStanding, 404: OpenApiResponse(Problem, "There is no such account.")},
    )
    def get(self, request: Request, number: str) -> Response:
        """Return the state and the dates of an account."""
        return Response(standing(account_numbered(number), timezone.now()))


def standing(account: Account, at: dt.datetime) -> dict[str, Any]:
    """Return an account as other systems may know it at `at`."""
    ended = account.due_at is not None and account.due_at <= at
    found = {
        "number": account.number,
        "state": ENDED if ended else account.state,
        "created_at": account.created_at,
        "closed_at": account.closed_at,
        "due_at": account.due_at,
    }
    return dict(AccountStanding(found).data)


def _register(caller: Caller, fields: dict[str, Any]) -> Answer:
    at = timezone.now()
    address = PostalAddress(**fields["address"]) if fields["address"] else None
    try:
        with transaction.atomic(durable=True):
            user = register(**{**fields, "address": address}, password=None, at=at)
            ledger.record(caller.actor, REGISTERED, user.account_id, user=user.pk, at=at)
            ask_for_reset(user)
    except NameTaken:
        known = _registered_before(caller, fields, at)
        if known is None:
            raise
        return 200, standing(known, at)
    except ValidationError as error:
        raise serializers.ValidationError(error.messages) from None
    assert user.account is not None  # noqa: S101 - registering gives one
    return 201, standing(user.account, at)


def _registered_before(caller: Caller, fields: dict[str, Any], at: dt.datetime) -> Account | None:
    """Return the account this system made of the same customer: a repeat after an answer was lost.

    As long as answers are kept, and for the same name only: whoever asks later, or for somebody else, learns nothing.
    """
    kind = SignInIdentifier.Kind.EMAIL
    found = SignInIdentifier.objects.filter(kind=kind, digest=digest(kind, fields["email"]), signs_in=True).first()
    if found is None or found.account_id is None:
        return None
    since = at - idempotency.KEPT_FOR
    ours = LedgerEntry.objects.filter(actor=caller.actor, action=REGISTERED, subject=found.account_id, at__gt=since)
    account = Account.objects.filter(pk=found.account_id).first()
    return account if account is not None and ours.exists() and _is_same(account, fields) else None


def _is_same(account: Account, fields: dict[str, Any]) -> bool:
    user = User.objects.filter(account=account, is_owner=True).order_by("created_at", "pk").first()
    person = Person.objects.filter(user=user, removed_at=None).first()
    contact = Contact.objects.filter(account=account, removed_at=None).order_by("created_at", "pk").first()
    if person is None or contact is None:
        return False
    phone = clean_phone(fields["phone"], fields["address"]["country"] if fields["address"] else None)
    held = (person.name, person.username, contact.company, contact.phone)
    given = (fields["name"], fields["username"], fields["company"], phone)
    return held == given and _same_address(contact, fields["address"])


def _same_address(contact: Contact, given: dict[str, Any] | None) -> bool:
    row = Address.objects.filter(contact=contact, removed_at=None).order_by("created_at", "pk").first()
    if row is None or given is None:
        return row is None and given is None
    return all(getattr(row, name) == value for name, value in given.items())
