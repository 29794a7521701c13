"""The load of a group over the day: a pure function of seed, group and time.

`--life` shows it, and the demo makes its load history with it. Times are rounded down to the minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from dashboard.simulator.catalogue import PRODUCTS, PROJECTS, SimulatedProject
from dashboard.simulator.data import NAMED, SeededGroups, seed_groups
from dashboard.simulator.sample_groups import SampleGroup

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_FIRST_DAY = datetime(2024, 1, 1, 4, tzinfo=UTC)
"""A day of load begins at about 4:00, when nobody works, so that no session belongs to two days."""
_WORKING_DAY = (
    *((0, 0.0), (2, 0.04), (3, 0.2), (5, 0.85), (7.5, 1.0)),
    *((8.5, 0.72), (9.5, 0.95), (12, 0.9), (14, 0.4), (17, 0.12), (24, 0.0)),
)
"""Hours since the begin of the day, and the share of the day's largest load. There is a dip at noon."""
_LEVEL_OF_WEEKENDS = 0.15
_CHANCE_OF_TROUBLE = 0.1
_TROUBLES = ("MAINTAINING", "UNREGISTER", "STOPPED")


class Load(NamedTuple):
    at: datetime
    sessions: int
    ready: int
    servers: int


class NamedGroup(NamedTuple):
    """A group that every simulator has, and the sessions that one of its servers accepts; None without route policy."""

    project: str
    id: str
    max_session: int | None


def chance(*parts: object) -> float:
    """A number from 0 to 1 that is always the same for the same parts."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def whole_minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


@dataclass(frozen=True)
class LoadCurve:
    seed: int
    group: str
    sample: SampleGroup

    @cached_property
    def room(self) -> int:
        """The sessions that one server accepts."""
        return PRODUCTS[self.sample.product].sessions + self.sample.extra_sessions

    @cached_property
    def places(self) -> int:
        """The sessions that all servers accept. Standbys and groups that are off have none."""
        return 0 if self.sample.primary or not self.sample.on else self.sample.servers * self.room

    @cached_property
    def _shift(self) -> timedelta:
        """Groups start to work at different times."""
        return timedelta(minutes=int(180 * chance(self.seed, self.group, "shift")) - 90)

    @cached_property
    def _peak(self) -> float:
        return 0.55 + 0.4 * chance(self.seed, self.group, "peak")

    def day(self, at: datetime) -> datetime:
        """The begin of the group's day."""
        return at - (at - _FIRST_DAY - self._shift) % _DAY

    def _largest(self, day: datetime) -> float:
        return self._peak * (_LEVEL_OF_WEEKENDS if day.weekday() >= 5 else 1.0)

    def _threshold(self, day: datetime, place: int) -> float:
        """A place has a session while the load, in sessions, is higher than this."""
        return place + chance(self.seed, self.group, day, "place", place)

    def sessions(self, at: datetime) -> int:
        day = self.day(at)
        load = _level((at - day) / _HOUR) * self._largest(day) * self.places
        full = int(load)
        return full + (self._threshold(day, full) < load)

    def spans(self, day: datetime, place: int) -> Iterator[tuple[datetime, datetime]]:
        """The starts and ends of a place's sessions on a day."""
        threshold = self._threshold(day, place) / (self._largest(day) * self.places)
        start = day
        for (hour, level), (next_hour, next_level) in pairwise(_WORKING_DAY):
            if (level <= threshold) == (next_level <= threshold):
                continue
            crossing = day + _HOUR * (hour + (next_hour - hour) * (threshold - level) / (next_level - level))
            if level <= threshold:
                start = crossing
            else:
                yield start, crossing

    def servers(self, at: datetime) -> int:
        """A group that scales has half of its servers, and further ones while it has many sessions."""
        most = self.sample.servers
        if not self.sample.scaling:
            return most
        wanted = -(-(self.sessions(at) + self.room // 2) // self.room)
        return max(most // 2, min(most, wanted))

    def server_of(self, place: int) -> int:
        """The number of a place's server. A group that scales fills one server after the other."""
        return 1 + (place // self.room if self.sample.scaling else place % self.sample.servers)

    def status(self, number: int, at: datetime) -> str:
        """The status of a server. A few servers of a day have trouble for one or two hours."""
        if not self.sample.on:
            return "STOPPED"
        day = self.day(at)
        has_trouble, begin, length, kind = (
            chance(self.seed, self.group, day, "trouble", number, part) for part in range(4)
        )
        hours = (at - day) / _HOUR - 20 * begin
        if has_trouble < _CHANCE_OF_TROUBLE and 0 <= hours < 0.5 + 2 * length:
            return _TROUBLES[int(kind * len(_TROUBLES))]
        return "REGISTERED"

    def load(self, at: datetime) -> Load:
        minute = whole_minute(at)
        servers = self.servers(minute)
        ready = sum(self.status(number, minute) == "REGISTERED" for number in range(1, servers + 1))
        return Load(at, self.sessions(minute), ready, servers)


def _level(hours: float) -> float:
    points = pairwise(_WORKING_DAY)
    (hour, level), (next_hour, next_level) = next((start, end) for start, end in points if hours < end[0])
    return level + (next_level - level) * (hours - hour) / (next_hour - hour)


def named_groups(seed: int = 1) -> list[NamedGroup]:
    """The groups of both projects whose load `load_history` knows, in the order of lists."""
    return list(_named(seed))


def load_history(group_id: str, seed: int, since: datetime, until: datetime, step: timedelta) -> Iterator[Load]:
    """The load of a named group at `since` and after each step before `until`, as a simulator with this seed shows it.

    Raises KeyError for a group that is not one of `named_groups`.
    """
    curve = _curves(seed)[group_id]
    return (curve.load(since + number * step) for number in range(-((since - until) // step)))


@cache
def _named(seed: int) -> tuple[NamedGroup, ...]:
    return tuple(
        NamedGroup(project.id, group.id, group.document.get("route_policy", {}).get("max_session"))
        for project in PROJECTS.values()
        for group in _seeded(project, seed)
    )


@cache
def _curves(seed: int) -> dict[str, LoadCurve]:
    return {
        group.id: LoadCurve(seed, group.id, group.sample)
        for project in PROJECTS.values()
        for group in _seeded(project, seed)
    }


def _seeded(project: SimulatedProject, seed: int) -> SeededGroups:
    return seed_groups(project, len(NAMED[project.id]), seed)
