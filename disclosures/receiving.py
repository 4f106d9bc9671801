"""Receiving a legal request (P15, P16): it is entered, and everything of whom it seeks is held in the same transaction.

Who may: legal and the privacy officer. What afterwards holds: the accounts found are held for ten business days,
untold, or nothing was entered at all. Where the search finds nobody or several, a person decides; several are held
until then.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import assigning
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import Account, Contact, SignInIdentifier, User
from accounts.models.contacts import address_digest
from accounts.safeguards import finding, ledger
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.ledger import SYSTEM
from accounts.uploads import File
from disclosures import alarming, documenting, informing, lookalikes, preserving
from disclosures.legal_rows import ASSIGNS, RECEIVES, locked, locked_open, refuse_strangers
from disclosures.models import Instrument, LegalNote, LegalRequest, Sought
from retention import dates
from retention.models.holds import HOLDABLE
from retention.refusals import named

Period = tuple[dt.datetime | None, dt.datetime | None]
Kind, Found = Sought.Kind, Sought.Found
# Clocks of two machines differ by as much.
AHEAD = dt.timedelta(minutes=5)
# More than this are no person but a range: nobody is held before a person decided.
MOST_HELD = 10
# These come from the government alone; others from whoever it says.
GOVERNMENTAL = {
    Instrument.GRAND_JURY_SUBPOENA,
    Instrument.ADMINISTRATIVE_SUBPOENA,
    Instrument.GOVERNMENT_SUBPOENA,
    Instrument.COURT_ORDER,
    Instrument.SEARCH_WARRANT,
    Instrument.NATIONAL_SECURITY_LETTER,
    Instrument.EMERGENCY,
}
PRIVATE = {Instrument.CIVIL_SUBPOENA, Instrument.SUBPOENA_512H}


@dataclass(frozen=True)
class Person:
    """Somebody a request seeks, as it names them; an address with the moment it was held."""

    kind: str
    value: str
    moment: dt.datetime | None = None


def docket_digest(docket: str) -> bytes:
    """Return the blind index of a docket: however it is spaced, dashed or cased."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKC", docket).casefold() if letter.isalnum())
    return finding.digest("docket", letters)


def receive(
    *,
    by: User,
    submission: UUID,
    instrument: str,
    is_governmental: bool,
    authority: str,
    served_how: str,
    served_at: dt.datetime,
    official: str = "",
    docket: str = "",
    jurisdiction: str = "",
    due_at: dt.datetime | None = None,
    categories: Iterable[str] = (),
    period: Period = (None, None),
    wording: str = "",
    recipient_id: UUID | None = None,
    preserved_by_id: UUID | None = None,
    sender: str = "",
    persons: Sequence[Person] = (),
    files: Sequence[File] = (),
    at: dt.datetime | None = None,
) -> LegalRequest:
    """Enter a request, hold whom it seeks, keep its documents, and return it; the same form twice enters one.

    Raises ValidationError for what cannot be, NotPlaced when an account stays busy: then nothing was entered.
    """
    at = at or timezone.now()
    refuse_strangers(by, RECEIVES)
    categories = sorted(set(categories))
    _refuse_odd(instrument, is_governmental, served_at, categories, period, persons, at)
    for text in (authority, official, docket, wording, sender):
        refuse_card_number(text)
    looked = [documenting.look(file) for file in files]
    with named("of this request"), keyring(), transaction.atomic(durable=True):
        made = LegalRequest.objects.filter(submission=submission).first()
        if made is not None:
            return made
        request = LegalRequest.objects.create(
            submission=submission,
            instrument=instrument,
            is_governmental=is_governmental,
            recipient_id=recipient_id,
            authority=authority.strip(),
            official=official.strip() or None,
            docket=docket.strip() or None,
            docket_digest=docket_digest(docket) if docket.strip() else None,
            jurisdiction=jurisdiction.strip().upper(),
            served_how=served_how,
            served_at=served_at,
            received_by=by.pk,
            received_at=at,
            due_at=due_at,
            categories=categories,
            period_from=period[0],
            period_to=period[1],
            wording=wording.strip() or None,
            preserved_by_id=preserved_by_id,
        )
        ledger.record(
            by.actor,
            "legal.received",
            request.pk,
            at=at,
            instrument=str(instrument),
            is_governmental=is_governmental,
            served_at=served_at,
            due_at=due_at,
            categories=categories,
            documents=len(looked),
        )
        _note_sender(request, sender, by, at)
        _seek(request, persons, by, at)
        for each in looked:
            documenting.keep_within(request, each, by=by, at=at)
        alarming.alarm(request, at)
    return request


def _refuse_odd(
    instrument: str,
    is_governmental: bool,
    served_at: dt.datetime,
    categories: Sequence[str],
    period: Period,
    persons: Sequence[Person],
    at: dt.datetime,
) -> None:
    if instrument in GOVERNMENTAL and not is_governmental:
        raise ValidationError("This instrument comes from a government body. Tick that it does, or choose another one.")
    if instrument in PRIVATE and is_governmental:
        raise ValidationError("This instrument comes from a private party. Choose the government's own instrument.")
    dates.refuse_unlikely(served_at)
    if served_at > at + AHEAD:
        raise ValidationError("It was served before it is entered. Give a moment that has passed.")
    if unknown := set(categories) - set(HOLDABLE):
        raise ValidationError(f"Choose categories of the list; {len(unknown)} of these are none that can be asked for.")
    if period[0] and period[1] and period[1] <= period[0]:
        raise ValidationError("Give an end of the period that is later than its beginning.")
    if any(person.kind == Kind.ADDRESS and person.moment is None for person in persons):
        raise ValidationError("Give the moment at which each IP address was held, with its time.")


def _note_sender(request: LegalRequest, sender: str, by: User, at: dt.datetime) -> None:
    """Keep the address it came from, and say so when it only looks like the one on file."""
    if not sender.strip():
        return
    on_file = request.recipient
    verdict = lookalikes.compared(sender, str(on_file.email) if on_file else "")
    text = f"It came from {sender.strip()}: {lookalikes.WORDS[verdict]}."
    LegalNote.objects.create(request=request, text=text, written_by=by.pk, written_at=at)
    if verdict == lookalikes.LOOKALIKE:
        ledger.record(by.actor, "legal.lookalike", request.pk, at=at)


def _seek(request: LegalRequest, persons: Sequence[Person], by: User, at: dt.datetime) -> list[Sought]:
    """Search, lock, hold, and write down whom the request seeks, in the caller's transaction."""
    found = [(person, accounts_of(person)) for person in persons]
    held = sorted({pk for _, accounts in found if len(accounts) <= MOST_HELD for pk in accounts})
    list(Account.objects.locked(held))
    preserving.hold_provisionally(request, held, by=by.actor, at=at)
    rows = []
    for person, accounts in found:
        word = Found.NONE if not accounts else Found.ONE if len(accounts) == 1 else Found.SEVERAL
        rows.append(
            Sought.objects.create(
                request=request,
                kind=person.kind,
                value=person.value.strip(),
                moment=person.moment,
                found=word,
                account_id=accounts[0] if word == Found.ONE else None,
                decided_by=SYSTEM,
                decided_at=at,
            )
        )
        facts = {"sought": rows[-1].pk, "kind": str(person.kind), "found": str(word), "accounts": accounts[:MOST_HELD]}
        ledger.record(by.actor, "legal.sought", request.pk, at=at, **facts)
    return rows


def accounts_of(person: Person) -> list[UUID]:
    """Return the accounts somebody is found by, each once; `MOST_HELD` and one more at the most.

    What cannot be read finds nobody, and waits for a person like that. There is no index of domains: they wait too.
    """
    value = person.value.strip()
    try:
        if person.kind == Kind.ACCOUNT:
            number = "".join(letter for letter in value if letter.isalnum())
            found: Iterable[UUID | None] = Account.objects.filter(number=number).values_list("pk", flat=True)
        elif person.kind == Kind.EMAIL:
            found = _by_email(finding.clean_email(value))
        elif person.kind == Kind.ADDRESS and person.moment is not None:
            holdings = assigning.who_held(value, person.moment, most=assigning.MOST)
            found = [holding.account for holding in holdings]
        else:
            found = []
    except ValidationError:
        found = []
    return sorted({pk for pk in found if pk is not None})[: MOST_HELD + 1]


def _by_email(address: str) -> list[UUID | None]:
    names = SignInIdentifier.objects.filter(
        kind=SignInIdentifier.Kind.EMAIL, digest=finding.digest("email", address), account__isnull=False
    )
    contacts = Contact.objects.filter(email_digest=address_digest(address))
    return [*names.values_list("account_id", flat=True), *contacts.values_list("account_id", flat=True)]


def seek_more(request_id: UUID, *, by: User, person: Person, at: dt.datetime | None = None) -> Sought:
    """Add somebody a request seeks, held at once; one that was verified stays as it was."""
    at = at or timezone.now()
    refuse_strangers(by, RECEIVES)
    if person.kind == Kind.ADDRESS and person.moment is None:
        raise ValidationError("Give the moment at which the IP address was held, with its time.")
    with named("of this request"), keyring(), transaction.atomic(durable=True):
        request = locked_open(request_id, *accounts_of(person))
        if request.verified_at is not None:
            raise NotActionable(
                f"Request {request.reference} was verified as it was. Enter what seeks somebody else as a new request."
            )
        return _seek(request, [person], by, at)[0]


def decide_sought(sought_id: UUID, *, by: User, number: str = "", at: dt.datetime | None = None) -> Sought:
    """Decide whom a request seeks where the search found nobody or several: an account, or nobody of ours.

    The account is held at once. Raises ValidationError for a number no account has, NotActionable when it is decided.
    """
    at = at or timezone.now()
    refuse_strangers(by, RECEIVES)
    account = Account.objects.filter(number=number.strip()).first() if number.strip() else None
    if number.strip() and account is None:
        raise ValidationError("No account has this number. Check it for typing errors.")
    sought = Sought.objects.filter(pk=sought_id).first()
    if sought is None:
        raise NotActionable("This request seeks no such person. Open it again.")
    with named("of this request"), keyring(), transaction.atomic(durable=True):
        request = locked_open(sought.request_id, *([account.pk] if account else []))
        word = Found.ONE if account else Found.NOT_OURS
        waiting = Sought.objects.filter(pk=sought_id, found__in=[Found.NONE, Found.SEVERAL])
        if not waiting.update(found=word, account=account, decided_by=by.actor, decided_at=at):
            raise NotActionable(f"Request {request.reference}: this person was decided already. Add another one.")
        ledger.record(by.actor, "legal.sought-decided", request.pk, at=at, sought=sought_id, found=str(word))
        if account is not None and request.verified_at is None:
            preserving.hold_provisionally(request, [account.pk], by=by.actor, at=at)
        elif account is not None and preserving.hold_verified(request, account.pk, by=by.actor, at=at):
            informing.owe(request, account.pk, at=at)
    sought.refresh_from_db()
    return sought


def assign(request_id: UUID, *, by: User, to: UUID | None = None, at: dt.datetime | None = None) -> LegalRequest:
    """Let `to`, or whoever asks, take care of a request and return it."""
    at = at or timezone.now()
    refuse_strangers(by, ASSIGNS)
    with keyring(), transaction.atomic(durable=True):
        request = locked(request_id)
        if request.assigned_to != (to or by.pk):
            request.assigned_to = to or by.pk
            request.save(update_fields=["assigned_to"])
            ledger.record(by.actor, "legal.assigned", request.pk, at=at, to=request.assigned_to)
    return request


def note(request_id: UUID, *, by: User, text: str, at: dt.datetime | None = None) -> LegalNote:
    """Write a note on the timeline of a request, of an ended one too, and return it."""
    at = at or timezone.now()
    refuse_strangers(by, RECEIVES)
    refuse_card_number(text)
    if not text.strip():
        raise ValidationError("Write your note.")
    with keyring(), transaction.atomic(durable=True):
        request = locked(request_id)
        written = LegalNote.objects.create(request=request, text=text.strip(), written_by=by.pk, written_at=at)
        ledger.record(by.actor, "legal.noted", request.pk, at=at, note=written.pk)
    return written
