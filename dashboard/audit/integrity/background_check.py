"""Verify the ledger in the background: new rows in each round, all rows at start and once a day.

A lease in the database lets only one process verify at a time. It verifies the rows in slices with pauses, so that no
page waits for it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from dashboard.audit.integrity.archive_markers import newest_marker
from dashboard.audit.integrity.verification import Span, check_index, check_open_changes, verify
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.models import Verification
from dashboard.audit.problems import BrokenError, Problem

logger = logging.getLogger(__name__)

EVERYTHING_EVERY = timedelta(days=1)
LEASE = timedelta(minutes=1)
SLICE = 500
PAUSE_SECONDS = 0.05


def run_background_check(*, started: datetime) -> None:
    """Verify the new rows, or all rows if the last verification of all was before `started` or over a day ago."""
    if not _is_due(last_verification(), started):
        return
    with _lease() as lease:
        known = last_verification()
        if lease is not None and _is_due(known, started):
            _check(known, lease, is_everything=_everything_is_due(known, started))


def _is_due(known: Verification, started: datetime) -> bool:
    has_new_rows = not known.is_broken and known.last != read_head().number
    return has_new_rows or _everything_is_due(known, started)


def _everything_is_due(known: Verification, started: datetime) -> bool:
    due_since = max(started, timezone.now() - EVERYTHING_EVERY)
    return known.everything_at is None or known.everything_at < due_since


def last_verification() -> Verification:
    """Return the last result, or an empty one before the first verification."""
    return Verification.objects.filter(pk=Verification.ONLY).first() or Verification()


def find_lease_problems() -> list[str]:
    """Find a lease that is longer than the background check takes: it would stop the verification."""
    until = last_verification().leased_until
    if until is None or until <= timezone.now() + LEASE:
        return []
    return [f"the background check is leased until {until:%Y-%m-%d %H:%M:%S} UTC, which is longer than a lease can be"]


def save_intact(span: Span, *, is_everything: bool) -> None:
    """Save that the rows are intact. Only a verification of all rows ends an earlier problem."""
    now = timezone.now()
    result: dict[str, object] = {"last": span.last, "last_hash": _hash_of(span.last), "at": now}
    if is_everything:
        result |= {"first": span.first, "everything_at": now, "is_from_checkpoint": False}
        result |= {"bad_number": None, "problem": "", "details": {}}
    _save(**result)


def save_broken(error: BrokenError, *, is_from_checkpoint: bool = False) -> None:
    now = timezone.now()
    problem = {"bad_number": error.number, "problem": error.problem, "details": error.details}
    _save(**problem, at=now, everything_at=now, is_from_checkpoint=is_from_checkpoint)


class _Lease:
    def __init__(self) -> None:
        self.until = timezone.now() + LEASE

    def renew(self) -> None:
        """Extend the lease after half of its time, so that no other process starts the same verification."""
        now = timezone.now()
        if now > self.until - LEASE / 2:
            held = Verification.objects.filter(leased_until=self.until)
            self.until = now + LEASE
            held.update(leased_until=self.until)


@contextmanager
def _lease() -> Iterator[_Lease | None]:
    """Take the lease; yields None if another process has it. After a crash, the lease ends at its own time.

    Ignores a lease longer than `LEASE`: someone wrote it to stop the verification.
    """
    Verification.objects.get_or_create(pk=Verification.ONLY)
    lease, now = _Lease(), timezone.now()
    is_free = Q(leased_until=None) | Q(leased_until__lt=now) | Q(leased_until__gt=now + LEASE)
    free = Verification.objects.filter(is_free)
    is_mine = free.update(leased_until=lease.until) == 1
    try:
        yield lease if is_mine else None
    finally:
        if is_mine:
            Verification.objects.filter(leased_until=lease.until).update(leased_until=None)


def _check(known: Verification, lease: _Lease, *, is_everything: bool) -> None:
    archived = newest_marker().last
    span = Span(archived + 1 if is_everything else known.last + 1, read_head().number)
    try:
        check_last_verified_row(known)
        for start in range(span.first, span.last + 1, SLICE):
            verify(start, min(start + SLICE - 1, span.last), processes=1)
            lease.renew()
            time.sleep(PAUSE_SECONDS)
        if is_everything:
            check_index()
            check_open_changes()
    except BrokenError as error:
        logger.error("The ledger is BROKEN. %s", error)  # noqa: TRY400 (a traceback does not help)
        save_broken(error)
    else:
        if known.is_from_checkpoint:
            _save(everything_at=timezone.now())
        else:
            save_intact(span, is_everything=is_everything)


def check_last_verified_row(known: Verification) -> None:
    """Check that the last verified row is unchanged: the rest is consistent without it. Raises BrokenError."""
    if known.last > newest_marker().last and (now := _hash_of(known.last)) != known.last_hash:
        raise BrokenError(known.last, Problem.REPLACED if now else Problem.DELETED)


def _hash_of(number: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT hash FROM {TABLE} WHERE number = %s", [number])
        row = cursor.fetchone()
    return row[0] if row else ""


def _save(**result: object) -> None:
    Verification.objects.update_or_create(pk=Verification.ONLY, defaults=result)
