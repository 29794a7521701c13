"""Retry budget and circuit breaker, both shared by all threads (quality.md 1)."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboard.cloud.errors import CircuitOpenError


class RetryBudget:
    """Token bucket for retries. A success adds one token, a retry costs ten.

    An outage allows at most `retries` retries in all, whatever the number of calls. Otherwise one call in ten may be
    sent again.
    """

    COST = 10

    def __init__(self, retries: int = 40) -> None:
        self._capacity = self._tokens = retries * self.COST
        self._lock = threading.Lock()

    def spend(self) -> bool:
        """Pay for one retry. False if too few tokens are left."""
        with self._lock:
            if self._tokens < self.COST:
                return False
            self._tokens -= self.COST
            return True

    def add(self) -> None:
        """Add the token of a success."""
        with self._lock:
            self._tokens = min(self._capacity, self._tokens + 1)


@dataclass
class CallHealth:
    """What a call shows about the cloud: an outage (True), a response (False), or nothing (None: not sent)."""

    is_outage: bool | None = None


class CircuitBreaker:
    """Opens for 15 s when half of the last 20 calls met an outage. Then a single call probes the endpoint."""

    WINDOW = 20
    OPEN_FOR = 15.0

    def __init__(self, endpoint: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint, self._clock = endpoint, clock
        self._recent: deque[bool] = deque(maxlen=self.WINDOW)
        self._open_until: float | None = None
        self._is_probing = False
        self._lock = threading.Lock()

    @contextmanager
    def guarded(self) -> Iterator[CallHealth]:
        """Context of a call that reports its health. Raises CircuitOpenError while the breaker is open."""
        health = CallHealth()
        is_probe = self._admit()
        try:
            yield health
        finally:
            self._count(health, is_probe=is_probe)

    @property
    def is_open(self) -> bool:
        with self._lock:
            return self._open_until is not None

    def _admit(self) -> bool:
        """Admit a call, and return whether it is the probe."""
        with self._lock:
            if self._open_until is None:
                return False
            wait = self._open_until - self._clock()
            if wait > 0 or self._is_probing:
                raise self._open_error(max(wait, 0.0))
            self._is_probing = True
            return True

    def _count(self, health: CallHealth, *, is_probe: bool) -> None:
        with self._lock:
            if is_probe:
                self._is_probing = False
                self._open_until = None if health.is_outage is False else self._clock() + self.OPEN_FOR
                self._recent.clear()
            elif health.is_outage is not None and self._open_until is None:
                self._recent.append(health.is_outage)
                if sum(self._recent) * 2 >= self.WINDOW:
                    self._open_until = self._clock() + self.OPEN_FOR

    def _open_error(self, wait: float) -> CircuitOpenError:
        retry_at = datetime.now(UTC) + timedelta(seconds=wait)
        return CircuitOpenError(
            f"the circuit breaker of {self._endpoint} is open after too many failures", retry_at=retry_at
        )
