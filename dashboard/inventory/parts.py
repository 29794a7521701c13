"""The parts of the copy that are lists: the groups and the servers. Each part knows what to read next.

The state of a read is in this process. If the process ends, the next one begins a new read.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.utils import timezone

from dashboard.cloud.client import Client
from dashboard.cloud.errors import (
    CloudError,
    IncompleteListError,
    ListTooLargeError,
    NotSentError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from dashboard.cloud.limits import LIMITS
from dashboard.cloud.paging import HasId, Page
from dashboard.cloud.resources import ServerGroup
from dashboard.inventory import copying, leases, loads
from dashboard.inventory.loads import ServerLoad
from dashboard.inventory.models import ProjectCopy
from dashboard.inventory.passes import Found, ListPass
from dashboard.inventory.problems import problem_name

Row = TypeVar("Row", bound=HasId)

VIEWED_FOR = timedelta(seconds=60)
"""How long a page counts as looked at after it was loaded."""
GROUPS_EVERY = {True: timedelta(seconds=15), False: timedelta(minutes=5)}
SERVERS_EVERY = {True: timedelta(seconds=60), False: timedelta(minutes=5)}
"""The period of a list by whether someone looks at it."""
MOST_FAILURES = 5
"""Failures in a row after which a read breaks off."""
PAUSE = timedelta(seconds=15)
LONG_PAUSE = timedelta(minutes=5)
"""The time until a new read, after an outage and after a rejection."""
CALLS_AT_ONCE = 10
STAYING = (RejectedError, ListTooLargeError, IncompleteListError)
"""Errors that a new read a moment later would meet again."""


def is_younger(moment: datetime | None, period: timedelta, now: datetime) -> bool:
    """Whether a time is less than a period ago. A time in the future is not: it is from a clock that was ahead."""
    return moment is not None and timedelta() <= now - moment < period


def is_asked(copy: ProjectCopy, since: datetime | None, now: datetime) -> bool:
    """Whether someone asked for a refresh after a time."""
    return copy.asked_at is not None and copy.asked_at <= now and (since is None or since < copy.asked_at)


def can_pass(error: CloudError) -> bool:
    """Whether the same call can succeed a moment later."""
    if isinstance(error, ThrottledError | UnreachableError):
        return True
    return not isinstance(error, (*STAYING, NotSentError))


@dataclass(frozen=True)
class Pause:
    """A time in which nothing is read. A request for a refresh ends it."""

    begun_at: datetime
    length: timedelta

    def is_over(self, copy: ProjectCopy, now: datetime) -> bool:
        return not is_younger(self.begun_at, self.length, now) or is_asked(copy, self.begun_at, now)


class Part(ABC):
    name: str

    def __init__(self) -> None:
        self._failures = 0
        self._pause: Pause | None = None

    @abstractmethod
    def waiting(self, copy: ProjectCopy, now: datetime) -> Sequence[Any]:
        """What to read next, at most `CALLS_AT_ONCE`: offsets of pages or ids of groups. Begins a read that is due."""

    @abstractmethod
    def call(self, client: Client, key: Any) -> Any:
        """Read one page or group. Uses no database. Raises CloudError."""

    @abstractmethod
    def add(self, key: Any, result: Any, begun_at: datetime) -> None:
        """Take the result of `call()`. Raises CloudError."""

    @abstractmethod
    def store(self, copy: ProjectCopy, watched: Sequence[str]) -> None:
        """Store what was read, if it is complete."""

    @abstractmethod
    def break_off(self, copy: ProjectCopy, error: CloudError) -> None:
        """End the read. The copy stays as it was."""

    def fail(self, copy: ProjectCopy, key: Any, error: CloudError) -> None:  # noqa: ARG002 (details use the key)
        """Try again after a failure that can pass. Break off after the last one, or after one that stays."""
        self._failures += 1
        if not can_pass(error) or self._failures >= MOST_FAILURES:
            self._failures = 0
            self.pause(LONG_PAUSE if isinstance(error, STAYING) and not can_pass(error) else PAUSE)
            self.break_off(copy, error)

    def pause(self, length: timedelta) -> None:
        self._pause = Pause(timezone.now(), length)

    def is_paused(self, copy: ProjectCopy, now: datetime) -> bool:
        return self._pause is not None and not self._pause.is_over(copy, now)


class ListPart(Part, Generic[Row]):
    """A part that is a whole list, read page by page."""

    every: dict[bool, timedelta]

    def __init__(self) -> None:
        super().__init__()
        self._read: ListPass[Row] | None = None

    def waiting(self, copy: ProjectCopy, now: datetime) -> Sequence[int]:
        if self._read is None and self._is_due(copy, now):
            self._read = ListPass(now)
        return self._read.offsets(CALLS_AT_ONCE) if self._read else ()

    def _is_due(self, copy: ProjectCopy, now: datetime) -> bool:
        as_of = getattr(copy, f"{self.name}_as_of")
        is_watched = is_younger(copy.viewed_at, VIEWED_FOR, now) or is_asked(copy, as_of, now)
        return not self.is_paused(copy, now) and not is_younger(as_of, self.every[is_watched], now)

    def add(self, key: int, result: Page[Row], begun_at: datetime) -> None:
        if self._read is None:  # another page of the same round ended the read
            return
        self._failures = 0
        self._read.add(key, result, begun_at)
        if self._read.bytes > LIMITS.list_bytes:
            raise ListTooLargeError(f"the list of {self.name} has more than {LIMITS.list_bytes:,} bytes")

    def break_off(self, copy: ProjectCopy, error: CloudError) -> None:
        self._read = None
        values = {"problem": problem_name(error), "pages": 0, "pages_read": 0}
        fields = {f"{self.name}_{name}": value for name, value in values.items()}
        ProjectCopy.objects.filter(slug=copy.slug, lease_holder=leases.holder()).update(**fields)

    def note_progress(self, copy: ProjectCopy) -> None:
        """Set the progress. The caller saves the copy."""
        setattr(copy, f"{self.name}_pages", self._read.pages if self._read else 0)
        setattr(copy, f"{self.name}_pages_read", self._read.pages_read if self._read else 0)


class GroupsPart(ListPart[ServerGroup]):
    name = "groups"
    every = GROUPS_EVERY

    def __init__(self, confirm_gone: Callable[[Iterable[str]], None]) -> None:
        """`confirm_gone` takes the ids of groups that two complete reads lack."""
        super().__init__()
        self._confirm_gone = confirm_gone
        self._new: list[Found[ServerGroup]] = []
        """The groups of this round."""

    def _is_due(self, copy: ProjectCopy, now: datetime) -> bool:
        is_asked_for = is_asked(copy, copy.groups_as_of, now) and not self.is_paused(copy, now)
        return is_asked_for or super()._is_due(copy, now)

    def call(self, client: Client, key: int) -> Page[ServerGroup]:
        return client.server_group_page(key)

    def add(self, key: int, result: Page[ServerGroup], begun_at: datetime) -> None:
        super().add(key, result, begun_at)
        self._new += [Found(group, begun_at) for group in result.items]

    def store(self, copy: ProjectCopy, watched: Sequence[str]) -> None:
        """Store the pass if it is complete, and the first one as it comes."""
        new, self._new = self._new, []
        if self._read is None:
            return
        if self._read.is_done:
            self._confirm_gone(copying.store_pass(copy, self._read, watched))
            self._read = None
        elif copy.groups_as_of is None and new:
            copying.store_pages(copy, new, watched)


class ServersPart(ListPart[ServerLoad]):
    """All servers. They are read after the first copy of the groups."""

    name = "servers"
    every = SERVERS_EVERY

    def _is_due(self, copy: ProjectCopy, now: datetime) -> bool:
        return copy.groups_as_of is not None and super()._is_due(copy, now)

    def call(self, client: Client, key: int) -> Page[ServerLoad]:
        page = client.server_page(key)
        servers = tuple(map(ServerLoad.of, page.items))
        return Page(servers, page.total, page.without_id, page.as_of)

    def store(self, copy: ProjectCopy, watched: Sequence[str]) -> None:  # noqa: ARG002 (servers have no fields)
        """Store the pass if it is complete. Sums from a list that lacks rows would be wrong."""
        if self._read is None or not self._read.is_done:
            return
        if self._read.is_plausible:
            loads.store_servers(copy, self._read)
            self._read = None
        else:
            self.fail(copy, None, IncompleteListError(f"{self._read.unreadable} servers could not be read"))
