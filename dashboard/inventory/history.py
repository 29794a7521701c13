"""The load of a group over time, in even steps, for a chart or a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from dashboard.inventory.models import LoadSample

LENGTHS = {
    LoadSample.Span.RAW: timedelta(0),
    LoadSample.Span.HOUR: timedelta(hours=1),
    LoadSample.Span.DAY: timedelta(days=1),
}
"""The period that a row stands for by itself."""
UNCHANGED_FOR = timedelta(minutes=90)
"""A raw row stands until the next row, if that is at most this much later.

While the load does not change, only the first read of each hour stores a row. After a longer time without a row, the
load is not known.
"""


@dataclass(frozen=True)
class LargestLoad:
    """The largest values in a step."""

    sessions: int
    ready: int
    servers: int
    capacity: int | None
    """None if the maximum of a server is not known."""
    is_made_up: bool


@dataclass(frozen=True)
class LoadPoint:
    """A step that begins at `at`. `load` is None if the load was not read in it."""

    at: datetime
    load: LargestLoad | None


@dataclass(frozen=True)
class LoadHistory:
    points: tuple[LoadPoint, ...]
    read_at: datetime | None
    """The last read of the group's servers; None if no read is known."""

    @property
    def known(self) -> list[LoadPoint]:
        return [point for point in self.points if point.load]

    @property
    def is_made_up(self) -> bool:
        return any(point.load and point.load.is_made_up for point in self.points)


class _Row(NamedTuple):
    at: datetime
    length: timedelta
    load: LargestLoad
    read_at: datetime | None


def load_history(project: str, group_id: str, *, since: datetime, until: datetime, steps: int) -> LoadHistory:
    """Read the load of a group from `since` to before `until` with one query."""
    rows = _read(project, group_id, since, until)
    step = (until - since) / steps
    largest: list[LargestLoad | None] = [None] * steps
    for row, end in _with_end(rows):
        first = (row.at - since) // step
        after_last = max(first + 1, -((since - end) // step))  # rounded up
        for number in range(max(first, 0), min(after_last, steps)):
            largest[number] = _larger(largest[number], row.load)
    points = tuple(LoadPoint(since + number * step, load) for number, load in enumerate(largest))
    return LoadHistory(points, rows[-1].read_at if rows else None)


def _read(project: str, group_id: str, since: datetime, until: datetime) -> list[_Row]:
    """Read the rows of a period, those before it that reach into it, and those that end its last row."""
    reaches = Q()
    for span, length in LENGTHS.items():
        reaches |= Q(span=span, at__gt=since - (length or UNCHANGED_FOR), at__lt=until + UNCHANGED_FOR)
    samples = LoadSample.objects.filter(reaches, group__project=project, group__group_id=group_id).order_by("at")
    columns = ("at", "span", "group__servers_as_of", "sessions", "ready", "servers", "capacity", "is_made_up")
    return [
        _Row(at, LENGTHS[LoadSample.Span(span)], LargestLoad(*values), read_at)
        for at, span, read_at, *values in samples.values_list(*columns)
    ]


def _with_end(rows: list[_Row]) -> Iterator[tuple[_Row, datetime]]:
    """Yield each row with the end of the time that it stands for. The last one stands until the last read."""
    for number, row in enumerate(rows):
        is_last = number == len(rows) - 1
        until = (row.read_at or row.at) if is_last else rows[number + 1].at
        is_unchanged = until - row.at <= UNCHANGED_FOR
        yield row, max(row.at + row.length, until if is_unchanged else row.at)


def _larger(one: LargestLoad | None, other: LargestLoad) -> LargestLoad:
    if one is None:
        return other
    return LargestLoad(
        sessions=max(one.sessions, other.sessions),
        ready=max(one.ready, other.ready),
        servers=max(one.servers, other.servers),
        capacity=max((c for c in (one.capacity, other.capacity) if c is not None), default=None),
        is_made_up=one.is_made_up or other.is_made_up,
    )
