"""The customer's side of abuse cases: what they were told, what they answered, counter-notices and strikes (P17-P19).

All of it is the account's own data under its own keys and goes with the account; the case keeps a copy of its own under
its own key. Customer pages read these tables only. What a row says happened is written once: the database refuses to
change or to take it back.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from accounts.datamap import Category, Held, Personal, Purpose, Reach
from accounts.datamap.declaring import STAFF_ONLY
from accounts.keys.identifiers import reference
from accounts.models.account import Account, OfAccount
from accounts.models.support import MediaType
from accounts.safeguards.fields import SealedBytes, SealedText
from disclosures.models.cases import CaseKind


def _reference() -> str:
    return reference("NOT")


class AbuseNoticeQuerySet(models.QuerySet["AbuseNotice"]):
    """Facts about many notices."""

    def open(self) -> AbuseNoticeQuerySet:
        """Notices whose matter has not ended."""
        return self.filter(ended_at=None)

    def answerable(self, at: dt.datetime) -> AbuseNoticeQuerySet:
        """Open notices of accounts whose people may sign in at `at`: of nobody else is an answer asked."""
        return self.open().filter(account__in=Account.objects.signing_in(at))

    def unanswered(self) -> AbuseNoticeQuerySet:
        """Open notices that still need something of the customer: neither remedied, disagreed with nor countered."""
        return self.open().filter(remedied_at=None, disagreed_at=None, countered_at=None)

    def unheard(self) -> AbuseNoticeQuerySet:
        """Notices, ended ones too, to which the customer said nothing at all, not even that they received it (P17)."""
        silent = self.filter(acknowledged_at=None, remedied_at=None, disagreed_at=None, countered_at=None)
        return silent.exclude(items__fixed_at__isnull=False)


class AbuseNotice(OfAccount):
    """What a customer was told of an abuse case, by when they must answer, and how they did.

    *Acknowledged* and *remedied* are two facts, each with time and person. The time to answer begins with the accepted
    delivery of the letter; a letter that came back begins none.
    """

    class Lifted(models.TextChoices):
        """On which of four grounds a suspension ended (law-and-timers.md)."""

        REMEDIED = "remedied", "acknowledged and remedied"
        PUT_BACK = "put_back", "put back after a counter-notice"
        REFUTED = "refuted", "the complaint was withdrawn or refuted"
        APPEAL = "appeal", "appeal"

    class Ended(models.TextChoices):
        """How the matter ended for the customer."""

        REMEDIED = "remedied", "remedied"
        PUT_BACK = "put_back", "put back after a counter-notice"
        WITHDRAWN = "withdrawn", "the complaint was withdrawn"
        REFUTED = "refuted", "the complaint was refuted"
        COURT = "court", "before a court"
        CLOSED = "closed", "closed by us"

    reference = models.CharField(max_length=20, unique=True, default=_reference)
    case = models.UUIDField()
    kind = models.CharField(max_length=12, choices=CaseKind)
    service = models.UUIDField(null=True)
    claim = SealedText(max_length=5000)
    reporter = SealedText(max_length=320, null=True)
    original = SealedText(max_length=65_536, null=True)
    sent_at = models.DateTimeField()
    # The copy among the account's mails: when its mail was accepted, the time to answer begins.
    letter = models.UUIDField(null=True)
    delivered_at = models.DateTimeField(null=True)
    bounced_at = models.DateTimeField(null=True)
    second_at = models.DateTimeField(null=True)
    remind_at = models.DateTimeField(null=True)
    reminded_at = models.DateTimeField(null=True)
    material_by = models.DateTimeField(null=True)
    act_by = models.DateTimeField(null=True)
    extended_at = models.DateTimeField(null=True)
    extended_by = models.UUIDField(null=True)
    extension_reason = SealedText(max_length=2000, null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.UUIDField(null=True)
    remedied_at = models.DateTimeField(null=True)
    remedied_by = models.UUIDField(null=True)
    disagreed_at = models.DateTimeField(null=True)
    disagreed_by = models.UUIDField(null=True)
    disagreement = SealedText(max_length=5000, null=True)
    countered_at = models.DateTimeField(null=True)
    # The clock found no answer.
    lapsed_at = models.DateTimeField(null=True)
    suspension = models.UUIDField(null=True)
    suspended_at = models.DateTimeField(null=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=60, blank=True)
    lifted_how = models.CharField(max_length=10, choices=Lifted, blank=True)
    lift_evidence = SealedText(max_length=2000, null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=60, blank=True)
    ended_how = models.CharField(max_length=10, choices=Ended, blank=True)

    objects = AbuseNoticeQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Notice",
        time="sent_at",
        purposes=(Purpose.LAW,),
        source="reporters and us",
        fields={
            "claim": Held("What is claimed", reach=Reach.RECORD),
            "reporter": Held("Who reported it", required=False, reach=Reach.RECORD),
            "original": Held("The report as we got it", required=False, reach=Reach.RECORD),
            "extension_reason": Held("Why you need more time", required=False, reach=Reach.RECORD),
            "disagreement": Held("Why you disagree", required=False, reach=Reach.RECORD),
            "lift_evidence": Held("Why the suspension ended", required=False, shown=STAFF_ONLY, reach=Reach.RECORD),
        },
        plain={"reference": "random", "lifted_by": "an id", "ended_by": "an id"},
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "case"], name="abuse_notice_once_per_case"),
            # Children are nobody's reason to write to whoever is suspected (18 USC 2258A).
            models.CheckConstraint(condition=~Q(kind="csam"), name="abuse_notice_of_no_child"),
            models.CheckConstraint(
                condition=Q(act_by=None, material_by=None) | Q(delivered_at__isnull=False),
                name="abuse_notice_clock_begins_with_delivery",
            ),
            models.CheckConstraint(
                condition=Q(act_by=None) | Q(act_by__gt=F("delivered_at")), name="abuse_notice_gives_time"
            ),
            models.CheckConstraint(
                condition=Q(extended_at=None, extended_by=None)
                | Q(extended_at__isnull=False, extended_by__isnull=False),
                name="abuse_notice_extended_has_person",
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_at=None, acknowledged_by=None)
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False),
                name="abuse_notice_acknowledged_has_person",
            ),
            models.CheckConstraint(
                condition=Q(remedied_at=None, remedied_by=None)
                | Q(remedied_at__isnull=False, remedied_by__isnull=False),
                name="abuse_notice_remedied_has_person",
            ),
            models.CheckConstraint(
                condition=Q(disagreed_at=None, disagreed_by=None)
                | Q(disagreed_at__isnull=False, disagreed_by__isnull=False),
                name="abuse_notice_disagreed_has_person",
            ),
            # P19: suspended only for having failed to act.
            models.CheckConstraint(
                condition=Q(suspension=None, suspended_at=None)
                | Q(suspension__isnull=False, suspended_at__isnull=False, lapsed_at__isnull=False),
                name="abuse_notice_suspended_after_silence",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at=None, lifted_by="", lifted_how="")
                | (Q(lifted_at__isnull=False, suspension__isnull=False) & ~Q(lifted_by="") & ~Q(lifted_how="")),
                name="abuse_notice_lifted_has_ground",
            ),
            models.CheckConstraint(
                condition=~Q(lifted_how__in=["refuted", "appeal"]) | Q(lift_evidence__isnull=False),
                name="abuse_notice_lifted_has_evidence",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by="", ended_how="")
                | (Q(ended_at__isnull=False) & ~Q(ended_by="") & ~Q(ended_how="")),
                name="abuse_notice_ended_has_how",
            ),
            # Nothing stays suspended behind a matter that ended.
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(suspension=None) | Q(lifted_at__isnull=False),
                name="abuse_notice_ended_is_lifted",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-sent_at"], name="abuse_notice_by_account"),
            models.Index(fields=["case"], name="abuse_notice_by_case"),
            models.Index(fields=["letter"], condition=Q(delivered_at=None), name="abuse_notice_by_letter"),
            models.Index(fields=["act_by"], condition=Q(ended_at=None, lapsed_at=None), name="abuse_notice_by_act_by"),
        ]
        permissions = [
            ("notify_abusenotice", "Can tell a customer of an abuse case, check remedies, disable material and lift"),
            ("strike_abusenotice", "Can give a strike, overrule one and decide an appeal"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def is_answered(self) -> bool:
        """Whether nothing more is needed of the customer (see `unanswered`): remedied, disagreed with or countered."""
        return any((self.remedied_at, self.disagreed_at, self.countered_at))

    @property
    def is_suspended(self) -> bool:
        """Whether services are suspended because of it."""
        return self.suspension is not None and self.lifted_at is None


class AbuseNoticeItem(OfAccount):
    """One place a notice is about, and what was done there, by whom and when."""

    notice = models.ForeignKey(AbuseNotice, on_delete=models.PROTECT, related_name="items")
    number = models.PositiveIntegerField()
    location = SealedText(max_length=2000)
    told_at = models.DateTimeField()
    fixed_at = models.DateTimeField(null=True)
    fixed_by = models.UUIDField(null=True)
    done = SealedText(max_length=2000, null=True)
    # Somebody looked again and saw it still there.
    disputed_at = models.DateTimeField(null=True)
    disputed_by = models.CharField(max_length=60, blank=True)
    seen = SealedText(max_length=2000, null=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_by = models.CharField(max_length=60, blank=True)
    restored_at = models.DateTimeField(null=True)
    restored_by = models.CharField(max_length=60, blank=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Place a notice is about",
        time="told_at",
        purposes=(Purpose.LAW,),
        source="reporters, you and us",
        fields={
            "location": Held("Where", reach=Reach.RECORD),
            "done": Held("What you did", required=False, reach=Reach.RECORD),
            "seen": Held("What we saw", required=False, reach=Reach.RECORD),
        },
        plain={"disputed_by": "an id", "disabled_by": "an id", "restored_by": "an id"},
    )

    class Meta:
        ordering = ("number",)
        constraints = [
            models.UniqueConstraint(fields=["notice", "number"], name="abuse_notice_item_once"),
            models.CheckConstraint(
                condition=Q(fixed_at=None, fixed_by=None)
                | Q(fixed_at__isnull=False, fixed_by__isnull=False, done__isnull=False),
                name="abuse_item_fixed_says_what",
            ),
            models.CheckConstraint(
                condition=Q(disputed_at=None, disputed_by="")
                | (Q(disputed_at__isnull=False, seen__isnull=False) & ~Q(disputed_by="")),
                name="abuse_item_disputed_says_what",
            ),
            models.CheckConstraint(
                condition=Q(disabled_at=None, disabled_by="") | (Q(disabled_at__isnull=False) & ~Q(disabled_by="")),
                name="abuse_item_disabled_has_person",
            ),
            models.CheckConstraint(
                condition=Q(restored_at=None, restored_by="")
                | (Q(restored_at__isnull=False, disabled_at__isnull=False) & ~Q(restored_by="")),
                name="abuse_item_restored_was_disabled",
            ),
        ]

    @property
    def is_fixed(self) -> bool:
        """Whether what the customer did there stands: nobody saw it still there since."""
        return self.fixed_at is not None and (self.disputed_at is None or self.disputed_at < self.fixed_at)

    @property
    def is_left(self) -> bool:
        """Whether something is still asked for there: what was put back is done, as what was fixed is."""
        return not self.is_fixed and self.restored_at is None

    @property
    def is_disabled(self) -> bool:
        """Whether we keep it from being seen."""
        return self.disabled_at is not None and self.restored_at is None


class NoticeFile(OfAccount):
    """A file that shows what the customer did about a notice; served as a download only."""

    notice = models.ForeignKey(AbuseNotice, on_delete=models.PROTECT, related_name="files")
    name = SealedText(max_length=200)
    media_type = models.CharField(max_length=20, choices=MediaType)
    size = models.PositiveIntegerField()
    content = SealedBytes()
    sent_at = models.DateTimeField()
    sent_by = models.UUIDField()

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="File about what you did",
        time="sent_at",
        purposes=(Purpose.LAW,),
        source="you",
        fields={"name": Held("File name", reach=Reach.CONTENT), "content": Held("File", reach=Reach.CONTENT)},
    )

    class Meta:
        indexes = [models.Index(fields=["notice", "sent_at"], name="notice_file_by_notice")]


class CounterNoticeQuerySet(models.QuerySet["CounterNotice"]):
    """Facts about many counter-notices."""

    def waiting(self) -> CounterNoticeQuerySet:
        """Signed ones that wait for their day: neither put back nor stopped."""
        return self.filter(signed_at__isnull=False, put_back_at=None, stopped_at=None)


class CounterNotice(OfAccount):
    """A counter-notice (17 USC 512(g)(3)): a draft until it is signed, by the name typed; from then on it stays.

    Put back on business day 11 after we got it, unless a notice of court action came; not before day 10, not after 14.
    """

    class Reason(models.TextChoices):
        """Why the material should come back."""

        OWN = "own", "I made it, or the rights are mine"
        LICENSE = "license", "I have permission to use it"
        FAIR_USE = "fair_use", "The law allows this use (fair use)"
        PUBLIC = "public", "It is in the public domain"
        MISTAKEN = "mistaken", "It is something else than they say"
        NOT_THERE = "not_there", "It never was at that address"
        OTHER = "other", "Another reason"

    notice = models.ForeignKey(AbuseNotice, on_delete=models.PROTECT, related_name="counters")
    items = ArrayField(models.UUIDField(), default=list)
    reason = models.CharField(max_length=10, choices=Reason)
    statement = SealedText(max_length=5000)
    name = SealedText(max_length=200)
    address = SealedText(max_length=1000)
    phone = SealedText(max_length=40)
    email = SealedText(max_length=254)
    is_outside_us = models.BooleanField(default=False)
    drafted_at = models.DateTimeField()
    drafted_by = models.UUIDField()
    signature = SealedText(max_length=200, null=True)
    # The version of the sworn statements that was on the page.
    sworn = models.CharField(max_length=20, blank=True)
    signed_at = models.DateTimeField(null=True)
    signed_by = models.UUIDField(null=True)
    put_back_from = models.DateField(null=True)
    put_back_on = models.DateField(null=True)
    put_back_latest = models.DateField(null=True)
    forwarded_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)
    stopped_by = models.UUIDField(null=True)
    court_action = SealedText(max_length=2000, null=True)
    put_back_at = models.DateTimeField(null=True)
    put_back_by = models.CharField(max_length=60, blank=True)

    objects = CounterNoticeQuerySet.as_manager()

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Counter-notice",
        time="drafted_at",
        purposes=(Purpose.LAW,),
        source="you",
        fields={
            "statement": Held("Why it should come back", reach=Reach.RECORD),
            "name": Held("Name", reach=Reach.RECORD),
            "address": Held("Postal address", reach=Reach.RECORD),
            "phone": Held("Telephone", reach=Reach.RECORD),
            "email": Held("E-mail", reach=Reach.RECORD),
            "signature": Held("Signature", required=False, reach=Reach.RECORD),
            "court_action": Held("Notice of court action", required=False, reach=Reach.RECORD),
        },
        plain={"items": "ids", "sworn": "a version", "put_back_by": "an id"},
        facts={"is_outside_us": "Address outside the United States"},
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["notice"], name="counter_notice_one_per_notice"),
            models.CheckConstraint(
                condition=Q(
                    signed_at=None,
                    signed_by=None,
                    sworn="",
                    put_back_from=None,
                    put_back_on=None,
                    put_back_latest=None,
                )
                | (
                    Q(
                        signed_at__isnull=False,
                        signed_by__isnull=False,
                        signature__isnull=False,
                        put_back_from__isnull=False,
                        put_back_on__gte=F("put_back_from"),
                        put_back_latest__gte=F("put_back_on"),
                    )
                    & ~Q(sworn="")
                ),
                name="counter_notice_signed_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(stopped_at=None, stopped_by=None)
                | Q(
                    stopped_at__isnull=False,
                    stopped_by__isnull=False,
                    court_action__isnull=False,
                    signed_at__isnull=False,
                ),
                name="counter_notice_stopped_by_court_action",
            ),
            models.CheckConstraint(
                condition=Q(put_back_at=None, put_back_by="")
                | (Q(put_back_at__isnull=False, signed_at__isnull=False, stopped_at=None) & ~Q(put_back_by="")),
                name="counter_notice_put_back_unless_stopped",
            ),
        ]
        indexes = [
            models.Index(
                fields=["put_back_on"], condition=Q(put_back_at=None, stopped_at=None), name="counter_notice_due"
            )
        ]


class Strike(OfAccount):
    """A strike of the policy on repeat infringers (17 USC 512(i)): it ages out; another person decides an appeal."""

    notice = models.ForeignKey(AbuseNotice, on_delete=models.PROTECT, related_name="strikes")
    given_at = models.DateTimeField()
    given_by = models.UUIDField()
    ends_at = models.DateTimeField()
    overruled_at = models.DateTimeField(null=True)
    overruled_by = models.CharField(max_length=60, blank=True)
    overruled_why = SealedText(max_length=2000, null=True)
    appeal = SealedText(max_length=5000, null=True)
    appealed_at = models.DateTimeField(null=True)
    appealed_by = models.UUIDField(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.UUIDField(null=True)
    decision = SealedText(max_length=2000, null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.NOTICES,
        label="Strike",
        time="given_at",
        purposes=(Purpose.LAW,),
        source="us and you",
        fields={
            "overruled_why": Held("Why it was overruled", required=False, reach=Reach.RECORD),
            "appeal": Held("Your appeal", required=False, reach=Reach.RECORD),
            "decision": Held("Our decision", required=False, reach=Reach.RECORD),
        },
        plain={"overruled_by": "an id"},
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["notice"], name="strike_one_per_notice"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("given_at")), name="strike_ends"),
            models.CheckConstraint(
                condition=Q(overruled_at=None, overruled_by="")
                | (Q(overruled_at__isnull=False, overruled_why__isnull=False) & ~Q(overruled_by="")),
                name="strike_overruled_says_why",
            ),
            models.CheckConstraint(
                condition=Q(appealed_at=None, appealed_by=None)
                | Q(appealed_at__isnull=False, appealed_by__isnull=False, appeal__isnull=False),
                name="strike_appeal_has_words",
            ),
            # An appeal goes to another person than who gave the strike.
            models.CheckConstraint(
                condition=Q(decided_at=None, decided_by=None)
                | (
                    Q(
                        decided_at__isnull=False,
                        decided_by__isnull=False,
                        decision__isnull=False,
                        appealed_at__isnull=False,
                    )
                    & ~Q(decided_by=F("given_by"))
                ),
                name="strike_appeal_goes_to_another",
            ),
        ]
        indexes = [models.Index(fields=["account", "ends_at"], name="strike_by_account")]
