"""A pass over a list that changes while it is read."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.cloud.paging import Page
from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.passes import ListPass

START = datetime(2026, 11, 24, 9, tzinfo=UTC)

Change = Callable[[list[str]], list[str]]
"""Changes the rows of the cloud between two pages."""


class MovingList:
    """The rows of a cloud. `changes` are applied after a number of calls."""

    def __init__(self, rows: list[str], changes: dict[int, Change] | None = None, without_id: int = 0) -> None:
        self.rows, self.changes, self.without_id = rows, changes or {}, without_id
        self.read: list[int] = []

    def page(self, offset: int) -> Page[ServerGroup]:
        items = tuple(ServerGroup(row) for row in self.rows[offset : offset + 100])
        page = Page(items, len(self.rows) + self.without_id, self.without_id if offset == 0 else 0, START)
        self.read.append(offset)
        self.rows = self.changes.get(len(self.read), list)(self.rows)
        return page


def run(cloud: MovingList, at_once: int = 1) -> ListPass[ServerGroup]:
    done = ListPass[ServerGroup](START)
    while offsets := done.offsets(at_once):
        for offset in offsets:
            done.add(offset, cloud.page(offset), START + timedelta(seconds=len(cloud.read)))
    return done


def ids(first: int, last: int) -> list[str]:
    return [f"group-{number:04}" for number in range(first, last)]


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (100, 1), (101, 2), (1000, 10)])
def test_reads_every_page_of_a_quiet_list_once(count: int, pages: int) -> None:
    cloud = MovingList(ids(0, count))

    done = run(cloud)

    assert list(done.rows) == cloud.rows
    assert cloud.read == [100 * number for number in range(pages)]
    assert (done.is_done, done.is_whole, done.unreadable) == (True, True, 0)
    assert (done.pages, done.pages_read) == (pages, pages)


def test_reads_the_first_page_alone_and_then_several_at_a_time() -> None:
    done = ListPass[ServerGroup](START)

    first = done.offsets(10)
    done.add(0, MovingList(ids(0, 1000)).page(0), START)

    assert first == [0]
    assert done.offsets(4) == [100, 200, 300, 400]
    assert (done.pages, done.pages_read, done.is_done) == (10, 1, False)


@pytest.mark.parametrize("at_once", [1, 10])
@pytest.mark.parametrize("after", range(1, 6))
def test_loses_no_row_when_a_row_before_it_is_deleted(after: int, at_once: int) -> None:
    cloud = MovingList(ids(0, 550), {after: lambda rows: rows[1:]})

    done = run(cloud, at_once)

    assert set(cloud.rows) <= set(done.rows) <= set(ids(0, 550))
    assert done.is_whole
    assert len(cloud.read) <= 9


@pytest.mark.parametrize("after", range(1, 6))
def test_doubles_no_row_when_a_row_before_it_is_added(after: int) -> None:
    cloud = MovingList(ids(0, 550), {after: lambda rows: ["new", *rows]})

    done = run(cloud)

    assert set(ids(0, 550)) <= set(done.rows) <= {"new", *ids(0, 550)}


@pytest.mark.parametrize("after", range(1, 4))
def test_misses_at_most_one_row_when_another_one_is_replaced(after: int) -> None:
    cloud = MovingList(ids(0, 350), {after: lambda rows: [*rows[:5], *rows[6:], "new"]})

    done = run(cloud)

    assert set(cloud.rows) - set(done.rows) <= set(ids(100 * after, 100 * after + 1))


def test_a_cloud_that_always_loses_rows_gives_a_pass_that_is_not_whole() -> None:
    class Losing(MovingList):
        def page(self, offset: int) -> Page[ServerGroup]:
            page = super().page(offset)
            return Page(page.items[:99], page.total, 0, START)

    cloud = Losing(ids(0, 300))

    done = run(cloud)

    assert (len(done.rows), done.unreadable, done.is_whole, done.is_plausible) == (297, 3, False, False)
    assert len(cloud.read) == 9


def test_a_cloud_that_repeats_rows_gives_each_row_once() -> None:
    class Repeating(MovingList):
        def page(self, offset: int) -> Page[ServerGroup]:
            page = super().page(max(0, offset - offset // 100))
            return Page(page.items, page.total, 0, START)

    done = run(Repeating(ids(0, 300)))

    assert list(done.rows) == ids(0, 298)
    assert (done.unreadable, done.is_whole) == (2, False)


def test_rows_without_an_id_are_unreadable_but_not_lost() -> None:
    cloud = MovingList(ids(0, 97), without_id=3)

    done = run(cloud)

    assert cloud.read == [0]
    assert (done.unreadable, done.is_whole) == (3, False)


def test_the_newest_read_of_a_row_counts() -> None:
    cloud = MovingList(ids(0, 150), {1: lambda rows: rows[1:]})

    done = run(cloud)

    assert cloud.read == [0, 100, 0, 100]
    assert done.rows["group-0001"].begun_at == START + timedelta(seconds=3)
    assert done.rows["group-0000"].begun_at == START + timedelta(seconds=1)


def test_a_list_that_never_rests_is_plausible_without_the_rows_of_its_changes() -> None:
    def replace_one(rows: list[str]) -> list[str]:
        return [f"new-{len(rows)}-{rows[0]}", *rows]

    cloud = MovingList(ids(0, 1000), dict.fromkeys(range(1, 500), replace_one))

    done = run(cloud)

    assert done.is_plausible
    assert len(cloud.read) < 50
