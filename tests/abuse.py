"""What the abuse desk brings into a test: a case of a customer, valid or not, a notice, its delivery in the past."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from django.utils import timezone
from psycopg import Connection

from accounts import assigning
from accounts.keys.keyring import keyring
from accounts.models import Service, User
from accounts.safeguards import outbox
from disclosures import enforcing, judging, notifying, reporting
from disclosures.models import AbuseCase, AbuseNotice, CaseKind, CounterNotice, Finding, Recipient
from disclosures.models.cases import ELEMENTS
from disclosures.reports.shape import Format, Item, Kind, Mail, Party, Report, Source
from tests.cast import DAY, run_service
from tests.legal import make_recipient

NUMBERS = itertools.count(1)
ADDRESS = "203.0.113.9"
PLACES = ("https://www.alice.example/a.jpg", "https://www.alice.example/b.jpg")
TRUE = (Finding.AUTHENTIC, Finding.ACCURATE)
OF_KIND = {kind: named for named, kind in reporting.KINDS.items()} | {CaseKind.DMCA: Kind.COPYRIGHT}
NAMES = {"name": "Alice Canary", "address": "7 Alice Street\nAliceville, IL 60601", "phone": "+1 312 5550199"}


def holder(user: User) -> User:
    """Let a service of the customer hold `ADDRESS`, which reports are about, for eight days; return the customer."""
    service = run_service(user, at=timezone.now() - 9 * DAY)
    assigning.assign(service.pk, ADDRESS, by="system", at=timezone.now() - 8 * DAY)
    return user


def make_case(user: User, kind: str = CaseKind.DMCA, *, at: dt.datetime | None = None, reply: str = "") -> AbuseCase:
    """Return an open case about the user's service, with one report that can be answered at `reply`, if anywhere.

    Nothing is found of it yet.
    """
    at = at or timezone.now()
    service = Service.objects.filter(account=user.account_id).first() or run_service(user, at=at - 9 * DAY)
    # One address a case: reports about one source would be one matter.
    address = f"203.0.113.{next(NUMBERS)}"
    assigning.assign(service.pk, address, by="system", at=at - 8 * DAY)
    report = Report(
        Format.FREE_TEXT,
        OF_KIND.get(kind, Kind.OTHER),
        sender=Party(organisation="Film Rights Ltd", contact="Rhea Reporter", email="rhea@film.example"),
        reporter=Party(organisation="Film Rights Ltd", contact="Rhea Reporter", email="rhea@film.example"),
        sources=(Source(address=address, urls=PLACES),),
        items=tuple(Item(title="A film", url=place) for place in PLACES),
        text="These two files copy our film.",
        content_hash=f"{kind} {address}",
        mail=Mail(reply_address=reply),
    )
    [taken] = reporting.take_in(f"{kind} {address}".encode(), channel="form", report=report, at=at)
    if taken.case.kind != kind:
        AbuseCase.objects.filter(pk=taken.case.pk).update(kind=kind)
    return AbuseCase.objects.get(pk=taken.case.pk)


def take_back(case: AbuseCase, *, at: dt.datetime | None = None, sender: str = "rhea@film.example") -> AbuseCase:
    """Let the reporter take back what a copyright case is about; return the case that it went into."""
    who = Party(organisation="Film Rights Ltd", contact="Rhea Reporter", email=sender)
    report = Report(
        Format.ACNS,
        Kind.COPYRIGHT,
        sender=who,
        reporter=who,
        sources=(Source(address=read(case, "source")),),
        text="We were wrong: this is your customer's own film.",
        is_retraction=True,
        content_hash=f"taken back {next(NUMBERS)}",
        mail=Mail(),
    )
    [taken] = reporting.take_in(f"taken back {case.pk}".encode(), channel="api", report=report, at=at)
    return taken.case


def find_true(case: AbuseCase, by: User) -> None:
    """Record everything that makes a case valid: both findings, and of a copyright notice its six elements."""
    for item in (*TRUE, *(ELEMENTS if case.kind == CaseKind.DMCA else ())):
        judging.find(case.pk, item, by=by, is_met=True)


def complain(case: AbuseCase, by: User) -> Recipient:
    """Register the complainant of a case."""
    recipient = make_recipient("complainant", name="Film Rights Ltd")
    judging.name_complainant(case.pk, recipient.reference, by=by)
    return recipient


def tell(
    case: AbuseCase, by: User, *, at: dt.datetime | None = None, delivered: bool = True, **given: Any
) -> AbuseNotice:
    """Tell the customer of a case at `at`; the mail is accepted then, unless told otherwise."""
    at = at or timezone.now()
    facts = {"words": "Two files copy a film.", "locations": PLACES, "reporter": "Film Rights Ltd"} | given
    notice = notifying.notify(case.pk, notifying.Claim(**facts), by=by, at=at)
    if delivered and notice.letter is not None:
        notifying.delivered(notice.letter, at)
    notice.refresh_from_db()
    return notice


def told(
    user: User, by: User, kind: str = CaseKind.DMCA, *, ago: dt.timedelta = dt.timedelta(0), valid: bool = True
) -> AbuseNotice:
    """Return a notice of a new case that was delivered `ago`."""
    at = timezone.now() - ago
    case = make_case(user, kind, at=at)
    if valid:
        find_true(case, by)
    return tell(case, by, at=at)


def silent(user: User, by: User, kind: str = CaseKind.DMCA, *, valid: bool = True) -> AbuseNotice:
    """Return a notice whose time is over without an answer, after the clock has looked at it."""
    notice = told(user, by, kind, ago=20 * DAY, valid=valid)
    enforcing.watch()
    notice.refresh_from_db()
    return notice


def sign_counter(user: User, by: User, *, struck: bool = False) -> CounterNotice:
    """Return a signed counter-notice to a copyright notice whose material was disabled, with its strike if asked."""
    from disclosures import countering, striking  # noqa: PLC0415 - only who counters needs it

    notice = told(user, by, ago=3 * DAY)
    enforcing.watch(timezone.now() - DAY)
    if struck:
        striking.strike(notice.pk, by=by)
    words = countering.Words("fair_use", "It is a review.", email="alice@alice.example", **NAMES)
    pks = list(notice.items.values_list("pk", flat=True))
    row = countering.draft(notice.pk, pks, words, by=user)
    return countering.sign(row.pk, by=user, signature="alice  canary")


def days_pass(owner: Connection, table: str, pk: object, **columns: str) -> None:
    """Move columns of a row as if days had passed: only the owner of the database can, and only without the guard."""
    name = f"disclosures_{table}"
    guard = {"abusenotice": "z_guard_abuse_notice", "counternotice": "z_guard_counter_notice"}.get(table)
    guard = guard or {"strike": "z_guard_strike", "abusecase": "z_guard_abuse_case"}[table]
    changes = ", ".join(f"{column} = {value}" for column, value in columns.items())
    owner.execute(f"ALTER TABLE {name} DISABLE TRIGGER {guard}")
    owner.execute(f"UPDATE {name} SET {changes} WHERE id = %s", [pk])
    owner.execute(f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {guard}")


def mails() -> list[str]:
    """Send what waits and return the subjects, oldest first."""
    from django.core import mail  # noqa: PLC0415 - the outbox of the test run

    outbox.relay(limit=500)
    return [message.subject for message in mail.outbox]


def read(row: Any, name: str) -> Any:
    """Return a sealed value."""
    with keyring():
        return getattr(type(row).objects.get(pk=row.pk), name)
