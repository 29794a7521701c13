"""Move old rows from the ledger to a file, for deployments that must delete old records.

A new row, the archive marker, names the last archived row, its hash and the hash of the file. One transaction adds the
marker and deletes the rows, so that a crash changes all or nothing. The first row that stays must follow from a marker,
so that verification finds rows that were deleted without the key.
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
    """The command must not archive; the ledger is unchanged."""


@dataclass(frozen=True)
class Part:
    """The rows to archive, from the oldest in the ledger to `last`, which has the hash `hash`."""

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
    """Move the rows from before a time to a new file. Returns the rows, and the SHA-256 of the file.

    Raises RefusedError, BrokenError if the ledger is not intact, and LedgerError after any other failure. The file is
    never deleted: after a lost database connection, it may be the only copy of the rows.
    """
    with reading_ledger():
        _check_rights()
        part = _choose(before)
        verify()
        _write(path, part)
        digest = _read_back(path, part)
    _delete(part, path.name, digest, by=by)
    return part, digest


def _check_rights() -> None:
    """Refuse if a guard is missing, or if the database role cannot delete rows."""
    if problems := missing_guards():
        raise RefusedError(f"{problems[0]}: check the ledger with audit_verify first")
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
            f"only the owner of the ledger's tables can delete rows, and {role} is not the owner: "
            f"run this with a DATABASE_URL that has the credentials of {owner}"
        )


def _choose(before: datetime) -> Part:
    """Choose the rows from before a time. A change with a later outcome stays, with every row after it."""
    earlier, last = newest_marker(), _last_before(before)
    while (continued := _first_with_row_after(last)) is not None:
        last = continued - 1
    if last <= earlier.last:
        raise RefusedError("no row is old enough")
    open_change = OpenChange.objects.filter(number__lte=last).order_by("number").first()
    if open_change is not None:
        raise RefusedError(
            f"change {open_change} is unsettled or under observation: settle it first (manage.py settle), "
            "or archive an hour later"
        )
    return Part(earlier, last, str(_query(f"SELECT hash FROM {TABLE} WHERE number = %s", last)))


def _last_before(moment: datetime) -> int:
    at = connection.ops.adapt_datetimefield_value(moment)
    number: int | None = _query(f"SELECT max(number) FROM {TABLE} WHERE at < %s", str(at))
    return number or 0


def _first_with_row_after(last: int) -> int | None:
    """Find the first change up to this row that has an outcome row after it."""
    number: int | None = _query(f"SELECT min(subject) FROM {TABLE} WHERE number > %s AND subject <= %s", last, last)
    return number


def _query(statement: str, *values: str | int) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


def _write(path: Path, part: Part) -> None:
    """Write the rows to the file. Flush the file and its directory entry to the disk."""
    if path.exists():
        raise RefusedError(f"{path} exists already")
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
    """Verify the file together with the rows that stay, as an auditor can do later.

    Returns the SHA-256 of the bytes that were verified.
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


def _delete(part: Part, name: str, digest: str, *, by: str) -> None:
    """Add the archive marker and delete the rows in one transaction."""
    with appending():
        if newest_marker() != part.earlier:
            raise RefusedError("another process archived rows meanwhile")
        record_event(_marker(part, name, digest, by=by))
        with _without_delete_guards(), connection.cursor() as cursor:
            for table in GUARDED:
                cursor.execute(f"DELETE FROM {table} WHERE number <= %s", [part.last])
        if problems := missing_guards():
            raise RefusedError(f"after the deletion, {problems[0]}")


def _marker(part: Part, name: str, digest: str, *, by: str) -> Event:
    earlier = part.earlier
    before: Sequence[Value] = (earlier.last, earlier.hash, earlier.file) if earlier.last else (None, None, None)
    after: Sequence[Value] = (part.last, part.hash, digest)
    values = zip(FIELDS, LABELS, before, after, strict=True)
    return Event(
        EventKind.ARCHIVED,
        by,
        proof=f"Rows {part.first} to {part.last} were moved to {name} (SHA-256 {digest}).",
        changes=tuple(Change(field, label, old, new) for field, label, old, new in values),
    )


@contextmanager
def _without_delete_guards() -> Iterator[None]:
    """Turn the DELETE guards off. Inside a transaction, no other connection sees this, and a rollback restores them."""
    names = {f"{table}_refuses_delete": table for table in GUARDED}
    statements = guards(connection.vendor)
    with connection.cursor() as cursor:
        for name, table in names.items():
            off = {"sqlite": f"DROP TRIGGER {name}", "postgresql": f"ALTER TABLE {table} DISABLE TRIGGER {name}"}
            cursor.execute(off[connection.vendor])
        yield
        for name, table in names.items():
            on = {"sqlite": statements[name], "postgresql": f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"}
            cursor.execute(on[connection.vendor])
