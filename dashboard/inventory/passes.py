"""Read a whole list page by page, spread over minutes, although it may change meanwhile.

A row moves to another page when a row before it is added or deleted. So a pass can see a row twice, or not at all. It
keeps each row once, compares their number with the cloud's count, and reads pages again where rows are lacking.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Generic, TypeVar

from dashboard.cloud.paging import ROWS, HasId, Page

Row = TypeVar("Row", bound=HasId)

MOST_ROUNDS = 2
"""How often a pass reads pages again."""


@dataclass(frozen=True)
class Found(Generic[Row]):
    """A row, and the start of the call that returned it."""

    row: Row
    begun_at: datetime


@dataclass(frozen=True)
class _ReadPage:
    """What a pass remembers of a page."""

    ids: tuple[str, ...]
    without_id: int
    total: int

    @property
    def size(self) -> int:
        return len(self.ids) + self.without_id


class ListPass(Generic[Row]):
    """One read of a whole list."""

    def __init__(self, begun_at: datetime) -> None:
        self.begun_at = begun_at
        self.rows: dict[str, Found[Row]] = {}
        self.total = self.bytes = self._moved = self._rounds = 0
        self._pages: dict[int, _ReadPage] = {}
        self._waiting = [0]

    def offsets(self, most: int) -> list[int]:
        """The offsets of the next pages to read; none if the pass is done."""
        return self._waiting[:most]

    def add(self, offset: int, page: Page[Row], begun_at: datetime) -> None:
        """Add a page of `offsets()`. `begun_at` is the start of its call."""
        self._waiting.remove(offset)
        if self._pages:
            self._moved += abs(page.total - self.total)
        self.total, self.bytes = page.total, self.bytes + page.size
        self._pages[offset] = _ReadPage(tuple(row.id for row in page.items), page.without_id, page.total)
        self.rows |= {row.id: Found(row, begun_at) for row in page.items}
        if not self._waiting:
            self._waiting = self._missing_pages() or self._pages_to_read_again()

    @property
    def is_done(self) -> bool:
        return not self._waiting

    @property
    def pages(self) -> int:
        """The number of pages to read, as far as it is known."""
        return max(len(self._pages), -(-self.total // ROWS), 1)

    @property
    def pages_read(self) -> int:
        return self.pages - len(self._waiting)

    @property
    def unreadable(self) -> int:
        """Number of rows that the cloud counts and that have no id or were not returned."""
        return max(0, self.total - len(self.rows))

    @property
    def is_whole(self) -> bool:
        """Whether the pass has at least as many readable rows as the cloud counts."""
        return not self.unreadable

    @property
    def is_plausible(self) -> bool:
        """Whether it lacks no more rows than were added or deleted meanwhile."""
        return self.unreadable <= self._moved

    def _missing_pages(self) -> list[int]:
        return [offset for offset in range(0, self.total, ROWS) if offset not in self._pages]

    def _pages_to_read_again(self) -> list[int]:
        """First the pages that contradict each other, then all of them if rows are still lacking."""
        lacking = self.total - len(self.rows) - sum(page.without_id for page in self._pages.values())
        self._rounds += 1
        if self._rounds == 1 and (lacking > 0 or self._moved) and (pages := self._contradictory_pages()):
            return pages
        is_settled = lacking <= self._moved or self._rounds > MOST_ROUNDS
        return [] if is_settled else list(range(0, self.total, ROWS))

    def _contradictory_pages(self) -> list[int]:
        """Pages beside a change of the count, pages that share a row, and pages that are too short."""
        times = Counter(row_id for page in self._pages.values() for row_id in page.ids)
        chosen = {
            offset
            for offset, page in self._pages.items()
            if page.size < min(ROWS, page.total - offset) or any(times[row_id] > 1 for row_id in page.ids)
        }
        for (offset, page), (next_offset, next_page) in pairwise(sorted(self._pages.items())):
            if page.total != next_page.total:
                chosen |= {offset, next_offset}
        return sorted(offset for offset in chosen if offset < self.total)
