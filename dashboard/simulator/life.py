"""The clock of the simulated cloud, and the changes from outside that `--life` schedules."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.simulator.data import seeded_rng
from dashboard.simulator.load_curve import chance
from dashboard.simulator.responses import Document

CHANGES_EVERY = timedelta(minutes=4)
LONGEST_JUMP = timedelta(days=7)
"""After a longer jump of the clock, only the changes of the last days are made."""
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_THRESHOLDS = (65, 70, 75, 80, 85, 90)
_LARGEST_DISK = 1000


@dataclass
class Life:
    is_on: bool = False
    stopped_at: datetime | None = None
    """The time at which a control has stopped the clock."""

    def now(self) -> datetime:
        return self.stopped_at or datetime.now(UTC)


@dataclass(frozen=True)
class ScheduledChange:
    """A change of one group, as if someone made it in the console."""

    number: int
    at: datetime


def scheduled_changes(seed: int, since: datetime, until: datetime) -> Iterator[ScheduledChange]:
    """The changes after `since`, up to and including `until`, in order."""
    since = max(since, until - LONGEST_JUMP)
    for number in range((since - _EPOCH) // CHANGES_EVERY, (until - _EPOCH) // CHANGES_EVERY + 1):
        at = _EPOCH + CHANGES_EVERY * (number + chance(seed, "change", number))
        if since < at <= until:
            yield ScheduledChange(number, at)


def rng_of(seed: int, change: ScheduledChange) -> random.Random:
    return seeded_rng(seed, "change", change.number)


def edit(change: ScheduledChange, group: Document, rng: random.Random) -> Document:
    """New values for one field of the group. They differ from the current values."""
    edits: list[dict[str, Any]] = [{"description": f"Reviewed in the console, INC-{change.number % 1_000_000:06}"}]
    disk, routing = group.get("system_disk_size"), group.get("route_policy")
    if isinstance(disk, int) and disk < _LARGEST_DISK:
        edits.append({"system_disk_size": disk + 10})
    if isinstance(routing, dict):
        edits.append({"route_policy": {**routing, "cpu_threshold": _other_threshold(routing, rng)}})
    return rng.choice(edits)


def _other_threshold(routing: Document, rng: random.Random) -> int:
    return rng.choice([value for value in _THRESHOLDS if value != routing.get("cpu_threshold")])
