"""Keep the copy up to date: the worker reads each project a few calls at a time, within the budget of the project."""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CircuitOpenError, CloudError, ThrottledError
from dashboard.cloud.projects import Project
from dashboard.inventory import leases
from dashboard.inventory.budget import FairShares, halve, take_calls
from dashboard.inventory.details import DetailsPart
from dashboard.inventory.models import ProjectCopy
from dashboard.inventory.parts import CALLS_AT_ONCE, PAUSE, GroupsPart, Part, Pause, ServersPart

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.7
BUDGET = ("calls_left", "calls_left_at", "lease_holder", "leased_until")
PROGRESS = ("groups_pages", "groups_pages_read", "servers_pages", "servers_pages_read")


@dataclass(frozen=True)
class Read:
    """One call to make. `key` is the offset of a page or the id of a group."""

    part: Part
    key: Any


@dataclass(frozen=True)
class Reply:
    """The result of a call, or its error. `begun_at` is the start of the call."""

    read: Read
    begun_at: datetime
    result: Any


class ProjectRefresher:
    """Reads one project. Only the holder of the project's lease does."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.reset()

    def reset(self) -> None:
        """Forget the reads in progress."""
        self._shares = FairShares()
        self._pause: Pause | None = None
        self._details, self._servers = DetailsPart(), ServersPart()
        self._groups = GroupsPart(self._details.confirm_gone)
        # Details are stored first: a page of groups that was read at the same time makes them old.
        self._parts: tuple[Part, ...] = (self._details, self._servers, self._groups)

    def pause(self, length: timedelta) -> None:
        self._pause = Pause(timezone.now(), length)

    def plan(self) -> list[Read]:
        """The next calls, paid from the budget; none if nothing is due or another process holds the lease."""
        now = timezone.now()
        copy, _ = ProjectCopy.objects.get_or_create(slug=self._project.slug)
        if not leases.may_take(copy, now):
            self.reset()
            return []
        if self._pause is not None and not self._pause.is_over(copy, now):
            return []
        waiting = {part.name: (part, list(part.waiting(copy, now))) for part in self._parts}
        wanted = min(CALLS_AT_ONCE, sum(len(keys) for _, keys in waiting.values()))
        return self._choose(waiting, self._claim(copy, wanted, now))

    def _choose(self, waiting: dict[str, tuple[Part, list[Any]]], calls: int) -> list[Read]:
        reads = []
        for _ in range(calls):
            part, keys = waiting[self._shares.choose([name for name, (_, keys) in waiting.items() if keys])]
            reads.append(Read(part, keys.pop(0)))
        return reads

    def _claim(self, seen: ProjectCopy, wanted: int, now: datetime) -> int:
        """Renew the lease, and take calls out of the bucket. Writes only if there is something to write."""
        if not wanted:
            return 0
        if not leases.needs_renewal(seen, now) and not take_calls(seen, self._project.calls_per_minute, wanted, now):
            return 0
        with transaction.atomic():
            copy = ProjectCopy.objects.select_for_update().get(slug=seen.slug)
            if not leases.may_take(copy, now):
                return 0
            leases.take(copy, now)
            calls = take_calls(copy, self._project.calls_per_minute, wanted, now)
            for part in (self._groups, self._servers):
                part.note_progress(copy)
            copy.save(update_fields=(*BUDGET, *PROGRESS))
        return calls

    def call(self, read: Read) -> Reply:
        """Make one call. Uses no database, because it runs in a thread of its own."""
        begun_at = timezone.now()
        try:
            return Reply(read, begun_at, read.part.call(client_for(self._project), read.key))
        except CloudError as error:
            return Reply(read, begun_at, error)

    def take(self, replies: Sequence[Reply], watched: Sequence[str]) -> None:
        """Store what the calls returned."""
        copy = ProjectCopy.objects.get(slug=self._project.slug)
        for reply in replies:
            self._take_one(copy, reply)
        self._slow_down(copy, [reply.result for reply in replies])
        for part in self._parts:
            part.store(copy, watched)

    def _take_one(self, copy: ProjectCopy, reply: Reply) -> None:
        part, key = reply.read.part, reply.read.key
        if isinstance(reply.result, CloudError):
            part.fail(copy, key, reply.result)
            return
        try:
            part.add(key, reply.result, reply.begun_at)
        except CloudError as error:
            part.fail(copy, key, error)

    def _slow_down(self, copy: ProjectCopy, results: Sequence[object]) -> None:
        """Pause after too many calls, and while the circuit breaker is open. Its next call is the probe."""
        if any(isinstance(result, ThrottledError) for result in results):
            self.pause(PAUSE)
            halve(copy, timezone.now())
            copy.save(update_fields=("halved_until",))
        if retry_at := max((error.retry_at for error in results if isinstance(error, CircuitOpenError)), default=None):
            self.pause(max(timedelta(), retry_at - timezone.now()))


_refreshers: dict[Project, ProjectRefresher] = {}


def refresh_inventory(*, watched: Sequence[str]) -> None:
    """Make the calls that are due, for about a second. `watched` are the paths of the fields to compare.

    A read of a long list takes many calls of this function.
    """
    refreshers = [_refreshers.setdefault(project, ProjectRefresher(project)) for project in settings.CLOUD_PROJECTS]
    give_up = time.monotonic() + SLICE_SECONDS
    while _make_calls(refreshers, watched) and time.monotonic() < give_up:
        pass


def _make_calls(refreshers: Sequence[ProjectRefresher], watched: Sequence[str]) -> bool:
    """Make one round of calls, those of all projects at the same time. False if there was none to make."""
    plans: list[tuple[ProjectRefresher, Read]] = []
    for refresher in refreshers:
        with _isolated(refresher):
            plans += [(refresher, read) for read in refresher.plan()]
    if not plans:
        return False
    with ThreadPoolExecutor(len(plans), "inventory") as pool:
        replies = list(pool.map(lambda plan: plan[0].call(plan[1]), plans))
    for refresher in refreshers:
        with _isolated(refresher):
            own = [reply for (owner, _), reply in zip(plans, replies, strict=True) if owner is refresher]
            if own:
                refresher.take(own, watched)
    return True


@contextmanager
def _isolated(refresher: ProjectRefresher) -> Iterator[None]:
    """Keep an error of one project from the others. Its reads begin anew."""
    try:
        yield
    except leases.LeaseLostError:
        refresher.reset()
    except Exception:
        logger.exception("A refresh of the inventory failed and begins anew")
        refresher.reset()
        refresher.pause(PAUSE)
