"""Rows of long lists, of which only a page is made."""

from itertools import accumulate

import pytest

from dashboard.simulator.responses import Document
from dashboard.simulator.rows import MadeRows, RowsByKey

COUNTS = {"a": 2, "b": 0, "c": 3, "d": 0, "e": 1}
ALL = [{"row": f"{key}{number}"} for key, count in COUNTS.items() for number in range(count)]


@pytest.mark.parametrize("size", [0, 1, 2, 4, 10])
@pytest.mark.parametrize("start", range(9))
def test_a_page_of_rows_by_key_is_a_page_of_all_rows(start: int, size: int) -> None:
    def make(key: str) -> list[Document]:
        return [{"row": f"{key}{number}"} for number in range(COUNTS[key])]

    rows = RowsByKey(tuple(COUNTS), tuple(accumulate(COUNTS.values())), make)

    assert (len(rows), list(rows[start : start + size])) == (len(ALL), ALL[start : start + size])


def test_no_keys_have_no_rows() -> None:
    rows = RowsByKey((), (), lambda _key: [])

    assert (len(rows), list(rows[0:10])) == (0, [])


def test_only_the_keys_of_a_page_are_asked_for_rows() -> None:
    made: list[str] = []

    def make(key: str) -> list[Document]:
        made.append(key)
        return [{"key": key}, {"key": key}]

    rows = RowsByKey(("a", "b", "c", "d"), (2, 4, 6, 8), make)

    assert (list(rows[3:5]), made) == ([{"key": "b"}, {"key": "c"}], ["b", "c"])


def test_only_the_rows_of_a_page_are_made() -> None:
    made: list[str] = []

    def make(key: str) -> Document:
        made.append(key)
        return {"key": key}

    rows = MadeRows(("a", "b", "c"), make)

    assert (len(rows), rows[1:2], made) == (3, [{"key": "b"}], ["b"])
