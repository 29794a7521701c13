"""Limits for the duration of a call and the size of a response (quality.md 1)."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds, except `body` and `list_bytes` in bytes (decompressed), `*_rows` in rows and `attempts` in requests.

    `whole` covers every attempt of a call and the pauses between them. `backoff` is the longest first pause. The client
    does not send a write later than `send` after its intent. `list_bytes` covers all pages of a list: `list_rows`
    ordinary rows have about 1.5 kB each. `server_rows` is for a list that is read page by page.
    """

    connect: float = 3.0
    read: float = 10.0
    whole: float = 15.0
    send: float = 10.0
    body: int = 5 * 1024 * 1024
    list_rows: int = 100_000
    list_bytes: int = 160_000_000
    server_rows: int = 1_000_000
    attempts: int = 3
    backoff: float = 0.25


LIMITS = Limits()


class Deadline:
    """The time by which a call must end."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain; zero or less after the deadline."""
        return self._end - time.monotonic()

    def or_earlier(self, other: "Deadline") -> "Deadline":
        return other if other.left() < self.left() else self

    def within(self, seconds: float | None) -> float:
        """Seconds for a single wait, at most `seconds`. Raises TimeoutError after the deadline."""
        left = self.left()
        if left <= 0:
            raise TimeoutError("the deadline of the whole call has passed")
        return left if seconds is None else min(seconds, left)
