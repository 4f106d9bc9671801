"""What staff write to whoever reported, and what is known of how this reporter reported before (P17, P18)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from accounts.admin_base import Act, Eyes, Section, asking
from accounts.models import User
from disclosures import judging, lettering
from disclosures.lettering import Letter
from disclosures.models import AbuseCase, AbuseReport, CaseFinding, CaseOutcome, Finding

# A reporter who sends more than this in a year is counted by the newest.
MOST_COUNTED = 1_000
YEAR = dt.timedelta(days=365)
FELL = (CaseOutcome.NOT_VALID, CaseOutcome.WITHDRAWN)


class LetterForm(forms.Form):
    """The letter."""

    text = forms.CharField(
        label="The letter", max_length=lettering.LONGEST, widget=forms.Textarea(attrs={"rows": 18}), strip=True
    )


class WriteLetter(Act):
    """Write to the reporter from a draft."""

    permission = judging.DECIDE
    letter: ClassVar[Letter]

    def hindrance(self, record: Any, user: User) -> str:
        return lettering.hinders(record, self.letter)

    def consequences(self, record: Any) -> list[str]:
        return ["The newest reporter who can be answered gets it by mail.", "It stands among the notes of the case."]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(LetterForm(data, initial={"text": lettering.draft(record, self.letter)}))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        lettering.send(record.pk, self.letter, form.cleaned_data["text"], by=user)
        return "The letter goes to the reporter."


class SendDeficiency(WriteLetter):
    """Say what a notice lacks."""

    slug, label, letter = "deficiency", "Send the deficiency reply", Letter.DEFICIENCY


class AskForFacts(WriteLetter):
    """Ask for more."""

    slug, label, letter = "write-more-facts", "Ask the reporter for more facts", Letter.MORE_FACTS


class WriteNotOurs(WriteLetter):
    """Say that it is no customer of ours."""

    slug, label, letter = "write-not-ours", "Write that it is not ours", Letter.NOT_OURS


class WritePassedOn(WriteLetter):
    """Say that it was passed on."""

    slug, label, letter = "write-passed-on", "Write that it was passed on", Letter.PASSED_ON


class WriteClosed(WriteLetter):
    """Say that the case is closed."""

    slug, label, letter = "write-closed", "Write that the case is closed", Letter.CLOSED


ACTS = (SendDeficiency, AskForFacts, WriteNotOurs, WritePassedOn, WriteClosed)


def reputation(
    eyes: Eyes, case: AbuseCase, newest: Sequence[AbuseReport] = (), at: dt.datetime | None = None
) -> Section:
    """Return how the newest reporter of a case reported in the last year, counted over cases this person may see.

    `newest` are the newest reports, where the page has them: most often one of them names the reporter.
    """
    title = "The reporter in the last year"
    reporter = next((row.reporter_digest for row in newest if row.reporter_digest is not None), None)
    if reporter is None:
        named = case.reports.filter(reporter_digest__isnull=False).order_by("-received_at", "-pk")
        reporter = named.values_list("reporter_digest", flat=True).first()
    if reporter is None:
        return Section(title, empty="Nobody is named in the reports.")
    counts = _counts(eyes.user, bytes(reporter), at or timezone.now())
    facts = [
        ("Reports", _reports(counts["reports"])),
        ("Cases", str(counts["cases"])),
        ("Cases found authentic and accurate", str(counts["true"])),
        ("Cases closed as not valid or withdrawn", str(counts["fell"])),
    ]
    return Section(title, facts=facts)


def _reports(number: int) -> str:
    return str(number) if number < MOST_COUNTED else f"{MOST_COUNTED} or more; the newest {MOST_COUNTED} are counted"


def _counts(user: User, reporter: bytes, at: dt.datetime) -> dict[str, int]:
    """Return the counts in one query over the index of reports by reporter, of the newest reports only."""
    cases = judging.visible(user, AbuseCase.objects.all())
    rows = AbuseReport.objects.filter(
        reporter_digest=reporter, received_at__gt=at - YEAR, received_at__lte=at, case__in=cases
    )
    is_true = Q(_met(Finding.AUTHENTIC)) & Q(_met(Finding.ACCURATE))
    newest = rows.order_by("-received_at").values("pk")[:MOST_COUNTED]
    return (
        AbuseReport.objects.filter(pk__in=newest)
        .annotate(is_true=is_true)
        .aggregate(
            reports=Count("pk"),
            cases=Count("case", distinct=True),
            true=Count("case", distinct=True, filter=Q(is_true=True)),
            fell=Count("case", distinct=True, filter=Q(case__outcome__in=FELL)),
        )
    )


def _met(item: str) -> Exists:
    """Return whether the finding that counts of an item, the newest one, is yes."""
    of_item = CaseFinding.objects.filter(case=OuterRef("case"), item=item)
    later = CaseFinding.objects.filter(case=OuterRef("case"), item=item).filter(
        Q(found_at__gt=OuterRef("found_at")) | Q(found_at=OuterRef("found_at"), pk__gt=OuterRef("pk"))
    )
    return Exists(of_item.filter(~Exists(later), is_met=True))
