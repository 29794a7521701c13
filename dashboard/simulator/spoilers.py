"""Ways to spoil the body of a good answer, so that a client's reading can be tried."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from dashboard.simulator.answers import Answer

Options = Mapping[str, Any]

_ENUMS = frozenset(
    ("app_type", "storage_mount_policy", "image_type", "system_disk_type", "os_type", "site_type", "extra_session_type")
) | {"status", "vm_status", "session_state"}


Document = dict[str, Any]
_ABSENT = object()


def edited(answer: Answer, edit: Callable[[Document], Mapping[str, Any]]) -> Answer:
    """The answer with its JSON object edited; an error or a body that is no object stays as it is."""
    document = json.loads(answer.body or b"null") if answer.status < 300 else None
    if not isinstance(document, dict):
        return answer
    return replace(answer, body=json.dumps(edit(document), ensure_ascii=False).encode())


def _with_items(answer: Answer, edit: Callable[[Document], Document], rows: Sequence[int] = ()) -> Answer:
    """Edit what the answer is about: the one object, or those items of a list (all if none are given)."""

    def edit_items(document: Document) -> Document:
        items = next((name for name in ("items", "images", "tags", "volume_types") if name in document), None)
        if items is None or "name" in document:
            return edit(document)
        chosen = [edit(item) if not rows or row in rows else item for row, item in enumerate(document[items])]
        return {**document, items: chosen}

    return edited(answer, edit_items)


def _at_path(document: Any, path: str, edit: Callable[[Any], Any]) -> Any:
    """The document with the member at a path such as `route_policy.cpu_threshold` edited, if there is one."""
    name, _, rest = path.partition(".")
    if not isinstance(document, dict) or name not in document:
        return document
    value = _at_path(document[name], rest, edit) if rest else edit(document[name])
    others = {key: other for key, other in document.items() if key != name}
    return others if value is _ABSENT else {**document, name: value}


def _at_members(answer: Answer, options: Options, edit: Callable[[Any], Any]) -> Answer:
    """Edit the named members, or all but the id if none are named."""

    def edit_item(item: Document) -> Document:
        paths = options["members"] or [name for name in item if name != "id"]
        return reduce(lambda document, path: _at_path(document, path, edit), paths, item)

    return _with_items(answer, edit_item, options["rows"])


def without_members(answer: Answer, options: Options) -> Answer:
    return _at_members(answer, options, lambda _value: _ABSENT)


def with_nulls(answer: Answer, options: Options) -> Answer:
    return _at_members(answer, options, lambda _value: None)


def with_wrong_types(answer: Answer, options: Options) -> Answer:
    return _at_members(answer, options, _other)


def with_bidi_controls(answer: Answer, options: Options) -> Answer:
    """Each text begins with an override and ends with an isolate, and both stay open."""
    return _at_members(answer, options, lambda value: f"\u202e\u202a{value}\u2066\u2067")


def with_values(answer: Answer, options: Options) -> Answer:
    """Other values in place of the true ones; `values` names them by path."""

    def edit_item(item: Document) -> Document:
        return reduce(lambda document, path: _at_path(document, *_constant(path, options)), options["values"], item)

    return _with_items(answer, edit_item, options["rows"])


def _constant(path: str, options: Options) -> tuple[str, Callable[[Any], Any]]:
    return path, lambda _value: options["values"][path]


def with_extra_members(answer: Answer, _options: Options) -> Answer:
    return _with_items(answer, lambda item: {**item, "x_new": {"nested": [1, None]}, "": 0, "__proto__": "x"})


def with_unknown_enums(answer: Answer, _options: Options) -> Answer:
    return _with_items(answer, lambda item: {key: "BRAND_NEW" if key in _ENUMS else item[key] for key in item})


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


def with_duplicate_keys(answer: Answer, _options: Options) -> Answer:
    """The first member stands there twice, with another value the first time."""
    if not answer.body.startswith(b'{"'):
        return answer
    key = answer.body[1 : answer.body.index(b'"', 2) + 1]
    return replace(answer, body=b"{" + key + b':"first",' + answer.body[1:])


def with_wrong_count(answer: Answer, options: Options) -> Answer:
    return edited(answer, lambda document: _at_path(document, "count", lambda count: count + options["by"]))


def huge(answer: Answer, options: Options) -> Answer:
    """The same JSON with so many bytes of white space before it."""
    return replace(answer, body=b" " * options["bytes"] + answer.body)


def gzip_bomb(answer: Answer, options: Options) -> Answer:
    """A thousandth of the bytes on the wire; they unfold to the size of `bytes`."""
    packed = gzip.compress(b" " * options["bytes"] + answer.body, mtime=0)
    return replace(answer, body=packed).with_headers(Content_Encoding="gzip")


def broken_gzip(answer: Answer, _options: Options) -> Answer:
    return answer.with_headers(Content_Encoding="gzip")


def bad_utf8(answer: Answer, _options: Options) -> Answer:
    return replace(answer, body=answer.body.replace(b'":"', b'":"\xff\xfe', 1))


def wrong_content_type(answer: Answer, _options: Options) -> Answer:
    return answer.with_headers(Content_Type="text/html")


def deep(answer: Answer, options: Options) -> Answer:
    depth = options["depth"]
    return replace(answer, body=b"[" * depth + b"]" * depth)


def huge_header(answer: Answer, options: Options) -> Answer:
    return answer.with_headers(X_Padding="x" * options["bytes"])


def with_surplus_bytes(answer: Answer, _options: Options) -> Answer:
    """What follows the body looks like the answer to the next request on the same connection."""
    surplus = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull"
    return replace(answer, body=answer.body + surplus).with_headers(Content_Length=str(len(answer.body)))


def cut_json(answer: Answer, _options: Options) -> Answer:
    """The JSON ends in the middle, while HTTP is content."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])
