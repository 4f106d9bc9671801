"""Who looked: from the ledger, by role and never by name, and legal staff only once their matter is told (S8)."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import moment_text
from disclosures import activity
from disclosures.models import Disclosure, LegalRequest
from retention import placing, releasing, telling
from retention.models import Hold
from tests import legal
from tests.cast import DAY, make_staff
from tests.pairing import differences, pair, shown, walk
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")

LAW = "The law can require us to keep or hand over more than this page shows, and can forbid us to say so."


def looked(
    user: User, by: User, *roles: str, categories: tuple[str, ...] = ("contact",), at: dt.datetime | None = None
) -> dt.datetime:
    at = at or timezone.now()
    facts = {"categories": list(categories), "roles": list(roles), "kind": "accounts.contact", "object": user.pk}
    ledger.record(by.actor, "viewed", user.account_id, at=at, **facts)
    return at


def page(user: User, **query: str) -> str:
    return words(signed_in(user).get(reverse("disclosures:activity"), query)).replace(" .", ".")


def test_a_look_is_listed_by_role_with_when_what_and_why(alice, sam):
    at = looked(alice, sam, "support", categories=("contact", "identity"))

    text = page(alice)

    assert (
        f"{moment_text(at)} support Contact details, Name and account (Contact) to respond to service requests" in text
    )
    assert "sam" not in text.lower().replace("same", "")
    assert str(sam.pk) not in text
    assert LAW in text


def test_what_an_admin_page_shows_appears_here(alice, sam):
    staff = signed_in(sam)
    account = reverse("admin:accounts_account_change", args=[alice.account_id])
    assert staff.get(account).status_code == 200

    assert "support" in page(alice)


def test_opened_confidential_information_is_listed(alice, sam):
    ledger.record(sam.actor, "confidential.opened", alice.account_id, item=alice.pk, roles=["support"])

    assert "support Confidential information" in page(alice)


def test_nothing_to_list_since_the_account_began(alice):
    text = page(alice)

    assert "Nothing to list since" in text
    assert LAW in text


def test_what_was_given_to_others_is_listed_once_it_may_be(alice, owner):
    request = legal.make_request(alice.account)
    order = legal.silence(request)
    released(request, alice.account, owner)
    assert "Nothing to list since" in page(alice)

    type(order).objects.filter(pk=order.pk).update(lifted_at=timezone.now(), lifted_by=uuid4())
    assert "Nothing to list since" in page(alice)
    legal.tell(request, alice.account)
    text = page(alice)
    assert "The authority of Testville Name and account A legal request required it." in text
    assert "No look to list" in text
    assert LAW in text


def test_what_they_agreed_to_is_listed_at_once(alice, bob, owner):
    partner = legal.make_recipient("partner")
    released(legal.consent(alice.account, partner), alice.account, owner, categories=["contact"])

    assert "The partner of Testville Contact details You agreed to it." in page(alice)
    assert "Nothing to list since" in page(bob)


def released(basis, account, owner, **given):
    """Write a released disclosure past its guards: what the page shows is asked here, not how it came."""
    by_request = isinstance(basis, LegalRequest)
    facts = {
        "account": account,
        "recipient": basis.recipient,
        "basis": "legal_request" if by_request else "consent",
        "legal_request" if by_request else "consent": basis if by_request else basis.pk,
        "categories": ["identity"],
        "purpose": "as asked",
        "submission": uuid4(),
        "made_by": uuid4(),
        "made_at": timezone.now(),
    }
    with keyring():
        made = Disclosure.objects.create(**(facts | given))
    owner.execute("ALTER TABLE disclosures_disclosure DISABLE TRIGGER z_guard_disclosure")
    owner.execute(
        "UPDATE disclosures_disclosure SET state = 'released', packet_hash = 'x', submitted_at = now(), "
        "released_at = now(), released_by = gen_random_uuid() WHERE id = %s",
        [made.pk],
    )
    owner.execute("ALTER TABLE disclosures_disclosure ENABLE ALWAYS TRIGGER z_guard_disclosure")


def test_other_accounts_and_other_acts_are_not_listed(alice, bob, sam):
    looked(bob, sam, "support")
    ledger.record(sam.actor, "account.renamed", alice.account_id)

    assert "Nothing to list since" in page(alice)


@pytest.mark.parametrize("role", ["legal", "privacy_officer"])
def test_views_of_legal_staff_stay_off_until_their_matter_is_told(alice, rita, role):
    past = looked(alice, rita, role, at=timezone.now() - 3 * DAY)
    hold = placing.place(alice.account_id, Hold.Kind.LEGAL, by=rita.actor)
    assert "Nothing to list since" in page(alice)

    telling.tell(hold.pk, by=rita, how="letter")

    words_of_role = role.replace("_", " ")
    assert f"{moment_text(past)} {words_of_role} Contact details (Contact) to answer what the law requires" in page(
        alice
    )
    # A later matter is a later secret.
    looked(alice, rita, role, at=timezone.now() + dt.timedelta(seconds=5))
    assert page(alice).count(words_of_role) == 1


def test_one_matter_told_while_another_is_not_opens_nothing(alice, rita):
    looked(alice, rita, "legal")
    first = placing.place(alice.account_id, Hold.Kind.LEGAL, by=rita.actor)
    second = placing.place(alice.account_id, Hold.Kind.PRESERVATION, by=rita.actor)

    telling.tell(first.pk, by=rita, how="letter")
    assert "Nothing to list since" in page(alice)

    telling.tell(second.pk, by=rita, how="letter")
    assert "legal Contact details" in page(alice)


def test_a_staff_pause_is_no_matter(alice, rita):
    looked(alice, rita, "legal")
    placing.place(alice.account_id, Hold.Kind.OPERATIONS, by=rita.actor)
    hold = placing.place(alice.account_id, Hold.Kind.LEGAL, by=rita.actor)

    telling.tell(hold.pk, by=rita, how="letter")

    assert "legal Contact details" in page(alice)


def test_somebody_of_two_roles_counts_as_the_quiet_one(alice, rita):
    looked(alice, rita, "legal", "support")

    assert "Nothing to list since" in page(alice)


def test_a_category_named_legal_is_no_role(alice, sam):
    looked(alice, sam, "billing", categories=("invoices", "legal"))

    assert "billing Invoices and payments, Legal records" in page(alice)


def test_years_and_pages_come_from_what_is_shown(alice, sam, rita, monkeypatch):
    monkeypatch.setattr("disclosures.views.ENTRIES_A_PAGE", 2)
    now = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
    for years in (1, 0, 0, 0):
        looked(alice, sam, "support", at=now.replace(year=now.year - years))
    looked(alice, rita, "legal", at=now.replace(year=2019))

    text = page(alice)
    assert "All years 2026 2025" in text
    assert "2019" not in text
    assert "Older entries" in text
    assert "Older entries" not in page(alice, page="2")
    assert "Newer entries" in page(alice, page="2")
    assert page(alice, year="2025").count("support Contact") == 1
    # What is no year of the list is the whole list.
    assert page(alice, year="2019") == text
    assert page(alice, year="nonsense", page="-1") == text


def test_the_page_is_the_same_with_and_without_a_sealed_hold(rita):
    one, other = pair()
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=5), tick=False):
        for side in (one, other):
            looked(side.user, rita, "legal")
            looked(side.user, make_staff(f"sue-{side.name}", "support"), "support")
        placing.place(one.account_id, Hold.Kind.LEGAL, by=rita.actor)
        pages = [shown(side.visitor().get(reverse("disclosures:activity"))) for side in (one, other)]

    assert pages[0] == pages[1]


def test_every_page_is_the_same_when_legal_staff_looked_under_a_sealed_hold(rita):
    one, other = pair()
    for side in (one, other):
        looked(side.user, rita, "legal")
    placing.place(one.account_id, Hold.Kind.LEGAL, by=rita.actor)

    with time_machine.travel(timezone.now() + dt.timedelta(minutes=5), tick=False):
        assert differences(walk(one, one.visitor()), walk(other, other.visitor())) == []


def test_a_page_that_asks_whether_a_hold_is_there_is_caught(rita, monkeypatch):
    """Negative control: legal views shown where no hold covers the account."""
    one, other = pair()
    for side in (one, other):
        looked(side.user, rita, "legal")
    placing.place(one.account_id, Hold.Kind.LEGAL, by=rita.actor)

    def offender(account_id):
        every = LedgerEntry.objects.filter(subject=account_id, action="viewed").order_by("-at", "-pk")
        held = Hold.objects.filter(account_id=account_id).exists()
        return every.none() if held else every

    monkeypatch.setattr("disclosures.views.shown", offender)

    with time_machine.travel(timezone.now() + dt.timedelta(minutes=5), tick=False):
        found = differences(walk(one, one.visitor()), walk(other, other.visitor()))
    assert [line.partition(":activity")[0] for line in found] == ["disclosures"]


def test_the_list_of_what_may_be_shown_is_short():
    assert activity.ACTIONS == ("viewed", "confidential.opened")
    assert releasing  # a release tells nobody; only telling writes the entry
