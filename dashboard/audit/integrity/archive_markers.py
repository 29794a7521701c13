"""Archive markers: sealed rows that account for rows in archive files.

A marker names the last archived row, its hash and the SHA-256 of the file. The oldest row in the ledger is the next.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from django.db import connection

from dashboard.audit.ledger.chain import GENESIS, mac_of
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.models import EventKind

FIELDS = ("archive.last_row", "archive.last_hash", "archive.file_sha256")
LABELS = ("Last archived row", "Its hash", "SHA-256 of the file")
"""The sealed changes of a marker, in this order. The verifier of exports reads the first two."""


@dataclass(frozen=True)
class ArchiveMarker:
    """`number` is the row of the marker, `last` the last archived row, `hash` its hash, `file` the file's SHA-256."""

    number: int
    last: int
    hash: str
    file: str


NOTHING_ARCHIVED = ArchiveMarker(0, 0, GENESIS, "")


def newest_marker() -> ArchiveMarker:
    """Return the newest marker. It accounts for all archived rows, because each archive continues the one before."""
    return next(sealed_markers(), NOTHING_ARCHIVED)


def sealed_markers() -> Iterator[ArchiveMarker]:
    """Read the markers in the ledger, newest first. Ignores markers that were not sealed with the ledger's key."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT facts, hash, mac FROM {TABLE} WHERE project = '' AND kind = %s AND subject = number "
            "ORDER BY number DESC",
            [EventKind.ARCHIVED],
        )
        rows = cursor.fetchall()
    return (_read(facts) for facts, digest, mac in rows if _is_sealed(facts, digest, mac))


def _is_sealed(facts: str, digest: str, mac: str) -> bool:
    return sha256(facts.encode()).hexdigest() == digest and mac_of(digest) == mac


def _read(text: str) -> ArchiveMarker:
    facts = json.loads(text)
    return ArchiveMarker(facts["number"], *(change["after"] for change in facts["changes"]))
