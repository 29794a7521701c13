"""Watches over the ledger while the dashboard serves: new rows are checked at once, all at start and once a day.

Several serving processes share a lease, so that one of them does it. They work through the rows in slices and rest in
between: no page waits for a check.
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
from dashboard.audit.integrity.verification import BrokenError, Span, check_index, check_open_changes, verify
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.models import Verification

logger = logging.getLogger(__name__)

EVERYTHING_EVERY = timedelta(days=1)
LEASE = timedelta(minutes=1)
SLICE = 500
REST_SECONDS = 0.05


def run_background_check(*, started: datetime) -> None:
    """Check the rows since the last check; all of them, if that was last done before `started` or a day ago."""
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
    """What was found last; where nothing was ever checked, that."""
    return Verification.objects.filter(pk=Verification.ONLY).first() or Verification()


def impossible_lease() -> list[str]:
    """What is wrong with the lease of the background check; nothing if it is right."""
    until = last_verification().leased_until
    if until is None or until <= timezone.now() + LEASE:
        return []
    return [f"the background check is leased until {until:%Y-%m-%d %H:%M:%S} UTC, and no lease is that long"]


def note_intact(span: Span, *, is_everything: bool) -> None:
    """Note that rows were found as they were written. Only a check of everything takes back what was found broken."""
    now = timezone.now()
    found: dict[str, object] = {"last": span.last, "last_hash": _hash_of(span.last), "at": now}
    if is_everything:
        found |= {"first": span.first, "everything_at": now, "bad_number": None, "why": "", "is_from_checkpoint": False}
    _note(**found)


def note_broken(error: BrokenError, *, is_from_checkpoint: bool = False) -> None:
    now = timezone.now()
    _note(bad_number=error.number, why=error.why, at=now, everything_at=now, is_from_checkpoint=is_from_checkpoint)


class _Lease:
    def __init__(self) -> None:
        self.until = timezone.now() + LEASE

    def renew(self) -> None:
        """In time, so that a long check is not begun anew by someone else."""
        now = timezone.now()
        if now > self.until - LEASE / 2:
            held = Verification.objects.filter(leased_until=self.until)
            self.until = now + LEASE
            held.update(leased_until=self.until)


@contextmanager
def _lease() -> Iterator[_Lease | None]:
    """The right to check; None where someone else has it. Whoever dies with it holds the next up for no longer.

    A lease that ends later than a lease can does not count: someone wrote it to keep the ledger from being checked.
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
        check_that_it_still_ends(known)
        for start in range(span.first, span.last + 1, SLICE):
            verify(start, min(start + SLICE - 1, span.last), processes=1)
            lease.renew()
            time.sleep(REST_SECONDS)
        if is_everything:
            check_index()
            check_open_changes()
    except BrokenError as error:
        logger.error("The ledger is BROKEN. %s.", error)  # noqa: TRY400 (what is wrong is not in this program)
        note_broken(error)
    else:
        if known.is_from_checkpoint:
            _note(everything_at=timezone.now())
        else:
            note_intact(span, is_everything=is_everything)


def check_that_it_still_ends(known: Verification) -> None:
    """The newest row that was right is still there: else the end was cut off, which leaves the rest right in itself."""
    if known.last > newest_marker().last and (now := _hash_of(known.last)) != known.last_hash:
        told = "is not the row that was verified before" if now else "was verified before and is missing"
        raise BrokenError(known.last, told)


def _hash_of(number: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT hash FROM {TABLE} WHERE number = %s", [number])
        row = cursor.fetchone()
    return row[0] if row else ""


def _note(**found: object) -> None:
    Verification.objects.update_or_create(pk=Verification.ONLY, defaults=found)
