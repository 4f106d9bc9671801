"""Abuse cases: what was reported, whom it concerns, what staff found, and how it ended (P17-P19).

Everything of a case is sealed under a key of its own, the reporter's data with it: a case outlives the account it
concerns and does not block its deletion. What a customer is told of it is the account's own data, elsewhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import ClassVar, TypeVar
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Exists, OuterRef, Q

from accounts.datamap import Category, Ends, Held, Personal, Purpose
from accounts.datamap.declaring import NOBODY, STAFF_ONLY
from accounts.keys.identifiers import reference, uuid7
from accounts.models import Account, MediaType
from accounts.safeguards.fields import SealedBytes, SealedJSON, SealedText
from disclosures.models.recipients import Recipient

T = TypeVar("T")
# A message over this size is kept as far as that, and its hash of all of it (bad-input.md).
MOST_RAW_BYTES = 10 * 1024 * 1024


class CaseKind(models.TextChoices):
    """What is claimed."""

    DMCA = "dmca", "copyright notice (DMCA)"
    COPYRIGHT = "copyright", "copyright, not yet a notice"
    TRADEMARK = "trademark", "trademark"
    PHISHING = "phishing", "phishing or fraud"
    MALWARE = "malware", "malware"
    SPAM = "spam", "unwanted mail"
    ATTACK = "attack", "attack or scan"
    NCII = "ncii", "intimate images without consent"
    CSAM = "csam", "sexual abuse of children"
    OTHER = "other", "other"


class Severity(models.IntegerChoices):
    """How soon somebody must look; a higher number is more urgent."""

    LOW = 1, "low"
    NORMAL = 2, "normal"
    HIGH = 3, "high"
    CRITICAL = 4, "critical"


class CaseOutcome(models.TextChoices):
    """How a case ended."""

    NOT_OURS = "not_ours", "not a customer of ours"
    NOT_VALID = "not_valid", "not authentic or not accurate"
    INCOMPLETE = "incomplete", "incomplete, and the reporter did not complete it"
    WITHDRAWN = "withdrawn", "withdrawn by the reporter"
    DUPLICATE = "duplicate", "the same as another case"
    NO_ACTION = "no_action", "nothing to do"
    REMEDIED = "remedied", "remedied by the customer"
    PUT_BACK = "put_back", "put back after a counter-notice"
    COURT = "court", "before a court"
    UNANSWERED = "unanswered", "the customer did not answer"


class Finding(models.TextChoices):
    """What staff find, each with who and when; the six elements are those of 17 USC 512(c)(3)(A)."""

    SIGNATURE = "signature", "signed by somebody authorised"
    WORK = "work", "names the work"
    MATERIAL = "material", "names the material and where it is"
    CONTACT = "contact", "says how to reach the reporter"
    GOOD_FAITH = "good_faith", "states good faith"
    ACCURACY = "accuracy", "states accuracy, and authority under penalty of perjury"
    # P18: two findings before anything is done to anybody.
    AUTHENTIC = "authentic", "it comes from whom it says"
    ACCURATE = "accurate", "the address was theirs then, and the material was seen"


ELEMENTS = (
    Finding.SIGNATURE,
    Finding.WORK,
    Finding.MATERIAL,
    Finding.CONTACT,
    Finding.GOOD_FAITH,
    Finding.ACCURACY,
)


class CaseQuerySet(models.QuerySet["AbuseCase"]):
    """Facts about many cases."""

    def open(self) -> CaseQuerySet:
        """Cases that have not ended."""
        return self.filter(closed_at=None)

    def undecided(self) -> CaseQuerySet:
        """Open cases of which a person must say whom they concern."""
        return self.open().filter(found__in=[AbuseCase.Found.NONE, AbuseCase.Found.SEVERAL])

    def taken_back(self, *, by_anybody: bool = False) -> CaseQuerySet:
        """Open cases with a report that takes one back, after which nobody found the matter authentic once more.

        Only whoever reported takes back, and only where nobody else reported: anybody can add to a case by naming its
        address, its customer too. What others say stops nothing and is for a person to read (`by_anybody`).
        """
        later = CaseFinding.objects.filter(
            case=OuterRef("case"), item=Finding.AUTHENTIC, found_at__gt=OuterRef("received_at")
        )
        undecided = AbuseReport.objects.filter(~Exists(later), case=OuterRef("pk"), is_retraction=True)
        if by_anybody:
            return self.open().filter(Exists(undecided))
        same = AbuseReport.objects.filter(case=OuterRef("case"), reporter_digest=OuterRef("reporter_digest"))
        reported = same.filter(is_retraction=False)
        gone = same.filter(is_retraction=True, received_at__gte=OuterRef("received_at"))
        stands = AbuseReport.objects.filter(~Exists(gone), case=OuterRef("pk"), is_retraction=False)
        return self.open().filter(Exists(undecided.filter(Exists(reported))), ~Exists(stands))


def _reference() -> str:
    return reference("ABU")


class AbuseCase(models.Model):
    """One matter, with every report about it."""

    class Found(models.TextChoices):
        """What the search for the customer concerned gave; a person decides where it is not one."""

        NONE = "none", "nobody found"
        SEVERAL = "several", "several found"
        ONE = "one", "found"
        NOT_OURS = "not_ours", "not a customer of ours"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(max_length=20, unique=True, default=_reference)
    kind = models.CharField(max_length=12, choices=CaseKind)
    severity = models.PositiveSmallIntegerField(choices=Severity)
    opened_at = models.DateTimeField()
    # By when somebody must have looked.
    look_by = models.DateTimeField()
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="+")
    service = models.UUIDField(null=True)
    found = models.CharField(max_length=10, choices=Found)
    decided_by = models.CharField(max_length=60)
    decided_at = models.DateTimeField()
    # A keyed hash of kind, source and whom it led to: a storm of reports about one address becomes one case.
    source_digest = models.BinaryField(max_length=32, null=True)
    source = SealedText(max_length=500, null=True)
    source_at = models.DateTimeField(null=True)
    assigned_to = models.UUIDField(null=True)
    # To whom alone something of the customer may be disclosed (P17).
    complainant = models.ForeignKey(Recipient, on_delete=models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=60, blank=True)
    outcome = models.CharField(max_length=12, choices=CaseOutcome, blank=True)
    outcome_reason = SealedText(max_length=2000, null=True)
    # Its key was ordered to be destroyed: what it said is gone.
    forgotten_at = models.DateTimeField(null=True)
    # The transaction that said so, set by its trigger: the key goes in a later one only.
    forgotten_xid = models.BigIntegerField(null=True, editable=False)

    objects = CaseQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Abuse case",
        time="opened_at",
        purposes=(Purpose.LAW,),
        source="reporters",
        fields={
            "source": Held("What it is about", required=False, shown=STAFF_ONLY),
            "outcome_reason": Held("Reason of the outcome", required=False, shown=STAFF_ONLY),
        },
        plain={
            "reference": "random",
            "decided_by": "an id",
            "closed_by": "an id",
            "source_digest": "a blind index, keyed and one-way",
        },
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=CaseKind.values), name="case_kind_is_known"),
            models.CheckConstraint(condition=Q(severity__gte=1, severity__lte=4), name="case_severity_is_known"),
            models.CheckConstraint(
                condition=Q(found="one", account__isnull=False) | (~Q(found="one") & Q(account=None, service=None)),
                name="case_found_has_its_account",
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, closed_by="", outcome="")
                | (Q(closed_at__isnull=False) & ~Q(closed_by="") & ~Q(outcome="")),
                name="case_closed_has_outcome",
            ),
            models.CheckConstraint(
                condition=Q(forgotten_at=None) | Q(closed_at__isnull=False), name="case_forgotten_was_closed"
            ),
        ]
        indexes = [
            # the queue: most urgent first
            models.Index(fields=["-severity", "look_by"], condition=Q(closed_at=None), name="case_open_by_urgency"),
            models.Index(fields=["account", "-opened_at"], name="case_by_account"),
            models.Index(fields=["source_digest", "-opened_at"], name="case_by_source"),
        ]
        permissions = [
            ("decide_abusecase", "Can say whom an abuse case concerns, record findings and close it"),
            ("open_report", "Can read the raw message of a report"),
            ("view_csam", "Can see cases of the sexual abuse of children"),
        ]

    def __str__(self) -> str:
        return self.reference

    def worded_report(self, until: dt.datetime | None = None) -> AbuseReport | None:
        """Return the newest report with words of its own that came `until` then, without the raw message.

        What takes a report back comes last.
        """
        worded = self.reports.filter(is_repeat=False).defer("raw").order_by("-received_at", "-pk")
        worded = worded.filter(received_at__lte=until) if until is not None else worded
        return worded.filter(is_retraction=False).first() or worded.first()

    def once(self, name: str, ask: Callable[[], T]) -> T:
        """Return what `ask` says, asked once for this very object: the parts and acts of a page ask for the same."""
        known = self.__dict__.setdefault("_asked", {})
        if name not in known:
            known[name] = ask()
        found: T = known[name]
        return found

    def accurate_at(self) -> dt.datetime | None:
        """Return when it was last found whether the matter is accurate: what came later was not looked at then."""
        return max((row.found_at for row in self.findings.all() if row.item == Finding.ACCURATE), default=None)

    def key_place(self) -> tuple[UUID, str]:
        """A case is sealed under a key of its own."""
        return self.pk, Category.NOTICES.value


class OfCase(models.Model):
    """Base of what belongs to a case: sealed under the case's key."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    case = models.ForeignKey(AbuseCase, on_delete=models.PROTECT, related_name="+")

    personal: ClassVar[Personal]

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """Sealed with its case."""
        return self.case_id, Category.NOTICES.value


class AbuseReport(OfCase):
    """One report as it came: the raw message, what was read in it, and what could not be read."""

    class Channel(models.TextChoices):
        """How it came."""

        MAIL = "mail", "by e-mail"
        FORM = "form", "public form"
        API = "api", "by another system"

    case = models.ForeignKey(AbuseCase, on_delete=models.PROTECT, related_name="reports")
    channel = models.CharField(max_length=6, choices=Channel)
    received_at = models.DateTimeField()
    format = models.CharField(max_length=20)
    # Codes of what could not be read; words for them are in the reader.
    problems = ArrayField(models.CharField(max_length=40), default=list)
    # Keyed hashes, to know a repeat: of the message id, of the normalised content, and of the reporter's case ids.
    message_digest = models.BinaryField(max_length=32, null=True)
    content_digest = models.BinaryField(max_length=32)
    case_digests = ArrayField(models.CharField(max_length=64), default=list)
    raw = SealedBytes(max_length=MOST_RAW_BYTES)
    raw_sha256 = models.CharField(max_length=64)
    raw_size = models.PositiveBigIntegerField()
    read = SealedJSON(null=True)
    reporter = SealedText(max_length=320, null=True)
    reporter_digest = models.BinaryField(max_length=32, null=True)
    # Whether the reporter lets us name them to the customer (X-ARF).
    may_be_named = models.BooleanField(default=True)
    is_automatic = models.BooleanField(default=False)
    is_retraction = models.BooleanField(default=False)
    # Whether this is the very same report again: counted, and read no second time.
    is_repeat = models.BooleanField(default=False)

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Abuse report",
        time="received_at",
        purposes=(Purpose.LAW,),
        source="the reporter",
        fields={
            "raw": Held("Raw message", shown=NOBODY),
            "read": Held("What it says", required=False, shown=STAFF_ONLY),
            "reporter": Held("Reporter", required=False, shown=STAFF_ONLY),
        },
        plain={
            "format": "the name of a format",
            "problems": "codes",
            "message_digest": "a blind index, keyed and one-way",
            "content_digest": "a blind index, keyed and one-way",
            "case_digests": "blind indexes, keyed and one-way",
            "reporter_digest": "a blind index, keyed and one-way",
            "raw_sha256": "a hash",
        },
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        indexes = [
            models.Index(fields=["case", "-received_at"], name="report_by_case"),
            models.Index(fields=["message_digest"], name="report_by_message"),
            models.Index(fields=["content_digest"], name="report_by_content"),
            models.Index(fields=["reporter_digest", "-received_at"], name="report_by_reporter"),
            GinIndex(fields=["case_digests"], name="report_by_case_ids"),
            models.Index(fields=["case"], condition=Q(is_retraction=True), name="report_retractions"),
        ]

    @property
    def has_joined(self) -> bool:
        """Whether its case was there before it: the first report of a case has the moment at which that was opened."""
        return self.received_at != self.case.opened_at


class CaseFinding(OfCase):
    """One finding of staff; another opinion is another row, and the newest counts."""

    case = models.ForeignKey(AbuseCase, on_delete=models.PROTECT, related_name="findings")
    item = models.CharField(max_length=12, choices=Finding)
    is_met = models.BooleanField()
    note = SealedText(max_length=500, null=True)
    found_by = models.UUIDField()
    found_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Finding of an abuse case",
        time="found_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"note": Held("Note", required=False, shown=STAFF_ONLY)},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        indexes = [models.Index(fields=["case", "item", "-found_at"], name="finding_newest")]


class CaseNote(OfCase):
    """A note of staff on the timeline of a case."""

    case = models.ForeignKey(AbuseCase, on_delete=models.PROTECT, related_name="notes")
    text = SealedText(max_length=5000)
    written_by = models.UUIDField()
    written_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Note on an abuse case",
        time="written_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"text": Held("Note", shown=STAFF_ONLY)},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )


class CaseCopy(OfCase):
    """What passed between us and the customer, in the case's own copy: it outlives the account's."""

    class Kind(models.TextChoices):
        """What it is a copy of."""

        NOTICE = "notice", "notice to the customer"
        EXTENSION = "extension", "request for more time"
        REMEDY = "remedy", "what the customer did"
        DISPUTE = "dispute", "what was seen afterwards"
        DISAGREEMENT = "disagreement", "why the customer disagrees"
        COUNTER = "counter", "counter-notice"
        COURT = "court", "notice of court action"
        APPEAL = "appeal", "appeal"
        DECISION = "decision", "decision"

    case = models.ForeignKey(AbuseCase, on_delete=models.PROTECT, related_name="copies")
    kind = models.CharField(max_length=12, choices=Kind)
    text = SealedText(max_length=80_000)
    written_by = models.CharField(max_length=60)
    written_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Copy in an abuse case",
        time="written_at",
        purposes=(Purpose.LAW,),
        source="the customer and staff",
        fields={"text": Held("Words", shown=STAFF_ONLY)},
        plain={"written_by": "an id"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        indexes = [models.Index(fields=["case", "-written_at"], name="case_copy_newest")]


class CaseFile(OfCase):
    """A file that the customer sent to show what they did, in the case's own copy: it outlives the account's."""

    case = models.ForeignKey(AbuseCase, on_delete=models.PROTECT, related_name="files")
    name = SealedText(max_length=200)
    media_type = models.CharField(max_length=20, choices=MediaType)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    content = SealedBytes()
    sent_by = models.CharField(max_length=60)
    sent_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="File in an abuse case",
        time="sent_at",
        purposes=(Purpose.LAW,),
        source="the customer",
        fields={"name": Held("File name", shown=STAFF_ONLY), "content": Held("File", shown=STAFF_ONLY)},
        plain={"sha256": "a hash of the file", "sent_by": "an id"},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )

    class Meta:
        indexes = [models.Index(fields=["case", "-sent_at"], name="case_file_newest")]


class TiplineReport(OfCase):
    """The report of a case of children to the CyberTipline (18 USC 2258A): its number there, who sent it and when.

    With it what the account holds is preserved for a year (2258A(h)), which nobody is told.
    """

    case = models.OneToOneField(AbuseCase, on_delete=models.PROTECT, related_name="tipline")
    number = SealedText(max_length=100)
    reported_by = models.UUIDField()
    reported_at = models.DateTimeField()
    hold = models.UUIDField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Report to the CyberTipline",
        time="reported_at",
        purposes=(Purpose.LAW,),
        source="staff",
        fields={"number": Held("Number there", shown=STAFF_ONLY)},
        account="",
        ends=Ends.KEY,
        shown=STAFF_ONLY,
    )


def urgency(kind: str) -> tuple[Severity, dt.timedelta]:
    """Return how urgent a kind of case is and within what time somebody must look (our choices, but for the first).

    Intimate images: 48 hours by law (PL 119-12) to remove, so a look within a day.
    """
    hours = {
        CaseKind.CSAM: (Severity.CRITICAL, 4),
        CaseKind.NCII: (Severity.CRITICAL, 12),
        CaseKind.PHISHING: (Severity.HIGH, 12),
        CaseKind.MALWARE: (Severity.HIGH, 12),
        CaseKind.ATTACK: (Severity.HIGH, 24),
        CaseKind.DMCA: (Severity.NORMAL, 24),
        CaseKind.COPYRIGHT: (Severity.NORMAL, 48),
        CaseKind.TRADEMARK: (Severity.NORMAL, 48),
        CaseKind.SPAM: (Severity.NORMAL, 48),
        CaseKind.OTHER: (Severity.LOW, 72),
    }
    severity, within = hours[CaseKind(kind)]
    return severity, dt.timedelta(hours=within)
