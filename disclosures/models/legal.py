"""Legal requests: what was served and checked, whom it seeks, what the customer is told and when (P15, P16, P24).

Everything of a request is sealed under a key of its own: it outlives the accounts it names. No customer page reads
these tables; what a customer was told is in the view `ToldNotice` (silence.md, S2).
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
from disclosures.models.recipients import Recipient

# One document of a request at most: courts send scans (bad-input.md).
MOST_DOCUMENT_BYTES = 25 * 1024 * 1024


class Instrument(models.TextChoices):
    """What was served. What each may reach is the table in `disclosures.reach` (18 USC 2702-2709)."""

    GRAND_JURY_SUBPOENA = "grand_jury_subpoena", "grand jury subpoena"
    ADMINISTRATIVE_SUBPOENA = "administrative_subpoena", "administrative subpoena"
    GOVERNMENT_SUBPOENA = "government_subpoena", "trial subpoena of the government"
    CIVIL_SUBPOENA = "civil_subpoena", "civil subpoena"
    COURT_ORDER = "court_order", "court order under 18 USC 2703(d)"
    SEARCH_WARRANT = "search_warrant", "search warrant"
    NATIONAL_SECURITY_LETTER = "national_security_letter", "national security letter"
    PRESERVATION = "preservation", "preservation letter"
    EMERGENCY = "emergency", "emergency request"
    SUBPOENA_512H = "subpoena_512h", "subpoena under 17 USC 512(h)"
    FOREIGN = "foreign", "foreign request"


class Outcome(models.TextChoices):
    """How a request ended."""

    FULFILLED = "fulfilled", "disclosed in full"
    PARTLY = "partly", "disclosed in part"
    NOTHING_HELD = "nothing_held", "nothing held"
    REJECTED = "rejected", "rejected"
    QUASHED = "quashed", "quashed by a court"
    WITHDRAWN = "withdrawn", "withdrawn by the authority"
    PRESERVED = "preserved", "preserved only"


class Check(models.TextChoices):
    """What is verified before anything is made; each with who and when."""

    AUTHENTIC = "authentic", "the authority confirmed it at the address on file"
    VALID = "valid", "the instrument is valid for what it asks"
    SIGNED = "signed", "it is signed by who may sign it"
    IN_SCOPE = "in_scope", "it names what it seeks within our records"
    NOT_OVERBROAD = "not_overbroad", "it asks for no more than its purpose needs"
    DOMESTICATED = "domesticated", "process of another state is domesticated"
    DECLARED = "declared", "the signed declaration is attached"


class LegalRequestQuerySet(models.QuerySet["LegalRequest"]):
    """Facts about many requests."""

    def open(self) -> LegalRequestQuerySet:
        """Requests that have not ended, drafts included."""
        return self.filter(closed_at=None)

    def overdue(self, at: dt.datetime) -> LegalRequestQuerySet:
        """Open requests whose due date has passed."""
        return self.open().filter(due_at__lt=at)

    def live(self) -> LegalRequestQuerySet:
        """Requests that can carry a disclosure: complete, verified, neither ended nor quashed."""
        return self.open().exclude(verified_at=None)


def _legal_reference() -> str:
    return reference("LEG")


class LegalRequest(models.Model):
    """One instrument that was served."""

    class Served(models.TextChoices):
        """How it came."""

        MAIL = "mail", "by e-mail"
        POST = "post", "by post"
        PERSON = "person", "in person"
        PORTAL = "portal", "through a portal of the authority"
        FAX = "fax", "by fax"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(max_length=20, unique=True, default=_legal_reference)
    submission = models.UUIDField(unique=True)
    instrument = models.CharField(max_length=30, choices=Instrument)
    # A preservation letter of a government body binds under 2703(f); a private one is an ordinary legal hold.
    is_governmental = models.BooleanField()
    # Whoever is registered and may be given something; empty until the authority is known.
    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, null=True, related_name="+")
    authority = SealedText(max_length=200)
    official = SealedText(max_length=200, null=True)
    docket = SealedText(max_length=100, null=True)
    # A keyed hash of the docket, to find it again.
    docket_digest = models.BinaryField(max_length=32, null=True)
    jurisdiction = models.CharField(max_length=10, blank=True)
    served_how = models.CharField(max_length=10, choices=Served)
    served_at = models.DateTimeField()
    received_by = models.UUIDField()
    received_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    # What is asked for, and of which time.
    categories = ArrayField(models.CharField(max_length=32), default=list)
    period_from = models.DateTimeField(null=True)
    period_to = models.DateTimeField(null=True)
    # Why, in the words of the instrument.
    wording = SealedText(max_length=5000, null=True)
    assigned_to = models.UUIDField(null=True)
    # A request that a preservation letter prepared the ground for.
    preserved_by = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="followed_by")
    verified_at = models.DateTimeField(null=True)
    verified_by = models.UUIDField(null=True)
    # More time that was asked for and granted (law-and-timers.md, "Notice before release").
    agreed_due_at = models.DateTimeField(null=True)
    objected_at = models.DateTimeField(null=True)
    objected_by = models.UUIDField(null=True)
    # An objection stands, and nothing leaves, until it is agreed, overruled or given up.
    objection_ended_at = models.DateTimeField(null=True)
    objection_ended_by = models.UUIDField(null=True)
    # The on-call alarm of an emergency.
    alarmed_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.UUIDField(null=True)
    outcome = models.CharField(max_length=12, choices=Outcome, blank=True)
    outcome_reason = SealedText(max_length=2000, null=True)

    objects = LegalRequestQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Legal request",
        time="received_at",
        purposes=(Purpose.LAW,),
        source="the authority",
        fields={
            "authority": Held("Authority", shown=STAFF_ONLY),
            "official": Held("Named official", required=False, shown=STAFF_ONLY),
            "docket": Held("Docket", required=False, shown=STAFF_ONLY),
            "wording": Held("What it asks", required=False, shown=STAFF_ONLY),
            "outcome_reason": Held("Reason of the outcome", required=False, shown=STAFF_ONLY),
        },
        plain={
            "reference": "random",
            "docket_digest": "a blind index, keyed and one-way",
            "jurisdiction": "a country or state code",
            "categories": "category names",
        },
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(instrument__in=Instrument.values), name="legal_request_instrument_known"
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, closed_by=None, outcome="")
                | (Q(closed_at__isnull=False, closed_by__isnull=False) & ~Q(outcome="")),
                name="legal_request_closed_has_outcome",
            ),
            models.CheckConstraint(
                condition=Q(verified_at=None, verified_by=None)
                | Q(
                    verified_at__isnull=False,
                    verified_by__isnull=False,
                    recipient__isnull=False,
                ),
                name="legal_request_verified_is_complete",
            ),
            models.CheckConstraint(
                condition=Q(period_from=None) | Q(period_to=None) | Q(period_to__gt=F("period_from")),
                name="legal_request_period_is_forward",
            ),
            models.CheckConstraint(
                condition=Q(objected_at=None, objected_by=None, objection_ended_at=None)
                | Q(objected_at__isnull=False, objected_by__isnull=False),
                name="legal_request_objection_has_time_and_person",
            ),
            models.CheckConstraint(
                condition=Q(objection_ended_at=None, objection_ended_by=None)
                | Q(objection_ended_at__isnull=False, objection_ended_by__isnull=False),
                name="legal_request_objection_ends_by_somebody",
            ),
        ]
        indexes = [
            # the queue, by days left
            models.Index(fields=["due_at"], condition=Q(closed_at=None), name="legal_request_open_by_due"),
            models.Index(fields=["-received_at"], name="legal_request_by_time"),
            models.Index(fields=["docket_digest"], name="legal_request_by_docket"),
        ]
        permissions = [
            ("receive_legalrequest", "Can enter a legal request and add to it"),
            ("verify_legalrequest", "Can record checks of a legal request"),
            ("assign_legalrequest", "Can assign a legal request"),
            ("answer_legalrequest", "Can write letters, object and close a legal request"),
            ("silence_legalrequest", "Can record an order of silence and its end"),
            ("tell_legalrequest", "Can tell the customer of a legal request"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def missing(self) -> list[str]:
        """Return what a draft lacks before it can be verified: authority on file, jurisdiction, due date, scope."""
        lacks = {
            "a registered authority": self.recipient_id is None,
            "a jurisdiction": not self.jurisdiction,
            "a due date": self.due_at is None and self.instrument not in {Instrument.PRESERVATION},
            "the categories it asks for": not self.categories and self.instrument != Instrument.PRESERVATION,
        }
        return [name for name, is_lacking in lacks.items() if is_lacking]

    def key_place(self) -> tuple[UUID, str]:
        """A request is sealed under a key of its own."""
        return self.pk, Category.LEGAL.value


class OfRequest(models.Model):
    """Base of what belongs to a legal request: sealed under the request's key."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="+")

    personal: ClassVar[Personal]

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """Sealed with its request."""
        return self.request_id, Category.LEGAL.value


class LegalDocument(OfRequest):
    """A document that came with a request: never shown in the browser, kept whatever the scanner says of it."""

    class State(models.TextChoices):
        """What may be done with it. Only a clean one can be downloaded; a quarantined one by legal, told so."""

        CLEAN = "clean", "clean"
        UNSCANNED = "unscanned", "not looked at yet"
        QUARANTINED = "quarantined", "in quarantine"

    request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="documents")
    name = SealedText(max_length=200)
    media_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=State)
    # Why it is in quarantine: a fixed word ("infected", "encrypted", "active", "damaged").
    why = models.CharField(max_length=20, blank=True)
    content = SealedBytes(max_length=MOST_DOCUMENT_BYTES)
    # The copy that goes to the customer with the notice; without one, the document itself.
    is_for_customer = models.BooleanField(default=False)
    added_by = models.UUIDField()
    added_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Document of a legal request",
        time="added_at",
        purposes=(Purpose.LAW,),
        source="the authority",
        fields={
            "name": Held("File name", shown=STAFF_ONLY),
            "content": Held("File", shown=NOBODY),
        },
        plain={"media_type": "a type of file", "sha256": "a hash", "why": "a fixed word"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="quarantined") | ~Q(why=""), name="legal_document_quarantined_says_why"
            ),
        ]
        permissions = [("download_legaldocument", "Can download documents of legal requests")]


class Sought(OfRequest):
    """Somebody a request seeks, as it names them, and the account that was found for it."""

    class Kind(models.TextChoices):
        """What it is named by."""

        ACCOUNT = "account", "account number"
        EMAIL = "email", "e-mail"
        DOMAIN = "domain", "domain"
        ADDRESS = "address", "IP address at a time"

    class Found(models.TextChoices):
        """What the search gave; none or several wait for a person."""

        ONE = "one", "one account"
        NONE = "none", "no account"
        SEVERAL = "several", "several accounts"
        NOT_OURS = "not_ours", "not a customer of ours"

    request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="sought")
    kind = models.CharField(max_length=10, choices=Kind)
    value = SealedText(max_length=320)
    # For an address: the moment it was held.
    moment = models.DateTimeField(null=True)
    found = models.CharField(max_length=10, choices=Found)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    decided_by = models.CharField(max_length=60)
    decided_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Person sought",
        time="decided_at",
        purposes=(Purpose.LAW,),
        source="the authority",
        fields={"value": Held("Named as", shown=STAFF_ONLY)},
        plain={"decided_by": "an id"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(found="one", account__isnull=False) | (~Q(found="one") & Q(account=None)),
                name="sought_found_has_its_account",
            ),
            models.CheckConstraint(
                condition=~Q(kind="address") | Q(moment__isnull=False), name="sought_address_has_its_moment"
            ),
        ]
        indexes = [models.Index(fields=["account"], name="sought_by_account")]


class LegalCheck(OfRequest):
    """One check of a request, with who and when. Another opinion is another row; the newest counts."""

    request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="checks")
    item = models.CharField(max_length=16, choices=Check)
    is_met = models.BooleanField()
    note = SealedText(max_length=1000, null=True)
    checked_by = models.UUIDField()
    checked_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Check of a legal request",
        time="checked_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"note": Held("Note", required=False, shown=STAFF_ONLY)},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        indexes = [models.Index(fields=["request", "item", "-checked_at"], name="legal_check_newest")]


class LegalNote(OfRequest):
    """A note of staff on the timeline of a request."""

    request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="notes")
    text = SealedText(max_length=5000)
    written_by = models.UUIDField()
    written_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Note on a legal request",
        time="written_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"text": Held("Note", shown=STAFF_ONLY)},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )


class LegalLetter(OfRequest):
    """A letter to whoever served the request: a draft from a template, editable until it is sent."""

    class Kind(models.TextChoices):
        """What it says."""

        RECEIPT = "receipt", "receipt"
        VERIFY = "verify", "question whether the request is genuine"
        OBJECTION = "objection", "objection (FRCP 45)"
        NARROWING = "narrowing", "request to narrow"
        REJECTION = "rejection", "rejection"
        MORE_TIME = "more_time", "request for more time"
        FOREIGN = "foreign", "reply to a foreign request"
        COSTS = "costs", "schedule of costs"
        NOTHING_HELD = "nothing_held", "nothing is held"
        SILENCE_ASKED = "silence_asked", "question whether silence is extended"

    request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="letters")
    kind = models.CharField(max_length=16, choices=Kind)
    subject = SealedText(max_length=200)
    body = SealedText(max_length=10_000)
    made_by = models.CharField(max_length=60)
    made_at = models.DateTimeField()
    sent_by = models.UUIDField(null=True)
    sent_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Letter about a legal request",
        time="made_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"subject": Held("Subject", shown=STAFF_ONLY), "body": Held("Text", shown=STAFF_ONLY)},
        plain={"made_by": "an id"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(sent_at=None, sent_by=None) | Q(sent_at__isnull=False, sent_by__isnull=False),
                name="legal_letter_sent_has_time_and_person",
            )
        ]


class Silence(OfRequest):
    """An order, or for a short time our own choice, that the customer is not told (silence.md, S13).

    A grand jury subpoena or a preservation letter alone orders none. An extension is another row.
    """

    class Ground(models.TextChoices):
        """What commands it."""

        ORDER_2705 = "order_2705", "order under 18 USC 2705(b)"
        DELAYED_2705 = "delayed_2705", "delay under 18 USC 2705(a)"
        STATUTE = "statute", "a statute or a court's order of another kind"
        CHOICE = "choice", "our own choice"

    request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="silences")
    ground = models.CharField(max_length=14, choices=Ground)
    document = models.ForeignKey(LegalDocument, on_delete=models.PROTECT, null=True, related_name="+")
    note = SealedText(max_length=1000, null=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    # Where the order names no end: when it is looked at again.
    review_by = models.DateTimeField(null=True)
    recorded_by = models.UUIDField()
    recorded_at = models.DateTimeField()
    # How often the legal role was asked whether it was extended: at 30, 14 and 3 days before its end.
    asked = ArrayField(models.PositiveSmallIntegerField(), default=list)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.UUIDField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Order of silence",
        time="recorded_at",
        purposes=(Purpose.LAW,),
        source="the authority",
        fields={"note": Held("Note", required=False, shown=STAFF_ONLY)},
        plain={"asked": "numbers of days"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=False) | Q(review_by__isnull=False), name="silence_has_an_end_or_a_review"
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="silence_ends_after_it_starts"
            ),
            # Our own choice: 45 days at most, and never without an end.
            models.CheckConstraint(
                condition=~Q(ground="choice")
                | Q(ends_at__isnull=False, ends_at__lte=F("starts_at") + dt.timedelta(days=45)),
                name="silence_by_choice_is_short",
            ),
            models.CheckConstraint(
                condition=Q(ground="choice") | Q(document__isnull=False), name="silence_by_order_has_its_instrument"
            ),
            models.CheckConstraint(
                condition=Q(lifted_at=None, lifted_by=None) | Q(lifted_at__isnull=False, lifted_by__isnull=False),
                name="silence_lifted_has_time_and_person",
            ),
        ]
        indexes = [models.Index(fields=["ends_at"], condition=Q(lifted_at=None), name="silence_by_end")]

    def stands(self, at: dt.datetime) -> bool:
        """Return whether it commands silence at `at`; one without an end stands until it is lifted."""
        return self.lifted_at is None and self.starts_at <= at and (self.ends_at is None or at < self.ends_at)


def _notice_reference() -> str:
    return reference("NOT")


class LegalNotice(OfRequest):
    """What a customer is told of a request, once: owed from the verification on, sent when no silence stands."""

    request = models.ForeignKey(LegalRequest, on_delete=models.PROTECT, related_name="notices")
    reference = models.CharField(max_length=20, unique=True, default=_notice_reference)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    owed_since = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    # The stored letter the customer reads, and the outbox event that carries the mail.
    letter = models.UUIDField(null=True)
    # Nothing of this account is released before.
    release_from = models.DateTimeField(null=True)
    # Why less than the usual time was given; the notice says so.
    shortened_reason = SealedText(max_length=500, null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.LEGAL,
        label="Notice of a legal request",
        time="owed_since",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"shortened_reason": Held("Why the time is short", required=False, shown=STAFF_ONLY)},
        plain={"reference": "random"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "account"], name="legal_notice_once_per_account"),
            models.CheckConstraint(
                condition=Q(sent_at=None, release_from=None) | Q(sent_at__isnull=False, release_from__gte=F("sent_at")),
                name="legal_notice_sent_says_from_when",
            ),
        ]
        indexes = [
            models.Index(fields=["owed_since"], condition=Q(sent_at=None), name="legal_notice_owed"),
            models.Index(fields=["account"], name="legal_notice_by_account"),
        ]


class ToldNotice(models.Model):
    """The view of notices that were sent: the only one customer pages read (silence.md, S2)."""

    id = models.UUIDField(primary_key=True)
    reference = models.CharField(max_length=20)
    account = models.ForeignKey(Account, on_delete=models.DO_NOTHING, related_name="+")
    instrument = models.CharField(max_length=30, choices=Instrument)
    categories = ArrayField(models.CharField(max_length=32))
    sent_at = models.DateTimeField()
    release_from = models.DateTimeField()
    # When something was handed over for it first, before the customer could be told.
    given_at = models.DateTimeField(null=True)
    challenged_at = models.DateTimeField(null=True)
    challenge_ended_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "disclosures_told_notice"

    def __str__(self) -> str:
        return self.reference
