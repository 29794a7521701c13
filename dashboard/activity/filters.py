"""The filters and the cursor in the address of the activity page, and the search for the entries that match."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

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
SCAN_LIMIT = 2_000
"""The rows that a page reads to find matches of several conditions or of a text. A link continues the search."""
MAX_NUMBER = 2**62
"""A number greater than that of any row."""


@dataclass(frozen=True)
class Filters:
    """The filters as they stand in the address. `valid` leaves out values that have no meaning."""

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
        # PostgreSQL refuses a parameter with NUL.
        texts = {name: get.get(name, "").replace("\x00", "") for name in cls.__dataclass_fields__}
        return cls(**{name: text.strip()[:200] for name, text in texts.items()})

    @property
    def valid(self) -> "Filters":
        return replace(
            self,
            outcome=self.outcome if self.outcome in Outcome.values else "",
            kind=self.kind if self.kind in Kind.values else "",
            since=self.since if read_moment(self.since) else "",
            until=self.until if read_moment(self.until, end_of_day=True) else "",
        )

    @property
    def query(self) -> QueryDict:
        """The filters that have a value, as parameters of an address."""
        query = QueryDict(mutable=True)
        query.update({name: value for name, value in vars(self).items() if value})
        return query


@dataclass(frozen=True)
class Cursor:
    """A position between two rows, and the direction in which to read."""

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
class ResultPage:
    """A page of entries, newest first, with the cursors of the older and the newer page."""

    entries: tuple[ChangeIntent, ...]
    older: str = ""
    newer: str = ""
    scanned_to: ChangeIntent | None = None
    """The last entry that was read, if the search stopped at `SCAN_LIMIT`."""


@dataclass(frozen=True)
class Bounds:
    """The numbers between two others, and the direction in which they are read."""

    above: int
    below: int
    is_newer: bool


@dataclass(frozen=True)
class IndexScan:
    """The changes that meet one condition, or all changes of a project, in the order of an index by number."""

    condition: str
    rows: QuerySet[Any]
    column: str = "number"

    def numbers(self, bounds: Bounds) -> QuerySet[Any, int]:
        limits = {f"{self.column}__gt": bounds.above, f"{self.column}__lt": bounds.below}
        order = self.column if bounds.is_newer else f"-{self.column}"
        return self.rows.filter(**limits).order_by(order).values_list(self.column, flat=True)


@dataclass(frozen=True)
class ScanPart:
    """The part of an index scan that a page reads."""

    scan: IndexScan
    numbers: QuerySet[Any, int]
    count: int
    end: int | None
    """The last number of the part; None at the end of the scan."""

    @classmethod
    def of(cls, scan: IndexScan, bounds: Bounds) -> "ScanPart":
        numbers = scan.numbers(bounds)[:SCAN_LIMIT]
        seen = numbers.aggregate(count=Count(scan.column), lowest=Min(scan.column), highest=Max(scan.column))
        end = seen["highest" if bounds.is_newer else "lowest"] if seen["count"] == SCAN_LIMIT else None
        return cls(scan, numbers, seen["count"], end)

    def selectivity(self, bounds: Bounds) -> tuple[int, int]:
        """Return a value that is greater if the part covers more of the ledger, or has fewer rows."""
        if self.end is None:
            return MAX_NUMBER, -self.count
        return self.end - bounds.above if bounds.is_newer else bounds.below - self.end, -self.count


class Search:
    """Finds changes of a project: scans the index of one condition, and checks the other conditions for each row.

    A page costs the same at any depth. It scans from the cursor along the index with the fewest rows there, and reads
    at most SCAN_LIMIT rows. It does not count rows and does not use OFFSET.
    """

    def __init__(self, project: str, filters: Filters) -> None:
        self._filters = filters.valid
        changes = ChangeIntent.objects.filter(project=project)
        self._group = Q(group_id=self._filters.group)
        if self._filters.group and not changes.filter(self._group).exists():
            self._group = Q(group_name=self._filters.group)
        self._scans = tuple(self._find_scans(project, changes)) or (IndexScan("", changes),)

    def page(self, cursor: Cursor) -> ResultPage:
        part = self._most_selective(self._bounds(cursor))
        found = self._matching(part.numbers, part.scan).with_rows()
        rows = list(found.order_by("number" if cursor.is_newer else "-number")[: PAGE_SIZE + 1])
        has_more = len(rows) > PAGE_SIZE
        entries = tuple(rows[:PAGE_SIZE])
        scanned_to = None if has_more or part.end is None else ChangeIntent.objects.get(number=part.end)
        last = entries[-1].number if has_more else part.end
        first = entries[0].number if entries and cursor.number is not None else None
        if cursor.is_newer:
            return ResultPage(entries[::-1], _cursor(first), _cursor(last, "newer."), scanned_to)
        return ResultPage(entries, _cursor(last), _cursor(first, "newer."), scanned_to)

    def batches(self, size: int = 500) -> Iterator[list[int]]:
        """Find the numbers of all matching changes, oldest first, without a limit."""
        bounds = self._bounds(Cursor(0, is_newer=True))
        scan = self._most_selective(bounds).scan
        while scanned := list(scan.numbers(bounds)[:size]):
            yield list(self._matching(scanned, scan).order_by("number").values_list("number", flat=True))
            bounds = replace(bounds, above=scanned[-1])

    def _find_scans(self, project: str, changes: ChangeIntentQuerySet) -> Iterator[IndexScan]:
        chosen = self._filters
        if chosen.group:
            yield IndexScan("group", changes.filter(self._group))
        if chosen.outcome == Outcome.UNKNOWN:
            yield IndexScan("", changes.unsettled())
        elif chosen.outcome:
            outcomes = ChangeOutcome.objects.filter(project=project, outcome=chosen.outcome).newest()
            yield IndexScan("outcome", outcomes, "intent_id")
        if chosen.actor:
            yield IndexScan("actor", changes.filter(actor=chosen.actor))
        if chosen.field:
            yield IndexScan("field", TouchedField.objects.filter(project=project, field=chosen.field))
        if chosen.kind:
            yield IndexScan("kind", changes.filter(kind=chosen.kind))

    def _most_selective(self, bounds: Bounds) -> ScanPart:
        if self._other_conditions(self._scans[0]) == Filters():
            (scan,) = self._scans
            return ScanPart(scan, scan.numbers(bounds)[: PAGE_SIZE + 1], PAGE_SIZE, None)
        parts = (ScanPart.of(scan, bounds) for scan in self._scans)
        return max(parts, key=lambda part: part.selectivity(bounds))

    def _other_conditions(self, scan: IndexScan) -> Filters:
        """Return the conditions that the rows of a scan do not meet already."""
        return replace(self._filters, since="", until="", **({scan.condition: ""} if scan.condition else {}))

    def _matching(self, numbers: QuerySet[Any, int] | list[int], scan: IndexScan) -> ChangeIntentQuerySet:
        rows, conditions = ChangeIntent.objects.filter(number__in=numbers), self._other_conditions(scan)
        if conditions.group:
            rows = rows.filter(self._group)
        if conditions.actor:
            rows = rows.filter(actor=conditions.actor)
        if conditions.field:
            rows = rows.touching(conditions.field)
        if conditions.kind:
            rows = rows.filter(kind=conditions.kind)
        if conditions.outcome:
            rows = rows.with_outcome(conditions.outcome)
        if text := conditions.q:
            columns = Q(reason__icontains=text) | Q(group_name__icontains=text) | Q(actor__icontains=text)
            rows = rows.filter(columns)
        return rows

    def _bounds(self, cursor: Cursor) -> Bounds:
        above, below = 0, MAX_NUMBER
        if cursor.number is not None:
            above, below = (cursor.number, MAX_NUMBER) if cursor.is_newer else (0, cursor.number)
        if since := read_moment(self._filters.since):
            above = max(above, _first_number_from(since) - 1)
        if until := read_moment(self._filters.until, end_of_day=True):
            below = min(below, _first_number_from(until))
        return Bounds(above, below, cursor.is_newer)


def _first_number_from(moment: datetime) -> int:
    """Find the first row from a time. Times in the ledger never decrease."""
    rows = ChangeIntent.objects.filter(at__gte=moment).order_by("at", "number")
    number = rows.values_list("number", flat=True).first()
    return MAX_NUMBER if number is None else number


def _cursor(number: int | None, prefix: str = "") -> str:
    return "" if number is None else f"{prefix}{number}"
