"""The call budget of a project: a token bucket in the project's copy, so that it survives a change of the host.

A quarter of the calls is a reserve for live calls, such as those of a write. They never wait for the budget.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from dashboard.inventory.models import ProjectCopy

SHARE = 0.75
"""The share of `calls_per_minute` that the refresh may use in any 60 seconds."""
BURST = 15 / 90
"""The size of the bucket, as a share of the calls of a minute. The rest is refilled within the minute."""
HALVED_FOR = timedelta(minutes=10)
ROUNDING = 1e-9
WEIGHTS = {"groups": 6, "servers": 3, "details": 1}


def take_calls(copy: ProjectCopy, calls_per_minute: int, wanted: int, now: datetime) -> int:
    """Take at most `wanted` calls out of the bucket, and return their number. The caller saves the copy."""
    most = calls_per_minute * SHARE * (0.5 if is_halved(copy, now) else 1)
    size = max(1.0, most * BURST)
    copy.calls_left = min(size, copy.calls_left + _seconds_since_refill(copy, now) * (most - size) / 60)
    copy.calls_left_at = now
    taken = min(wanted, int(copy.calls_left + ROUNDING))
    copy.calls_left -= taken
    return taken


def _seconds_since_refill(copy: ProjectCopy, now: datetime) -> float:
    """The first refill fills the bucket. A clock that went back refills nothing."""
    if copy.calls_left_at is None:
        return float("inf")
    return max(0.0, (now - copy.calls_left_at).total_seconds())


def halve(copy: ProjectCopy, now: datetime) -> None:
    """Halve the budget for a while, because the cloud reported too many calls. The caller saves the copy."""
    copy.halved_until = now + HALVED_FOR


def is_halved(copy: ProjectCopy, now: datetime) -> bool:
    return copy.halved_until is not None and now < copy.halved_until <= now + HALVED_FOR


class FairShares:
    """Choose which part makes the next call, so that parts that wait at the same time share by their weights.

    Each call moves its part ahead by the inverse of its weight; the part that is least ahead is next. A part that did
    not wait gets no calls later for that.
    """

    def __init__(self) -> None:
        self._next = dict.fromkeys(WEIGHTS, 0.0)
        self._now = 0.0

    def choose(self, waiting: Collection[str]) -> str:
        part = min(waiting, key=lambda name: max(self._next[name], self._now))
        self._now = max(self._next[part], self._now)
        self._next[part] = self._now + 1 / WEIGHTS[part]
        return part
