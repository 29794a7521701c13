"""What stands in the address of the ledger, and how the rows it asks for are found."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Max, Min, Q, QuerySet
from django.http import QueryDict

from dashboard.audit.dates import read_moment
from dashboard.audit.models import (
    ChangeIntent,
    ChangeIntentQuerySet,
    ChangeOutcome,
    Kind,
    Outcome,
    TouchedField,
)

PAGE_SIZE = 50
LOOK_AT = 2_000
"""Rows a page looks at when several conditions meet or a text is looked for; from there it goes on by a link."""


@dataclass(frozen=True)
class Filters:
    """A value that makes no sense filters nothing."""

    group: str = ""
    actor: str = ""
    field: str = ""
    outcome: str = ""
    kind: str = ""
    since: str = ""
    until: str = ""
    q: str = ""

    @classmethod
    def from_get(cls, get: QueryDict) -> "Filters":
        # NUL: PostgreSQL refuses it in a parameter.
        texts = {name: get.get(name, "").replace("\x00", "") for name in cls.__dataclass_fields__}
        return cls(**{name: text.strip()[:200] for name, text in texts.items()})

    @property
    def sound(self) -> "Filters":
        """Without the values that make no sense."""
        return replace(
            self,
            outcome=self.outcome if self.outcome in Outcome.values else "",
            kind=self.kind if self.kind in Kind.values else "",
        )

    def link(self, **changed: str) -> str:
        return "?" + urlencode({name: value for name, value in (vars(self) | changed).items() if value})


@dataclass(frozen=True)
class Cursor:
    """A place between two rows, and which way to read from there."""

    number: int | None = None
    is_newer: bool = False

    @classmethod
    def from_get(cls, get: QueryDict) -> "Cursor":
        text = get.get("cursor", "")
        digits = text.removeprefix("newer.")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            return cls()
        return cls(int(digits), is_newer=digits != text)


@dataclass(frozen=True)
class Found:
    """One page, newest first, and the cursors of its neighbours."""

    entries: tuple[ChangeIntent, ...]
    older: str = ""
    newer: str = ""
    looked_to: ChangeIntent | None = None
    """Where it stopped because it had looked at enough for one page; the search goes on from there."""


@dataclass(frozen=True)
class Bounds:
    """What lies between two numbers, neither included, and from which end it is read."""

    above: int
    below: int
    is_newer: bool


@dataclass(frozen=True)
class Walk:
    """Changes in the order of their numbers, found by an index: those that meet one condition, or all of a project."""

    meets: str
    rows: QuerySet[Any]
    column: str = "number"

    def numbers(self, bounds: Bounds) -> QuerySet[Any, int]:
        limits = {f"{self.column}__gt": bounds.above, f"{self.column}__lt": bounds.below}
        order = self.column if bounds.is_newer else f"-{self.column}"
        return self.rows.filter(**limits).order_by(order).values_list(self.column, flat=True)


@dataclass(frozen=True)
class Stretch:
    """So much of a walk as a page looks at."""

    walk: Walk
    numbers: QuerySet[Any, int]
    count: int
    end: int | None
    """The number it ends with; None where the walk itself ends."""

    @classmethod
    def of(cls, walk: Walk, bounds: Bounds) -> "Stretch":
        numbers = walk.numbers(bounds)[:LOOK_AT]
        seen = numbers.aggregate(count=Count(walk.column), lowest=Min(walk.column), highest=Max(walk.column))
        end = seen["highest" if bounds.is_newer else "lowest"] if seen["count"] == LOOK_AT else None
        return cls(walk, numbers, seen["count"], end)

    def sparseness(self, bounds: Bounds) -> tuple[int, int]:
        """The greater, the further it reaches with as many rows, or with fewer."""
        if self.end is None:
            return NEVER, -self.count
        return self.end - bounds.above if bounds.is_newer else bounds.below - self.end, -self.count


class Search:
    """Finds changes of a project: an index is walked for one condition, the others are held against each of its rows.

    So a page costs the same at any depth of any ledger: it walks from the cursor on, along the index that has the
    fewest rows there, and looks at no more than LOOK_AT of them. Nothing is counted, nothing is skipped over.
    """

    def __init__(self, project: str, filters: Filters) -> None:
        self._filters = filters.sound
        changes = ChangeIntent.objects.filter(project=project)
        self._group = Q(group_id=self._filters.group)
        if self._filters.group and not changes.filter(self._group).exists():
            self._group = Q(group_name=self._filters.group)
        self._walks = tuple(self._walks_of(project, changes)) or (Walk("", changes),)

    def page(self, cursor: Cursor) -> Found:
        stretch = self._sparsest(self._bounds(cursor))
        found = self._matching(stretch.numbers, stretch.walk).with_rows()
        rows = list(found.order_by("number" if cursor.is_newer else "-number")[: PAGE_SIZE + 1])
        goes_on = len(rows) > PAGE_SIZE
        entries = tuple(rows[:PAGE_SIZE])
        stop = None if goes_on or stretch.end is None else ChangeIntent.objects.get(number=stretch.end)
        last = entries[-1].number if goes_on else stretch.end
        first = entries[0].number if entries and cursor.number is not None else None
        if cursor.is_newer:
            return Found(entries[::-1], _text(first), _text(last, "newer."), stop)
        return Found(entries, _text(last), _text(first, "newer."), stop)

    def batches(self, size: int = 500) -> Iterator[list[int]]:
        """The numbers of all changes it finds, oldest first, however far it has to look."""
        bounds = self._bounds(Cursor(0, is_newer=True))
        walk = self._sparsest(bounds).walk
        while looked := list(walk.numbers(bounds)[:size]):
            yield list(self._matching(looked, walk).order_by("number").values_list("number", flat=True))
            bounds = replace(bounds, above=looked[-1])

    def _walks_of(self, project: str, changes: ChangeIntentQuerySet) -> Iterator[Walk]:
        chosen = self._filters
        if chosen.group:
            yield Walk("group", changes.filter(self._group))
        if chosen.outcome == Outcome.UNKNOWN:
            yield Walk("", changes.unsettled())
        elif chosen.outcome:
            ended = ChangeOutcome.objects.filter(project=project, outcome=chosen.outcome).newest()
            yield Walk("outcome", ended, "intent_id")
        if chosen.actor:
            yield Walk("actor", changes.filter(actor=chosen.actor))
        if chosen.field:
            yield Walk("field", TouchedField.objects.filter(project=project, field=chosen.field))
        if chosen.kind:
            yield Walk("kind", changes.filter(kind=chosen.kind))

    def _sparsest(self, bounds: Bounds) -> Stretch:
        if self._held_against(self._walks[0]) == Filters():
            (walk,) = self._walks
            return Stretch(walk, walk.numbers(bounds)[: PAGE_SIZE + 1], PAGE_SIZE, None)
        stretches = (Stretch.of(walk, bounds) for walk in self._walks)
        return max(stretches, key=lambda stretch: stretch.sparseness(bounds))

    def _held_against(self, walk: Walk) -> Filters:
        """What a row of a walk has yet to meet."""
        return replace(self._filters, since="", until="", **({walk.meets: ""} if walk.meets else {}))

    def _matching(self, numbers: QuerySet[Any, int] | list[int], walk: Walk) -> ChangeIntentQuerySet:
        rows, more = ChangeIntent.objects.filter(number__in=numbers), self._held_against(walk)
        if more.group:
            rows = rows.filter(self._group)
        if more.actor:
            rows = rows.filter(actor=more.actor)
        if more.field:
            rows = rows.touching(more.field)
        if more.kind:
            rows = rows.filter(kind=more.kind)
        if more.outcome:
            rows = rows.ended(more.outcome)
        if more.q:
            text = Q(reason__icontains=more.q) | Q(group_name__icontains=more.q) | Q(actor__icontains=more.q)
            rows = rows.filter(text)
        return rows

    def _bounds(self, cursor: Cursor) -> Bounds:
        above, below = 0, NEVER
        if cursor.number is not None:
            above, below = (cursor.number, NEVER) if cursor.is_newer else (0, cursor.number)
        if since := read_moment(self._filters.since):
            above = max(above, _first_number_from(since) - 1)
        if until := read_moment(self._filters.until, end_of_day=True):
            below = min(below, _first_number_from(until))
        return Bounds(above, below, cursor.is_newer)


NEVER = 2**62
"""A number that no row reaches."""


def _first_number_from(moment: datetime) -> int:
    """Times only grow with numbers."""
    rows = ChangeIntent.objects.filter(at__gte=moment).order_by("at", "number")
    number = rows.values_list("number", flat=True).first()
    return NEVER if number is None else number


def _text(number: int | None, prefix: str = "") -> str:
    return "" if number is None else f"{prefix}{number}"
