"""Reading a list to its end: 100 rows a call, all pages that are known to exist at the same time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from dashboard.cloud.request_limits import RequestThreadPool

ROWS = 100  # the API's largest page (workspace-api.md 2)
PAGES_AT_ONCE = 10
MOST_ROWS = 100_000  # a count beyond this is taken for nonsense


class Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Identified)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list that has `total` rows in all, as of the moment the cloud answered (aware, UTC)."""

    items: tuple[T, ...]
    total: int
    as_of: datetime


def read_all(fetch: Callable[[int], Page[T]], expected: int = 0) -> Page[T]:
    """The whole list, `fetch` being given offsets; with `expected` rows it is read in one go if they are that many.

    A list that shifted between its pages, or does not have as many rows as it says, is read once more, since a row may
    have slipped from one page to another unseen. Then it is taken as it is, each row once.
    """
    pages = _read_once(fetch, expected)
    if _has_shifted(pages):
        pages = _read_once(fetch, pages[0].total)
    rows = {row.id: row for page in pages for row in page.items}
    return Page(tuple(rows.values()), len(rows), min(page.as_of for page in pages))


def _read_once(fetch: Callable[[int], Page[T]], expected: int) -> Sequence[Page[T]]:
    pages = _side_by_side(fetch, range(0, max(expected, 1), ROWS))
    return [*pages, *_side_by_side(fetch, range(len(pages) * ROWS, pages[0].total, ROWS))]


def _side_by_side(fetch: Callable[[int], Page[T]], offsets: range) -> list[Page[T]]:
    if len(offsets) < 2:
        return [fetch(offset) for offset in offsets]
    with RequestThreadPool(min(len(offsets), PAGES_AT_ONCE), "cloud-pages") as pool:
        return list(pool.map(fetch, offsets))


def _has_shifted(pages: Sequence[Page[T]]) -> bool:
    ids = {row.id for page in pages for row in page.items}
    return {page.total for page in pages} != {len(ids)}
