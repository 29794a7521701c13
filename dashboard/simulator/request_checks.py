"""Strict checks of JSON and of values.

Python's `json` and `jsonschema` accept more than a service does: repeated keys, `NaN`, 80.0 as an integer, and a line
break after the end of a pattern. A client must not pass its tests because of that.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators


class NotJsonError(ValueError):
    """The text is not JSON, or it is ambiguous. The message describes the mistake."""


def read_json(raw: bytes) -> Any:
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unrepeated, parse_constant=_refused)
    except NotJsonError:
        raise
    except UnicodeDecodeError:
        raise NotJsonError("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotJsonError(f"the body is not JSON ({error.msg} at character {error.pos})") from None
    except RecursionError:
        raise NotJsonError("the body is nested too deeply") from None
    except ValueError:
        raise NotJsonError("the body has a number that is too long") from None
    if b"\\u" in raw:
        _refuse_lone_surrogates(value)
    return value


def _refuse_lone_surrogates(value: Any) -> None:
    """Refuse half of a surrogate pair: JSON can escape it, but UTF-8 cannot encode it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise NotJsonError("the body has half of a surrogate pair") from None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise NotJsonError(f"the member {repeated} is there twice")
    return members


def _refused(constant: str) -> None:
    raise NotJsonError(f"{constant} is not JSON")


def _is_integer(_checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _matches_whole(_validator: object, pattern: str, value: object, _schema: object) -> Iterator[ValidationError]:
    """Match a pattern as ECMA 262 does: `$` is only the end of the text."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


FORMATS = FormatChecker(formats=())


@FORMATS.checks("tag-key")
def is_tag_key(value: object) -> bool:
    """1 to 128 letters, digits, separators and `_.:=+-@`, without `_sys_` at the start or a space at the end."""
    if not isinstance(value, str):
        return True
    well_made = 1 <= len(value) <= 128 and not value.startswith("_sys_") and not value[-1:].isspace()
    return well_made and _only_tag_characters(value, "_.:=+-@")


@FORMATS.checks("tag-value")
def is_tag_value(value: object) -> bool:
    """At most 255 of a key's characters and `/` (API definition; Terraform's documents say 256)."""
    return not isinstance(value, str) or (len(value) <= 255 and _only_tag_characters(value, "_.:/=+-@"))


def _only_tag_characters(text: str, marks: str) -> bool:
    return all(character in marks or unicodedata.category(character)[0] in "LZN" for character in text)


_Validator = validators.extend(  # type: ignore[no-untyped-call]  # jsonschema leaves it untyped
    Draft202012Validator,
    validators={"pattern": _matches_whole},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


class Schema:
    """A schema that describes the first mistake in a value in one sentence."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self._validator = _Validator(schema, format_checker=FORMATS)

    def complaint(self, value: object, name: str) -> str | None:
        errors = sorted(self._validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        return _sentence(errors[0], name) if errors else None


def unknown_members(schema: Mapping[str, Any], value: object, name: str = "") -> list[str]:
    """The members of `value`, at any depth, that are not in the schema."""
    if not isinstance(value, Mapping):
        return []
    known = schema.get("properties", {})
    found = [f"{name}{key}" for key in value if key not in known]
    for key, part in known.items():
        found += unknown_members(part, value.get(key), f"{name}{key}.")
    return found


_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "object": "an object",
    "string": "a text",
}
_LIMITS = {
    "minimum": "must be from {minimum} to {maximum}",
    "maximum": "must be from {minimum} to {maximum}",
    "minLength": "must have from {minLength} to {maxLength} characters",
    "maxLength": "must have from {minLength} to {maxLength} characters",
    "minItems": "must have from {minItems} to {maxItems} entries",
    "maxItems": "must have from {minItems} to {maxItems} entries",
    "pattern": "must be {x-meaning}",
}
_UNSAID = {"minLength": 0, "maxLength": "any number of", "minItems": 0, "x-meaning": "of another form"}


def _sentence(error: ValidationError, name: str) -> str:
    where = ".".join([part for part in (name, *map(str, error.absolute_path)) if part]) or "the body"
    rule: Any = error.validator_value
    match error.validator:
        case "type":
            return f"{where} must be {_TYPES[rule]}"
        case "enum":
            return f"{where} must be one of {', '.join(rule)}"
        case "required":
            given: Any = error.instance
            return f"{where} lacks {next(member for member in rule if member not in given)}"
        case limit:
            schema = error.schema if isinstance(error.schema, Mapping) else {}
            return f"{where} {_LIMITS.get(str(limit), 'is not allowed').format_map({**_UNSAID, **schema})}"
