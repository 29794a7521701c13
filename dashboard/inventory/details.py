"""The details of single groups: those that changed, those that are old, and reads of groups that may be gone."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from dashboard.cloud.client import Client
from dashboard.cloud.errors import CloudError, NotFoundError, NotSentError
from dashboard.cloud.parsing import id_problem
from dashboard.cloud.resources import ServerGroup
from dashboard.inventory import copying
from dashboard.inventory.differences import is_detail
from dashboard.inventory.models import GroupCopy, ProjectCopy
from dashboard.inventory.parts import CALLS_AT_ONCE, Part, can_pass, is_younger
from dashboard.inventory.passes import Found

READ_EVERY = timedelta(days=1)
CONFIRM_AFTER = timedelta(seconds=15)
"""The time between two reads that must agree on a new value."""
LOOK_EVERY = timedelta(seconds=5)
SKIP_FOR = timedelta(hours=1)


class DetailsPart(Part):
    name = "details"

    def __init__(self) -> None:
        super().__init__()
        self._gone: dict[str, None] = {}
        self._due: dict[str, None] = {}
        self._looked_at: datetime | None = None
        self._skipped: dict[str, datetime] = {}
        self._found: dict[str, Found[ServerGroup]] = {}
        self._not_found: list[str] = []
        self._watched: Sequence[str] = ()

    def confirm_gone(self, group_ids: Iterable[str]) -> None:
        """Ask the cloud for groups that the list lacks."""
        self._gone = dict.fromkeys(group_ids)

    def waiting(self, copy: ProjectCopy, now: datetime) -> Sequence[str]:
        if copy.groups_as_of is None or self.is_paused(copy, now):
            return ()
        if not self._due and not is_younger(self._looked_at, LOOK_EVERY, now):
            self._looked_at = now
            self._due = dict.fromkeys(self._look(copy, now))
        return [*self._gone, *(group_id for group_id in self._due if group_id not in self._gone)][:CALLS_AT_ONCE]

    def _look(self, copy: ProjectCopy, now: datetime) -> list[str]:
        self._skipped = {key: at for key, at in self._skipped.items() if is_younger(at, SKIP_FOR, now)}
        for due in (self._changed(), self._suspected(now), self._old(now)):
            rows = GroupCopy.objects.of(copy.slug).filter(due, missing_since=None)
            rows = rows.order_by(F("details_as_of").asc(nulls_first=True), "pk")
            ids = rows.values_list("group_id", flat=True)[: len(self._skipped) + 2 * CALLS_AT_ONCE]
            usable = [one for one in ids if one not in self._skipped and not id_problem(one)]
            if usable:
                return usable
        return []

    def _changed(self) -> Q:
        is_same = Q(details_update_time__isnull=False, details_update_time=F("update_time"))
        return Q(details_as_of__isnull=False, update_time__isnull=False) & ~is_same

    def _suspected(self, now: datetime) -> Q:
        paths = [path for path in self._watched if is_detail(path)]
        is_ripe = Q(details_as_of__lte=now - CONFIRM_AFTER)
        return is_ripe & Q(suspected__has_any_keys=paths) if paths else Q(pk__in=())

    def _old(self, now: datetime) -> Q:
        return Q(details_as_of=None) | Q(details_as_of__lte=now - READ_EVERY) | Q(details_as_of__gt=now)

    def call(self, client: Client, key: str) -> ServerGroup:
        return client.show_server_group(key, is_repeatable=False)

    def add(self, key: str, result: ServerGroup, begun_at: datetime) -> None:
        self._failures = 0
        self._found[key] = Found(result, begun_at)

    def fail(self, copy: ProjectCopy, key: str, error: CloudError) -> None:
        """Skip a group whose read would fail again. One that may be gone is tried again after the next list."""
        self._due.pop(key, None)
        if not can_pass(error) and not isinstance(error, NotSentError):
            self._skipped[key] = timezone.now()
        if isinstance(error, NotFoundError):
            self._not_found.append(key)
        else:
            self._gone.pop(key, None)
            super().fail(copy, key, error)

    def store(self, copy: ProjectCopy, watched: Sequence[str]) -> None:
        self._watched = watched
        gone = {key: self._found.pop(key) for key in list(self._found) if key in self._gone}
        vanished = [key for key in self._not_found if key in self._gone]
        if gone:
            copying.store_found(copy, gone, watched)
        if self._found:
            copying.store_details(copy.slug, self._found, watched)
        if vanished:
            copying.store_vanished(copy.slug, vanished)
        for key in (*gone, *self._found, *vanished):
            self._gone.pop(key, None)
            self._due.pop(key, None)
        self._found, self._not_found = {}, []

    def break_off(self, copy: ProjectCopy, error: CloudError) -> None:  # noqa: ARG002 (the copy shows no such problem)
        self._due = {}
