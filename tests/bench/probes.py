"""What others notice while the purge runs: how long placing a hold and opening a page take.

`python -m tests.bench.probes hold|page`: works until its standard input is closed, then prints its timings as JSON.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from collections.abc import Callable
from uuid import UUID

import django

django.setup()

from django.conf import settings  # noqa: E402

from accounts.models import Account, User  # noqa: E402
from retention.models import Hold  # noqa: E402
from retention.placing import place  # noqa: E402
from retention.refusals import AlreadyErased, NotPlaced  # noqa: E402
from tests.visiting import signed_in  # noqa: E402

PAUSE = 0.02


def hold_probe() -> Callable[[], None]:
    """Place a hold on a random account, due ones included: what is gone is told so, which takes its time too."""
    ids: list[UUID] = list(Account.objects.values_list("pk", flat=True))

    def place_one() -> None:
        try:
            place(random.choice(ids), Hold.Kind.LEGAL, by="system", categories=["support"])  # noqa: S311
        except (AlreadyErased, NotPlaced):
            return

    return place_one


def page_probe() -> Callable[[], None]:
    """Open the overview of a customer who stays; their other pages would open values that were never sealed."""
    user = User.objects.filter(account__state="active").first()
    assert user is not None
    settings.ALLOWED_HOSTS = ["*"]
    client = signed_in(user)

    def open_one() -> None:
        assert client.get("/").status_code == 200

    return open_one


def run(probe: Callable[[], None]) -> list[float]:
    """Repeat with a short pause until standard input ends; return the seconds of each."""
    took: list[float] = []
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        began = time.perf_counter()
        probe()
        took.append(time.perf_counter() - began)
    return took


if __name__ == "__main__":
    print(json.dumps(run({"hold": hold_probe, "page": page_probe}[sys.argv[1]]())))
