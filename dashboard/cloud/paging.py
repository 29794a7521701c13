"""Read a whole list, 100 rows per call, with several pages at the same time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from dashboard.cloud.limits import Limits
from dashboard.cloud.request_limits import RequestThreadPool

ROWS = 100  # the API's largest page (workspace-api.md 2)
PAGES_AT_ONCE = 10


class HasId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=HasId)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Rows of a list, and the time of the response (aware, UTC).

    `total` is the cloud's count of rows in the whole list. `without_id` counts the rows of this page without an id.
    `size` is that of the response, in bytes.
    """

    items: tuple[T, ...]
    total: int
    without_id: int
    as_of: datetime
    size: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the page has every row that the cloud counts, readable or not. For a whole list only."""
        return len(self.items) + self.without_id >= self.total


class ListSize:
    """Rows and bytes of all pages of a list together. The threads that read the pages count them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._counted = self._rows = self._bytes = 0
        self._lock = threading.Lock()

    def add(self, counted: int, rows: int, size: int) -> None:
        """Add a page. `counted` is the cloud's count of rows in the list, `size` is in bytes."""
        with self._lock:
            self._counted = max(self._counted, counted)
            self._rows += rows
            self._bytes += size

    @property
    def excess(self) -> str:
        """The exceeded limit as a phrase for the log; empty if none is exceeded."""
        if max(self._counted, self._rows) > self._limits.list_rows:
            return f"more than {self._limits.list_rows:,} rows"
        return f"more than {self._limits.list_bytes:,} bytes" if self._bytes > self._limits.list_bytes else ""


Fetch = Callable[[int, ListSize], Page[T]]
"""Reads the page at an offset and adds it to the list size. Raises ListTooLargeError."""


def read_all(fetch: Fetch[T], limits: Limits) -> Page[T]:
    """The whole list as one page. All pages after the first one are read at the same time.

    A list is read again if its pages contradict each other or lack rows, because a row may have moved from one page to
    another between two calls. The second result is final, with each row once.
    """
    whole, is_contradictory = _read_once(fetch, limits)
    if not is_contradictory:
        return whole
    expected = whole.total
    del whole  # saves the memory of a second long list
    return _read_once(fetch, limits, expected)[0]


def _read_once(fetch: Fetch[T], limits: Limits, expected: int = 0) -> tuple[Page[T], bool]:
    """The whole list, and whether its pages contradict each other."""
    size = ListSize(limits)
    pages = _read_pages(fetch, size, range(0, max(expected, 1), ROWS))
    pages += _read_pages(fetch, size, range(len(pages) * ROWS, pages[0].total, ROWS))
    rows = {row.id: row for page in pages for row in page.items}
    without_id = sum(page.without_id for page in pages)
    delivered = len(rows) + without_id
    totals = {page.total for page in pages}
    whole = Page(tuple(rows.values()), max(*totals, delivered), without_id, min(page.as_of for page in pages))
    return whole, totals != {delivered}


def _read_pages(fetch: Fetch[T], size: ListSize, offsets: range) -> list[Page[T]]:
    """The pages in order. If one fails, `map` cancels the calls that have not begun."""
    if len(offsets) < 2:
        return [fetch(offset, size) for offset in offsets]
    with RequestThreadPool(min(len(offsets), PAGES_AT_ONCE), "cloud-pages") as pool:
        return list(pool.map(lambda offset: fetch(offset, size), offsets))
