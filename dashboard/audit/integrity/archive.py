"""Moves old rows from the ledger to a file, for deployments that must delete old records.

A new row, the archive marker, names the last archived row, its hash and the hash of the file. It is written in the
transaction that deletes, so that a crash leaves all or nothing. The rows that stay follow from it, so that rows deleted
without the key are found (`verification`, `verify_export`).
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from django.db import connection

from dashboard.audit.integrity.archive_markers import FIELDS, LABELS, ArchiveMarker, newest_marker
from dashboard.audit.integrity.export import all_rows, json_lines
from dashboard.audit.integrity.verification import verify
from dashboard.audit.integrity.verify_export import Broken, check
from dashboard.audit.ledger.chain import audit_key
from dashboard.audit.ledger.guards import missing_guards
from dashboard.audit.ledger.schema import GUARDED, TABLE, guards
from dashboard.audit.ledger.services import Change, Event, appending, reading_ledger, record_event
from dashboard.audit.models import EventKind, OpenChange, Value


class RefusedError(Exception):
    """Nothing was taken out of the ledger, and why."""


@dataclass(frozen=True)
class Part:
    """The rows to archive, from the oldest in the ledger to `last`; `hash` is the last one's."""

    earlier: ArchiveMarker
    last: int
    hash: str

    @property
    def first(self) -> int:
        return self.earlier.last + 1

    @property
    def count(self) -> int:
        return self.last - self.earlier.last


def archive(before: datetime, path: Path, *, by: str) -> tuple[Part, str]:
    """Move the rows from before a time into a new file; returns which, and the file's SHA-256.

    Raises RefusedError, BrokenError where the ledger is not what was written, LedgerError where something fails. The
    file stays whatever happens: when an answer of the database was lost, it may be all there is.
    """
    with reading_ledger():
        _refuse_without_rights()
        part = _choose(before)
        verify()
        _write(path, part)
        digest = _read_back(path, part)
    _take_out(part, path.name, digest, by=by)
    return part, digest


def _refuse_without_rights() -> None:
    """A role that may only add rows, as the dashboard's own should, could not take them out either."""
    if problems := missing_guards():
        raise RefusedError(f"{problems[0]}: look at the ledger with audit_verify first")
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, pg_get_userbyid(relowner), pg_has_role(relowner, 'USAGE') "
            "FROM pg_class WHERE oid = %s::regclass",
            [TABLE],
        )
        role, owner, is_owner = cursor.fetchone()
    if not is_owner:
        raise RefusedError(
            f"only the owner of the ledger's tables may take rows out of them, and {role} is not: "
            f"run this with a DATABASE_URL that has the credentials of {owner}"
        )


def _choose(before: datetime) -> Part:
    """Up to the last row from before, or less, so that no change loses its outcome."""
    earlier, last = newest_marker(), _last_before(before)
    while (begun := _first_that_goes_on_after(last)) is not None:
        last = begun - 1
    if last <= earlier.last:
        raise RefusedError("no row is old enough")
    open_change = OpenChange.objects.filter(number__lte=last).order_by("number").first()
    if open_change is not None:
        raise RefusedError(
            f"change {open_change} is unsettled or under observation: settle it first (manage.py settle), "
            "or archive an hour later"
        )
    return Part(earlier, last, str(_ask(f"SELECT hash FROM {TABLE} WHERE number = %s", last)))


def _last_before(moment: datetime) -> int:
    at = connection.ops.adapt_datetimefield_value(moment)
    number: int | None = _ask(f"SELECT max(number) FROM {TABLE} WHERE at < %s", str(at))
    return number or 0


def _first_that_goes_on_after(last: int) -> int | None:
    """The first change up to a row of which a later row tells."""
    number: int | None = _ask(f"SELECT min(subject) FROM {TABLE} WHERE number > %s AND subject <= %s", last, last)
    return number


def _ask(statement: str, *values: str | int) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


def _write(path: Path, part: Part) -> None:
    """On the disk with its name before anything is deleted."""
    if path.exists():
        raise RefusedError(f"{path} is there already")
    with path.open("xb") as file:
        file.writelines(line.encode("ascii") for line in json_lines(all_rows(last=part.last)))
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_back(path: Path, part: Part) -> str:
    """Check that the file, and what stays in the ledger after it, are all there is, as any auditor can later.

    Returns the SHA-256 of the very bytes that were checked.
    """
    digest = sha256()

    def lines() -> Iterator[str]:
        with path.open("rb") as file:
            for line in file:
                digest.update(line)
                yield line.decode("ascii", "replace")

    rest = json_lines(all_rows(after=part.last))
    try:
        check(chain(lines(), rest), audit_key(), {part.last: part.hash}, is_filtered=False)
    except Broken as error:
        raise RefusedError(f"{path} with the rest of the ledger is not what was written: {error}") from error
    return digest.hexdigest()


def _take_out(part: Part, name: str, digest: str, *, by: str) -> None:
    """The archive marker, and the rows it stands for: both or neither."""
    with appending():
        if newest_marker() != part.earlier:
            raise RefusedError("someone else archived rows meanwhile")
        record_event(_marker(part, name, digest, by=by))
        with _without_guards("DELETE"), connection.cursor() as cursor:
            for table in GUARDED:
                cursor.execute(f"DELETE FROM {table} WHERE number <= %s", [part.last])
        if problems := missing_guards():
            raise RefusedError(f"afterwards {problems[0]}")


def _marker(part: Part, name: str, digest: str, *, by: str) -> Event:
    earlier = part.earlier
    before: Sequence[Value] = (earlier.last, earlier.hash, earlier.file) if earlier.last else (None, None, None)
    after: Sequence[Value] = (part.last, part.hash, digest)
    values = zip(FIELDS, LABELS, before, after, strict=True)
    return Event(
        EventKind.ARCHIVED,
        by,
        told=f"Rows {part.first} to {part.last} are in {name} now, whose SHA-256 is {digest}.",
        changes=tuple(Change(field, label, old, new) for field, label, old, new in values),
    )


@contextmanager
def _without_guards(event: str) -> Iterator[None]:
    """Inside a transaction: if it fails they are back without a word, for others they never were away."""
    names = {f"{table}_refuses_{event.lower()}": table for table in GUARDED}
    made_by = guards(connection.vendor)
    with connection.cursor() as cursor:
        for name, table in names.items():
            off = {"sqlite": f"DROP TRIGGER {name}", "postgresql": f"ALTER TABLE {table} DISABLE TRIGGER {name}"}
            cursor.execute(off[connection.vendor])
        yield
        for name, table in names.items():
            on = {"sqlite": made_by[name], "postgresql": f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"}
            cursor.execute(on[connection.vendor])
