"""Two texts are shown with what differs marked, and nothing of them lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as texts

from dashboard.audit.differences import word_parts


@pytest.mark.parametrize(
    ("before", "after", "gone", "come"),
    [
        ("for design and engineering in Jena", "for design and testing in Jena", ["engineering"], ["testing"]),
        ("one two three four", "one two three four five", [], [" five"]),
        ("one two three four", "four three two one", None, None),
        ("old", "new", ["old"], ["new"]),
        ("", "now with some words", [""], ["now with some words"]),
    ],
)
def test_only_what_differs_is_marked(before: str, after: str, gone: list[str] | None, come: list[str] | None) -> None:
    old, new = word_parts(before, after)

    if gone is not None:
        assert [part.text for part in old if part.is_changed] == gone
        assert [part.text for part in new if part.is_changed] == come


@given(texts.text(), texts.text())
def test_the_parts_are_the_whole(before: str, after: str) -> None:
    old, new = word_parts(before, after)

    assert ("".join(part.text for part in old), "".join(part.text for part in new)) == (before, after)
