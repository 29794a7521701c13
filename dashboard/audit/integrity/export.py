"""The ledger as lines of text, one a row, read in chunks so that memory stays flat however long it is."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from dashboard.audit.ledger.schema import TABLE
from dashboard.text import show_direction_marks

CHUNK = 1_000
COLUMNS = (
    *("number", "at", "project", "group_id", "group_name", "actor", "actor_id", "from_address", "kind", "reason"),
    *("changes", "outcome", "proof", "http_status", "error_code", "error_msg", "request_id", "duration_ms", "intent"),
    *("previous_hash", "hash", "mac"),
)


@dataclass(frozen=True)
class SealedRow:
    """A row as it is stored: its facts as canonical JSON, and what they are sealed with."""

    facts: str
    hash: str
    mac: str

    @property
    def json(self) -> str:
        """All of it as one JSON object; the facts stay as they were hashed."""
        return f'{self.facts[:-1]},"hash":"{self.hash}","mac":"{self.mac}"}}'


def all_rows(
    *,
    project: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    after: int = 0,
    last: int | None = None,
) -> Iterator[SealedRow]:
    """Rows by number: all of them, or those of a project, from a time until before another, after a row, to a last."""
    wanted = {
        "project = %s": project or None,
        "at >= %s": since and connection.ops.adapt_datetimefield_value(since),
        "at < %s": until and connection.ops.adapt_datetimefield_value(until),
        "number <= %s": last,
    }
    conditions = " AND ".join(["number > %s", *(condition for condition, value in wanted.items() if value)])
    values = [str(value) for value in wanted.values() if value]
    number = after
    while rows := _read(f"{conditions} ORDER BY number LIMIT {CHUNK}", [number, *values]):
        yield from (row for _, row in rows)
        number = rows[-1][0]


def rows_of(changes: Iterable[list[int]]) -> Iterator[SealedRow]:
    """The rows of some changes, given in batches of their numbers: of each its intent, then its outcomes."""
    for numbers in changes:
        if numbers:
            places = ", ".join(["%s"] * len(numbers))
            yield from (row for _, row in _read(f"subject IN ({places}) ORDER BY subject, number", numbers))


def _read(condition: str, values: Sequence[str | int]) -> list[tuple[int, SealedRow]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT number, facts, hash, mac FROM {TABLE} WHERE {condition}", values)
        return [(number, SealedRow(facts, digest, mac)) for number, facts, digest, mac in cursor.fetchall()]


def json_lines(rows: Iterable[SealedRow]) -> Iterator[str]:
    return (f"{row.json}\n" for row in rows)


class _Line:
    """A file that hands back what is written to it: a line needs no buffer of its own."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[SealedRow]) -> Iterator[str]:
    """For spreadsheets: what one would take for a formula begins with an apostrophe, and every text is quoted.

    Bidirectional control characters are made visible; JSON Lines have them as escapes.
    """
    yield ",".join(COLUMNS) + "\r\n"
    writer = csv.writer(_Line(), quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        members = json.loads(row.json)
        yield writer.writerow([_cell(members[column]) for column in COLUMNS])


_FORMULA = re.compile(r"[\s\0-\x20\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*[=+\-@＝＋－＠﹢﹣﹦﹫]|[\t\r]")
"""What a spreadsheet would take for a formula, in the widths of East Asia too, after blanks and signs nobody sees."""


def _cell(value: object) -> object:
    """Numbers as they are; nothing where there is nothing."""
    if isinstance(value, str):
        return show_direction_marks(f"'{value}" if _FORMULA.match(value) else value)
    return show_direction_marks(json.dumps(value, ensure_ascii=False)) if isinstance(value, list) else value


FORMATS: Mapping[str, Callable[[Iterable[SealedRow]], Iterator[str]]] = {"jsonl": json_lines, "csv": csv_lines}
