"""What differs between two texts, word by word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

FEWEST_WORDS = 4
"""Shorter texts read better whole."""


@dataclass(frozen=True)
class Part:
    text: str
    is_changed: bool


def word_parts(before: str, after: str) -> tuple[list[Part], list[Part]]:
    """Both texts in parts, those that differ marked; the parts of a text put together are the text."""
    old, new = (re.findall(r"\s+|\S+", text) for text in (before, after))
    if min(len(before.split()), len(after.split())) < FEWEST_WORDS:
        return [Part(before, is_changed=True)], [Part(after, is_changed=True)]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    steps = matcher.get_opcodes()
    return (
        _parts(old, [(tag, start, end) for tag, start, end, _, _ in steps]),
        _parts(new, [(tag, start, end) for tag, _, _, start, end in steps]),
    )


def _parts(words: Sequence[str], spans: Sequence[tuple[str, int, int]]) -> list[Part]:
    return [Part("".join(words[start:end]), tag != "equal") for tag, start, end in spans if start < end]
