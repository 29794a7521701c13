"""Leaving a cloud in trouble alone: a budget for retries and a breaker, both shared by all threads (quality.md 1)."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboard.cloud.errors import CircuitOpenError


class RetryBudget:
    """A purse for retries: a success puts one coin in, a retry takes ten out.

    Nothing flows in while nothing succeeds, so that an outage costs at most `retries` of them whatever the number of
    calls; in ordinary times one call in ten may be sent again.
    """

    PRICE = 10

    def __init__(self, retries: int = 40) -> None:
        self._size = self._coins = retries * self.PRICE
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            if self._coins < self.PRICE:
                return False
            self._coins -= self.PRICE
            return True

    def give(self) -> None:
        with self._lock:
            self._coins = min(self._size, self._coins + 1)


@dataclass
class CallHealth:
    """What a call says about the cloud: True an outage, False alive, None nothing (it was never sent)."""

    is_outage: bool | None = None


class Breaker:
    """Opens for 15 s when half of the last 20 calls met an outage, then lets a single probe through."""

    WINDOW = 20
    OPEN_FOR = 15.0

    def __init__(self, endpoint: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint, self._clock = endpoint, clock
        self._recent: deque[bool] = deque(maxlen=self.WINDOW)
        self._open_until: float | None = None
        self._is_probing = False
        self._lock = threading.Lock()

    @contextmanager
    def watched(self) -> Iterator[CallHealth]:
        """Around a call, which sets the details's fields. Raises CircuitOpenError instead while the breaker is open."""
        details = CallHealth()
        is_probe = self._admit()
        try:
            yield details
        finally:
            self._settle(details, is_probe=is_probe)

    @property
    def is_open(self) -> bool:
        with self._lock:
            return self._open_until is not None

    def _admit(self) -> bool:
        with self._lock:
            if self._open_until is None:
                return False
            wait = self._open_until - self._clock()
            if wait > 0 or self._is_probing:
                raise self._suspended(max(wait, 0.0))
            self._is_probing = True
            return True

    def _settle(self, details: CallHealth, *, is_probe: bool) -> None:
        with self._lock:
            if is_probe:
                self._is_probing = False
                self._open_until = None if details.is_outage is False else self._clock() + self.OPEN_FOR
                self._recent.clear()
            elif details.is_outage is not None and self._open_until is None:
                self._recent.append(details.is_outage)
                if sum(self._recent) * 2 >= self.WINDOW:
                    self._open_until = self._clock() + self.OPEN_FOR

    def _suspended(self, wait: float) -> CircuitOpenError:
        retry_at = datetime.now(UTC) + timedelta(seconds=wait)
        return CircuitOpenError(f"{self._endpoint} failed too often and is left alone for now", retry_at=retry_at)
