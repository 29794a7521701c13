"""Remove secrets from what the cloud sends: whole or in part, broken up by blanks, escaped, or in base64.

A gateway repeats keys and tokens of the request in its error messages, and any of the cloud's texts can end up on a
page, in the log or in the ledger. A text is compared with every stretch of WINDOW characters of a secret.
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
"""A sample at every fourth character: one of them lies inside any stretch of WINDOW characters."""
LONGEST_TEXT = 10_000
"""Characters; a longer text that holds part of a secret is masked as a whole, since a close look takes time."""
LONGEST_BODY = 200_000
"""Characters; in a longer body every text that holds part of a secret is masked as a whole."""
LEVELS = 4
"""How often a text is unescaped: gateways put a JSON text into another one."""
SEPARATOR = "\uffff"

_INVISIBLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
# Each alternative begins with a literal, so that texts without an escape are passed over quickly.
_ESCAPE = re.compile(
    r"%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*"
    r"|\\\\*u[0-9A-Fa-f]{4}(?:\\+u[0-9A-Fa-f]{4})*"
    r"|\\\\*x[0-9A-Fa-f]{2}"
    r"|\\\\*[bfnrt]?"
    r"|&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
)


class Redactor:
    """Masks every part of WINDOW or more characters of the secrets; a shorter secret as a whole."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._traces = [_trace(secret) for secret in dict.fromkeys(secrets) if _plain(secret)]

    def __call__(self, text: str) -> str:
        return self._without_secrets(_storable(text), LONGEST_TEXT)

    def in_json(self, data: object) -> object:
        """The parsed JSON without secrets in its texts and numbers; the names of its members stay."""
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
        """Whether to look closer. This check is quick, and it can be True where no secret is."""
        for level in _levels(_storable(text)):
            samples = [level[place : place + SAMPLE] for place in range(0, len(level), STRIDE)]
            if any(trace.may_be_in(level, samples) for trace in self._traces):
                return True
        return False

    def _masked(self, text: str) -> str:
        is_secret = bytearray(len(text))
        for level in _traced_levels(text):
            for begin, end in self._found("".join(character.text for character in level)):
                first, last = level[begin].begin, level[end - 1].end
                is_secret[first:last] = b"\x01" * (last - first)
        stretches = re.finditer(rb"\x01+|\x00+", is_secret)
        return "".join(MASK if found[0][0] else text[found.start() : found.end()] for found in stretches)

    def _found(self, level: str) -> Iterator[tuple[int, int]]:
        for trace in self._traces:
            for begin in range(len(level) - trace.size + 1):
                end = begin + trace.size
                if level[begin:end] in trace.windows:
                    yield begin, end


@dataclass(frozen=True)
class _Trace:
    """What to look for of one secret: `windows` of `size` characters, and the samples that can lie inside one."""

    size: int
    windows: frozenset[str] = field(repr=False)
    samples: frozenset[str] = field(repr=False)

    def may_be_in(self, level: str, samples: list[str]) -> bool:
        if self.size < WINDOW:
            return any(window in level for window in self.windows)
        return not self.samples.isdisjoint(samples)


@lru_cache(maxsize=64)
def _trace(secret: str) -> _Trace:
    """Kept for the next request: a token of 4,000 characters has 20,000 windows."""
    plain = _plain(secret)
    if len(plain) < WINDOW:
        return _Trace(len(plain), frozenset({plain}), frozenset())
    forms = [*_levels(secret), *_base64_forms(secret.encode("utf-8", "replace"))]
    return _Trace(WINDOW, _stretches(forms, WINDOW), _stretches(forms, SAMPLE))


def _stretches(forms: list[str], size: int) -> frozenset[str]:
    return frozenset(form[begin : begin + size] for form in forms for begin in range(len(form) - size + 1))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """The secret after 0, 1 or 2 other bytes, without the characters that depend on bytes beside it."""
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
    """The same JSON; a number is replaced only by a text that differs from it."""
    if isinstance(data, dict):
        return {name: _replaced(value, texts) for name, value in data.items()}
    if isinstance(data, list):
        return [_replaced(value, texts) for value in data]
    text = texts.get(str(data))
    return text if isinstance(data, str) or (text is not None and text != str(data)) else data


# Levels of a text: as it is, then each time with its escapes resolved; always without invisible characters, and with
# the two alphabets of base64 made one.


def _levels(text: str) -> Iterator[str]:
    level = _plain(text)
    for _ in range(LEVELS):
        yield level
        level, before = _plain(_ESCAPE.sub(_unescaped, level)), level
        if len(level) == len(before):
            return


class _Character(NamedTuple):
    """A character of a level, and the stretch of the original text that it comes from."""

    text: str
    begin: int
    end: int


def _traced_levels(text: str) -> Iterator[list[_Character]]:
    """The same levels, each character with its origin."""
    level = _visible(map(_Character, _one_alphabet(text), count(), count(1)))
    for _ in range(LEVELS):
        yield level
        level, before = _visible(_unescaped_characters(level)), level
        if len(level) == len(before):
            return


def _visible(characters: Iterable[_Character]) -> list[_Character]:
    return [character for character in characters if not _INVISIBLE.match(character.text)]


def _unescaped_characters(level: list[_Character]) -> Iterator[_Character]:
    done = 0
    for escape in _ESCAPE.finditer("".join(character.text for character in level)):
        yield from level[done : escape.start()]
        done = escape.end()
        begin, end = level[escape.start()].begin, level[done - 1].end
        yield from (_Character(text, begin, end) for text in _one_alphabet(_unescaped(escape)))
    yield from level[done:]


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


def _plain(text: str) -> str:
    return _INVISIBLE.sub("", _one_alphabet(text))


def _one_alphabet(text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


def _storable(text: str) -> str:
    """Lone surrogates become question marks, as they do where the text is stored."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
