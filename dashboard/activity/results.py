"""The data of the activity pages: the entries or events that were found, the filters, and the links to more."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.http import QueryDict
from django.utils.dateparse import parse_date
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from dashboard.activity.filters import PAGE_SIZE, Cursor, Filters, ResultPage, Search
from dashboard.audit.dates import read_moment
from dashboard.audit.models import ChangeIntent, Kind, Outcome, SystemEvent

TITLES = {
    "group": _("Group"),
    "actor": _("Person"),
    "field": _("Field"),
    "kind": _("Kind"),
    "outcome": _("Outcome"),
    "since": pgettext_lazy("beginning of a period", "From"),
    "until": pgettext_lazy("end of a period", "To"),
    "q": _("Text"),
}


@dataclass(frozen=True)
class ActiveFilter:
    """A filter with a value. `others` are the parameters of an address without it."""

    name: str
    title: str
    value: str
    others: QueryDict


@dataclass(frozen=True)
class Activity:
    page: ResultPage
    filters: Filters
    """The valid filters."""
    cursor: Cursor
    group_name: str = ""
    """The newest name of the group whose id is a filter."""

    @property
    def is_newest(self) -> bool:
        return self.cursor.number is None

    @property
    def since_is_day(self) -> bool:
        """Whether a date field can show the value. An address can also have a time."""
        return _is_day(self.filters.since)

    @property
    def until_is_day(self) -> bool:
        return _is_day(self.filters.until)

    @property
    def active_filters(self) -> Iterator[ActiveFilter]:
        shown = {"group": self.group_name, **_labels(self.filters)}
        for name, title in TITLES.items():
            if value := getattr(self.filters, name):
                others = replace(self.filters, **{name: ""}).query
                yield ActiveFilter(name, str(title), shown.get(name) or value, others)

    @property
    def why_empty(self) -> str:
        """The reason for an empty page, as a code for the template."""
        since, until = read_moment(self.filters.since), read_moment(self.filters.until, end_of_day=True)
        if self.page.scanned_to:
            return "searching"
        if since and until and since >= until:
            return "backwards"
        if not self.is_newest:
            return "end"
        return "unmatched" if self.filters != Filters() else "blank"


def find_activity(project: str, filters: Filters, cursor: Cursor) -> Activity:
    valid = filters.valid
    page = Search(project, valid).page(cursor)
    newest = ChangeIntent.objects.for_group(project, valid.group).first() if valid.group else None
    return Activity(page, valid, cursor, newest.group_name if newest else "")


def _labels(filters: Filters) -> dict[str, str]:
    """Return the values of two filters in the reader's language."""
    kind = Kind(filters.kind).label if filters.kind else ""
    outcome = Outcome(filters.outcome).label if filters.outcome else ""
    return {"kind": str(kind), "outcome": capfirst(str(outcome))}


@dataclass(frozen=True)
class Events:
    """A page of system events, newest first."""

    rows: tuple[SystemEvent, ...]
    actor: str
    cursor: Cursor
    has_more: bool
    """Whether there are more events in the direction of the cursor."""

    @property
    def query(self) -> QueryDict:
        return Filters(actor=self.actor).query

    @property
    def older(self) -> str:
        """The cursor of the older page, if there is one."""
        has_older = self.rows and (self.has_more or self.cursor.is_newer)
        return str(self.rows[-1].number) if has_older else ""

    @property
    def newer(self) -> str:
        """The cursor of the newer page, if there is one."""
        has_newer = self.rows and (self.has_more if self.cursor.is_newer else not self.is_newest)
        return f"newer.{self.rows[0].number}" if has_newer else ""

    @property
    def is_newest(self) -> bool:
        return self.cursor.number is None


def find_events(actor: str, cursor: Cursor) -> Events:
    events = SystemEvent.objects.filter(actor=actor) if actor else SystemEvent.objects.all()
    if cursor.number is not None:
        events = events.filter(**{"number__gt" if cursor.is_newer else "number__lt": cursor.number})
    found = list(events.order_by("number" if cursor.is_newer else "-number")[: PAGE_SIZE + 1])
    rows = found[:PAGE_SIZE]
    return Events(tuple(rows[::-1] if cursor.is_newer else rows), actor, cursor, len(found) > PAGE_SIZE)


def _is_day(text: str) -> bool:
    try:
        return not text or parse_date(text) is not None
    except ValueError:
        return False
