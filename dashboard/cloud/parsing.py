"""Read values from JSON of the cloud. A value that is absent or has a wrong type is None, and raises no error.

The API pages, the SDK and the OpenAPI definitions contradict each other about types and members, and older regions
lack members.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, get_type_hints

from django.utils.translation import gettext as _

T = TypeVar("T")
Members = Mapping[str, object]

LARGEST_INTEGER = 2**63 - 1  # the limit of a database column
LONGEST_TEXT = 1_000  # characters; a longer text of a resource is cut. The longest documented text has 255.
MOST_ITEMS = 100  # a longer list inside a resource is cut
LONGEST_ID = 128
LONGEST_STORED_ID = 500  # characters; a longer id is cut. It is in an index, and one of PostgreSQL holds 2,704 bytes.


def id_problem(value: str) -> str:
    """The reason why an id cannot be part of an address, as a sentence; empty if it can.

    An id such as `..`, or one with a slash, could lead to another address.
    """
    if len(value) > LONGEST_ID:
        return _("The id is longer than %(count)d characters.") % {"count": LONGEST_ID}
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", value):
        return _("The id contains characters that cannot be part of an address.")
    return ""


def members(data: object) -> Members:
    """The members of a JSON object; empty for any other value."""
    return data if isinstance(data, dict) else {}


def text(data: Members, name: str) -> str | None:
    """Text that UTF-8 and PostgreSQL can store: JSON allows lone surrogates and NUL, they do not."""
    value = data.get(name)
    return _storable(value) if isinstance(value, str) else None


def _storable(value: str) -> str:
    return value.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def short_text(data: Members, name: str, longest: int = LONGEST_TEXT) -> str | None:
    """The text, cut to `longest` characters, so that a list does not need too much memory."""
    value = data.get(name)
    return _cut(value, longest) if isinstance(value, str) else None


def _cut(value: str, longest: int = LONGEST_TEXT) -> str:
    if len(value) > longest:
        value = value[: longest - 1] + "…"
    return _storable(value)


def integer(data: Members, name: str) -> int | None:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_INTEGER:
        return None
    return value


def flag(data: Members, name: str) -> bool | None:
    """True or False only if the cloud sent it: an absent value is not "off"."""
    value = data.get(name)
    return value if isinstance(value, bool) else None


def moment(data: Members, name: str) -> datetime | None:
    """An aware time in UTC. A time without a zone is UTC, as in the reference."""
    value = data.get(name)
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def texts(data: Members, name: str) -> tuple[str, ...]:
    """The texts of a list, without empty ones."""
    value = data.get(name)
    items = value[:MOST_ITEMS] if isinstance(value, list) else ()
    return tuple(_cut(item) for item in items if isinstance(item, str) and item)


def each(data: Members, name: str, read: Callable[[object], T | None]) -> tuple[T, ...]:
    """The items of a list that `read` accepts."""
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
    """The values for the fields of a dataclass whose type has a reader above.

    The fields of a resource have the names of the API, so that no second list is needed.
    """
    return {name: read(data, name) for name, read in _readers_of(resource)}


@cache
def _readers_of(resource: type) -> tuple[tuple[str, Callable[[Members, str], object]], ...]:
    hints = get_type_hints(resource)
    return tuple((name, READERS[hint]) for name, hint in hints.items() if hint in READERS)
