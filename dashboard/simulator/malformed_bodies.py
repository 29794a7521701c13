"""Edits that make the body of a good response malformed or unexpected."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from dashboard.simulator.responses import SimulatedResponse

Options = Mapping[str, Any]

_ENUMS = frozenset(
    ("app_type", "storage_mount_policy", "image_type", "system_disk_type", "os_type", "site_type", "extra_session_type")
) | {"status", "vm_status", "session_state"}
Document = dict[str, Any]
_ABSENT = object()


def edited(response: SimulatedResponse, edit: Callable[[Document], Mapping[str, Any]]) -> SimulatedResponse:
    """The response with its JSON object edited. An error, or a body that is no object, stays as it is."""
    document = json.loads(response.body or b"null") if response.status < 300 else None
    if not isinstance(document, dict):
        return response
    return replace(response, body=json.dumps(edit(document), ensure_ascii=False).encode())


def _with_items(
    response: SimulatedResponse, edit: Callable[[Document], Document], rows: Sequence[int] = ()
) -> SimulatedResponse:
    """Edit the object, or the items of the list in these rows (in all rows if none are given)."""

    def edit_items(document: Document) -> Document:
        items = next((name for name in ("items", "images", "tags", "volume_types") if name in document), None)
        if items is None or "name" in document:
            return edit(document)
        chosen = [edit(item) if not rows or row in rows else item for row, item in enumerate(document[items])]
        return {**document, items: chosen}

    return edited(response, edit_items)


def _at_path(document: Any, path: str, edit: Callable[[Any], Any]) -> Any:
    """The document with one member edited, if it has that member. A path is like `route_policy.cpu_threshold`."""
    name, _, rest = path.partition(".")
    if not isinstance(document, dict) or name not in document:
        return document
    value = _at_path(document[name], rest, edit) if rest else edit(document[name])
    others = {key: other for key, other in document.items() if key != name}
    return others if value is _ABSENT else {**document, name: value}


def _at_members(response: SimulatedResponse, options: Options, edit: Callable[[Any], Any]) -> SimulatedResponse:
    """Edit the named members, or all but the id if none are named."""

    def edit_item(item: Document) -> Document:
        paths = options["members"] or [name for name in item if name != "id"]
        return reduce(lambda document, path: _at_path(document, path, edit), paths, item)

    return _with_items(response, edit_item, options["rows"])


def without_members(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    return _at_members(response, options, lambda _value: _ABSENT)


def with_nulls(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    return _at_members(response, options, lambda _value: None)


def with_wrong_types(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    return _at_members(response, options, _other)


def with_bidi_controls(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    """Put unclosed overrides before each text and unclosed isolates after it."""
    return _at_members(response, options, lambda value: f"\u202e\u202a{value}\u2066\u2067")


def with_values(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    """Replace the values of members; `values` maps paths to values."""

    def replaced(item: Document, member: tuple[str, Any]) -> Document:
        path, value = member
        changed: Document = _at_path(item, path, lambda _old: value)
        return changed

    return _with_items(response, lambda item: reduce(replaced, options["values"].items(), item), options["rows"])


def with_extra_members(response: SimulatedResponse, _options: Options) -> SimulatedResponse:
    return _with_items(response, lambda item: {**item, "x_new": {"nested": [1, None]}, "": 0, "__proto__": "x"})


def with_unknown_enums(response: SimulatedResponse, _options: Options) -> SimulatedResponse:
    return _with_items(response, lambda item: {key: "BRAND_NEW" if key in _ENUMS else item[key] for key in item})


def _other(value: Any) -> Any:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)
        case str():
            return len(value)
        case list():
            return {"0": "zero"}
        case _:
            return ["not", "an", "object"]


def with_duplicate_keys(response: SimulatedResponse, _options: Options) -> SimulatedResponse:
    """Repeat the first member, with another value the first time."""
    if not response.body.startswith(b'{"'):
        return response
    key = response.body[1 : response.body.index(b'"', 2) + 1]
    return replace(response, body=b"{" + key + b':"first",' + response.body[1:])


def with_wrong_count(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    return edited(response, lambda document: _at_path(document, "count", lambda count: count + options["by"]))


def huge(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    """Put so many bytes of white space before the JSON."""
    return replace(response, body=b" " * options["bytes"] + response.body)


def gzip_bomb(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    """Compress the JSON with so many bytes of white space before it, to about a thousandth."""
    packed = gzip.compress(b" " * options["bytes"] + response.body, mtime=0)
    return replace(response, body=packed).with_headers(Content_Encoding="gzip")


def broken_gzip(response: SimulatedResponse, _options: Options) -> SimulatedResponse:
    return response.with_headers(Content_Encoding="gzip")


def bad_utf8(response: SimulatedResponse, _options: Options) -> SimulatedResponse:
    return replace(response, body=response.body.replace(b'":"', b'":"\xff\xfe', 1))


def wrong_content_type(response: SimulatedResponse, _options: Options) -> SimulatedResponse:
    return response.with_headers(Content_Type="text/html")


def deep(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    depth = options["depth"]
    return replace(response, body=b"[" * depth + b"]" * depth)


def huge_header(response: SimulatedResponse, options: Options) -> SimulatedResponse:
    return response.with_headers(X_Padding="x" * options["bytes"])


def with_surplus_bytes(response: SimulatedResponse, _options: Options) -> SimulatedResponse:
    """Add bytes that look like the response to the next request on the same connection."""
    surplus = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull"
    return replace(response, body=response.body + surplus).with_headers(Content_Length=str(len(response.body)))


def cut_json(response: SimulatedResponse, _options: Options) -> SimulatedResponse:
    """Stop the JSON in the middle, in a complete HTTP response."""
    return replace(response, body=response.body[: len(response.body) // 2])
