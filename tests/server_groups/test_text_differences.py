"""Two texts are shown with their differences marked and nothing missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as texts

from dashboard.server_groups.text_differences import PartKind, clip, compare, shorten


def marked(before: str, after: str) -> str:
    """Format the parts as `[removed]` and `{added}`."""
    signs = {PartKind.KEPT: "%s", PartKind.REMOVED: "[%s]", PartKind.ADDED: "{%s}"}
    return "".join(signs[part.kind] % part.text for part in compare(before, after))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "for design and engineering in Jena",
            "for design and tests in Jena",
            "for design and [engineering]{tests} in Jena",
        ),
        ("one two three four", "one two three four five", "one two three four{ five}"),
        ("the old new words of a text", "the two better words of a text", "the [old new]{two better} words of a text"),
        ("in building 7, ground floor", "in building 8, ground floor", "in building [7]{8}, ground floor"),
        ("opens 07:00 closes 19:00.", "opens 06:30 closes 19:00!", "opens [07:00]{06:30} closes 19:00[.]{!}"),
        ("a line\nand one more", "a line\n\nand one more", "a line[\n]{\n\n}and one more"),
        ("研发设计组的描述", "研发测试组的描述", "研发[设计]{测试}组的描述"),
        ("one two three four", "eins zwei drei vier", "[one two three four]{eins zwei drei vier}"),
        ("old", "new", "[old]{new}"),
        ("", "now with some words", "[]{now with some words}"),
        ("with some words now", "", "[with some words now]{}"),
        ("the same four words", "the same four words", "the same four words"),
        ("", "", "[]{}"),
    ],
)
def test_marks_only_the_differences(before: str, after: str, expected: str) -> None:
    assert marked(before, after) == expected


@given(texts.text(), texts.text())
def test_the_parts_make_both_texts(before: str, after: str) -> None:
    parts = compare(before, after)

    assert "".join(part.text for part in parts if part.kind != PartKind.ADDED) == before
    assert "".join(part.text for part in parts if part.kind != PartKind.REMOVED) == after


def test_a_short_form_keeps_the_differences_with_some_context() -> None:
    before = f"{'at the beginning ' * 9}in building 7, {'and so on ' * 20}until nine o'clock {'to the end ' * 9}"

    short = list(shorten(compare(before, before.replace("7", "8").replace("nine", "ten"))))

    assert "".join(part.text for part in short) == (
        "…beginning in building 78, and so on and so on…so on and so on until nineten o'clock to the end to…"
    )


def test_a_short_text_is_not_clipped() -> None:
    parts = compare("for design and engineering in Jena", "for design and tests in Jena")

    assert list(shorten(parts)) == parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [("one two three", "one two…"), ("one two", "one two"), ("onetwothreefour", "onetwoth…"), ("", "")],
)
def test_a_clipped_text_ends_between_words(text: str, expected: str) -> None:
    assert clip(text, 8) == expected
