"""What the simulator says: a status, headers, a body, and the manner in which the bytes go out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

Document = Mapping[str, Any]
"""A JSON object as it travels. It is never changed in place: a change makes a new one, so readers need no lock."""


class Manner(Enum):
    """How the bytes of an answer leave, from the well-behaved way to the ways of a bad day."""

    WHOLE = "in one piece"
    DRIP = "a byte at a time"
    SLOW = "in a few pieces, evenly spread"
    STALL = "the headers, then nothing until the connection ends"
    SILENCE = "not a byte, with the connection open"
    CUT = "half of the body, then the connection ends"
    RESET_HALFWAY = "half of the body, then a reset"
    HALF_CLOSE = "half of the body, then end of file in a connection that stays open"
    CLOSE_AFTER = "in one piece, then the connection ends unannounced"
    ENDLESS = "white space without end, before what would be the body"
    NOT_HTTP = "a greeting of another protocol, then the connection ends"
    DROP = "nothing: the connection ends"
    RESET = "nothing: the connection is reset"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: Manner = Manner.WHOLE
    seconds: float = 0.0
    """The pace of the manner: between two bytes of a drip, for the whole of a slow answer, until a stall ends."""

    def with_headers(self, **headers: str) -> "Answer":
        """Keyword names spell header names with underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


def json_answer(document: object, status: int = 200, **headers: str) -> Answer:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, {"Content-Type": "application/json"}).with_headers(**headers)
