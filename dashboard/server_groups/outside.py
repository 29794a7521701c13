"""Record the changes that someone made outside the dashboard, such as in the cloud's console.

The inventory stores each difference that two of its reads agree on. A difference that a change in the ledger explains
is dropped. While such a change is unsettled or observed, the difference waits for its outcome.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from django.utils import timezone

from dashboard.audit.ledger.group_history import WITHOUT_EFFECT
from dashboard.audit.ledger.services import Change, OutsideChange, appending, reading_ledger, record_outside
from dashboard.audit.models import OBSERVED_FOR, ChangeIntent, Kind, OpenChange, Outcome, Value
from dashboard.inventory.models import Difference, GroupCopy
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.ledger_texts import field_change

EXISTENCE = "id"
"""The field of a change that created or deleted a group."""
STALE_FOR = timedelta(seconds=30)
"""A read that began this long after a verification can still show the old value."""
LAST_READ_WITHIN = timedelta(minutes=1)
"""After the end of an observation, its last read is recorded within this time."""
_TIME = "%Y-%m-%d %H:%M:%S"
_INTERVAL = re.compile(r"between (\S+ \S+) and (\S+ \S+) UTC\.$")


@dataclass(frozen=True)
class OwnChange:
    """A change in the ledger that was or may have been sent, and the values that the cloud has after it, by path.

    `applied_until` is the start of the last read that can still show the values before. The outcome of an open change
    is not final yet.
    """

    values: Mapping[str, Value]
    applied_until: datetime
    is_open: bool

    def explains(self, row: Difference) -> bool:
        is_same_value = row.path in self.values and self.values[row.path] == row.after
        return is_same_value and row.since <= self.applied_until


def record_outside_changes() -> None:
    """Record or drop each difference that can be decided now. Raises LedgerError: the other differences then wait.

    The entries of a group and the deletion of its differences are one transaction, which holds the write lock of the
    ledger. So each difference is recorded once, also if the process is killed or another one does the same.
    """
    with reading_ledger():
        groups = list(Difference.objects.order_by("project", "group_id").values_list("project", "group_id").distinct())
    for project, group_id in groups:
        with appending():
            entries = _decide(project, group_id)
        if entries:
            # After the transaction: a refresh may hold the row, and no write may wait for a refresh.
            copy = GroupCopy.objects.filter(project=project, group_id=group_id)
            copy.update(changed_outside_at=max(entry.at for entry in entries))


def _decide(project: str, group_id: str) -> list[ChangeIntent]:
    """Record the differences of a group that no change in the ledger explains. The order of each field is kept."""
    rows = list(Difference.objects.filter(project=project, group_id=group_id))
    own = _own_changes(project, group_id, rows) if rows else []
    waiting: set[str] = set()
    decided, outside = [], []
    for row in rows:
        explanations = [change for change in own if change.explains(row)]
        if row.path in waiting or any(change.is_open for change in explanations):
            waiting.add(row.path)
            continue
        decided.append(row.pk)
        if not explanations:
            outside.append(row)
    intervals = groupby(sorted(outside, key=_interval), key=_interval)
    entries = [_record(list(together)) for _, together in intervals]
    Difference.objects.filter(pk__in=decided).delete()
    return entries


def _interval(row: Difference) -> tuple[datetime, datetime, bool]:
    """What the differences of one entry have in common. A new or a vanished group has its own entry."""
    return row.since, row.until, bool(row.path)


def _own_changes(project: str, group_id: str, rows: Sequence[Difference]) -> list[OwnChange]:
    """Find the changes that can be the cause of a difference: those of the group, and those of its primary groups."""
    group_ids = [group_id, *_primary_ids(project, group_id, rows)]
    since = min(row.since for row in rows) - OBSERVED_FOR - LAST_READ_WITHIN
    changes = ChangeIntent.objects.filter(project=project, group_id__in=group_ids, at__gte=since)
    listed = set(OpenChange.objects.filter(project=project, group_id__in=group_ids).values_list("number", flat=True))
    found = (
        _own_change(change, group_id, is_listed=change.number in listed)
        for change in changes.exclude(kind__in=(Kind.OUTSIDE, Kind.DENIED)).with_rows()
    )
    return [change for change in found if change is not None]


def _primary_ids(project: str, group_id: str, rows: Sequence[Difference]) -> tuple[str, ...]:
    if not any(_cascades(row.path) for row in rows):
        return ()
    copy = GroupCopy.objects.filter(project=project, group_id=group_id).first()
    return copy.group.primary_server_group_ids if copy else ()


def _cascades(path: str) -> bool:
    return path in BY_PATH and BY_PATH[path].cascades


def _own_change(change: ChangeIntent, group_id: str, *, is_listed: bool) -> OwnChange | None:
    """The change as a cause of differences of the group; None if nothing was sent or the cloud did not apply it."""
    last = change.last_outcome
    is_open = is_listed and timezone.now() < change.observed_until + LAST_READ_WITHIN
    is_closed_attempt = last is not None and last.number == change.number
    if is_closed_attempt or (last is not None and last.outcome in WITHOUT_EFFECT and not is_open):
        return None
    is_applied = last is not None and last.outcome == Outcome.APPLIED
    is_own_group = change.group_id == group_id
    return OwnChange(
        {row.field: row.after for row in change.fields.all() if is_own_group or _cascades(row.field)},
        last.at + STALE_FOR if last and is_applied else change.observed_until,
        is_open,
    )


def _record(rows: Sequence[Difference]) -> ChangeIntent:
    """Record the differences of one group between two reads as one entry."""
    first = rows[0]
    return record_outside(
        OutsideChange(
            project=first.project,
            group_id=first.group_id,
            group_name=first.group_name or first.group_id,
            changes=tuple(_change(row) for row in rows),
            proof=f"{_sentences(rows)} between {first.since:{_TIME}} and {first.until:{_TIME}} UTC.",
        )
    )


def _change(row: Difference) -> Change:
    if not row.path:
        return Change(EXISTENCE, "Server group", row.before, row.after)
    if row.path not in BY_PATH:
        return Change(row.path, row.path, row.before, row.after)
    return field_change(row.path, row.before, row.after)


def _sentences(rows: Sequence[Difference]) -> str:
    """What the reads showed, in English, without the times."""
    if not rows[0].path:
        is_new = rows[0].after is not None
        reads, what = (
            ("Two reads show the new group.", "created") if is_new else ("No read finds the group.", "deleted")
        )
        return f"{reads} It was {what} outside the dashboard"
    if len(rows) > 1:
        return "Two reads show the new values. They changed outside the dashboard"
    return "Two reads show the new value. It changed outside the dashboard"


def interval_of(proof: str) -> tuple[datetime, datetime] | None:
    """The times of the two reads between which a change happened, from the proof of its entry."""
    if (match := _INTERVAL.search(proof)) is None:
        return None
    since, until = (datetime.strptime(text, _TIME).replace(tzinfo=UTC) for text in match.groups())
    return since, until
