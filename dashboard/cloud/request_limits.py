"""Limit how many web requests wait for the cloud at a time, and how long each one waits.

Without these limits, a slow cloud holds every thread of a web process, and pages that need no cloud wait too. A slow
response is no failure for the circuit breaker: it has current data, and an open breaker would stop all writes for 15 s
after the cloud is fast again. A response after the deadline is a failure.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from dashboard.cloud.endpoints import Call
from dashboard.cloud.errors import SlowCloudError
from dashboard.cloud.limits import Deadline
from dashboard.cloud.rules import CallKind

P = ParamSpec("P")
T = TypeVar("T")

REQUEST_SECONDS = 15.0
"""Deadline for all reads of a request together."""
SLOT_SECONDS = 0.5
"""The longest wait for a slot."""


class Slots:
    """Slots for the requests of this process that wait for the cloud. Without a size, there is no limit."""

    def __init__(self, size: int | None = None) -> None:
        self._size, self._used = size, 0
        self._changed_at = time.monotonic()
        self._changed = threading.Condition()

    def resize(self, size: int | None) -> None:
        with self._changed:
            self._size = size
            self._changed.notify_all()

    def take(self) -> bool:
        """Wait for a free slot. False at once if no slot was taken or freed for `SLOT_SECONDS`.

        In a queue of requests that find all slots in use, only the first ones wait.
        """
        give_up = time.monotonic() + SLOT_SECONDS
        with self._changed:
            while self._size is not None and self._used >= self._size:
                wait = min(give_up, self._changed_at + SLOT_SECONDS) - time.monotonic()
                if wait <= 0:
                    return False
                self._changed.wait(wait)
            self._used += 1
            self._changed_at = time.monotonic()
            return True

    def free(self) -> None:
        with self._changed:
            self._used -= 1
            self._changed_at = time.monotonic()
            self._changed.notify()


slots = Slots()


class RequestLimits:
    """The slot and the deadline of one web request. All its threads share them."""

    def __init__(self) -> None:
        self._deadline = Deadline(REQUEST_SECONDS)
        self._lock = threading.Lock()
        self._calls = 0
        self._has_slot = self._is_over_limit = self._has_written = False

    @contextmanager
    def waiting(self, call: Call, deadline: Deadline) -> Iterator[Deadline]:
        """Hold the slot during a call, and yield the time by which the call must end. Raises SlowCloudError.

        A write has an intent in the ledger. So a write and the reads that verify it have their own deadlines, and the
        request keeps its slot after a write.
        """
        with self._lock:
            self._enter(call)
        try:
            yield deadline if self._has_written else deadline.or_earlier(self._deadline)
        finally:
            with self._lock:
                self._calls -= 1
                if not self._has_written:
                    self._free_unused_slot()

    def close(self) -> None:
        with self._lock:
            self._free_unused_slot()

    def _enter(self, call: Call) -> None:
        is_write = call.kind is CallKind.WRITE
        if not (is_write or self._has_written) and self._deadline.left() <= 0:
            raise SlowCloudError(f"{call.name} was not sent: this page has waited too long", call=call.name)
        if not self._has_slot and not self._is_over_limit:
            self._has_slot = slots.take()
            self._is_over_limit = not self._has_slot
        if self._is_over_limit:
            raise SlowCloudError(f"{call.name} was not sent: too many pages wait for the cloud", call=call.name)
        self._calls += 1
        self._has_written = self._has_written or is_write

    def _free_unused_slot(self) -> None:
        if self._has_slot and not self._calls:
            self._has_slot = False
            slots.free()


_current: ContextVar[RequestLimits | None] = ContextVar("request_limits", default=None)


@contextmanager
def limited_request() -> Iterator[None]:
    """Apply the limits to every call to the cloud in this context, also in a `RequestThreadPool`."""
    limits = RequestLimits()
    before = _current.set(limits)
    try:
        yield
    finally:
        _current.reset(before)
        limits.close()


@contextmanager
def waiting_for_cloud(call: Call, deadline: Deadline) -> Iterator[Deadline]:
    """Apply the limits of the current request, if there is one, to a call. Raises SlowCloudError."""
    limits = _current.get()
    if limits is None:
        yield deadline
    else:
        with limits.waiting(call, deadline) as earlier:
            yield earlier


class RequestThreadPool(ThreadPoolExecutor):
    """A thread pool whose calls to the cloud count as calls of the request that uses the pool."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return super().submit(copy_context().run, partial(fn, *args, **kwargs))
