"""How the policy is kept: one row per clause P1-P31, made from what the software is (clauses.md).

Numbers come from the schedule, counts from the data map: a page written by hand is true on the day it is written.
`shown_by` names the tests that prove a row; a test compares the names with the files.
A clause that this version keeps by doing nothing of the kind says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy

from accounts import datamap, visits
from accounts.datamap import Category
from retention import schedule
from retention.models.holds import HOLDABLE


@dataclass(frozen=True)
class Clause:
    """One clause: its id, what the policy says, what the software does, and the tests that show it."""

    id: str
    says: Any
    does: Any
    shown_by: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A clause as the page shows it, with today's numbers."""

    id: str
    says: str
    does: str
    shown_by: tuple[str, ...]


def rows() -> Iterator[Row]:
    """Yield every clause in order, with the numbers of this moment filled in."""
    facts = _facts()
    for clause in CLAUSES:
        yield Row(clause.id, str(clause.says), str(clause.does) % facts, clause.shown_by)


def _facts() -> dict[str, Any]:
    governed = datamap.governed()
    return {
        "tables": len(governed),
        "fields": sum(len(entry.fields) for entry in governed.values()),
        "categories": len(datamap.categories()),
        "holdable": len([name for name in HOLDABLE if Category(name) in datamap.categories()]),
        "grace": schedule.number("grace"),
        "access": schedule.number("access"),
        "signals": schedule.number("signals"),
        "analytics": schedule.number("analytics"),
        "invoices": schedule.number("invoices"),
        "pause": schedule.number("pause"),
        "export": schedule.number("export"),
        "secured": schedule.number("secured"),
        "preservation": schedule.number("preservation"),
        "fewest": visits.FEWEST,
    }


def _clause(name: str, says: Any, does: Any, *shown_by: str) -> Clause:
    return Clause(name, says, does, shown_by)


_l = gettext_lazy
CLAUSES = (
    _clause(
        "P1",
        _l("We collect only the information that is required."),
        _l(
            "Each stored personal field is declared with its purpose: %(fields)s fields in %(tables)s tables. "
            "An undeclared one stops the start."
        ),
        "test_data_map.py",
        "test_new_model.py",
    ),
    _clause(
        "P2",
        _l("Contact information: name, company, e-mail, billing addresses, telephone numbers."),
        _l("You read and change your contacts and addresses. A new e-mail address counts once both addresses agree."),
        "test_contacts.py",
    ),
    _clause(
        "P3",
        _l("User names, account numbers and passwords."),
        _l("Passwords are kept as Argon2 hashes only. An account number is never given out twice."),
        "test_sign_in.py",
        "test_registering.py",
    ),
    _clause(
        "P4",
        _l("Billing information, directly or through payment providers."),
        _l("We keep the provider's token, the brand and four digits. A card number is refused in every field."),
        "test_cards.py",
    ),
    _clause(
        "P5",
        _l("Website analytics."),
        _l("We count page visits ourselves, without a cookie. Your browser's wish not to be followed is honoured."),
        "test_page_visits.py",
    ),
    _clause(
        "P6",
        _l("IP addresses and browser information."),
        _l("Each sign-in, order and use of the API is noted, encrypted, and expires after %(access)s days."),
        "test_sessions.py",
    ),
    _clause(
        "P7",
        _l("Information about an order to prevent fraud."),
        _l("It is noted with the order, encrypted, and expires after %(signals)s days."),
        "test_orders.py",
    ),
    _clause(
        "P8",
        _l("We use it to provide services, fulfil orders and send confirmations and invoices."),
        _l("You read, print and download each order and invoice here, and get both by mail."),
        "test_invoices.py",
    ),
    _clause(
        "P9",
        _l("We use it to answer service requests."),
        _l("Conversations with support stay with your account, encrypted under its own key."),
        "test_tickets.py",
    ),
    _clause(
        "P10",
        _l("We use it to administer the services of the account."),
        _l("Each service is kept with its addresses over time. The database refuses two holders of one address."),
        "test_addresses.py",
    ),
    _clause(
        "P11",
        _l("We use it to prevent fraudulent orders and unauthorised card use."),
        _l("Declared rules score an order. A person decides about a high score, and the reason is recorded."),
        "test_orders.py",
    ),
    _clause(
        "P12",
        _l("We limit what is shared with third parties."),
        _l(
            "Nothing leaves but through a record with one recipient, one ground and named kinds of data. One person "
            "prepares it, another approves exactly its files."
        ),
        "test_disclosures.py",
        "test_guards_of_disclosures.py",
    ),
    _clause(
        "P13",
        _l("Information without identities may go to partners."),
        _l("Only declared questions are counted. Counts under %(fewest)s are hidden, and what would give them away."),
        "test_aggregates.py",
    ),
    _clause(
        "P14",
        _l("We do not sell customer information."),
        _l("The database takes no record of something given for a payment."),
        "test_guards_of_disclosures.py",
    ),
    _clause(
        "P15",
        _l("We comply with court orders and legal process."),
        _l(
            "Each request is checked point by point before anything is made. The customer is told before a release, "
            "unless a court forbids it."
        ),
        "test_legal_receiving.py",
        "test_telling.py",
    ),
    _clause(
        "P16",
        _l("Such requests may cover name, addresses, services, payment methods and dates."),
        _l("Each field is declared with the part of the law (18 USC 2703) that reaches it. A packet holds no more."),
        "test_reach.py",
        "test_packing.py",
    ),
    _clause(
        "P17",
        _l("Contact information may be disclosed if a customer does not act on a complaint."),
        _l("This version takes no complaints. Nothing is disclosed on this ground."),
        "test_disclosures.py",
    ),
    _clause(
        "P18",
        _l("Complaints must be authentic and accurate."),
        _l("This version takes no complaints, so it acts on none."),
        "test_access_matrix.py",
    ),
    _clause(
        "P19",
        _l("Services may be suspended until receipt is acknowledged and the remedy performed."),
        _l("A suspension is a record with time and person, and so is its end. Nothing suspends by itself."),
        "test_addresses_pages.py",
    ),
    _clause(
        "P20",
        _l("Information is shared with prior consent."),
        _l(
            "You agree per partner and kind of data, and withdraw in one press. A release needs a consent that stands "
            "at that moment."
        ),
        "test_consent.py",
        "test_disclosures.py",
    ),
    _clause(
        "P21",
        _l("We safeguard personal information by the best practice of the industry."),
        _l(
            "Each account has its own key per kind of data. Staff need a second factor, and each look at your data "
            "is recorded."
        ),
        "test_sealed_fields.py",
        "test_ledger.py",
    ),
    _clause(
        "P22",
        _l("Personal information is kept as long as the account is active."),
        _l("Nothing is erased early but what the schedule names. What an account holds is listed with its end."),
        "test_data_pages.py",
    ),
    _clause(
        "P23",
        _l("Deletion by submitting a support ticket."),
        _l("A web form opens a request with a reference. After %(grace)s days the data is erased and counted."),
        "test_pages_delete.py",
        "test_canaries.py",
    ),
    _clause(
        "P24",
        _l("Removal cannot be guaranteed with pending legal requests."),
        _l("A hold covers up to %(holdable)s kinds of data. The database refuses to erase what one covers."),
        "test_guards_raw_sql.py",
        "test_races.py",
    ),
    _clause(
        "P25",
        _l("Removal cannot be guaranteed with payment disputes."),
        _l("An open dispute blocks what is needed to settle it. The deletion goes on by itself afterwards."),
        "test_api_disputes.py",
    ),
    _clause(
        "P26",
        _l("Removal cannot be guaranteed with unsatisfied agreements."),
        _l("Unpaid invoices and running terms block, nothing else. A staff pause lasts at most %(pause)s days."),
        "test_pages_delete.py",
        "test_pauses.py",
    ),
    _clause(
        "P27",
        _l("Deleted information may remain in backups until these are replaced."),
        _l("Its keys are destroyed with it: what a backup still holds of it cannot be read."),
        "test_keys.py",
        "test_canaries.py",
    ),
    _clause(
        "P28",
        _l("Business information is kept while the account is active."),
        _l("You read, add and remove it here. It ends with the account like everything else."),
        "test_given.py",
    ),
    _clause(
        "P29",
        _l("Business information is not shared without prior consent."),
        _l("It leaves by your consent. Where a court compels it, two people record why it cannot be refused."),
        "test_disclosures.py",
        "test_delivering.py",
    ),
    _clause(
        "P30",
        _l("Confidential information is given to no third party."),
        _l(
            "No consent releases it; a court can compel single items. Staff must state a reason to open an item, and "
            "you see each opening."
        ),
        "test_given.py",
        "test_delivering.py",
    ),
    _clause(
        "P31",
        _l("Analytics serve changes to website layout and service offerings."),
        _l("Staff see counts per page and week. Counts under %(fewest)s are hidden; single visits are seen by nobody."),
        "test_page_visits.py",
    ),
)
