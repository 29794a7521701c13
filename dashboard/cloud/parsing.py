"""Reading what the cloud sent without trusting it: what is absent or of a wrong type is None, never a crash.

The API pages, the SDK and the OpenAPI definitions disagree about types and about which members exist, and older
regions leave members out, so every reader here is total.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")
Members = Mapping[str, object]

LARGEST_INTEGER = 2**63 - 1  # what a database column holds
LONGEST_TEXT = 1_000  # characters kept of a resource's text; the longest documented text has 255
MOST_ITEMS = 100  # items kept of a list inside a resource
LONGEST_ID = 128


def id_problem(value: str) -> str:
    """Why an id cannot stand in an address, to follow "its id"; empty when it can.

    Anything else could lead to another address: `..`, or an id with a slash.
    """
    if len(value) > LONGEST_ID:
        return f"is longer than {LONGEST_ID} characters"
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", value):
        return "holds characters that cannot stand in an address"
    return ""


def members(data: object) -> Members:
    """The object's members; of anything that is not a JSON object, none."""
    return data if isinstance(data, dict) else {}


def text(data: Members, name: str) -> str | None:
    """Text that UTF-8 and PostgreSQL can hold: JSON admits lone surrogates and NUL, they do not."""
    value = data.get(name)
    return _storable(value) if isinstance(value, str) else None


def _storable(value: str) -> str:
    return value.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def short_text(data: Members, name: str) -> str | None:
    """The text, cut where it is longer than any that the cloud documents, so that a list stays small."""
    value = data.get(name)
    return _cut(value) if isinstance(value, str) else None


def _cut(value: str) -> str:
    if len(value) > LONGEST_TEXT:
        value = value[: LONGEST_TEXT - 1] + "…"
    return _storable(value)


def integer(data: Members, name: str) -> int | None:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_INTEGER:
        return None
    return value


def flag(data: Members, name: str) -> bool | None:
    """True or False only when the cloud said so: absent is never off."""
    value = data.get(name)
    return value if isinstance(value, bool) else None


def moment(data: Members, name: str) -> datetime | None:
    """An aware time in UTC; the reference states UTC, so a time without a zone is taken for UTC."""
    value = data.get(name)
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def texts(data: Members, name: str) -> tuple[str, ...]:
    """The texts of a list that are not empty."""
    value = data.get(name)
    items = value[:MOST_ITEMS] if isinstance(value, list) else ()
    return tuple(_cut(item) for item in items if isinstance(item, str) and item)


def each(data: Members, name: str, read: Callable[[object], T | None]) -> tuple[T, ...]:
    """The items of a list that `read` could make sense of."""
    value = data.get(name)
    items = map(read, value) if isinstance(value, list) else ()
    return tuple(item for item in items if item is not None)


READERS: Mapping[object, Callable[[Members, str], object]] = {
    str | None: short_text,
    int | None: integer,
    bool | None: flag,
    datetime | None: moment,
    tuple[str, ...]: texts,
}


def plain_members(resource: type, data: Members) -> dict[str, Any]:
    """What `data` holds for the fields of a dataclass whose type has a reader above.

    A resource names its fields as the API does, so that its list of fields is the only list.
    """
    return {name: read(data, name) for name, read in _readers_of(resource)}


@cache
def _readers_of(resource: type) -> tuple[tuple[str, Callable[[Members, str], object]], ...]:
    hints = get_type_hints(resource)
    return tuple((name, READERS[hint]) for name, hint in hints.items() if hint in READERS)
