"""A notice that comes back: known by its Message-ID, its clock stops and a second contact is written to (P17)."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from django.core import mail

from accounts.models import Contact, User
from accounts.safeguards import outbox
from disclosures import inbound, responding
from disclosures.models import AbuseCase, AbuseNotice
from tests.abuse import make_case, tell
from tests.cast import add_billing_contact, make_staff

pytestmark = pytest.mark.usefixtures("committed")
SAMPLE = (Path(__file__).parent / "samples_of_reports" / "bounce.eml").read_bytes()


@pytest.fixture
def sent(alice: User) -> tuple[AbuseNotice, str]:
    """A notice that was delivered, and the Message-ID its mail went out with."""
    dora = make_staff("dora", "abuse_desk")
    Contact.objects.filter(pk=add_billing_contact(alice).pk).update(role=Contact.Role.TECHNICAL)
    notice = tell(make_case(alice), dora, delivered=False)
    mail.outbox.clear()
    outbox.relay(limit=50)
    [message] = [one for one in mail.outbox if notice.reference in one.subject]
    notice.refresh_from_db()
    assert notice.act_by is not None
    return notice, str(message.extra_headers["Message-ID"])


def bounce(message_id: str, sample: bytes = SAMPLE) -> bytes:
    return sample.replace(b"<ours-1@host.example>", message_id.encode())


def test_a_bounce_of_a_notice_stops_its_clock_and_opens_no_case(sent: tuple[AbuseNotice, str]):
    notice, message_id = sent
    cases = AbuseCase.objects.count()
    assert inbound.take(bounce(message_id)) == []
    notice.refresh_from_db()
    assert notice.bounced_at is not None and notice.act_by is None and notice.second_at is not None
    assert AbuseCase.objects.count() == cases
    assert inbound.take(bounce(message_id)) != [] or AbuseCase.objects.count() == cases


@pytest.mark.parametrize("why", ["another message", "delayed", "answered"])
def test_what_is_no_bounce_of_a_waiting_notice_stops_nothing(sent: tuple[AbuseNotice, str], alice: User, why: str):
    notice, message_id = sent
    sample = SAMPLE.replace(b"Action: failed", b"Action: delayed") if why == "delayed" else SAMPLE
    if why == "answered":
        responding.acknowledge(notice.pk, by=alice)
    taken = inbound.take(bounce(f"<{uuid4()}@localhost>" if why == "another message" else message_id, sample))
    notice.refresh_from_db()
    assert notice.bounced_at is None and notice.act_by is not None
    # Nothing is dropped: what tells nothing of a notice of ours is a case for staff.
    assert len(taken) == (0 if why == "answered" else 1)
