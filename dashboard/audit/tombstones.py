"""What the ledger says of rows that were archived: a sealed row names the last of them, and the next one follows it."""

import json
from dataclasses import dataclass
from hashlib import sha256

from django.db import connection

from dashboard.audit.chain import GENESIS, mac_of
from dashboard.audit.models import EventKind
from dashboard.audit.schema import TABLE

FIELDS = ("archive.last_row", "archive.last_hash", "archive.file_sha256")
LABELS = ("Last archived row", "Its hash", "SHA-256 of the file")
"""In this order: an export is checked by the first two."""


@dataclass(frozen=True)
class Tombstone:
    """`last` is the last row that was archived, `hash` its own, `file` the SHA-256 of the file; `number` says so."""

    number: int
    last: int
    hash: str
    file: str


NOTHING_ARCHIVED = Tombstone(0, 0, GENESIS, "")


def newest_tombstone() -> Tombstone:
    """The one that counts, as each archive goes on from the one before. One that is not of this key says nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT facts, hash, mac FROM {TABLE} WHERE project = '' AND kind = %s AND subject = number "
            "ORDER BY number DESC",
            [EventKind.ARCHIVED],
        )
        rows = cursor.fetchall()
    return next((_read(facts) for facts, digest, mac in rows if _is_sealed(facts, digest, mac)), NOTHING_ARCHIVED)


def _is_sealed(facts: str, digest: str, mac: str) -> bool:
    return sha256(facts.encode()).hexdigest() == digest and mac_of(digest) == mac


def _read(text: str) -> Tombstone:
    facts = json.loads(text)
    return Tombstone(facts["number"], *(change["after"] for change in facts["changes"]))
