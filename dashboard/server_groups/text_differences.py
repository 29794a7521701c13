"""Differences between two texts, word by word."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import Enum

MIN_WORDS = 4
"""Shorter texts are shown as a whole."""
MIN_SIMILARITY = 0.4
"""Texts with a lower ratio of common words are shown as a whole."""
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
"""Scripts without spaces between words: each character counts as a word."""
_WORD = re.compile(rf"\s+|[{_CJK}]|[,.;:!?]+|[^\s{_CJK}]+?(?=[,.;:!?]*(?:\s|[{_CJK}]|$))")

AROUND = 24
"""Characters of unchanged text that a short form keeps on each side of a change."""
LONGEST = 120
"""Characters of removed or added text that a short form keeps."""


class PartKind(Enum):
    KEPT = "kept"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True)
class TextPart:
    text: str
    kind: PartKind


def compare(before: str, after: str) -> list[TextPart]:
    """Compare two texts: kept and removed parts make the old text, kept and added parts the new one.

    Texts that have too little in common are one part each, even if a text is empty.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    whole = [TextPart(before, PartKind.REMOVED), TextPart(after, PartKind.ADDED)]
    if min(sum(not word.isspace() for word in words) for words in (old, new)) < MIN_WORDS:
        return whole
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < MIN_SIMILARITY:
        return whole
    parts: list[TextPart] = []
    removed = added = ""
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        text = "".join(old[start:end])
        if tag == "equal" and (text.strip() or not (removed or added)):
            parts += [*_changed(removed, added), TextPart(text, PartKind.KEPT)]
            removed = added = ""
        else:  # a space between two changed words is part of the change
            removed, added = removed + text, added + "".join(new[new_start:new_end])
    return parts + _changed(removed, added)


def _changed(removed: str, added: str) -> list[TextPart]:
    return [part for part in (TextPart(removed, PartKind.REMOVED), TextPart(added, PartKind.ADDED)) if part.text]


def shorten(parts: list[TextPart]) -> Iterator[TextPart]:
    """Shorten the parts for one line of a list: long parts lose their middle or their end."""
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
    """The beginning of a text, with an ellipsis if it is longer than `length`."""
    return text if len(text) <= length else f"{_cut(text, length)}…"


def _cut(text: str, length: int) -> str:
    """The first `length` characters, or fewer to end at a word."""
    whole, _, _ = text[: length + 1].rpartition(" ")
    return whole if len(whole) > length // 2 else text[:length]
