"""How long a call may take and how large an answer may be (quality.md 1)."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds, except `body` and `list_bytes` in bytes (decompressed), `list_rows` in rows and `attempts` in requests.

    `whole` covers every attempt of a call with the pauses between them. `backoff` is the longest first pause. A write
    does not leave later than `send` after its intent. `list_bytes` is for all pages of a list together: `list_rows`
    ordinary rows of about 1.5 kB just fit.
    """

    connect: float = 3.0
    read: float = 10.0
    whole: float = 15.0
    send: float = 10.0
    body: int = 5 * 1024 * 1024
    list_rows: int = 100_000
    list_bytes: int = 160_000_000
    attempts: int = 3
    backoff: float = 0.25


LIMITS = Limits()


class Deadline:
    """The moment by which a call must have ended."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain; zero or less when it has passed."""
        return self._end - time.monotonic()

    def or_earlier(self, other: "Deadline") -> "Deadline":
        return other if other.left() < self.left() else self

    def within(self, seconds: float | None) -> float:
        """What remains, at most `seconds`, for a single wait. Raises TimeoutError when nothing remains."""
        left = self.left()
        if left <= 0:
            raise TimeoutError("the deadline of the whole call has passed")
        return left if seconds is None else min(seconds, left)
