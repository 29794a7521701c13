"""Rows of long lists. Only the rows of a page are made."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dashboard.simulator.responses import Document


class Rows(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, page: slice, /) -> Sequence[Document]: ...


@dataclass(frozen=True)
class MadeRows:
    """A row for each key."""

    keys: Sequence[str]
    make: Callable[[str], Document]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, page: slice) -> Sequence[Document]:
        return [self.make(key) for key in self.keys[page]]


@dataclass(frozen=True)
class RowsByKey:
    """Several rows for each key. Their numbers are known before they are made."""

    keys: Sequence[str]
    ends: Sequence[int]
    """The number of rows up to and including each key."""
    make: Callable[[str], Sequence[Document]]

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, page: slice) -> Sequence[Document]:
        first, last = bisect_right(self.ends, page.start), bisect_left(self.ends, page.stop)
        rows = [row for key in self.keys[first : last + 1] for row in self.make(key)]
        skipped = page.start - (self.ends[first - 1] if first else 0)
        return rows[skipped : skipped + page.stop - page.start]
