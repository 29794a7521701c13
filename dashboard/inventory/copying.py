"""Store what was read: groups of the list, details of single groups, and groups that are gone.

Rows are compared in memory before the transaction, so that it is short. A row that changed since, by a write of ours,
stays as it is. Groups are locked before the project's copy.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from dashboard.cloud.resources import ServerGroup
from dashboard.inventory import leases
from dashboard.inventory.columns import LONGEST_KEY, columns_of, completed, detail_columns_of
from dashboard.inventory.differences import (
    EXISTENCE,
    Compared,
    compare,
    confirm,
    difference_of,
    is_detail,
    is_stale,
    suspect,
)
from dashboard.inventory.models import Difference, GroupCopy, GroupTag, ProjectCopy
from dashboard.inventory.passes import Found, ListPass

T = TypeVar("T")

BATCH = 500
STORED = (
    *columns_of(ServerGroup(id="")),
    *("baseline", "suspected", "read_at", "servers", "first_seen_at", "missing_since", "vanished_at"),
)
"""The columns that a read of the list writes."""
SUMMARY = ("groups", "listed", "groups_on", "groups_off", "unreadable", "app_types", "images", "tags")
PROGRESS = ("groups_as_of", "groups_problem", "groups_pages", "groups_pages_read")


@dataclass
class _Change:
    """A row to write. `known_read_at` is that of the row when it was compared; None for a new row."""

    copy: GroupCopy
    known_read_at: datetime | None
    is_retagged: bool
    differences: list[Difference]


@dataclass
class _Comparison:
    changes: list[_Change] = field(default_factory=list)
    unchanged: dict[datetime, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The keys of the rows that are as before, by the start of the call that returned them."""


def store_pages(copy: ProjectCopy, groups: Iterable[Found[ServerGroup]], watched: Sequence[str]) -> None:
    """Store groups of a read in progress."""
    comparison = _compare_all(copy, groups, watched)
    with transaction.atomic():
        _write(copy.slug, comparison)
        locked = leases.lock_copy(copy.slug)
        _summarise(locked)
        locked.save(update_fields=SUMMARY)


def store_pass(copy: ProjectCopy, read: ListPass[ServerGroup], watched: Sequence[str]) -> list[str]:
    """Store a complete read of the list. Returns the ids of the groups that two complete reads lack."""
    comparison = _compare_all(copy, read.rows.values(), watched)
    with transaction.atomic():
        _write(copy.slug, comparison)
        gone = _mark_missing(copy.slug, read) if read.is_whole else []
        locked = leases.lock_copy(copy.slug)
        locked.groups, locked.unreadable = len(read.rows), read.unreadable
        locked.groups_as_of, locked.groups_problem = read.begun_at, ""
        locked.groups_pages = locked.groups_pages_read = 0
        _summarise(locked)
        locked.save(update_fields=(*SUMMARY, *PROGRESS))
    return gone


def _compare_all(copy: ProjectCopy, groups: Iterable[Found[ServerGroup]], watched: Sequence[str]) -> _Comparison:
    listed = [path for path in watched if not is_detail(path)]
    comparison, now = _Comparison(), timezone.now()
    for batch in _batches(groups):
        ids = [found.row.id for found in batch]
        known = {row.group_id: row for row in GroupCopy.objects.filter(project=copy.slug, group_id__in=ids)}
        for found in batch:
            row = known.get(found.row.id)
            if row is None:
                comparison.changes.append(_new(copy, found, listed))
            elif not (is_older(found.begun_at, row.read_at, now) or is_stale(row, found.row, found.begun_at)):
                _compare_row(copy, row, found, listed, comparison)
    return comparison


def is_older(begun_at: datetime, read_at: datetime | None, now: datetime) -> bool:
    """Whether a read began before the stored one. A stored time in the future is from a clock that was ahead."""
    return read_at is not None and begun_at < read_at <= now


def _new(copy: ProjectCopy, found: Found[ServerGroup], paths: Sequence[str]) -> _Change:
    row = GroupCopy(project=copy.slug, group_id=found.row.id)
    _begin(copy, row, found)
    compare(row, found.row, paths, Compared(found.begun_at, found.begun_at))
    _set_columns(row, found)
    return _Change(row, None, is_retagged=True, differences=[])


def _begin(copy: ProjectCopy, row: GroupCopy, found: Found[ServerGroup]) -> None:
    """Make the row that of a new group. Only the first copy of a project does not suspect it."""
    row.first_seen_at, row.vanished_at, row.baseline, row.suspected = found.begun_at, None, {}, {}
    if copy.groups_as_of is not None:
        suspect(row, EXISTENCE, row.group_id, Compared(found.begun_at, copy.groups_as_of))


def _compare_row(
    copy: ProjectCopy, row: GroupCopy, found: Found[ServerGroup], paths: Sequence[str], comparison: _Comparison
) -> None:
    before, tags, read_at = _state(row), row.data.get("tags"), row.read_at
    read = Compared(found.begun_at, row.read_at)
    if row.vanished_at is not None:
        _begin(copy, row, found)
    known = confirm(row, EXISTENCE, read) if EXISTENCE in row.suspected else None
    differences = ([known] if known else []) + compare(row, found.row, paths, read)
    row.missing_since = None
    _set_columns(row, found)
    if _state(row) == before:
        comparison.unchanged[found.begun_at].append(row.pk)
    else:
        comparison.changes.append(_Change(row, read_at, row.data.get("tags") != tags, differences))


def _state(row: GroupCopy) -> tuple[object, ...]:
    """All that a read of the list can change, except its time."""
    values = (row.data, dict(row.baseline), dict(row.suspected), row.servers)
    return (*values, row.missing_since, row.vanished_at)


def _set_columns(row: GroupCopy, found: Found[ServerGroup]) -> None:
    for name, value in columns_of(found.row).items():
        setattr(row, name, value)
    row.read_at = found.begun_at
    if row.servers_as_of is None:
        row.servers = found.row.app_server_count


def _write(project: str, comparison: _Comparison) -> None:
    changes = _still_valid(project, comparison.changes)
    rows = [change.copy for change in changes]
    for row in rows:
        row.pk = None  # the conflict must be that of project and id; PostgreSQL and SQLite take only one
    GroupCopy.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=("project", "group_id"),
        update_fields=STORED,
    )
    _write_tags([change.copy for change in changes if change.is_retagged])
    Difference.objects.bulk_create([difference for change in changes for difference in change.differences])
    now = timezone.now()
    for begun_at, keys in comparison.unchanged.items():
        newer = Q(read_at__gt=begun_at, read_at__lte=now)
        GroupCopy.objects.filter(~newer, pk__in=keys).update(read_at=begun_at)


def _still_valid(project: str, changes: Sequence[_Change]) -> list[_Change]:
    """The changes of rows that nobody wrote since they were compared."""
    read_at: dict[str, datetime] = {}
    for batch in _batches(changes):
        rows = GroupCopy.objects.select_for_update().order_by("pk")
        rows = rows.filter(project=project, group_id__in=[change.copy.group_id for change in batch])
        read_at |= dict(rows.values_list("group_id", "read_at"))
    return [change for change in changes if read_at.get(change.copy.group_id) == change.known_read_at]


def _write_tags(rows: Sequence[GroupCopy]) -> None:
    for batch in _batches(rows):
        GroupTag.objects.filter(group__in=batch).delete()
    tags = (
        GroupTag(group=row, project=row.project, key=tag["key"][:LONGEST_KEY], value=tag["value"][:LONGEST_KEY])
        for row in rows
        for tag in row.data.get("tags", ())
    )
    GroupTag.objects.bulk_create(tags, batch_size=BATCH)


def _mark_missing(project: str, read: ListPass[ServerGroup]) -> list[str]:
    """Mark the groups that the read lacks. Returns the ids of those that were missing before."""
    now = timezone.now()
    rows = GroupCopy.objects.of(project).values_list("pk", "group_id", "missing_since", "read_at")
    absent = [row for row in rows if row[1] not in read.rows and not is_older(read.begun_at, row[3], now)]
    for batch in _batches(row[0] for row in absent if row[2] is None):
        GroupCopy.objects.filter(pk__in=batch).update(missing_since=read.begun_at)
    return [group_id for _, group_id, missing_since, _ in absent if missing_since is not None]


def _summarise(copy: ProjectCopy) -> None:
    """Count the groups, those of the last complete read by status, and collect the values of the filters."""
    rows = GroupCopy.objects.of(copy.slug)
    latest = Q(read_at__gte=copy.groups_as_of) if copy.groups_as_of else Q()
    counts = rows.aggregate(
        listed=Count("pk"),
        on=Count("pk", filter=latest & Q(status=True)),
        off=Count("pk", filter=latest & Q(status=False)),
    )
    copy.listed, copy.groups_on, copy.groups_off = counts["listed"], counts["on"], counts["off"]
    copy.app_types = _sorted(rows.values_list("app_type", flat=True).distinct())
    copy.images = _sorted(rows.values_list("image_name", flat=True).distinct())
    tags = GroupTag.objects.filter(project=copy.slug, group__vanished_at=None).values_list("key", "value").distinct()
    copy.tags = _sorted(f"{key}={value}" for key, value in tags)


def _sorted(texts: Iterable[str]) -> list[str]:
    return sorted(filter(None, texts), key=lambda text: (text.casefold(), text))


def store_details(slug: str, groups: Mapping[str, Found[ServerGroup]], watched: Sequence[str]) -> None:
    """Store reads of single groups, by the id that was requested. The columns of the list stay as they are."""
    paths, now = [path for path in watched if is_detail(path)], timezone.now()
    with transaction.atomic():
        rows = GroupCopy.objects.of(slug).select_for_update().order_by("pk").filter(group_id__in=list(groups))
        for row in rows:
            found = groups[row.group_id]
            if not (is_older(found.begun_at, row.read_at, now) or is_stale(row, found.row, found.begun_at)):
                _store_details_of(row, found, paths)
        leases.lock_copy(slug)


def _store_details_of(row: GroupCopy, found: Found[ServerGroup], paths: Sequence[str]) -> None:
    read = Compared(found.begun_at, row.details_as_of or row.read_at)
    Difference.objects.bulk_create(compare(row, found.row, paths, read))
    # The update_time of the list, because a response that spells it in another way would always look new.
    columns = {**detail_columns_of(found.row), "details_update_time": row.update_time, "details_as_of": found.begun_at}
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(update_fields=("baseline", "suspected", *columns))


def store_found(copy: ProjectCopy, groups: Mapping[str, Found[ServerGroup]], watched: Sequence[str]) -> None:
    """Store groups that the list lacks and ShowServerGroup returns."""
    rows = GroupCopy.objects.of(copy.slug).filter(group_id__in=list(groups))
    whole = {row.group_id: completed(groups[row.group_id].row, row.data) for row in rows}
    store_pages(copy, [Found(group, groups[group_id].begun_at) for group_id, group in whole.items()], watched)
    store_details(copy.slug, groups, watched)


def store_vanished(slug: str, group_ids: Sequence[str]) -> None:
    """Mark groups that two reads of the list lack and that the cloud does not find."""
    now = timezone.now()
    with transaction.atomic():
        rows = GroupCopy.objects.of(slug).select_for_update().order_by("pk")
        gone = list(rows.filter(group_id__in=group_ids, missing_since__isnull=False))
        Difference.objects.bulk_create(_vanished(row) for row in gone if EXISTENCE not in row.suspected)
        GroupCopy.objects.filter(pk__in=[row.pk for row in gone]).update(vanished_at=now)
        locked = leases.lock_copy(slug)
        _summarise(locked)
        locked.save(update_fields=SUMMARY)


def _vanished(row: GroupCopy) -> Difference:
    until = row.missing_since or row.read_at
    since = min(row.read_at, until)
    return difference_of(row, EXISTENCE, before=row.group_id, after=None, since=since, until=until)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
