"""Responses of the simulator: status, headers, body, and the way the bytes are delivered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

Document = Mapping[str, Any]
"""A JSON object. It is never changed in place: a change makes a new one, so readers need no lock."""


class Delivery(Enum):
    """How the bytes of a response are sent. All but the first are faults."""

    WHOLE = "in one piece"
    DRIP = "one byte at a time"
    SLOW = "in a few pieces with equal pauses"
    STALL = "the headers, then nothing until the connection closes"
    SILENCE = "no byte, and the connection stays open"
    CUT = "half of the body, then the connection closes"
    RESET_HALFWAY = "half of the body, then a reset"
    HALF_CLOSE = "half of the body, then end of file; the connection stays open"
    CLOSE_AFTER = "in one piece, then the connection closes unannounced"
    ENDLESS = "white space without end"
    NOT_HTTP = "the greeting of another protocol, then the connection closes"
    DROP = "nothing: the connection closes"
    RESET = "nothing: the connection is reset"


WITHOUT_RESPONSE = frozenset((Delivery.DROP, Delivery.RESET, Delivery.SILENCE, Delivery.NOT_HTTP))


@dataclass(frozen=True)
class SimulatedResponse:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.WHOLE
    seconds: float = 0.0
    """The pause between two bytes (DRIP), the total time (SLOW), or the time until the connection closes."""

    def with_headers(self, **headers: str) -> "SimulatedResponse":
        """Add headers. A keyword has underscores where the header name has hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


def json_response(document: object, status: int = 200, **headers: str) -> SimulatedResponse:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return SimulatedResponse(status, body, {"Content-Type": "application/json"}).with_headers(**headers)
