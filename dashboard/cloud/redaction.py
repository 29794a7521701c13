"""Remove secrets from texts of the cloud: whole or in part, divided by spaces, escaped, or in base64.

A gateway repeats keys and tokens of the request in its error messages. Texts of the cloud appear on pages, in the log
and in the ledger. Every substring of WINDOW characters of a secret is searched for.
"""

import html
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import NamedTuple
from urllib.parse import unquote

MASK = "***"
WINDOW = 8
SAMPLE, STRIDE = 5, 4
"""Samples begin at every fourth character, so each substring of WINDOW characters contains one."""
LONGEST_TEXT = 10_000
"""Characters. A longer text with a part of a secret is masked as a whole, because a full search takes time."""
LONGEST_BODY = 200_000
"""Characters. In a longer body, every text with a part of a secret is masked as a whole."""
MAX_FORMS = 4
"""A text is unescaped three times: gateways put JSON into a text of other JSON."""
SEPARATOR = "\uffff"

_INVISIBLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
# Each alternative begins with a literal, so that texts without an escape are searched quickly.
_ESCAPE = re.compile(
    r"%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*"
    r"|\\\\*u[0-9A-Fa-f]{4}(?:\\+u[0-9A-Fa-f]{4})*"
    r"|\\\\*x[0-9A-Fa-f]{2}"
    r"|\\\\*[bfnrt]?"
    r"|&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
)


class Redactor:
    """Masks every part of WINDOW or more characters of a secret. A shorter secret is masked as a whole."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._patterns = [_pattern_of(secret) for secret in dict.fromkeys(secrets) if _normalized(secret)]

    def __call__(self, text: str) -> str:
        return self._without_secrets(_storable(text), LONGEST_TEXT)

    def in_json(self, data: object) -> object:
        """The parsed JSON without secrets in its texts and numbers. Names of members are not changed."""
        texts = _texts(data)
        everything = SEPARATOR.join(texts)
        if not self._may_be_in(everything):
            return data
        longest = LONGEST_TEXT if len(everything) <= LONGEST_BODY else 0
        try:
            return _replaced(data, {text: self._without_secrets(_storable(text), longest) for text in texts})
        except RecursionError:
            return MASK

    def _without_secrets(self, text: str, longest: int) -> str:
        if not self._may_be_in(text):
            return text
        return self._masked(text) if len(text) <= longest else MASK

    def _may_be_in(self, text: str) -> bool:
        """Whether to search the text. This check is fast, and it can be True for a text without a secret."""
        for form in _forms_of(_storable(text)):
            samples = [form[place : place + SAMPLE] for place in range(0, len(form), STRIDE)]
            if any(pattern.may_be_in(form, samples) for pattern in self._patterns):
                return True
        return False

    def _masked(self, text: str) -> str:
        is_secret = bytearray(len(text))
        for form in _forms_with_origins(text):
            for begin, end in self._found("".join(character.text for character in form)):
                first, last = form[begin].begin, form[end - 1].end
                is_secret[first:last] = b"\x01" * (last - first)
        sections = re.finditer(rb"\x01+|\x00+", is_secret)
        return "".join(MASK if found[0][0] else text[found.start() : found.end()] for found in sections)

    def _found(self, form: str) -> Iterator[tuple[int, int]]:
        for pattern in self._patterns:
            for begin in range(len(form) - pattern.size + 1):
                end = begin + pattern.size
                if form[begin:end] in pattern.windows:
                    yield begin, end


@dataclass(frozen=True)
class _SecretPattern:
    """The substrings of a secret to search for: `windows` of `size` characters, and shorter samples of them."""

    size: int
    windows: frozenset[str] = field(repr=False)
    samples: frozenset[str] = field(repr=False)

    def may_be_in(self, form: str, samples: list[str]) -> bool:
        if self.size < WINDOW:
            return any(window in form for window in self.windows)
        return not self.samples.isdisjoint(samples)


@lru_cache(maxsize=64)
def _pattern_of(secret: str) -> _SecretPattern:
    """Cached for the next request: a token of 4,000 characters has 20,000 windows."""
    plain = _normalized(secret)
    if len(plain) < WINDOW:
        return _SecretPattern(len(plain), frozenset({plain}), frozenset())
    forms = [*_forms_of(secret), *_base64_forms(secret.encode("utf-8", "replace"))]
    return _SecretPattern(WINDOW, _substrings(forms, WINDOW), _substrings(forms, SAMPLE))


def _substrings(forms: list[str], size: int) -> frozenset[str]:
    return frozenset(form[begin : begin + size] for form in forms for begin in range(len(form) - size + 1))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """The secret in base64 after 0, 1 or 2 other bytes, without characters that depend on the bytes around it."""
    for offset, begin in ((0, 0), (1, 2), (2, 3)):
        encoded = b64encode(bytes(offset) + secret).decode()
        yield encoded[begin : (offset + len(secret)) * 8 // 6]


def _texts(data: object) -> set[str]:
    """Every text and number in parsed JSON."""
    found: set[str] = set()
    left = [data]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, str | int | float):
            found.add(str(value))
    return found


def _replaced(data: object, texts: Mapping[str, str]) -> object:
    """The same JSON with other texts. A number is replaced only by a text that differs from it."""
    if isinstance(data, dict):
        return {name: _replaced(value, texts) for name, value in data.items()}
    if isinstance(data, list):
        return [_replaced(value, texts) for value in data]
    text = texts.get(str(data))
    return text if isinstance(data, str) or (text is not None and text != str(data)) else data


# Forms of a text: unchanged, then unescaped one to three times. All forms are without invisible characters, and use one
# alphabet for both variants of base64.


def _forms_of(text: str) -> Iterator[str]:
    form = _normalized(text)
    for _ in range(MAX_FORMS):
        yield form
        form, before = _normalized(_ESCAPE.sub(_unescaped, form)), form
        if len(form) == len(before):
            return


class _Character(NamedTuple):
    """A character of a form, and the part of the original text that it comes from."""

    text: str
    begin: int
    end: int


def _forms_with_origins(text: str) -> Iterator[list[_Character]]:
    """The same forms, each character with its origin."""
    form = _visible(map(_Character, _one_alphabet(text), count(), count(1)))
    for _ in range(MAX_FORMS):
        yield form
        form, before = _visible(_unescaped_characters(form)), form
        if len(form) == len(before):
            return


def _visible(characters: Iterable[_Character]) -> list[_Character]:
    return [character for character in characters if not _INVISIBLE.match(character.text)]


def _unescaped_characters(form: list[_Character]) -> Iterator[_Character]:
    done = 0
    for escape in _ESCAPE.finditer("".join(character.text for character in form)):
        yield from form[done : escape.start()]
        done = escape.end()
        begin, end = form[escape.start()].begin, form[done - 1].end
        yield from (_Character(text, begin, end) for text in _one_alphabet(_unescaped(escape)))
    yield from form[done:]


def _unescaped(escape: re.Match[str]) -> str:
    text = escape[0]
    if text[0] == "%":
        return unquote(text)
    if text[0] == "&":
        return html.unescape(text)
    match text.lstrip("\\")[:1]:
        case "u":
            return bytes.fromhex("".join(re.findall("u(.{4})", text))).decode("utf-16-be", "replace")
        case "x":
            return chr(int(text[-2:], 16))
        case _:
            return ""


def _normalized(text: str) -> str:
    return _INVISIBLE.sub("", _one_alphabet(text))


def _one_alphabet(text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


def _storable(text: str) -> str:
    """The text with question marks for lone surrogates, as in storage."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
