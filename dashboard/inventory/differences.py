"""Find the changes that no write of ours made, as far as the inventory knows.

A single read may be stale. So a value that differs from the baseline is suspected first. If the next read shows the
same value, it becomes the baseline and a difference. Within a minute after a write of ours nothing is confirmed, and a
read that shows an older `update_time` than the copy is ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.columns import DETAILS
from dashboard.inventory.models import Difference, GroupCopy

STALE_FOR = timedelta(minutes=1)
"""Longer than a read is stale after a write (quality.md 2 speaks of seconds)."""
IGNORED_FOR = timedelta(minutes=10)
"""After this time without an accepted read, a read is accepted although its `update_time` is older."""
EXISTENCE = ""
"""The path of a difference that is a new or a vanished group."""


@dataclass(frozen=True)
class Compared:
    """A read to compare. `begun_at` is its start, `since` that of the read before, which returned the old values."""

    begun_at: datetime
    since: datetime


def is_detail(path: str) -> bool:
    """Whether only ShowServerGroup returns the value."""
    return path.partition(".")[0] in DETAILS


def compare(copy: GroupCopy, group: ServerGroup, paths: Iterable[str], read: Compared) -> list[Difference]:
    """Compare the values of a read with the baseline. Changes the baseline and the suspected values of the copy.

    A read without a value says nothing about it.
    """
    values = ((path, group.value(path)) for path in paths)
    found = (_compare_value(copy, path, value, read) for path, value in values if value is not None)
    return [difference for difference in found if difference is not None]


def _compare_value(copy: GroupCopy, path: str, value: object, read: Compared) -> Difference | None:
    if copy.baseline.setdefault(path, value) == value:
        copy.suspected.pop(path, None)
        return None
    if copy.suspected.get(path, {}).get("value") != value:
        suspect(copy, path, value, read)
        return None
    return confirm(copy, path, read)


def suspect(copy: GroupCopy, path: str, value: object, read: Compared) -> None:
    copy.suspected[path] = {
        "value": value,
        "since": min(read.since, read.begun_at).isoformat(),
        "until": read.begun_at.isoformat(),
    }


def confirm(copy: GroupCopy, path: str, read: Compared) -> Difference | None:
    """The difference of a suspected value. None if the same read comes a second time."""
    since, until = (datetime.fromisoformat(copy.suspected[path][name]) for name in ("since", "until"))
    if read.begun_at == until or _was_just_written(copy, read):
        return None
    after = copy.suspected.pop(path)["value"]
    before = None if path == EXISTENCE else copy.baseline[path]
    if path != EXISTENCE:
        copy.baseline[path] = after
    return difference_of(copy, path, before=before, after=after, since=since, until=until)


def _was_just_written(copy: GroupCopy, read: Compared) -> bool:
    return copy.written_at is not None and timedelta() <= read.begun_at - copy.written_at < STALE_FOR


def is_stale(copy: GroupCopy, group: ServerGroup, begun_at: datetime) -> bool:
    """Whether a read shows an earlier state of the group than the copy has."""
    if group.update_time is None or copy.update_time is None or group.update_time >= copy.update_time:
        return False
    return timedelta() <= begun_at - copy.read_at < IGNORED_FOR


def difference_of(
    copy: GroupCopy, path: str, *, before: object, after: object, since: datetime, until: datetime
) -> Difference:
    return Difference(
        project=copy.project,
        group_id=copy.group_id,
        group_name=copy.name,
        path=path,
        before=before,
        after=after,
        since=since,
        until=until,
    )
