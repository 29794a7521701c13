"""How a row is sealed: canonical JSON, a hash that holds the one before it, and a MAC whose key is not in the database.

Canonical JSON here: keys in order, no blanks, everything but ASCII escaped. A row's hash is the SHA-256 of all its
facts, `previous_hash` among them, so that no row can be changed, moved or taken out without changing every later hash;
the MAC (HMAC-SHA-256 of the hash) keeps who can write the database from computing them anew.
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
"""Stands for the hash before the first row."""
ADVISORY_LOCK = 7_391_042_618
"""PostgreSQL: any number, as long as every writer of the ledger takes the same."""


@dataclass(frozen=True)
class Head:
    """The newest row. `at` is when it was written."""

    number: int
    hash: str
    at: datetime


EMPTY = Head(0, GENESIS, datetime.min.replace(tzinfo=UTC))


def audit_key() -> bytes:
    """Raises ImproperlyConfigured where there is none: a ledger without a key would prove nothing."""
    if not settings.AUDIT_KEY:
        raise ImproperlyConfigured("STREAMWARDEN_AUDIT_KEY is missing")
    return bytes(settings.AUDIT_KEY, "utf-8")


def canonical(facts: Mapping[str, object]) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hash_of(facts: str) -> str:
    return hashlib.sha256(facts.encode("ascii")).hexdigest()


def mac_of(text: str) -> str:
    return hmac.digest(audit_key(), text.encode("ascii"), "sha256").hex()


def written(moment: datetime) -> str:
    """UTC with microseconds, always of one length, so that texts sort as times do."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def lock_ledger() -> None:
    """Wait to be alone at the ledger, until the transaction ends. SQLite's BEGIN IMMEDIATE has done it already."""
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
    """Add one row after the newest, for a caller who is alone at the ledger. Returns the new head.

    Raises DatabaseError, also where the database lets the row go without a word.

    Time never runs backwards in the ledger: while a clock that was set back catches up, rows carry the last one's time.
    """
    last = read_head()
    at = max(timezone.now(), last.at)
    text = canonical({**facts, "number": last.number + 1, "at": written(at), "previous_hash": last.hash})
    head = Head(last.number + 1, hash_of(text), at)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (number, facts, hash, mac) VALUES (%s, %s, %s, %s)",
            [head.number, text, head.hash, mac_of(head.hash)],
        )
        if cursor.rowcount != 1:
            raise DatabaseError("the database did not take the row")
    return head
