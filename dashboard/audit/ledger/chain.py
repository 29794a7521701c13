"""Seal the rows of the ledger: canonical JSON, a chain of hashes, and a MAC with a key from outside the database.

Canonical JSON has sorted keys, no spaces, and escapes all characters but ASCII. The hash of a row is the SHA-256 of its
facts. The facts include `previous_hash`, so a change, move or removal of a row changes every later hash. The MAC is the
HMAC-SHA-256 of the hash. Without the key, a database owner cannot compute new hashes and MACs.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.utils import timezone

from dashboard.audit.ledger.schema import TABLE

GENESIS = "0" * 64
"""The `previous_hash` of the first row."""
ADVISORY_LOCK = 7_391_042_618
"""The advisory lock of PostgreSQL that every writer of the ledger takes. The number itself has no meaning."""


@dataclass(frozen=True)
class Head:
    """The newest row. `at` is the time in its facts."""

    number: int
    hash: str
    at: datetime


EMPTY = Head(0, GENESIS, datetime.min.replace(tzinfo=UTC))


def audit_key() -> bytes:
    """Return the key of the ledger. Raises ImproperlyConfigured without one: unsealed rows are no evidence."""
    if not settings.AUDIT_KEY:
        raise ImproperlyConfigured("STREAMWARDEN_AUDIT_KEY is missing")
    return bytes(settings.AUDIT_KEY, "utf-8")


def canonical(facts: Mapping[str, object]) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hash_of(facts: str) -> str:
    return hashlib.sha256(facts.encode("ascii")).hexdigest()


def mac_of(text: str) -> str:
    return hmac.digest(audit_key(), text.encode("ascii"), "sha256").hex()


def format_time(moment: datetime) -> str:
    """Format a time as UTC with microseconds. All results have one length, so that they sort by time."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def lock_ledger() -> None:
    """Take the write lock of the database until the transaction ends. On SQLite, BEGIN IMMEDIATE has taken it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])


def read_head() -> Head:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT number, hash, facts FROM {TABLE} ORDER BY number DESC LIMIT 1")
        row = cursor.fetchone()
    return Head(row[0], row[1], datetime.fromisoformat(json.loads(row[2])["at"])) if row else EMPTY


def read_facts(number: int) -> dict[str, object]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT facts FROM {TABLE} WHERE number = %s", [number])
        facts: dict[str, object] = json.loads(cursor.fetchone()[0])
    return facts


def append(facts: Mapping[str, object]) -> Head:
    """Add a row after the newest one. The caller holds the write lock. Returns the new head.

    Raises DatabaseError, also if the database discards the row without an error (a rule or a trigger can do that).

    Times in the ledger never decrease: after a clock was set back, a row has the time of the row before it.
    """
    last = read_head()
    at = max(timezone.now(), last.at)
    text = canonical({**facts, "number": last.number + 1, "at": format_time(at), "previous_hash": last.hash})
    head = Head(last.number + 1, hash_of(text), at)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (number, facts, hash, mac) VALUES (%s, %s, %s, %s)",
            [head.number, text, head.hash, mac_of(head.hash)],
        )
        if cursor.rowcount != 1:
            raise DatabaseError("the database did not take the row")
    return head
