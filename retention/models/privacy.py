"""Privacy requests: access, correction, restriction and the other rights, with a clock and a conversation (P21-P23).

A request belongs to an account, or to somebody without a sign-in: then it is a subject of its own, whose key is
destroyed when the request is cleaned up. The row stays for two years as the law asks (11 CCR 7101), without a word of
the person. What the words of states and reasons mean is the Data Rights Protocol's.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID, uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.datamap import Category, Ends, Held, Personal, Purpose
from accounts.keys.identifiers import reference, uuid7
from accounts.models import Account
from accounts.safeguards.fields import SealedBytes, SealedJSON, SealedText

# Key category of what somebody without an account wrote: no account has a key of that name.
OWN_KEY = "request"
# Wrong codes after which a code opens nothing any more.
MOST_TRIES = 5


class Right(models.TextChoices):
    """What is asked for; a deletion by the owner of an account is a `DeletionRequest`."""

    ACCESS = "access", "a copy of the data"
    PORTABILITY = "portability", "data to take elsewhere"
    RECTIFICATION = "rectification", "a correction"
    RESTRICTION = "restriction", "a restriction of use"
    OBJECTION = "objection", "an objection to a use"
    OPT_OUT = "opt_out", "an opt-out of sharing"
    DELETION = "deletion", "a deletion"
    COMPLAINT = "complaint", "a complaint"


class Status(models.TextChoices):
    """The six states of DRP; the last four are final."""

    OPEN = "open", "open"
    IN_PROGRESS = "in_progress", "in progress"
    FULFILLED = "fulfilled", "fulfilled"
    DENIED = "denied", "denied"
    REVOKED = "revoked", "withdrawn"
    EXPIRED = "expired", "expired"


FINAL = (Status.FULFILLED, Status.DENIED, Status.REVOKED, Status.EXPIRED)


class Reason(models.TextChoices):
    """Why a request stands as it does: DRP's words, and three of our own."""

    NEED_VERIFICATION = "need_user_verification", "waits for the code"
    SUSPECTED_FRAUD = "suspected_fraud", "suspected fraud"
    NOT_VERIFIED = "insuf_verification", "identity not verified"
    NO_MATCH = "no_match", "nothing matches"
    NOT_COVERED = "claim_not_covered", "not covered by law"
    OUTSIDE = "outside_jurisdiction", "outside the jurisdiction"
    TOO_MANY = "too_many_requests", "too many requests"
    RETAINED_BY_LAW = "retained_by_law", "kept because the law requires it"
    PAYMENT_DISPUTE = "payment_dispute", "payment dispute"
    LEGAL_HOLD = "legal_hold", "legal hold"
    OTHER = "other", "other"


class Regime(models.TextChoices):
    """The law that a request goes by; whoever names none is treated as if California's applied."""

    CCPA = "ccpa", "California (CCPA)"
    GDPR = "gdpr", "European Union (GDPR)"
    VOLUNTARY = "voluntary", "no particular law"


class PrivacyRequestQuerySet(models.QuerySet["PrivacyRequest"]):
    """Facts about many requests."""

    def open(self) -> PrivacyRequestQuerySet:
        """Requests that have not ended."""
        return self.filter(status__in=[Status.OPEN, Status.IN_PROGRESS])

    def verified(self) -> PrivacyRequestQuerySet:
        """Requests of people whose identity was checked: the ones staff work on."""
        return self.exclude(verified_at=None)

    def overdue(self, at: dt.datetime) -> PrivacyRequestQuerySet:
        """Verified requests that should have been answered by `at`."""
        return self.open().verified().filter(expected_by__lt=at)


def _reference() -> str:
    return reference("PRV")


class PrivacyRequest(models.Model):
    """One request under a privacy right."""

    # Random, as DRP asks: the id is shown outside.
    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    reference = models.CharField(max_length=20, unique=True, default=_reference)
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, null=True, blank=True, related_name="privacy_requests"
    )
    user = models.UUIDField(null=True)
    right = models.CharField(max_length=15, choices=Right)
    regime = models.CharField(max_length=10, choices=Regime, default=Regime.CCPA)
    status = models.CharField(max_length=12, choices=Status, default=Status.OPEN)
    reason = models.CharField(max_length=24, choices=Reason, blank=True)
    # The form's own token, or the agent's id of the request: sent twice, it is one request.
    submission = models.UUIDField(unique=True)
    # What is asked: the uses to stop, the categories concerned, and the person's own words.
    purposes = ArrayField(models.CharField(max_length=10), default=list)
    categories = ArrayField(models.CharField(max_length=32), default=list)
    name = SealedText(max_length=200, null=True)
    email = SealedText(max_length=254, null=True)
    email_digest = models.BinaryField(max_length=32, null=True)
    details = SealedText(max_length=5000, null=True)
    # What somebody without a sign-in says to be recognised by: {"account_number": ..., "invoice": ...}.
    facts = SealedJSON(null=True)
    # An agent who acts for the person (11 CCR 7063), with the signed permission.
    agent = SealedJSON(null=True)
    permission_name = SealedText(max_length=200, null=True)
    permission = SealedBytes(null=True)
    # The single-use code: bound to this request and its address, counted in the database.
    code_digest = models.BinaryField(max_length=32, null=True)
    code_tries = models.PositiveSmallIntegerField(default=0)
    code_ends_at = models.DateTimeField(null=True)
    address_confirmed_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    verified_by = models.CharField(max_length=60, blank=True)
    facts_matched = models.PositiveSmallIntegerField(default=0)
    received_at = models.DateTimeField()
    confirm_by = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    expected_by = models.DateTimeField()
    extended_at = models.DateTimeField(null=True)
    extended_by = models.CharField(max_length=60, blank=True)
    extension_reason = SealedText(max_length=1000, null=True)
    assigned_to = models.UUIDField(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=60, blank=True)
    decision = SealedText(max_length=5000, null=True)
    # The deletion that carries a request of that kind out.
    deletion = models.UUIDField(null=True)
    cleaned_at = models.DateTimeField(null=True)
    # The transaction that cleaned it up, set by its trigger: the key goes in a later one only.
    cleaned_xid = models.BigIntegerField(null=True, editable=False)

    objects = PrivacyRequestQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.SUPPORT,
        label="Privacy request",
        time="received_at",
        purposes=(Purpose.LAW,),
        source="you",
        fields={
            "name": Held("Name", required=False),
            "email": Held("E-mail", required=False),
            "details": Held("What you asked for", required=False),
            "facts": Held("What you gave to be recognised by", required=False),
            "agent": Held("Who acts for you", required=False),
            "permission_name": Held("File name of the permission", required=False),
            "permission": Held("Signed permission", required=False),
            "extension_reason": Held("Why more time is needed", required=False),
            "decision": Held("Our answer", required=False),
        },
        plain={
            "reference": "random",
            "purposes": "names of purposes",
            "categories": "category names",
            "email_digest": "a keyed hash of the address, one-way",
            "code_digest": "a hash of random bytes",
            "verified_by": "an id",
            "extended_by": "an id",
            "decided_by": "an id",
        },
        ends=Ends.KEY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(right__in=Right.values), name="privacy_request_right_is_known"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="privacy_request_status_is_known"),
            models.CheckConstraint(
                condition=Q(status__in=["open", "in_progress"], decided_at=None, decided_by="")
                | (
                    Q(status__in=["fulfilled", "denied", "revoked", "expired"], decided_at__isnull=False)
                    & ~Q(decided_by="")
                ),
                name="privacy_request_ended_has_time_and_person",
            ),
            models.CheckConstraint(
                condition=~Q(status="denied") | ~Q(reason=""), name="privacy_request_denied_has_a_reason"
            ),
            models.CheckConstraint(
                condition=~Q(status="fulfilled") | Q(verified_at__isnull=False),
                name="privacy_request_fulfilled_is_verified",
            ),
            models.CheckConstraint(
                condition=Q(verified_at=None, verified_by="") | (Q(verified_at__isnull=False) & ~Q(verified_by="")),
                name="privacy_request_verified_has_time_and_person",
            ),
            models.CheckConstraint(
                condition=Q(extended_at=None, extended_by="")
                | (Q(extended_at__isnull=False, cleaned_at=None, extension_reason__isnull=False) & ~Q(extended_by=""))
                | (Q(extended_at__isnull=False, cleaned_at__isnull=False) & ~Q(extended_by="")),
                name="privacy_request_extended_has_its_reason",
            ),
            models.CheckConstraint(condition=Q(code_tries__lte=MOST_TRIES), name="privacy_request_tries_end"),
            models.CheckConstraint(
                condition=Q(account=None) | Q(user__isnull=False), name="privacy_request_of_an_account_has_its_user"
            ),
            models.CheckConstraint(
                condition=Q(cleaned_at=None) | ~Q(status__in=["open", "in_progress"]),
                name="privacy_request_cleaned_has_ended",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "received_at"], name="privacy_request_by_account"),
            # the queue, by days left
            models.Index(
                fields=["expected_by"], condition=Q(status__in=["open", "in_progress"]), name="privacy_request_open"
            ),
        ]
        permissions = [
            ("verify_request", "Can record that an identity was checked"),
            ("extend_request", "Can extend a privacy request once"),
            ("decide_request", "Can decide a privacy request"),
            ("answer_request", "Can write to whoever made a privacy request"),
        ]

    def __str__(self) -> str:
        return self.reference

    def key_place(self) -> tuple[UUID, str]:
        """The account's key of its conversations, or a key of the request's own."""
        return (self.account_id, Category.SUPPORT.value) if self.account_id else (self.pk, OWN_KEY)


class RequestMessage(models.Model):
    """One message of the conversation about a privacy request, or an internal note of staff."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.ForeignKey(PrivacyRequest, on_delete=models.PROTECT, related_name="messages")
    # The same as the request's: the seal goes by it.
    account_id = models.UUIDField(null=True)
    author = models.UUIDField(null=True)
    is_from_staff = models.BooleanField(default=False)
    is_internal = models.BooleanField(default=False)
    body = SealedText(max_length=5000)
    created_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.SUPPORT,
        label="Message of a privacy request",
        time="created_at",
        purposes=(Purpose.LAW,),
        source="you and our staff",
        fields={"body": Held("Message")},
        ends=Ends.KEY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(is_internal=False) | Q(is_from_staff=True), name="request_note_is_from_staff"
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """As the request it belongs to."""
        return (self.account_id, Category.SUPPORT.value) if self.account_id else (self.request_id, OWN_KEY)
