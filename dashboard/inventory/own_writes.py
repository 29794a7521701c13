"""Put the dashboard's own writes into the copy, so that every process shows them at once."""

import logging
from collections.abc import Sequence

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F
from django.utils import timezone

from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.columns import columns_of, completed, detail_columns_of
from dashboard.inventory.differences import Compared, compare
from dashboard.inventory.models import Difference, GroupCopy, ProjectCopy

logger = logging.getLogger(__name__)


def store_written(project: str, group: ServerGroup, *, written: Sequence[str], watched: Sequence[str]) -> None:
    """Store the read that verified a write. An error of the database is logged: the write itself has succeeded.

    `written` has the paths that the write changed. They are no changes outside the dashboard. The read can show such a
    change in another of the `watched` paths.
    """
    try:
        with transaction.atomic():
            _store(project, group, written, watched)
    except (DatabaseError, InterfaceError):
        logger.exception("The copy of group %s could not be changed", group.id)


def _store(project: str, group: ServerGroup, written: Sequence[str], watched: Sequence[str]) -> None:
    row = GroupCopy.objects.of(project).select_for_update().filter(group_id=group.id).first()
    if row is None:
        return
    now, status = timezone.now(), row.status
    for path in written:
        row.baseline[path] = group.value(path)
        row.suspected.pop(path, None)
    Difference.objects.bulk_create(compare(row, group, watched, Compared(now, row.read_at)))
    for name, value in (columns_of(completed(group, row.data)) | detail_columns_of(group)).items():
        setattr(row, name, value)
    row.read_at = row.written_at = row.details_as_of = now
    row.save()
    _count(project, status, row.status)


def _count(project: str, before: bool | None, after: bool | None) -> None:
    on, off = int(after is True) - int(before is True), int(after is False) - int(before is False)
    ProjectCopy.objects.filter(pk=project).update(groups_on=F("groups_on") + on, groups_off=F("groups_off") + off)
