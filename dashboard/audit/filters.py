"""What stands in the address of the ledger, and how the rows it asks for are found."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Max, Min, Q, QuerySet
from django.http import QueryDict

from dashboard.audit.models import (
    ChangeIntent,
    ChangeIntentQuerySet,
    ChangeOutcome,
    Kind,
    Outcome,
    TouchedField,
    Unsettled,
)
from dashboard.audit.moments import read_moment

PAGE_SIZE = 50
LOOK_AT = 5_000
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


class Search:
    """Finds changes of a project: one condition picks the index that is walked, the others are held against each row.

    So a page costs the same at any depth of any ledger: it walks an index from the cursor, and looks at no more than
    LOOK_AT rows. Nothing is counted, nothing is skipped over.
    """

    def __init__(self, project: str, filters: Filters) -> None:
        self._filters = filters.sound
        self._walked, self._column, walked_by = self._walk(project)
        self._held_against = replace(self._filters, **dict.fromkeys((*walked_by, "since", "until"), ""))

    def page(self, cursor: Cursor) -> Found:
        looked = self._from(cursor)[: LOOK_AT if self._is_looking else PAGE_SIZE + 1]
        order = "number" if cursor.is_newer else "-number"
        rows = list(self._matching(looked).with_rows().order_by(order)[: PAGE_SIZE + 1])
        goes_on = len(rows) > PAGE_SIZE
        entries = tuple(rows[:PAGE_SIZE])
        stop = None if goes_on or not self._is_looking else self._stop(looked, cursor)
        last = entries[-1].number if goes_on else stop.number if stop else None
        first = entries[0].number if entries and cursor.number is not None else None
        if cursor.is_newer:
            return Found(entries[::-1], _text(first), _text(last, "newer."), stop)
        return Found(entries, _text(last), _text(first, "newer."), stop)

    def batches(self, size: int = 500) -> Iterator[list[int]]:
        """The numbers of all changes it finds, oldest first, however far it has to look."""
        cursor = Cursor(0, is_newer=True)
        while looked := list(self._from(cursor)[:size]):
            yield list(self._matching(looked).order_by("number").values_list("number", flat=True))
            cursor = Cursor(looked[-1], is_newer=True)

    @property
    def _is_looking(self) -> bool:
        return self._held_against != Filters()

    def _walk(self, project: str) -> tuple[QuerySet[Any], str, tuple[str, ...]]:
        """What is walked, its column of numbers, and the conditions that it meets by itself. The rarest come first."""
        chosen, changes = self._filters, ChangeIntent.objects.filter(project=project)
        if chosen.group:
            by_id = changes.filter(group_id=chosen.group)
            return by_id if by_id.exists() else changes.filter(group_name=chosen.group), "number", ("group",)
        if chosen.outcome == Outcome.UNKNOWN:
            return Unsettled.objects.filter(project=project), "number", ()
        if chosen.outcome and chosen.outcome != Outcome.APPLIED:
            return _ended(project, chosen.outcome), "intent_id", ("outcome",)
        if chosen.actor:
            return changes.filter(actor=chosen.actor), "number", ("actor",)
        if chosen.field:
            return TouchedField.objects.filter(project=project, field=chosen.field), "number", ("field",)
        if chosen.kind:
            return changes.filter(kind=chosen.kind), "number", ("kind",)
        if chosen.outcome:
            return _ended(project, chosen.outcome), "intent_id", ("outcome",)
        return changes, "number", ()

    def _from(self, cursor: Cursor) -> QuerySet[Any, int]:
        """The numbers to walk from a place on, in the order of the walk."""
        bounds: dict[str, int | None] = {"gt" if cursor.is_newer else "lt": cursor.number}
        if since := read_moment(self._filters.since):
            bounds["gte"] = _first_number_from(since, otherwise=NEVER)
        if until := read_moment(self._filters.until, end_of_day=True):
            bounds["lte"] = _first_number_from(until, otherwise=NEVER + 1) - 1
        limits = {f"{self._column}__{name}": number for name, number in bounds.items() if number is not None}
        order = self._column if cursor.is_newer else f"-{self._column}"
        return self._walked.filter(**limits).order_by(order).values_list(self._column, flat=True)

    def _matching(self, numbers: QuerySet[Any, int] | list[int]) -> ChangeIntentQuerySet:
        rows, more = ChangeIntent.objects.filter(number__in=numbers), self._held_against
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

    def _stop(self, looked: QuerySet[Any, int], cursor: Cursor) -> ChangeIntent | None:
        end = looked.aggregate(count=Count(self._column), first=Min(self._column), last=Max(self._column))
        if end["count"] < LOOK_AT:
            return None
        return ChangeIntent.objects.get(number=end["last" if cursor.is_newer else "first"])


NEVER = 2**62
"""A number that no row reaches."""


def _ended(project: str, outcome: str) -> QuerySet[ChangeOutcome]:
    return ChangeOutcome.objects.filter(project=project, outcome=outcome)


def _first_number_from(moment: datetime, *, otherwise: int) -> int:
    """Times only grow with numbers."""
    rows = ChangeIntent.objects.filter(at__gte=moment).order_by("at", "number")
    number = rows.values_list("number", flat=True).first()
    return otherwise if number is None else number


def _text(number: int | None, prefix: str = "") -> str:
    return "" if number is None else f"{prefix}{number}"
