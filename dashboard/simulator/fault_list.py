"""The active faults: read from JSON, matched with requests, and counted down.

An entry is `{"match": {"method": "PATCH", "path": "*/app-server-groups/*"}, "times": 1, "probability": 0.5,
"delay_ms": 200, "fault": "unavailable", ...options}`. Only `fault` is required. The path is a glob whose `*` also
matches slashes. Without `match`, every request to the cloud matches. Without `times`, or with null, a fault stays until
the list is replaced. Only the first entry that matches applies.
"""

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from dashboard.simulator.exchange import Exchange
from dashboard.simulator.fault_behaviour import FaultContext
from dashboard.simulator.faults import KINDS, FaultKind
from dashboard.simulator.responses import Document, SimulatedResponse

_OWN_MEMBERS = ("match", "times", "probability", "delay_ms", "fault")


class WrongFaultError(ValueError):
    """An invalid entry. The message names the entry and its mistake."""


@dataclass(frozen=True)
class Fault:
    kind: FaultKind
    options: Mapping[str, Any]
    method: str = "*"
    path: str = "*"
    times: int | None = None
    probability: float = 1.0
    delay_ms: int = 0

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and fnmatchcase(path, self.path)

    def document(self) -> Document:
        return {
            "match": {"method": self.method, "path": self.path},
            "times": self.times,
            "probability": self.probability,
            "delay_ms": self.delay_ms,
            "fault": self.kind.name,
            **self.options,
        }


@dataclass
class ActiveFault:
    """A fault with its counters."""

    fault: Fault
    left: int | None
    used: int = 0
    accepted: list[float] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.left is not None and self.left <= 0

    def respond(self, exchange: Exchange) -> SimulatedResponse:
        return self.fault.kind.behave(FaultContext(exchange, self.fault.options, self.accepted))

    def document(self) -> Document:
        return {**self.fault.document(), "left": self.left, "used": self.used}


class FaultList:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self.replace([])

    def replace(self, entries: object) -> None:
        faults = read_faults(entries)
        with self._lock:
            self._rng = random.Random(self._seed)  # noqa: S311  repeatable random numbers, not a secret
            self._active = [ActiveFault(fault, fault.times) for fault in faults]

    def match(self, method: str, path: str) -> ActiveFault | None:
        """The first fault for a request, counted as used."""
        with self._lock:
            for entry in self._active:
                if entry.is_over or not entry.fault.matches(method, path):
                    continue
                if self._rng.random() >= entry.fault.probability:
                    continue
                entry.used += 1
                entry.left = None if entry.left is None else entry.left - 1
                return entry
        return None

    def documents(self) -> list[Document]:
        with self._lock:
            return [entry.document() for entry in self._active]


def read_faults(entries: object) -> list[Fault]:
    if not isinstance(entries, (list, tuple)):
        raise WrongFaultError("The faults must be a JSON list.")
    return [_read_fault(number, entry) for number, entry in enumerate(entries, start=1)]


def _read_fault(number: int, entry: object) -> Fault:
    if not isinstance(entry, Mapping):
        raise WrongFaultError(f"Fault {number} must be an object.")
    name = entry.get("fault")
    if not isinstance(name, str) or name not in KINDS:
        raise WrongFaultError(f"Fault {number}: there is no fault {name!r}. The faults are {', '.join(KINDS)}.")
    kind = KINDS[name]
    match = _read_match(number, entry.get("match", {}))
    return Fault(
        kind,
        _read_options(number, kind, {key: value for key, value in entry.items() if key not in _OWN_MEMBERS}),
        match.get("method", "*").upper(),
        match.get("path", "*"),
        _read_number(number, entry, "times", None, int),
        _read_number(number, entry, "probability", 1.0, float),
        _read_number(number, entry, "delay_ms", 0, int),
    )


def _read_match(number: int, match: object) -> Mapping[str, str]:
    if (
        isinstance(match, Mapping)
        and set(match) <= {"method", "path"}
        and all(isinstance(x, str) for x in match.values())
    ):
        return match
    raise WrongFaultError(f"Fault {number}: match must be an object of method and path (a glob), both texts.")


def _read_number(number: int, entry: Mapping[str, Any], name: str, default: Any, kind: type[int | float]) -> Any:
    """A number from 0, a probability up to 1. The default if the member is absent or null."""
    value = entry.get(name)
    if value is None:
        return default
    largest = 1.0 if kind is float else float("inf")
    if isinstance(value, bool) or not isinstance(value, (int, kind)) or not 0 <= value <= largest:
        words = "a number from 0 to 1" if kind is float else "a whole number from 0"
        raise WrongFaultError(f"Fault {number}: {name} must be {words}.")
    return value


def _read_options(number: int, kind: FaultKind, given: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in given.items():
        if name not in kind.options:
            known = ", ".join(kind.options) or "none"
            raise WrongFaultError(f"Fault {number}: {kind.name} has no option {name}. Its options: {known}.")
        if not _fits(value, kind.options[name], kind.choices.get(name)):
            wanted = " or ".join(kind.choices.get(name, ())) or f"like {kind.options[name]!r}"
            raise WrongFaultError(f"Fault {number}: {name} must be {wanted}.")
    return {**kind.options, **given}


def _fits(value: object, default: object, choices: tuple[str, ...] | None) -> bool:
    if choices is not None:
        return value in choices
    if default is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and value >= 0
    return isinstance(value, type(default))
