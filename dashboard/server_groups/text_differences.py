"""What differs between two texts, word by word."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import Enum

FEWEST_WORDS = 4
"""Shorter texts read better whole."""
LEAST_ALIKE = 0.4
"""So do texts that have less in common."""
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
"""Written without blanks: each sign counts as a word."""
_WORD = re.compile(rf"\s+|[{_CJK}]|[,.;:!?]+|[^\s{_CJK}]+?(?=[,.;:!?]*(?:\s|[{_CJK}]|$))")

AROUND = 24
"""Characters of what stayed that a short form keeps on each side of what did not."""
LONGEST = 120
"""Characters that a short form keeps of what went or came."""


class PartKind(Enum):
    KEPT = "stayed"
    REMOVED = "went"
    ADDED = "came"


@dataclass(frozen=True)
class TextPart:
    text: str
    kind: PartKind


def compare(before: str, after: str) -> list[TextPart]:
    """Both texts as one, in the order they are read: all but what came is the old one, all but what went the new.

    Two texts that have too little in common are one part each, even an empty one.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    whole = [TextPart(before, PartKind.REMOVED), TextPart(after, PartKind.ADDED)]
    if min(sum(not word.isspace() for word in words) for words in (old, new)) < FEWEST_WORDS:
        return whole
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < LEAST_ALIKE:
        return whole
    parts: list[TextPart] = []
    went = came = ""
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        text = "".join(old[start:end])
        if tag == "equal" and (text.strip() or not (went or came)):
            parts += [*_changed(went, came), TextPart(text, PartKind.KEPT)]
            went = came = ""
        else:  # a blank between two changed words belongs to the change
            went, came = went + text, came + "".join(new[new_start:new_end])
    return parts + _changed(went, came)


def _changed(went: str, came: str) -> list[TextPart]:
    return [part for part in (TextPart(went, PartKind.REMOVED), TextPart(came, PartKind.ADDED)) if part.text]


def shorten(parts: list[TextPart]) -> Iterator[TextPart]:
    """The same for a line of a list: long parts lose their middle or their end."""
    last = len(parts) - 1
    for place, part in enumerate(parts):
        if part.kind != PartKind.KEPT:
            yield replace(part, text=clip(part.text, LONGEST))
        else:
            head = "" if place == 0 else _cut(part.text, AROUND)
            tail = "" if place == last else _cut(part.text[::-1], AROUND)[::-1]
            is_short = len(part.text) <= len(head) + len(tail) + AROUND
            yield part if is_short else replace(part, text=f"{head}…{tail}")


def clip(text: str, length: int) -> str:
    """The beginning of a text."""
    return text if len(text) <= length else f"{_cut(text, length)}…"


def _cut(text: str, length: int) -> str:
    """Up to so many characters, not in the middle of a word where there are words."""
    whole, _, _ = text[: length + 1].rpartition(" ")
    return whole if len(whole) > length // 2 else text[:length]
