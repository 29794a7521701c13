"""Put the dashboard's own writes into the copy, so that every process shows them at once."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.columns import columns_of, completed, detail_columns_of
from dashboard.inventory.copying import is_older
from dashboard.inventory.differences import Compared, compare
from dashboard.inventory.models import Difference, GroupCopy, ProjectCopy

logger = logging.getLogger(__name__)


def store_written(
    project: str, group: ServerGroup, *, begun_at: datetime, written: Sequence[str], watched: Sequence[str]
) -> None:
    """Store the read that verified a write. An error of the database is logged: the write itself has succeeded.

    `begun_at` is the start of the read. If the copy has a newer one, this one is ignored. `written` has the paths that
    the write changed. They are no changes outside the dashboard. The read can show such a change in another of the
    `watched` paths.
    """
    try:
        with transaction.atomic():
            row = GroupCopy.objects.of(project).select_for_update().filter(group_id=group.id).first()
            if row is not None and not is_older(begun_at, row.read_at, timezone.now()):
                _store(row, group, Compared(begun_at, row.read_at), written, watched)
    except (DatabaseError, InterfaceError):
        logger.exception("The copy of group %s could not be changed", group.id)


def _store(row: GroupCopy, group: ServerGroup, read: Compared, written: Sequence[str], watched: Sequence[str]) -> None:
    copy = ProjectCopy.objects.select_for_update().filter(slug=row.project).first()
    counted = _counted(copy, row)
    for path in written:
        row.baseline[path] = group.value(path)
        row.suspected.pop(path, None)
    Difference.objects.bulk_create(compare(row, group, watched, read))
    # Only a refresh writes the rows of the tags, so the tags stay as they are.
    listed = columns_of(replace(completed(group, row.data), tags=row.group.tags))
    for name, value in (listed | detail_columns_of(group)).items():
        setattr(row, name, value)
    row.read_at = row.written_at = row.details_as_of = read.begun_at
    row.save()
    if copy is not None and counted != (now := _counted(copy, row)):
        copy.groups_on += (now is True) - (counted is True)
        copy.groups_off += (now is False) - (counted is False)
        copy.save(update_fields=("groups_on", "groups_off"))


def _counted(copy: ProjectCopy | None, row: GroupCopy) -> bool | None:
    """The status with which a group counts. The counts leave out a group that the last complete read lacks."""
    is_latest = copy is not None and (copy.groups_as_of is None or row.read_at >= copy.groups_as_of)
    return row.status if is_latest else None
