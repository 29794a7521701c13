"""Ways to spoil the body of a good answer, so that a client's reading can be tried."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dashboard.simulator.answers import Answer

Options = Mapping[str, Any]

_ENUMS = frozenset(
    ("app_type", "storage_mount_policy", "image_type", "system_disk_type", "os_type", "site_type", "extra_session_type")
) | {"status", "vm_status", "session_state"}


def _edited(answer: Answer, edit: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Answer:
    """Edits what the answer is about: each item of a list, or the one object."""
    document = json.loads(answer.body or b"null")
    if not isinstance(document, dict):
        return answer
    items = next((name for name in ("items", "images", "tags", "volume_types") if name in document), None)
    if items is None or "name" in document:
        edited = edit(document)
    else:
        edited = {**document, items: [edit(item) for item in document[items]]}
    return replace(answer, body=json.dumps(edited, ensure_ascii=False).encode())


def without_members(answer: Answer, options: Options) -> Answer:
    return _edited(answer, lambda item: {key: value for key, value in item.items() if key not in options["members"]})


def with_nulls(answer: Answer, options: Options) -> Answer:
    return _edited(answer, lambda item: {key: None if key in options["members"] else item[key] for key in item})


def with_extra_members(answer: Answer, _options: Options) -> Answer:
    return _edited(answer, lambda item: {**item, "x_new": {"nested": [1, None]}, "": 0, "__proto__": "x"})


def with_unknown_enums(answer: Answer, _options: Options) -> Answer:
    return _edited(answer, lambda item: {key: "BRAND_NEW" if key in _ENUMS else item[key] for key in item})


def with_wrong_types(answer: Answer, _options: Options) -> Answer:
    """All members but the id, by which the item is still found."""
    return _edited(answer, lambda item: {key: value if key == "id" else _other(value) for key, value in item.items()})


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
    document = json.loads(answer.body or b"null")
    if not isinstance(document, dict) or "count" not in document:
        return answer
    return replace(answer, body=json.dumps({**document, "count": document["count"] + options["by"]}).encode())


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
