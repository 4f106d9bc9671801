"""What runs by itself: no ring waits for ever, and what belongs to no deletion never crowds out the purge."""

from __future__ import annotations

from collections import Counter

from django.conf import settings

PURGE = "retention.tasks.ring"
# In a trial of minutes every ring is dropped after so many seconds.
LEAST = 30.0


def left_waiting(seconds: int, cost: float, *, expire: bool) -> int:
    """Return how many rings wait after so long on one worker for which each ring costs `cost` seconds.

    Each entry rings at its least interval, in the order of the schedule, as the beat of a trial does.
    """
    queue: list[float] = []
    clock, due = 0.0, [0.0 for _ in settings.CELERY_BEAT_SCHEDULE]
    while clock < seconds:
        for number, at in enumerate(due):
            if at <= clock:
                queue.append(clock)
                due[number] = clock + 1.0
        queue = [rung for rung in queue if not expire or clock - rung < LEAST]
        if queue:
            queue.pop(0)
        clock += cost
    return len(queue)


def test_every_ring_is_dropped_once_a_later_one_does_the_same_work():
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        assert entry["options"]["expires"] >= 5 * entry["schedule"], name
        assert entry["options"]["expires"] <= max(5 * entry["schedule"], LEAST), name


def test_on_a_machine_that_is_too_slow_the_queue_stays_short():
    entries = len(settings.CELERY_BEAT_SCHEDULE)
    assert left_waiting(300, 2 / entries, expire=True) <= 31 * entries
    # Without an end of each ring it grows for as long as anybody waits.
    assert left_waiting(300, 2 / entries, expire=False) > 100 * entries


def test_each_task_rings_once():
    counted = Counter(entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values())
    assert counted[PURGE] == 1 and max(counted.values()) == 1
