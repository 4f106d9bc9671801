"""Addresses of services over time (P10): assign one, end that, and ask who held an address at a moment.

Who may: provisioning, and staff who hold its place; doors check. No two services hold an address at one moment: the
database refuses it, and the refusal names nobody. An assignment counts from its first moment on and no longer at its
last. `who_held` is where an abuse case or a subpoena starts; its doors record who asked.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import restricting
from accounts.datamap import Purpose
from accounts.errors import NotActionable
from accounts.models import Account, IpAssignment, Service, State
from accounts.recording import CATEGORY_GONE
from accounts.safeguards import ledger

Network = IPv4Network | IPv6Network

# Wider than what one customer is ever given; a typing error would take the whole company's addresses.
WIDEST = {4: 16, 6: 32}
LONGEST = 64
EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
# Clocks of two machines differ by as much.
AHEAD = dt.timedelta(minutes=5)
HAS_HOLDER = "ip_assignment_has_one_holder_at_a_time"
# Both conditions are those of the exclusion constraint, so that its index answers.
WHO_HELD = """
    SELECT i.id, i.address, i.assigned_at, i.ended_at, i.service, i.account_id, a.number
      FROM accounts_ipassignment i JOIN accounts_account a ON a.id = i.account_id
     WHERE i.address && %s::inet AND tstzrange(i.assigned_at, i.ended_at) @> %s::timestamptz
     ORDER BY i.address, i.id LIMIT %s
"""
MOST = 1000
# Accounts of one transaction that ends what outlived its service; the next one goes on.
PICKED = 500
SHORTEST = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Holding:
    """One assignment as `who_held` finds it."""

    assignment: UUID
    address: str
    assigned_at: dt.datetime
    ended_at: dt.datetime | None
    service: UUID
    account: UUID
    account_number: str


def assign(service_id: UUID, address: str, *, by: str, at: dt.datetime | None = None) -> IpAssignment:
    """Assign an address or network to a running service from `at` on, and return the assignment.

    The same address of the same service, held just so, is returned as it is. Raises ValidationError for an address or
    a moment that cannot be, NotActionable for a service that ended, a closed account, one whose customer stopped this
    use of their data, and an address held by another.
    """
    now = timezone.now()
    at = at or now
    network = clean_network(address)
    refuse_moment(at, now)
    with transaction.atomic(durable=True):
        service = Service.objects.get(pk=service_id)
        account = Account.objects.locked([service.account_id]).get()
        service.refresh_from_db()
        known = IpAssignment.objects.filter(service=service.pk, ended_at=None, address=text_of(network)).first()
        if known is not None and known.assigned_at <= at:
            return known
        _refuse_ended(service, account, at)
        restricting.refuse(account.pk, Purpose.ADMINISTER)
        row = IpAssignment(account=account, service=service.pk, address=text_of(network), assigned_at=at)
        _insert(row, account)
        ledger.record(by, "address.assigned", account.pk, at=now, assignment=row.pk, service=service.pk, since=at)
    return row


def end(assignment_id: UUID, *, by: str, at: dt.datetime | None = None) -> IpAssignment:
    """End an assignment at `at` (it no longer counts then) and return it; one that ended at `at` stays as it is.

    Raises ValidationError for a moment that cannot be, NotActionable when it ended at another one.
    """
    now = timezone.now()
    at = at or now
    refuse_moment(at, now)
    with transaction.atomic(durable=True):
        row = IpAssignment.objects.get(pk=assignment_id)
        list(Account.objects.locked([row.account_id]))
        if at <= row.assigned_at:
            raise ValidationError(_("An assignment ends after it began. Give a later moment."), code="moment")
        ended = IpAssignment.objects.filter(pk=row.pk, ended_at=None).update(ended_at=at)
        row.refresh_from_db()
        if ended:
            facts = {"assignment": row.pk, "service": row.service, "until": at}
            ledger.record(by, "address.ended", row.account_id, at=now, **facts)
        elif row.ended_at != at:
            raise NotActionable(f"Assignment {row.pk} has ended already; there is nothing to end.")
    return row


def end_outlived(at: dt.datetime | None = None, *, due_only: bool = False) -> int:
    """End, as of then, what services hold beyond their end; return how many assignments.

    `due_only` looks at accounts past their due date alone. What a hold covers ends like the rest, and stays to be found
    by `who_held`: an address that is not free would tell of the hold (silence.md, S9).
    """
    at = at or timezone.now()
    there = IpAssignment.objects.outlived(at)
    if due_only:
        there = there.filter(account__in=Account.objects.filter(state=State.CLOSED, due_at__lte=at))
    wanted = list(there.order_by().values_list("account", flat=True).distinct()[:PICKED])
    with transaction.atomic(durable=True):
        # Locked first and asked again: a customer may be cancelling in this moment. Whom somebody else has comes next.
        locked = list(Account.objects.locked(wanted, skip=True).values_list("pk", flat=True))
        found: list[Any] = list(IpAssignment.objects.outlived(at).filter(account__in=locked))
        facts = []
        for row in found:
            # A service that was over before it was given the address held it for no time; a span has some.
            row.ended_at = max(row.until, row.assigned_at + SHORTEST)
            about = {"assignment": row.pk, "service": row.service, "until": row.ended_at}
            facts.append(ledger.Fact(ledger.SYSTEM, "address.ended", row.account_id, about))
        IpAssignment.objects.bulk_update(found, ["ended_at"], batch_size=PICKED)
        ledger.record_many(facts, at=at)
    return len(found)


def who_held(address: str, at: dt.datetime, *, most: int = MOST) -> list[Holding]:
    """Return the assignments that held `address` at `at`: one for an address, each inside or around for a network.

    By address, `most` at the most. Raises ValidationError for what is no address or network.
    """
    if timezone.is_naive(at):
        raise TypeError("who_held needs a moment with a time zone.")
    network = parsed(address)
    with connection.cursor() as cursor:
        cursor.execute(WHO_HELD, [text_of(network), at, most])
        return [_holding(row) for row in cursor.fetchall()]


def clean_network(text: str) -> Network:
    """Return the address (as a network of one) or network; raise ValidationError for what nobody can be assigned."""
    network = parsed(text)
    if network.prefixlen < WIDEST[network.version]:
        widest = WIDEST[network.version]
        words = _("This network is too wide. Assign networks of /%(widest)d or narrower.") % {"widest": widest}
        raise ValidationError(words, code="too_wide")
    first = network.network_address
    reserved = first.version == 4 and first.is_reserved
    if reserved or first.is_multicast or first.is_unspecified or first.is_loopback or first.is_link_local:
        raise ValidationError(_("This address belongs to no host on the internet. Assign another one."), code="special")
    return network


def parsed(text: str) -> Network:
    """Return what `text` names; raise ValidationError with the way to write it."""
    text = text.strip()
    if len(text) > LONGEST:
        raise ValidationError(_("This is no IP address or network."), code="address")
    if "%" in text:
        raise ValidationError(
            _("Leave out the zone: the part from % on means something on one machine only."), code="zone"
        )
    try:
        network = ip_network(text)
    except ValueError:
        raise _refusal(text) from None
    if network.version == 6 and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        raise ValidationError(_("This is an IPv4 address inside an IPv6 one. Write it as IPv4."), code="mapped")
    return network


def _refusal(text: str) -> ValidationError:
    address, slash, _prefix = text.partition("/")
    try:
        ip_address(address)
        ip_network(text, strict=False)
    except ValueError:
        return ValidationError(_("This is no IP address or network."), code="address")
    words = _("This network has bits set after its prefix. Write its first address, or leave the prefix out.")
    return ValidationError(words, code="host_bits")


def text_of(network: Network) -> str:
    """Return a network as it is stored: without a prefix when it is one address."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def refuse_moment(at: dt.datetime, now: dt.datetime) -> None:
    """Raise ValidationError for a moment to come or long before the company: whom an address concerned is a fact."""
    if not EARLIEST <= at <= now + AHEAD:
        raise ValidationError(_("Give a moment that has passed, after 1990."), code="moment")


def _refuse_ended(service: Service, account: Account, at: dt.datetime) -> None:
    if account.state != State.ACTIVE:
        raise NotActionable(f"Account {account.number} is {account.state}; its services are given no addresses.")
    if not Service.objects.running(at).filter(pk=service.pk).exists():
        raise NotActionable(f"Service {service.pk} has stopped; it is given no addresses.")


def _insert(row: IpAssignment, account: Account) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if HAS_HOLDER not in str(error):
            raise
        # The database's own words would name the other assignment.
        raise NotActionable("This address is assigned already, whole or in part, at or after that moment.") from None
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") != CATEGORY_GONE:
            raise
        raise NotActionable(f"The addresses of account {account.number} are deleted; none can be assigned.") from None


def _holding(row: tuple[Any, ...]) -> Holding:
    assignment, address, assigned_at, ended_at, service, account, number = row
    return Holding(assignment, str(address), assigned_at, ended_at, service, account, number)
