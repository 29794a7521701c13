"""The project's words: the standard terms of the field, and none of the metaphors that they replaced.

Each pattern is a word that has a standard term. A pattern is narrow where the word has another, ordinary sense.
"""

import re
from pathlib import Path

import pytest
from django.conf import settings

TERMS = {
    r"verdicts?": "outcome, or current state",
    r"what came of|came of (it|them|this)|what becomes? of": "outcome",
    r"house(s|_\w+)?": "system event, for events of the dashboard itself",
    r"doors?": "sign-in, or entry point",
    r"(ledger|writing|writer's) pens?": "write lock",
    r"turnstiles?|(its|his|their|whose) turn|turn comes": "write lock, queue",
    r"tombstones?": "archive marker",
    r"purses?|coins?": "token bucket",
    r"mend(s|ed|ing|ers?)?": "repair, correct; who is responsible",
    r"judge(s|d|ment)?|judging": "verify, check",
    r"watch(es|ing)? (over|the ledger)|keeps? watch": "background check",
    r"restraints?|left alone|leaves? (it|the cloud) alone": "circuit breaker, locked",
    r"suspended (cloud|client|endpoint|calls)|is_suspended": "circuit breaker is open",
    r"spoil(er|ers|s|t|ed)?": "fault, malformed",
    r"bad days?|good days?": "fault, no fault",
    r"plays? (a |the )?faults?|simulator\.play|fault_plays?": "inject a fault",
    r"(cloud|ledger|database|disk|cache) (is|was|stays|being) away|(cloud|ledger|database)_away": "unavailable",
    r"ways? out": "connection, exit",
    r"who(ever)? may|who(ever)? runs|who(ever)? must|who mends": "operator, administrator",
    r"whoever|whatever (dies|comes|happens)": "the person or process by its role",
    r"nobody (knows|can tell|foresaw)": "unknown",
    r"riddles?|parables?": "a plain sentence",
}
"""A word that must not occur, as a pattern, and what to write instead."""

ALLOWED = {
    "tests/test_language.py": r".*",  # the list itself
}
"""Lines that may match, as a pattern for each file."""

FILES = sorted(
    path
    for pattern in (
        *("dashboard/**/*.py", "dashboard/**/*.sql", "templates/**/*", "static/**/*.js", "static/**/*.css"),
        *("tests/**/*.py", "docs/*.md", "*.md", "Makefile", "gunicorn.conf.py", "pyproject.toml"),
    )
    for path in Path(settings.BASE_DIR).glob(pattern)
    if path.is_file()
)


def findings(text: str) -> list[str]:
    """The words of a text that have a standard term. Identifiers count word by word."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    spaced = words + "\n" + re.sub(r"(?<=[a-z])_(?=[a-z])", " ", words)
    found = (
        match[0].lower() for term in TERMS for match in re.finditer(rf"(?<!\w)({term})(?!\w)", spaced, re.IGNORECASE)
    )
    return sorted(set(found))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_a_file_uses_the_standard_terms(path: Path) -> None:
    allowed = ALLOWED.get(str(path.relative_to(settings.BASE_DIR)))
    lines = path.read_text(encoding="utf-8").splitlines()

    found = {
        number: findings(line)
        for number, line in enumerate(lines, start=1)
        if findings(line) and not (allowed and re.fullmatch(allowed, line))
    }

    assert found == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the verdict of a read", ["verdict"]),
        ("class NameVerdict:", ["verdict"]),
        ("def test_what_came_of_a_change():", ["what came of"]),
        ("while the cloud is away", ["cloud is away"]),
        ("simulator.play(fault)", ["simulator.play"]),
        ("A click takes the focus away, and a turn of the wheel scrolls.", []),
        ("a warehouse of images behind an outdoor recommendation", []),
    ],
)
def test_the_check_finds_words_in_text_and_in_names(text: str, expected: list[str]) -> None:
    assert findings(text) == expected
