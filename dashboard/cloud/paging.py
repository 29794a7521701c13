"""Reading a list to its end: 100 rows a call, all pages that are known to exist at the same time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from dashboard.cloud.limits import Limits
from dashboard.cloud.request_limits import RequestThreadPool

ROWS = 100  # the API's largest page (workspace-api.md 2)
PAGES_AT_ONCE = 10


class Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Identified)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list, as of the moment the cloud answered (aware, UTC).

    `total` is how many rows the cloud counts in the whole list, `nameless` how many of this page had no id.
    """

    items: tuple[T, ...]
    total: int
    nameless: int
    as_of: datetime

    @property
    def is_complete(self) -> bool:
        """Whether every row came that the cloud counts, readable or not. Meant for a whole list."""
        return len(self.items) + self.nameless >= self.total


class Volume:
    """The rows and bytes of all pages of a list together, counted by the threads that read them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._counted = self._rows = self._bytes = 0
        self._lock = threading.Lock()

    def add(self, counted: int, rows: int, size: int) -> None:
        """A page of so many rows and bytes, in a list of which the cloud counts so many rows."""
        with self._lock:
            self._counted = max(self._counted, counted)
            self._rows += rows
            self._bytes += size

    @property
    def excess(self) -> str:
        """The bound that was passed, in words; empty while none was."""
        if max(self._counted, self._rows) > self._limits.list_rows:
            return f"more than {self._limits.list_rows:,} rows"
        return f"more than {self._limits.list_bytes:,} bytes" if self._bytes > self._limits.list_bytes else ""


Fetch = Callable[[int, Volume], Page[T]]
"""Reads the page at an offset and adds it to the volume, unless that is exceeded."""


def read_all(fetch: Fetch[T], limits: Limits, expected: int = 0) -> Page[T]:
    """The whole list as one page; with `expected` rows it is read in one go if they are that many.

    A list that shifted between its pages, or does not have as many rows as it says, is read once more, since a row
    may have slipped from one page to another unseen. Then it is taken as it is, each row once.
    """
    whole, has_shifted = _read_once(fetch, limits, expected)
    if not has_shifted:
        return whole
    expected = whole.total
    del whole  # two readings of a long list need not be in memory
    return _read_once(fetch, limits, expected)[0]


def _read_once(fetch: Fetch[T], limits: Limits, expected: int) -> tuple[Page[T], bool]:
    """The whole list, and whether its pages contradict each other."""
    volume = Volume(limits)
    pages = _side_by_side(fetch, volume, range(0, max(expected, 1), ROWS))
    pages += _side_by_side(fetch, volume, range(len(pages) * ROWS, pages[0].total, ROWS))
    rows = {row.id: row for page in pages for row in page.items}
    nameless = sum(page.nameless for page in pages)
    delivered = len(rows) + nameless
    totals = {page.total for page in pages}
    whole = Page(tuple(rows.values()), max(*totals, delivered), nameless, min(page.as_of for page in pages))
    return whole, totals != {delivered}


def _side_by_side(fetch: Fetch[T], volume: Volume, offsets: range) -> list[Page[T]]:
    """Pages in order. When one fails, `map` cancels those that have not been asked for yet."""
    if len(offsets) < 2:
        return [fetch(offset, volume) for offset in offsets]
    with RequestThreadPool(min(len(offsets), PAGES_AT_ONCE), "cloud-pages") as pool:
        return list(pool.map(lambda offset: fetch(offset, volume), offsets))
