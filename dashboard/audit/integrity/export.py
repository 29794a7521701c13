"""Export the ledger as JSON Lines or CSV, one line for each row. Reads chunks, so that memory use stays constant."""

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
    """A row as it is stored: its facts as canonical JSON, their hash and their MAC."""

    facts: str
    hash: str
    mac: str

    @property
    def json(self) -> str:
        """The row as one JSON object. The text of the facts stays exactly as it was hashed."""
        return f'{self.facts[:-1]},"hash":"{self.hash}","mac":"{self.mac}"}}'


def all_rows(
    *,
    project: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    after: int = 0,
    last: int | None = None,
) -> Iterator[SealedRow]:
    """Read rows in the order of their numbers.

    Optional limits: one project, from `since` to before `until`, and numbers above `after` and up to `last`.
    """
    limits = {
        "project = %s": project or None,
        "at >= %s": since and connection.ops.adapt_datetimefield_value(since),
        "at < %s": until and connection.ops.adapt_datetimefield_value(until),
        "number <= %s": last,
    }
    conditions = " AND ".join(["number > %s", *(condition for condition, value in limits.items() if value)])
    values = [str(value) for value in limits.values() if value]
    number = after
    while rows := _read(f"{conditions} ORDER BY number LIMIT {CHUNK}", [number, *values]):
        yield from (row for _, row in rows)
        number = rows[-1][0]


def rows_of(changes: Iterable[list[int]]) -> Iterator[SealedRow]:
    """Read the rows of changes, given in batches of their numbers: each intent, then its outcomes."""
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


class _Echo:
    """A file for `csv.writer` that returns each line instead of storing it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[SealedRow]) -> Iterator[str]:
    """Write CSV for spreadsheets. Text that looks like a formula gets an apostrophe, and every text is quoted.

    Bidirectional control characters become visible. JSON Lines contain them as escapes.
    """
    yield ",".join(COLUMNS) + "\r\n"
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        members = json.loads(row.json)
        yield writer.writerow([_cell(members[column]) for column in COLUMNS])


_FORMULA = re.compile(r"[\s\0-\x20\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*[=+\-@＝＋－＠﹢﹣﹦﹫]|[\t\r]")
"""The beginning of a formula in a spreadsheet, also in East Asian widths, and after blanks and invisible characters."""


def _cell(value: object) -> object:
    if isinstance(value, str):
        return show_direction_marks(f"'{value}" if _FORMULA.match(value) else value)
    return show_direction_marks(json.dumps(value, ensure_ascii=False)) if isinstance(value, list) else value


FORMATS: Mapping[str, Callable[[Iterable[SealedRow]], Iterator[str]]] = {"jsonl": json_lines, "csv": csv_lines}
