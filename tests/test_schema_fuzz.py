"""Made-up requests to every operation, by systems, customers and nobody: the answers are as described."""

from __future__ import annotations

import pytest

from accounts.models import User
from tests.cast import furnish, make_customer
from tests.fuzzing import Round, play

pytestmark = pytest.mark.usefixtures("committed")


# To each operation: a sample that takes seconds, and a round of the long run, which goes on until it sent so many.
FEW, ROUND = 4, 200
WANTED = 20_000


def test_a_sample_of_made_up_requests_is_answered_as_described(charlie: User):
    found = play(charlie, each=FEW)

    assert found.faults == {}, found.wrong[:3]
    assert found.server_errors == 0
    assert found.asked > 50


@pytest.mark.stress
def test_twenty_thousand_made_up_requests_are_answered_as_described():
    found = Round()
    while found.asked < WANTED:
        found += play(furnish(make_customer(f"fuzz-{found.asked}")), each=ROUND)
        print(f"{found.asked} requests: {found.by_status()}, {len(found.wrong)} not as described", flush=True)

    assert found.faults == {}, found.wrong[:3]
    assert found.server_errors == 0
