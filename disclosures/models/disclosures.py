"""Disclosures: one recipient, one basis, named categories, the exact bytes, and two people (P12-P17, P20, P29, P30).

The database refuses what must never be, whoever writes: a release without another person's approval of that very
packet, without a live basis, for a consideration, outside the basis; and any change to what was released.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from accounts.datamap import Category, Ends, Held, Personal, Purpose
from accounts.datamap.declaring import NOBODY, STAFF_ONLY
from accounts.keys.identifiers import reference, uuid7
from accounts.models import Account
from accounts.safeguards.fields import SealedBytes, SealedText
from disclosures.models.figures import AggregateTable
from disclosures.models.legal import LegalRequest
from disclosures.models.recipients import Recipient

# Key category of the bytes of a packet, one key a packet: they end before the record of them does.
PACKET_KEY = "packet"
MOST_PART_BYTES = 64 * 1024 * 1024
DISCLOSABLE = [c.value for c in Category if c not in {Category.CREDENTIALS, Category.LEGAL}]


class Basis(models.TextChoices):
    """Why something may leave; exactly one."""

    CONSENT = "consent", "consent of the customer"
    LEGAL_REQUEST = "legal_request", "legal request"
    EMERGENCY = "emergency", "emergency"
    ABUSE_CASE = "abuse_case", "abuse case without an answer"
    COUNTER_NOTICE = "counter_notice", "counter-notice of the customer"
    AGGREGATE = "aggregate", "figures without identities"


class Stage(models.TextChoices):
    """draft -> submitted -> approved -> released -> delivered, and the ways out."""

    DRAFT = "draft", "draft"
    SUBMITTED = "submitted", "submitted"
    APPROVED = "approved", "approved"
    RELEASED = "released", "released"
    DELIVERED = "delivered", "delivered"
    RETURNED = "returned", "returned"
    REFUSED = "refused", "refused"
    EXPIRED = "expired", "expired"
    WITHDRAWN = "withdrawn", "withdrawn"


class DisclosureQuerySet(models.QuerySet["Disclosure"]):
    """Facts about many disclosures."""

    def pending(self) -> DisclosureQuerySet:
        """Disclosures that somebody still works on."""
        return self.filter(state__in=[Stage.DRAFT, Stage.SUBMITTED, Stage.APPROVED, Stage.RETURNED, Stage.EXPIRED])


def _reference() -> str:
    return reference("DIS")


class Disclosure(models.Model):
    """What is to leave, to whom, why. One concerns one account, or none: figures without identities."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(max_length=20, unique=True, default=_reference)
    submission = models.UUIDField(unique=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, related_name="+")
    basis = models.CharField(max_length=16, choices=Basis)
    # A grant ends with its account, the record of what it allowed does not: hence no foreign key.
    consent = models.UUIDField(null=True)
    legal_request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, null=True, related_name="disclosures")
    case = models.UUIDField(null=True)
    aggregate = models.ForeignKey(AggregateTable, on_delete=models.PROTECT, null=True, related_name="+")
    categories = ArrayField(models.CharField(max_length=32), default=list)
    period_from = models.DateTimeField(null=True)
    period_to = models.DateTimeField(null=True)
    # Fields left out though the basis would allow them ("accounts.contact.phone"), and single items let in.
    omitted = ArrayField(models.CharField(max_length=80), default=list)
    items = ArrayField(models.UUIDField(), default=list)
    purpose = SealedText(max_length=1000)
    # Nothing is sold (P14): no other word passes.
    consideration = models.CharField(max_length=10, default="none")
    state = models.CharField(max_length=10, choices=Stage, default=Stage.DRAFT)
    made_by = models.UUIDField()
    made_at = models.DateTimeField()
    # Every edit counts one up: whoever looked at an older one is told.
    version = models.PositiveIntegerField(default=1)
    submitted_at = models.DateTimeField(null=True)
    packet_hash = models.CharField(max_length=64, blank=True)
    # How the account stood when the packet was made: a hold, a purge, a closing in between voids the approval.
    assumed_state = models.CharField(max_length=10, blank=True)
    assumed_epoch = models.BigIntegerField(null=True)
    # And the recipient: another address or key on file needs another approval.
    assumed_recipient = models.PositiveIntegerField(null=True)
    ended_reason = SealedText(max_length=2000, null=True)
    # When it last left the way to a release: returned, refused, expired or withdrawn.
    ended_at = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True)
    released_by = models.UUIDField(null=True)
    delivered_at = models.DateTimeField(null=True)

    objects = DisclosureQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Disclosure",
        time="made_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={
            "purpose": Held("Why", shown=STAFF_ONLY),
            "ended_reason": Held("Reason", required=False, shown=STAFF_ONLY),
        },
        plain={
            "reference": "random",
            "categories": "category names",
            "omitted": "names of fields",
            "items": "ids",
            "consideration": "the word none",
            "packet_hash": "a hash",
            "assumed_state": "a fixed word",
        },
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(consideration="none"), name="disclosure_is_no_sale"),
            models.CheckConstraint(condition=Q(state__in=Stage.values), name="disclosure_state_is_known"),
            models.CheckConstraint(
                condition=Q(basis="consent", consent__isnull=False, legal_request=None, case=None, aggregate=None)
                | Q(
                    basis__in=["legal_request", "emergency"],
                    legal_request__isnull=False,
                    consent=None,
                    case=None,
                    aggregate=None,
                )
                | Q(
                    basis__in=["abuse_case", "counter_notice"],
                    case__isnull=False,
                    consent=None,
                    legal_request=None,
                    aggregate=None,
                )
                | Q(basis="aggregate", aggregate__isnull=False, consent=None, legal_request=None, case=None),
                name="disclosure_has_one_basis",
            ),
            models.CheckConstraint(
                condition=(Q(basis="aggregate", account=None, categories=[], items=[]))
                | (~Q(basis="aggregate") & Q(account__isnull=False) & ~Q(categories=[])),
                name="disclosure_concerns_one_account_or_none",
            ),
            models.CheckConstraint(
                condition=Q(categories__contained_by=DISCLOSABLE), name="disclosure_categories_are_known"
            ),
            # What was given in confidence leaves only by what compels it (P30).
            models.CheckConstraint(
                condition=~Q(categories__contains=["confidential"]) | Q(basis="legal_request"),
                name="disclosure_of_confidence_is_compelled",
            ),
            models.CheckConstraint(
                condition=~Q(basis="abuse_case") | Q(categories=["contact"]),
                name="disclosure_to_a_complainant_is_the_contact",
            ),
            # What the customer signed, as they signed it (17 USC 512(g)(2)(B)).
            models.CheckConstraint(
                condition=~Q(basis="counter_notice") | Q(categories=["notices"]),
                name="disclosure_of_a_counter_notice_is_the_signed_form",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["released", "delivered"], released_at__isnull=False, released_by__isnull=False)
                | (~Q(state__in=["released", "delivered"]) & Q(released_at=None, released_by=None)),
                name="disclosure_released_has_time_and_person",
            ),
            models.CheckConstraint(
                condition=Q(state="delivered", delivered_at__isnull=False)
                | (~Q(state="delivered") & Q(delivered_at=None)),
                name="disclosure_delivered_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["submitted", "approved", "released", "delivered"])
                | (~Q(packet_hash="") & Q(submitted_at__isnull=False)),
                name="disclosure_submitted_has_its_packet",
            ),
            # Its bytes end some time after it did.
            models.CheckConstraint(
                condition=~Q(state__in=["returned", "refused", "expired", "withdrawn"]) | Q(ended_at__isnull=False),
                name="disclosure_ended_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(period_from=None) | Q(period_to=None) | Q(period_to__gt=F("period_from")),
                name="disclosure_period_is_forward",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "-made_at"], name="disclosure_by_state"),
            models.Index(fields=["account", "released_at"], name="disclosure_by_account"),
        ]
        permissions = [
            ("prepare_disclosure", "Can make, edit, submit and withdraw a disclosure"),
            ("approve_disclosure", "Can approve, return or refuse a disclosure that somebody else made"),
            ("release_disclosure", "Can release and deliver an approved disclosure"),
            ("open_packet", "Can look at the packet of a disclosure"),
        ]

    def __str__(self) -> str:
        return self.reference

    def key_place(self) -> tuple[UUID, str]:
        """A disclosure is sealed under a key of its own."""
        return self.pk, Category.LEGAL.value


class Packet(models.Model):
    """The exact bytes of one submission. Hash and manifest stay; the bytes end with their key."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    disclosure = models.ForeignKey(Disclosure, on_delete=models.PROTECT, related_name="packets")
    # For the guards and the sweep: whose data it holds.
    account_id = models.UUIDField(null=True)
    number = models.PositiveIntegerField()
    # SHA-256 of the canonical manifest (RFC 8785), which names the hash of every part.
    sha256 = models.CharField(max_length=64)
    manifest = models.JSONField()
    rows = models.PositiveIntegerField()
    made_by = models.UUIDField()
    made_at = models.DateTimeField()
    destroyed_at = models.DateTimeField(null=True)
    # The transaction that emptied it, set by its trigger: the key goes in a later one only.
    destroyed_xid = models.BigIntegerField(null=True, editable=False)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Packet of a disclosure",
        time="made_at",
        purposes=(Purpose.LAW,),
        source="made by the portal",
        fields={},
        plain={"sha256": "a hash", "manifest": "names of fields, counts, reasons in fixed words, hashes"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["disclosure", "number"], name="packet_number_once"),
            # An approval binds to the hash: another packet never has the same.
            models.UniqueConstraint(fields=["disclosure", "sha256"], name="packet_hash_once"),
        ]
        indexes = [
            models.Index(fields=["account_id"], condition=Q(destroyed_at=None), name="packet_kept_by_account"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class PacketPart(models.Model):
    """One file of a packet, or the encrypted file that was delivered ("delivery")."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    packet = models.ForeignKey(Packet, on_delete=models.PROTECT, related_name="parts")
    name = models.CharField(max_length=60)
    media_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    content = SealedBytes(max_length=MOST_PART_BYTES, null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Part of a packet",
        time="",
        purposes=(Purpose.LAW,),
        source="made by the portal",
        fields={"content": Held("File", shown=NOBODY)},
        plain={"name": "a fixed name", "media_type": "a type of file", "sha256": "a hash"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["packet", "name"], name="packet_part_once")]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """The bytes of each packet are sealed under a key of their own."""
        return self.packet_id, PACKET_KEY


class Approval(models.Model):
    """Another person's approval of one packet, for a day; void on any change."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    disclosure = models.ForeignKey(Disclosure, on_delete=models.PROTECT, related_name="approvals")
    packet_hash = models.CharField(max_length=64)
    prepared_by = models.UUIDField()
    approved_by = models.UUIDField()
    approved_at = models.DateTimeField()
    # When the second factor was used for it.
    factor_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    note = SealedText(max_length=500)
    voided_at = models.DateTimeField(null=True)
    voided_why = models.CharField(max_length=20, blank=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Approval of a disclosure",
        time="approved_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"note": Held("What was checked", shown=STAFF_ONLY)},
        plain={"packet_hash": "a hash", "voided_why": "a fixed word"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(approved_by=F("prepared_by")), name="approval_takes_two_people"),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("approved_at"), ends_at__lte=F("approved_at") + dt.timedelta(hours=24)),
                name="approval_lasts_a_day",
            ),
            models.UniqueConstraint(
                fields=["disclosure"], condition=Q(voided_at=None), name="approval_one_live_per_disclosure"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """Sealed with its disclosure."""
        return self.disclosure_id, Category.LEGAL.value


class Delivery(models.Model):
    """How a released packet reached its recipient: a link that works once, or by hand."""

    class Method(models.TextChoices):
        """How the file is protected, or that it was given by hand."""

        AGE = "age", "encrypted for the recipient's key"
        PASSPHRASE = "passphrase", "encrypted with a passphrase sent apart"
        HAND = "hand", "handed over"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    disclosure = models.OneToOneField(Disclosure, on_delete=models.PROTECT, related_name="delivery")
    method = models.CharField(max_length=10, choices=Method)
    made_by = models.UUIDField()
    made_at = models.DateTimeField()
    # SHA-256 of the link's random part; the link itself is in the mail only.
    link_digest = models.BinaryField(max_length=32, null=True, unique=True)
    link_ends_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)
    opened_ip = SealedText(max_length=45, null=True)
    opened_agent = SealedText(max_length=300, null=True)
    handed_to = SealedText(max_length=200, null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Delivery of a disclosure",
        time="made_at",
        purposes=(Purpose.LAW,),
        source="made by the portal",
        fields={
            "opened_ip": Held("IP address of whoever opened it", required=False, shown=STAFF_ONLY),
            "opened_agent": Held("Browser of whoever opened it", required=False, shown=STAFF_ONLY),
            "handed_to": Held("Handed to", required=False, shown=STAFF_ONLY),
        },
        plain={"link_digest": "a hash of random bytes"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(method="hand", handed_to__isnull=False, link_digest=None)
                | (~Q(method="hand") & Q(link_digest__isnull=False, link_ends_at__isnull=False)),
                name="delivery_has_its_link_or_its_hand",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """Sealed with its disclosure."""
        return self.disclosure_id, Category.LEGAL.value


class Compulsion(models.Model):
    """Why business or confidential information of one account cannot be refused: two people say so (P29, P30)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    legal_request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="compulsions")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    category = models.CharField(max_length=12, choices=[("business", "business"), ("confidential", "confidential")])
    # Confidential information leaves item by item.
    items = ArrayField(models.UUIDField(), default=list)
    reason = SealedText(max_length=2000)
    recorded_by = models.UUIDField()
    recorded_at = models.DateTimeField()
    confirmed_by = models.UUIDField(null=True)
    confirmed_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Compulsion",
        time="recorded_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"reason": Held("Why it cannot be refused", shown=STAFF_ONLY)},
        plain={"items": "ids"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(confirmed_by=None, confirmed_at=None)
                | (Q(confirmed_by__isnull=False, confirmed_at__isnull=False) & ~Q(confirmed_by=F("recorded_by"))),
                name="compulsion_takes_two_people",
            ),
            models.CheckConstraint(
                condition=Q(category="business") | (Q(category="confidential") & ~Q(items=[])),
                name="compulsion_of_confidence_is_by_item",
            ),
            models.UniqueConstraint(fields=["legal_request", "account", "category"], name="compulsion_once"),
        ]
        permissions = [
            ("record_compulsion", "Can record why business or confidential information cannot be refused"),
            ("confirm_compulsion", "Can confirm as privacy officer that it cannot be refused"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """Sealed with its request."""
        return self.legal_request_id, Category.LEGAL.value


def _incident_reference() -> str:
    return reference("INC")


class Incident(models.Model):
    """A release that was a mistake: it cannot be undone, so it gets a clock and notices of its own (815 ILCS 530)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(max_length=20, unique=True, default=_incident_reference)
    disclosure = models.ForeignKey(Disclosure, on_delete=models.PROTECT, related_name="incidents")
    what = SealedText(max_length=5000)
    found_by = models.UUIDField()
    found_at = models.DateTimeField()
    # By when the customer and, where the law asks, the authority are told.
    act_by = models.DateTimeField()
    recall_asked_at = models.DateTimeField(null=True)
    customer_told_at = models.DateTimeField(null=True)
    authority_told_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.UUIDField(null=True)
    closing_note = SealedText(max_length=2000, null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Incident",
        time="found_at",
        purposes=(Purpose.LAW, Purpose.SECURITY),
        source="staff",
        fields={
            "what": Held("What happened", shown=STAFF_ONLY),
            "closing_note": Held("How it ended", required=False, shown=STAFF_ONLY),
        },
        plain={"reference": "random"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(closed_at=None, closed_by=None) | Q(closed_at__isnull=False, closed_by__isnull=False),
                name="incident_closed_has_time_and_person",
            ),
        ]
        permissions = [("record_incident", "Can record and work on an incident")]

    def __str__(self) -> str:
        return self.reference

    def key_place(self) -> tuple[UUID, str]:
        """An incident is sealed with its disclosure."""
        return self.disclosure_id, Category.LEGAL.value


class ToldDisclosure(models.Model):
    """The view of releases a customer may be shown: by consent or by their own case at once, by a legal request when
    they were told of it. The only one customer pages read (silence.md, S2).
    """

    id = models.UUIDField(primary_key=True)
    reference = models.CharField(max_length=20)
    account = models.ForeignKey(Account, on_delete=models.DO_NOTHING, related_name="+")
    basis = models.CharField(max_length=16, choices=Basis)
    recipient_name = models.CharField(max_length=200)
    recipient_kind = models.CharField(max_length=12, choices=Recipient.Kind)
    categories = ArrayField(models.CharField(max_length=32))
    released_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "disclosures_told_disclosure"

    def __str__(self) -> str:
        return self.reference
