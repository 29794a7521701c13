"""Whether checkpoints, which are kept outside the database, confirm the ledger and its archive files.

A checkpoint finds what verification alone cannot: a deleted tail, an old copy put back, and rows that someone with the
ledger's key sealed or archived falsely. What no checkpoint or file confirms is said, and is not taken for confirmed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from django.db import connection

from dashboard.audit.integrity.archive_markers import ArchiveMarker, newest_marker, sealed_markers
from dashboard.audit.integrity.verification import BrokenError
from dashboard.audit.integrity.verify_export import Broken, read
from dashboard.audit.ledger.chain import GENESIS, audit_key, read_head
from dashboard.audit.ledger.checkpoints import Checkpoint
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.models import EventKind

RowHash = tuple[int, str]
"""A row's number and hash."""
Named = tuple[int, str, str]
"""What an archive marker names: the last archived row, its hash, the SHA-256 of the file."""


class WrongArchiveError(Exception):
    """A file that was given is not the archive file that the ledger names."""


@dataclass(frozen=True)
class Confirmation:
    """How many checkpoints the ledger and the archive files confirm, and what nothing confirms.

    `unconfirmed` has the numbers of checkpoints in archived rows. `marker` is the row of an archive marker that is
    newer than each checkpoint and has no archive file. `uncovered` counts the rows after the newest checkpoint.
    """

    confirmed: int
    unconfirmed: tuple[int, ...] = ()
    marker: int | None = None
    uncovered: int = 0

    @property
    def is_complete(self) -> bool:
        return not self.unconfirmed and self.marker is None


def check_against(checkpoints: Iterable[Checkpoint], archives: Sequence[Path] = ()) -> Confirmation:
    """Compare the ledger and its archive files, oldest first, with checkpoints.

    Raises BrokenError, WrongArchiveError, and OSError where a file cannot be read.
    """
    marker, points = newest_marker(), _by_number(checkpoints)
    for number, digest in points.items():
        if number >= marker.last:
            _check_row(number, digest, marker)
    waiting = {number: digest for number, digest in points.items() if number <= marker.last}
    if archives:
        _check_archives(archives, marker, waiting)
    newest = max(points, default=0)
    return Confirmation(
        confirmed=len(points) - len(waiting),
        unconfirmed=tuple(sorted(waiting)),
        marker=marker.number if points and not archives and marker.number > newest else None,
        uncovered=read_head().number - max(newest, marker.last),
    )


def _by_number(checkpoints: Iterable[Checkpoint]) -> dict[int, str]:
    points: dict[int, str] = {}
    for point in checkpoints:
        if not point.is_signed:
            raise BrokenError(point.number, "has a checkpoint that was not signed with this ledger's key")
        if points.setdefault(point.number, point.hash) != point.hash:
            raise BrokenError(point.number, "has two checkpoints that differ")
    return points


def _check_row(number: int, digest: str, marker: ArchiveMarker) -> None:
    found = marker.hash if number == marker.last else _hash_of(number)
    if found is None:
        raise BrokenError(number, "is missing, though a checkpoint knows it: the end was cut off")
    if found != digest:
        raise BrokenError(number, "is not the row that a checkpoint knows")


def _hash_of(number: int) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT hash FROM {TABLE} WHERE number = %s", [number])
        row = cursor.fetchone()
    return row[0] if row else None


def _check_archives(paths: Sequence[Path], marker: ArchiveMarker, points: dict[int, str]) -> None:
    """Read the files, newest first. Take out of `points` what they confirm."""
    named, expected = {_named_by(known) for known in sealed_markers()}, (marker.last, marker.hash)
    for path in reversed(paths):
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        if (path is paths[-1] and digest != marker.file) or digest not in {name for _, _, name in named}:
            raise WrongArchiveError(f"{path} is not the archive file up to row {expected[0]}: its SHA-256 is {digest}")
        start, end = _check_archive(path, named, points)
        if end != expected and path is paths[-1]:
            raise BrokenError(marker.number, f"is a false archive marker: {path} does not end with row {marker.last}")
        if end != expected:
            raise WrongArchiveError(f"{path} does not end with row {expected[0]}, after which the next file begins")
        if start not in {(0, GENESIS), *((last, last_hash) for last, last_hash, _ in named)}:
            raise BrokenError(start[0], f"is missing before {path}, and no archive marker says that it was archived")
        expected = start


def _named_by(marker: ArchiveMarker) -> Named:
    return marker.last, marker.hash, marker.file


def _check_archive(path: Path, named: set[Named], points: dict[int, str]) -> tuple[RowHash, RowHash]:
    """The row before the first one in the file, and the last one. Adds to `named` what archive markers in it name."""
    start, last = None, (0, GENESIS)
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            row, digest = _read_row(line, last[0])
            number, before = row["number"], (row["number"] - 1, row["previous_hash"])
            if start is None:
                start = last = before
            if before != last:
                raise BrokenError(number, f"does not follow from the row before it in {path}")
            if points.pop(number, digest) != digest:
                raise BrokenError(number, f"in {path} is not the row that a checkpoint knows")
            if row["kind"] == EventKind.ARCHIVED:
                last_row, last_hash, file = (change["after"] for change in row["changes"])
                named.add((last_row, last_hash, file))
            last = number, digest
    return start or last, last


def _read_row(line: str, after: int) -> tuple[dict[str, Any], str]:
    try:
        return read(line, f"after row {after}", audit_key())
    except Broken as error:
        raise BrokenError(after + 1, f"is not as it was written in an archive file: {error}") from error
