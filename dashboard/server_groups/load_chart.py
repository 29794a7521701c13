"""The chart of a group's sessions and capacity: its period, its scale, and its lines as SVG paths.

The plot is one unit wide for each step and 100 units high. The browser stretches it to the width of the page.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count, groupby

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from dashboard.inventory.history import LoadHistory, load_history
from dashboard.server_groups.inputs import Text

HEADROOM = 1.1
"""The scale ends this much above the largest value, so that there is room for its label."""


@dataclass(frozen=True)
class Period:
    """The period of a chart. It ends at the next multiple of `ends_at`, so that its steps begin at round times."""

    name: str
    label: Text
    length: timedelta
    step: timedelta
    step_label: Text
    ends_at: timedelta
    intervals: int
    """Number of intervals on the time axis."""

    @property
    def steps(self) -> int:
        return self.length // self.step

    @property
    def has_clock(self) -> bool:
        """Whether the labels of the time axis are times of day. Otherwise they are dates."""
        return self.length <= DAY

    def until(self, now: datetime) -> datetime:
        start = datetime(1970, 1, 1, tzinfo=UTC)
        return start + ((now - start) // self.ends_at + 1) * self.ends_at


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PERIODS = (
    Period("24h", _("24 hours"), DAY, HOUR / 4, _("15 minutes"), HOUR, 4),
    Period("30d", _("30 days"), 30 * DAY, HOUR * 6, _("6 hours"), DAY, 5),
)


@dataclass(frozen=True)
class Run:
    """Consecutive steps that have a value. Its lines are lists of places: the number of a step, and a value."""

    start: int
    values: Sequence[int]

    @property
    def end(self) -> int:
        return self.start + len(self.values)

    @property
    def line(self) -> list[tuple[float, int]]:
        """A line through the middle of each step."""
        middles = [(self.start + number + 0.5, value) for number, value in enumerate(self.values)]
        return [(self.start, self.values[0]), *middles, (self.end, self.values[-1])]

    @property
    def area(self) -> list[tuple[float, int]]:
        return [(self.start, 0), *self.line, (self.end, 0)]

    @property
    def levels(self) -> list[tuple[float, int]]:
        """A line with one level for each step."""
        return [(self.start + number + end, value) for number, value in enumerate(self.values) for end in (0, 1)]


@dataclass(frozen=True)
class Peak:
    """The latest step with the most sessions, and its place in percent of the width and height of the plot."""

    at: datetime
    sessions: int
    x: str
    y: str
    anchor: str
    """Which end of its label is at this place, so that the label is inside the plot."""


@dataclass(frozen=True)
class LoadChart:
    period: Period
    history: LoadHistory
    periods: tuple[Period, ...] = PERIODS

    @property
    def is_empty(self) -> bool:
        return not self.history.known

    @property
    def times(self) -> list[datetime]:
        """The labels of the time axis."""
        since, intervals = self.history.points[0].at, self.period.intervals
        return [since + self.period.length * number / intervals for number in range(intervals + 1)]

    @cached_property
    def values(self) -> list[int]:
        """The labels of the value axis, largest first: two to five round numbers."""
        largest = HEADROOM * max((value for value in self._sessions + self._capacity if value), default=0)
        interval = next(number for number in _round_numbers() if 4 * number >= largest)
        return [number * interval for number in range(max(1, math.ceil(largest / interval)), -1, -1)]

    @property
    def grid(self) -> list[str]:
        """The heights of the value axis's labels."""
        return [f"{1 - value / self.values[0]:.2%}" for value in self.values]

    @cached_property
    def peak(self) -> Peak | None:
        """None if there was no session."""
        sessions, number = max((value or 0, number) for number, value in enumerate(self._sessions))
        if not sessions:
            return None
        left = (number + 0.5) / self.period.steps
        anchor = "start" if left < 0.1 else "end" if left > 0.9 else "middle"
        at = self.history.points[number].at
        return Peak(at, sessions, f"{left:.2%}", f"{1 - sessions / self.values[0]:.2%}", anchor)

    @property
    def last_capacity(self) -> int | None:
        return next((value for value in reversed(self._capacity) if value is not None), None)

    @property
    def sessions_line(self) -> str:
        return self._path(run.line for run in _runs(self._sessions))

    @property
    def sessions_area(self) -> str:
        return self._path(run.area for run in _runs(self._sessions))

    @property
    def capacity_line(self) -> str:
        return self._path(run.levels for run in _runs(self._capacity))

    @property
    def _sessions(self) -> list[int | None]:
        return [point.load.sessions if point.load else None for point in self.history.points]

    @property
    def _capacity(self) -> list[int | None]:
        return [point.load.capacity if point.load else None for point in self.history.points]

    def _path(self, lines: Iterable[list[tuple[float, int]]]) -> str:
        top = self.values[0]
        return " ".join(f"M{' '.join(f'{x:g},{100 - 100 * value / top:.5g}' for x, value in line)}" for line in lines)


def read_load_chart(project: str, group_id: str, period_name: str | None) -> LoadChart:
    """Read the chart of a period. An unknown name means the first period."""
    period = next((period for period in PERIODS if period.name == period_name), PERIODS[0])
    until = period.until(timezone.now())
    history = load_history(project, group_id, since=until - period.length, until=until, steps=period.steps)
    return LoadChart(period, history)


def _round_numbers() -> Iterator[int]:
    return (digit * 10**exponent for exponent in count() for digit in (1, 2, 4, 5))


def _runs(values: Iterable[int | None]) -> Iterator[Run]:
    start = 0
    for is_known, group in groupby(values, key=lambda value: value is not None):
        run = list(group)
        if is_known:
            yield Run(start, [value for value in run if value is not None])
        start += len(run)
