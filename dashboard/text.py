"""Make invisible characters visible."""

import re

_DIRECTION_MARKS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def show_direction_marks(text: str) -> str:
    """The text with each bidirectional control character as `[U+202E]`, so that it cannot reorder the text after it."""
    return text if text.isascii() else _DIRECTION_MARKS.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)
