"""What staff do about the customer of an abuse case: tell them, look again, disable, strike, put back (P17-P19)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.utils import timezone

from accounts.admin_base import Act, Eyes, Identifiers, Section, asking
from accounts.models import User
from accounts.templatetags.portal_tags import day_text, moment, moment_text
from disclosures import abuse_clocks, countering, enforcing, judging, notifying, striking
from disclosures.models import (
    AbuseCase,
    AbuseNotice,
    AbuseNoticeItem,
    AbuseReport,
    CaseKind,
    CounterNotice,
    Strike,
    TiplineReport,
)
from disclosures.notifying import MOST_ITEMS, NOTIFY, Claim, notice_of
from disclosures.striking import STRIKE
from retention import schedule

RECENT = 50
ENDED = "This case has ended; that stays."
NOT_TOLD = "The customer was not told yet."
NOT_VALID = "The case is not valid: record the findings first."
# What the data map says to the customer, for whoever reads it of them.
OF_THEM = {
    "Why you need more time": "Why they need more time",
    "Why you disagree": "Why they disagree",
    "Your appeal": "Their appeal",
}
WORDS = 4000


def invalid(case: AbuseCase) -> str:
    """Return why nothing may be done to the customer of a case yet, asked once a page; empty where it may (P18)."""

    def ask() -> str:
        if judging.is_valid(case):
            return ""
        return judging.TAKEN_BACK if judging.is_taken_back(case) else NOT_VALID

    return case.once("invalid", ask)


def words_of(row: AbuseReport) -> str:
    """Return the words of a report, as far as a page shows them."""
    return str((row.read or {}).get("text") or "")[:WORDS]


def facts_of(eyes: Eyes, row: Any) -> list[tuple[str, Any]]:
    """Return the personal fields of a row of the customer's with labels for staff."""
    return [(OF_THEM.get(label, label), value) for label, value in eyes.facts(row)]


class NoticeAct(Act):
    """What the acts on the notice of an open case have in common; some of them need a valid case."""

    permission = NOTIFY
    needs_valid: ClassVar[bool] = False

    def hindrance(self, record: Any, user: User) -> str:
        if record.closed_at:
            return ENDED
        notice = notice_of(record)
        if notice is None:
            return NOT_TOLD
        if notice.ended_at:
            return "What the customer was told has ended."
        return self.hinders(notice, user) or (invalid(record) if self.needs_valid else "")

    def hinders(self, notice: AbuseNotice, user: User) -> str:
        """Return why it cannot be done with an open notice; empty when it can."""
        return ""

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return told(eyes, record)

    def notice(self, record: Any) -> AbuseNotice:
        """Return the notice; there is one, or the act was hindered."""
        found = notice_of(record)
        assert found is not None  # noqa: S101 - asked by hindrance
        return found


class ComplainantForm(forms.Form):
    """Who complains."""

    reference = Identifiers(label="Registered recipient (REC-…)", max_length=20)


class NameComplainant(Act):
    """Say who complains."""

    slug, label, permission = "name-complainant", "Name the complainant", judging.DECIDE
    form_class = ComplainantForm

    def hindrance(self, record: Any, user: User) -> str:
        return ENDED if record.closed_at else ""

    def consequences(self, record: Any) -> list[str]:
        return ["Only this recipient can be given anything of the customer for this case."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        done = judging.name_complainant(record.pk, form.cleaned_data["reference"], by=user)
        assert done.complainant is not None  # noqa: S101 - just set
        return f"{done.complainant.reference} complains in case {record.reference}."


class TiplineForm(forms.Form):
    """The number of the report."""

    number = Identifiers(label="Number that the CyberTipline gave", max_length=100)


class ReportToTipline(Act):
    """Record the report to the CyberTipline."""

    slug, label, permission = "tipline", "Record the report to the CyberTipline", judging.SEES_CSAM
    form_class = TiplineForm

    def hindrance(self, record: Any, user: User) -> str:
        if record.closed_at:
            return ENDED
        if record.kind != CaseKind.CSAM:
            return "Only cases of children are reported there."
        return "It was reported." if TiplineReport.objects.filter(case=record).exists() else ""

    def consequences(self, record: Any) -> list[str]:
        return ["What the account holds is preserved for a year (18 USC 2258A(h)). Nobody is told."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        judging.report_to_tipline(record.pk, by=user, number=form.cleaned_data["number"])
        return f"Case {record.reference} is recorded as reported."


class NotifyForm(forms.Form):
    """What the customer is told; all of it can be changed before it goes."""

    claim = forms.CharField(
        label="What is claimed, in plain words", max_length=5000, widget=forms.Textarea(attrs={"rows": 5})
    )
    locations = Identifiers(
        label="Places, one in a line",
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=f"The exact addresses, at most {MOST_ITEMS}.",
    )
    reporter = forms.CharField(
        label="Who reported it",
        max_length=320,
        required=False,
        help_text="Empty where the reporter does not want to be named.",
    )
    original = forms.CharField(
        label="The report, as the customer may read it",
        max_length=60_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="Without the reporter's address, telephone number and signature.",
    )


class Notify(Act):
    """Tell the customer."""

    slug, label, permission = "notify", "Tell the customer", NOTIFY

    def hindrance(self, record: Any, user: User) -> str:
        if record.closed_at:
            return ENDED
        if record.kind == CaseKind.CSAM:
            return "Nobody is told of these cases (18 USC 2258A)."
        if record.found != AbuseCase.Found.ONE:
            return "Decide first whom it concerns."
        return "The customer was told already." if notice_of(record) is not None else ""

    def consequences(self, record: Any) -> list[str]:
        until = abuse_clocks.act_by(record.kind, record.severity, timezone.now())
        looked_at = record.accurate_at()
        later = looked_at is not None and record.worded_report() != record.worded_report(looked_at)
        return [
            *(["Another report came since you looked. What stands here is from before."] if later else []),
            "The customer gets a mail and reads all of this in the portal.",
            f"Their time begins when the mail is accepted; accepted now, it ends on {moment_text(until)}.",
            "While the answer is due, contact, services, network and the notices are held, 30 days at most.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(NotifyForm(data, initial=_proposed(record)))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        claim = Claim(given["claim"], given["locations"].splitlines(), given["reporter"], given["original"])
        made = notifying.notify(record.pk, claim, by=user)
        return f"The customer is told: notice {made.reference}."


def _proposed(case: AbuseCase) -> dict[str, str]:
    """Return what the newest report with words of its own offers for the notice: of those that were found accurate.

    Anybody can add a report to a case by naming the same address: nobody looked at what came after the finding.
    """
    row = case.worded_report(case.accurate_at())
    read: dict[str, Any] = (row.read if row is not None else None) or {}
    places = [item["url"] for item in read.get("items") or [] if item.get("url")]
    for source in read.get("sources") or []:
        places += source.get("urls") or ([source["address"]] if source.get("address") else [])
    reporter = read.get("reporter") or {}
    named = row is not None and row.may_be_named
    return {
        "locations": "\n".join(dict.fromkeys([*places, *([str(case.source)] if case.source and not places else [])])),
        "reporter": (reporter.get("organisation") or reporter.get("contact") or "") if named else "",
        "claim": ", ".join(dict.fromkeys(item["title"] for item in read.get("items") or [] if item.get("title"))),
        # A report's own words are signed, and tell in other ways who wrote them.
        "original": words_of(row) if row is not None and named else "",
    }


class CameBack(NoticeAct):
    """Note that the mail came back."""

    slug, label = "came-back", "Record that the mail came back"

    def hinders(self, notice: AbuseNotice, user: User) -> str:
        return "It came back before; reach the customer another way." if notice.bounced_at else ""

    def consequences(self, record: Any) -> list[str]:
        return ["The time of the customer did not begin.", "A second contact is written to."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        done = notifying.came_back(self.notice(record).pk, by=user)
        return (
            "A second contact is written to." if done.second_at else "There is no second contact: reach the customer."
        )


class ReachedForm(forms.Form):
    """How the customer was reached."""

    how = forms.CharField(label="Whom you reached, and how", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


class Reached(NoticeAct):
    """Note that the customer was reached another way."""

    slug, label = "reached", "Record that the customer was reached"
    form_class = ReachedForm

    def hinders(self, notice: AbuseNotice, user: User) -> str:
        return "The notice was delivered." if notice.delivered_at else ""

    def consequences(self, record: Any) -> list[str]:
        return ["The time of the customer begins now."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        notifying.reached(self.notice(record).pk, by=user, how=form.cleaned_data["how"])
        return "The time of the customer began."


def _choices(items: Iterable[AbuseNoticeItem]) -> list[tuple[str, str]]:
    return [(str(item.pk), f"{item.number}: {item.location}") for item in items]


def _not_disabled(notice: AbuseNotice) -> list[AbuseNoticeItem]:
    return [item for item in notice.items.all() if item.disabled_at is None]


class DisableForm(forms.Form):
    """Which places."""

    items = forms.MultipleChoiceField(label="Places", widget=forms.CheckboxSelectMultiple)


class Disable(NoticeAct):
    """Disable material."""

    slug, label = "disable", "Record disabled material"
    needs_valid = True

    def hinders(self, notice: AbuseNotice, user: User) -> str:
        if notice.kind not in abuse_clocks.MATERIAL_FIRST:
            return "This notice is about no material."
        return "" if _not_disabled(notice) else "Everything is disabled."

    def consequences(self, record: Any) -> list[str]:
        return ["It stands with your name and the time, and the customer is told (17 USC 512(g)(2)(A))."]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form: Any = DisableForm(data)
        notice = notice_of(record)
        form.fields["items"].choices = _choices(_not_disabled(notice) if notice is not None else [])
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        chosen = [UUID(pk) for pk in form.cleaned_data["items"]]
        count = enforcing.disable(self.notice(record).pk, chosen, by=user)
        return f"Disabled: {count}."


class DisputeForm(forms.Form):
    """What is still there."""

    item = forms.ChoiceField(label="Place", widget=forms.RadioSelect)
    seen = forms.CharField(label="What was seen, and when", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))
    who = forms.ChoiceField(
        label="Who saw it", choices=[("staff", "I did"), ("reporter", "The reporter")], widget=forms.RadioSelect
    )


class Dispute(NoticeAct):
    """Dispute a remedy."""

    slug, label = "dispute", "Record that a place is not fixed"

    def hindrance(self, record: Any, user: User) -> str:
        why = super().hindrance(record, user)
        return why or (judging.TAKEN_BACK if invalid(record) == judging.TAKEN_BACK else "")

    def hinders(self, notice: AbuseNotice, user: User) -> str:
        return "" if any(item.is_fixed for item in notice.items.all()) else "The customer fixed nothing yet."

    def consequences(self, record: Any) -> list[str]:
        return ["The customer reads what was seen, and has time once more."]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form: Any = DisputeForm(data)
        notice = notice_of(record)
        items = [item for item in notice.items.all() if item.is_fixed] if notice is not None else []
        form.fields["item"].choices = _choices(items)
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        reporter = given["who"] == "reporter"
        enforcing.dispute(UUID(given["item"]), by=user, seen=given["seen"], for_reporter=reporter)
        return "The customer is asked once more."


class GiveStrike(NoticeAct):
    """Give a strike."""

    slug, label, permission = "strike", "Give a strike", STRIKE
    needs_valid = True

    def hinders(self, notice: AbuseNotice, user: User) -> str:
        if notice.kind not in striking.KINDS:
            return "Strikes stand on copyright notices."
        return "This notice has its strike." if _only(notice.strikes) else ""

    def consequences(self, record: Any) -> list[str]:
        return ["The customer is told, and can appeal to a colleague of yours."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        row = striking.strike(self.notice(record).pk, by=user)
        return f"The strike counts until {day_text(row.ends_at)}."


def _only(rows: Any) -> Any:
    """Return the one row there can be, from what was fetched with its notice; None where there is none."""
    return next(iter(rows.all()), None)


class WhyForm(forms.Form):
    """Why."""

    why = forms.CharField(label="Why", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


def _strike_of(case: AbuseCase) -> Strike | None:
    notice = notice_of(case)
    found: Strike | None = _only(notice.strikes) if notice is not None else None
    return found


class OverruleStrike(Act):
    """Overrule a strike."""

    slug, label, permission = "overrule-strike", "Withdraw the strike", STRIKE
    form_class = WhyForm

    def hindrance(self, record: Any, user: User) -> str:
        row = _strike_of(record)
        return "" if row is not None and row.overruled_at is None else "There is no strike that stands."

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        row = _strike_of(record)
        assert row is not None  # noqa: S101 - asked by hindrance
        striking.overrule(row.pk, by=user, why=form.cleaned_data["why"])
        return "The strike counts no more."


class AppealForm(forms.Form):
    """What is decided."""

    in_favour = forms.ChoiceField(
        label="Your decision",
        choices=[("no", "The strike stands"), ("yes", "The strike falls, and what it led to with it")],
        widget=forms.RadioSelect,
    )
    decision = forms.CharField(
        label="Why, as the customer reads it", max_length=2000, widget=forms.Textarea(attrs={"rows": 4})
    )


class DecideAppeal(Act):
    """Decide an appeal."""

    slug, label, permission = "decide-appeal", "Answer the appeal", STRIKE
    form_class = AppealForm

    def hindrance(self, record: Any, user: User) -> str:
        row = _strike_of(record)
        if row is None or row.appealed_at is None:
            return "Nobody appealed."
        if row.decided_at is not None:
            return "This appeal is decided."
        return "You gave this strike, so a colleague decides." if row.given_by == user.pk else ""

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return told(eyes, record)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        row = _strike_of(record)
        assert row is not None  # noqa: S101 - asked by hindrance
        given = form.cleaned_data
        striking.decide(row.pk, by=user, in_favour=given["in_favour"] == "yes", decision=given["decision"])
        return "The appeal is decided, and the customer told."


class CounterAct(NoticeAct):
    """What the acts on a signed counter-notice that runs have in common."""

    def hinders(self, notice: AbuseNotice, user: User) -> str:
        counter = _counter_of(notice)
        if counter is None:
            return "There is no signed counter-notice."
        if counter.stopped_at is not None:
            return "It was stopped by a notice of court action."
        return "The material was put back." if counter.put_back_at is not None else ""

    def counter(self, record: Any) -> CounterNotice:
        """Return the counter-notice; there is one, or the act was hindered."""
        found = _counter_of(self.notice(record))
        assert found is not None  # noqa: S101 - asked by hinders
        return found


class AdvancePutBack(CounterAct):
    """Put back on the first day."""

    slug, label = "advance-put-back", "Set the put-back to its first day"

    def consequences(self, record: Any) -> list[str]:
        notice = notice_of(record)
        counter = _counter_of(notice) if notice is not None else None
        return [f"The material comes back on {day_text(counter.put_back_from)}."] if counter is not None else []

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        done = countering.advance(self.counter(record).pk, by=user)
        return f"The material comes back on {day_text(done.put_back_on)}."


class CourtForm(forms.Form):
    """Which court."""

    court_action = forms.CharField(
        label="Court, number of the case, who told us and when",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The customer reads it.",
    )


class StopPutBack(CounterAct):
    """Stop the put-back."""

    slug, label = "stop-put-back", "Record a notice of court action"
    form_class = CourtForm

    def consequences(self, record: Any) -> list[str]:
        return ["The material stays disabled: nothing else stops a put-back, and this cannot be taken back."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        countering.stop(self.counter(record).pk, by=user, court_action=form.cleaned_data["court_action"])
        return "The put-back is stopped."


ACTS = (
    NameComplainant,
    ReportToTipline,
    Notify,
    CameBack,
    Reached,
    Disable,
    Dispute,
    GiveStrike,
    OverruleStrike,
    DecideAppeal,
    AdvancePutBack,
    StopPutBack,
)


def _counter_of(notice: AbuseNotice) -> CounterNotice | None:
    counter: CounterNotice | None = _only(notice.counters)
    return counter if counter is not None and counter.signed_at is not None else None


def tipline(eyes: Eyes, case: AbuseCase) -> list[Section]:
    """Return the report of a case of children, or that it is due."""
    if case.kind != CaseKind.CSAM:
        return []
    row = TiplineReport.objects.filter(case=case).first()
    due = moment_text(case.opened_at + schedule.span("child_report"))
    facts = [("Reported", moment(row.reported_at)), ("By", eyes.who(row.reported_by)), *eyes.facts(row)] if row else []
    return [Section("CyberTipline", facts=facts, empty=f"Not reported yet: due by {due} (18 USC 2258A).")]


def told(eyes: Eyes, case: AbuseCase) -> list[Section]:
    """Return what the customer was told and answered, while their account is there."""
    notice = notice_of(case)
    if notice is None:
        return [Section("What the customer was told", empty=NOT_TOLD)]
    facts = [
        ("Notice", notice.reference),
        ("Sent", moment(notice.sent_at)),
        ("Delivered", moment(notice.delivered_at) or "not yet"),
        ("Came back", moment(notice.bounced_at) or "no"),
        ("Answer by", moment(notice.act_by) or "not set yet"),
        ("Material by", moment(notice.material_by) or "no material"),
        ("More time", f"since {moment_text(notice.extended_at)}" if notice.extended_at else "not asked for"),
        ("Acknowledged", moment(notice.acknowledged_at) or "no"),
        ("Remedied", moment(notice.remedied_at) or "no"),
        ("Disagrees", moment(notice.disagreed_at) or "no"),
        ("Silence", moment(notice.lapsed_at) or "no"),
        ("Suspended", _suspended(notice)),
        ("Ended", notice.get_ended_how_display() if notice.ended_at else "no"),
        *facts_of(eyes, notice),
    ]
    rows = [
        (
            item.number,
            eyes.on(item, "location"),
            moment(item.fixed_at) or "no",
            eyes.on(item, "done"),
            eyes.on(item, "seen"),
            f"{moment_text(item.disabled_at)} by {eyes.who(item.disabled_by)}" if item.disabled_at else "no",
            moment(item.restored_at) or "",
        )
        for item in notice.items.all()
    ]
    head = ("No.", "Where", "Fixed", "What was done", "Still seen", "Disabled", "Back")
    return [
        Section("What the customer was told", facts=[fact for fact in facts if fact[1] not in {"", None}]),
        Section("Places", head=head, rows=rows),
        *_counter(eyes, notice),
        *_strike(eyes, notice),
    ]


def _suspended(notice: AbuseNotice) -> str:
    if notice.suspended_at is None:
        return "no"
    since = f"since {moment_text(notice.suspended_at)}"
    return since if notice.is_suspended else f"{since}, lifted: {notice.get_lifted_how_display()}"


def _counter(eyes: Eyes, notice: AbuseNotice) -> list[Section]:
    counter = _counter_of(notice)
    if counter is None:
        return []
    facts = [
        ("Signed", moment(counter.signed_at)),
        ("Why", counter.get_reason_display()),
        ("Forward by", moment(abuse_clocks.forward_by(counter.signed_at or notice.sent_at))),
        ("Forwarded", moment(counter.forwarded_at) or "not yet: prepare its disclosure"),
        (
            "Put back on",
            f"{day_text(counter.put_back_on)} (from {day_text(counter.put_back_from)}, "
            f"at the latest {day_text(counter.put_back_latest)})",
        ),
        ("Put back", moment(counter.put_back_at) or "no"),
        ("Stopped", moment(counter.stopped_at) or "no"),
        *eyes.facts(counter),
    ]
    return [Section("Counter-notice", facts=facts)]


def _strike(eyes: Eyes, notice: AbuseNotice) -> list[Section]:
    row = _only(notice.strikes)
    if row is None:
        return []
    facts = [
        ("Given", f"{moment_text(row.given_at)} by {eyes.who(row.given_by)}"),
        ("Counts until", day_text(row.ends_at)),
        ("Overruled", moment(row.overruled_at) or "no"),
        ("Appealed", moment(row.appealed_at) or "no"),
        ("Decided", f"{moment_text(row.decided_at)} by {eyes.who(row.decided_by)}" if row.decided_at else "no"),
        *facts_of(eyes, row),
    ]
    return [Section("Strike", facts=facts)]


def copies(eyes: Eyes, case: AbuseCase) -> Section:
    """Return the case's own copy of what passed, newest first: it is there when the account is not."""
    rows = [
        (moment(row.written_at), row.get_kind_display(), eyes.who(row.written_by), eyes.on(row, "text"))
        for row in case.copies.order_by("-written_at", "-pk")[:RECENT]
    ]
    return Section("What passed between us and the customer", head=("When", "What", "Who", "Words"), rows=rows)
