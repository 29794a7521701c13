"""Compare the ledger and its archive files with checkpoints, which are stored outside the database.

Checkpoints find what verification alone cannot: deleted newest rows, a restored older copy, and false rows or archive
markers from someone with the ledger's key. The result lists everything that no checkpoint and no file confirms.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from django.db import connection

from dashboard.audit.integrity.archive_markers import ArchiveMarker, newest_marker, sealed_markers
from dashboard.audit.integrity.verify_export import Broken, read
from dashboard.audit.ledger.chain import GENESIS, audit_key, read_head
from dashboard.audit.ledger.checkpoints import Checkpoint
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.models import EventKind
from dashboard.audit.problems import BrokenError, Problem

RowHash = tuple[int, str]
"""A row's number and hash."""
MarkerContent = tuple[int, str, str]
"""The content of an archive marker: the last archived row, its hash, the SHA-256 of the file."""


class WrongArchiveError(Exception):
    """A given file is not the archive file that the ledger names."""


@dataclass(frozen=True)
class Confirmation:
    """The result: `confirmed` is the number of checkpoints that match.

    `unconfirmed` has the rows of checkpoints for archived rows without a file. `marker` is the row of an archive marker
    without a file that is newer than each checkpoint. `uncovered` counts the rows after the newest checkpoint.
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
    unconfirmed = {number: digest for number, digest in points.items() if number <= marker.last}
    if archives:
        _check_archives(archives, marker, unconfirmed)
    newest = max(points, default=0)
    return Confirmation(
        confirmed=len(points) - len(unconfirmed),
        unconfirmed=tuple(sorted(unconfirmed)),
        marker=marker.number if points and not archives and marker.number > newest else None,
        uncovered=read_head().number - max(newest, marker.last),
    )


def _by_number(checkpoints: Iterable[Checkpoint]) -> dict[int, str]:
    points: dict[int, str] = {}
    for point in checkpoints:
        if not point.is_signed:
            raise BrokenError(point.number, Problem.UNSIGNED_CHECKPOINT)
        if points.setdefault(point.number, point.hash) != point.hash:
            raise BrokenError(point.number, Problem.DIFFERENT_CHECKPOINTS)
    return points


def _check_row(number: int, digest: str, marker: ArchiveMarker) -> None:
    found = marker.hash if number == marker.last else _hash_of(number)
    if found is None:
        raise BrokenError(number, Problem.END_DELETED)
    if found != digest:
        raise BrokenError(number, Problem.CHECKPOINT_MISMATCH)


def _hash_of(number: int) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT hash FROM {TABLE} WHERE number = %s", [number])
        row = cursor.fetchone()
    return row[0] if row else None


def _check_archives(paths: Sequence[Path], marker: ArchiveMarker, points: dict[int, str]) -> None:
    """Verify the files, newest first. Removes the checkpoints that they confirm from `points`."""
    contents, expected = {_content_of(known) for known in sealed_markers()}, (marker.last, marker.hash)
    for path in reversed(paths):
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        if (path is paths[-1] and digest != marker.file) or digest not in {name for _, _, name in contents}:
            raise WrongArchiveError(f"{path} is not the archive file up to row {expected[0]}: its SHA-256 is {digest}")
        start, end = _check_archive(path, contents, points)
        if end != expected and path is paths[-1]:
            raise BrokenError(marker.number, Problem.FALSE_MARKER, {"file": str(path), "last": marker.last})
        if end != expected:
            raise WrongArchiveError(f"{path} does not end with row {expected[0]}, after which the next file begins")
        if start not in {(0, GENESIS), *((last, last_hash) for last, last_hash, _ in contents)}:
            raise BrokenError(start[0], Problem.ARCHIVE_GAP, {"file": str(path)})
        expected = start


def _content_of(marker: ArchiveMarker) -> MarkerContent:
    return marker.last, marker.hash, marker.file


def _check_archive(path: Path, contents: set[MarkerContent], points: dict[int, str]) -> tuple[RowHash, RowHash]:
    """Verify a file. Returns the row before its first row, and its last row.

    Adds the content of the archive markers in the file to `contents`.
    """
    start, last = None, (0, GENESIS)
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            row, digest = _read_row(line, last[0], path)
            number, before = row["number"], (row["number"] - 1, row["previous_hash"])
            if start is None:
                start = last = before
            if before != last:
                raise BrokenError(number, Problem.ARCHIVE_WRONG_HASH, {"file": str(path)})
            if points.pop(number, digest) != digest:
                raise BrokenError(number, Problem.ARCHIVE_MISMATCH, {"file": str(path)})
            if row["kind"] == EventKind.ARCHIVED:
                last_row, last_hash, file = (change["after"] for change in row["changes"])
                contents.add((last_row, last_hash, file))
            last = number, digest
    return start or last, last


def _read_row(line: str, after: int, path: Path) -> tuple[dict[str, Any], str]:
    try:
        return read(line, f"after row {after}", audit_key())
    except Broken as error:
        details = {"file": str(path), "error": str(error)}
        raise BrokenError(after + 1, Problem.ARCHIVE_ALTERED, details) from error
