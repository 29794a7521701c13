"""A page of the ledger as a template shows it: what was found, what was asked for, and where else one can go."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.utils.dateparse import parse_date

from dashboard.activity.filters import PAGE_SIZE, Cursor, Filters, Found, Search
from dashboard.audit.dates import read_moment
from dashboard.audit.models import ChangeIntent, Outcome, SystemEvent

KINDS = (("edit", "Edits"), ("switch", "Switches"), ("revert", "Reverts"), ("denied", "Refused attempts"))
OUTCOMES = tuple((value, label.capitalize()) for value, label in Outcome.choices)
NAMES = {
    "group": "Group",
    "actor": "Person",
    "field": "Field",
    "kind": "Kind",
    "outcome": "Outcome",
    "since": "From",
    "until": "To",
    "q": "With",
}


@dataclass(frozen=True)
class Chosen:
    """A filter that is on; `link` leads to the same without it."""

    name: str
    title: str
    value: str
    link: str


@dataclass(frozen=True)
class Activity:
    found: Found
    filters: Filters
    """Those that make sense."""
    cursor: Cursor
    group_name: str = ""
    """What the group that was asked for by its id was called last."""

    @property
    def older(self) -> str:
        return self.filters.link(cursor=self.found.older) if self.found.older else ""

    @property
    def newer(self) -> str:
        return self.filters.link(cursor=self.found.newer) if self.found.newer else ""

    @property
    def newest(self) -> str:
        return self.filters.link() if self.cursor.number is not None else ""

    @property
    def everything(self) -> str:
        return self.filters.link()

    @property
    def since_is_day(self) -> bool:
        """An address may name a time as well, which a field for dates would not show."""
        return _is_day(self.filters.since)

    @property
    def until_is_day(self) -> bool:
        return _is_day(self.filters.until)

    @property
    def chosen(self) -> Iterator[Chosen]:
        said = {"group": self.group_name, "kind": dict(KINDS).get(self.filters.kind)}
        said["outcome"] = dict(OUTCOMES).get(self.filters.outcome)
        for name, title in NAMES.items():
            if value := getattr(self.filters, name):
                yield Chosen(name, title, said.get(name) or value, self.filters.link(**{name: ""}))

    @property
    def why_empty(self) -> str:
        """What there is to say where no entry is shown."""
        since, until = read_moment(self.filters.since), read_moment(self.filters.until, end_of_day=True)
        if self.found.looked_to:
            return "searching"
        if since and until and since >= until:
            return "backwards"
        if self.cursor.number is not None:
            return "end"
        return "unmatched" if self.filters != Filters() else "blank"


def find_activity(project: str, filters: Filters, cursor: Cursor) -> Activity:
    sound = filters.sound
    sound = replace(
        sound,
        since=sound.since if read_moment(sound.since) else "",
        until=sound.until if read_moment(sound.until, end_of_day=True) else "",
    )
    found = Search(project, sound).page(cursor)
    newest = ChangeIntent.objects.for_group(project, sound.group).first() if sound.group else None
    return Activity(found, sound, cursor, newest.group_name if newest else "")


@dataclass(frozen=True)
class Events:
    """A page of system events, newest first."""

    rows: tuple[SystemEvent, ...]
    actor: str
    cursor: Cursor
    goes_on: bool
    """Whether there is more in the direction of the cursor."""

    @property
    def older(self) -> str:
        has_older = self.rows and (self.goes_on or self.cursor.is_newer)
        return self._link(str(self.rows[-1].number)) if has_older else ""

    @property
    def newer(self) -> str:
        has_newer = self.rows and (self.goes_on if self.cursor.is_newer else self.cursor.number is not None)
        return self._link(f"newer.{self.rows[0].number}") if has_newer else ""

    @property
    def newest(self) -> str:
        return self._link() if self.cursor.number is not None else ""

    def _link(self, cursor: str = "") -> str:
        return Filters(actor=self.actor).link(cursor=cursor)


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
