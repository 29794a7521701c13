"""Verify the ledger: numbers without gaps, hashes, MACs, and the link of each row to the row before it.

Verification finds what a database owner can do despite the guards, and names the first bad row. It cannot find deleted
newest rows or a restored older copy, because the rest is consistent: only a checkpoint shows that (`confirmation`).
Rows may be missing only at the beginning, if an archive marker names them.
"""

import hmac
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from multiprocessing import cpu_count, get_context
from typing import Any

import django
from django.db import OperationalError, connection
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from dashboard.audit.integrity.archive_markers import ArchiveMarker, newest_marker
from dashboard.audit.ledger.chain import audit_key
from dashboard.audit.ledger.schema import SHOWN, TABLE
from dashboard.audit.ledger.services import OBSERVE_AFTER
from dashboard.audit.models import ChangeIntent, ChangeOutcome, OpenChange, Outcome, may_be_applied_late
from dashboard.audit.problems import BrokenError, Problem

Row = tuple[Any, ...]
"""Number, facts, hash, MAC, and the columns computed from the facts, which a database owner can alter."""
CHUNK = 5_000
PART = 100_000
"""The number of rows that one process verifies."""
MAX_LEASE = timedelta(hours=1)
"""No process leases a change for longer. A longer lease hides the change from settling."""
MAX_START_DELAY = timedelta(hours=1)
"""The list has the time of the clock, which is at most this much later than the time of the row."""


@dataclass(frozen=True)
class Span:
    """Rows from the first number to the last, both included."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return max(self.last - self.first + 1, 0)


def verify(first: int | None = None, last: int | None = None, *, processes: int | None = None) -> Span:
    """Verify the rows from `first` to `last`, or all rows and the tables that are derived from them.

    Raises BrokenError, and DatabaseError if the ledger cannot be read.
    """
    archived, is_everything = newest_marker(), first is last is None
    try:
        span = _find_span(first, last, archived)
        return _verify(span, archived, is_everything=is_everything, processes=processes)
    except BrokenError:
        if newest_marker() == archived:
            raise
        return verify(first, last, processes=processes)  # rows were archived meanwhile


def _verify(span: Span, archived: ArchiveMarker, *, is_everything: bool, processes: int | None) -> Span:
    jobs: list[Callable[[], None]] = [
        partial(_check_part, Span(start, min(start + PART - 1, span.last)), archived)
        for start in range(span.first, span.last + 1, PART)
    ]
    if is_everything:
        jobs.insert(0, check_index)  # the longest job starts first
    workers = min(processes or cpu_count(), len(jobs)) if span.count > PART else 1
    if workers == 1:
        results = [_run(job) for job in jobs]
    else:
        # Spawn, because a forked child would share this process's database connection.
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=django.setup) as pool:
            results = list(pool.map(_run, jobs))
    if errors := [error for error in results if error is not None]:
        raise min(errors, key=lambda error: error.number)
    if is_everything:
        check_open_changes()  # after the rows, so that a missing row is reported as missing
    return span


def _run(job: Callable[[], None]) -> BrokenError | None:
    """Run a job and return its error, so that the error of the first bad row can be chosen."""
    try:
        job()
    except BrokenError as error:
        return error
    return None


def check_index() -> None:
    """Compare the index of changed fields with the ledger. Raises BrokenError."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(t.number) FROM audit_fieldchange AS c LEFT JOIN audit_touchedfield AS t "
            "ON t.project = c.project AND t.field = c.field AND t.number = c.intent_id"
        )
        changes, indexed_changes = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM audit_touchedfield")
        (index_size,) = cursor.fetchone()
    if changes == indexed_changes == index_size:
        return
    columns = (
        "SELECT intent_id, project, field FROM audit_fieldchange",
        "SELECT number, project, field FROM audit_touchedfield",
    )
    for one, other in (columns, columns[::-1]):
        with connection.cursor() as cursor:
            cursor.execute(f"{one} EXCEPT {other} ORDER BY 1 LIMIT 1")
            if wrong := cursor.fetchone():
                raise BrokenError(wrong[0], Problem.WRONG_INDEX, {"field": wrong[2]})


def check_open_changes() -> None:
    """Compare the list of open changes with the ledger, so that no change is hidden from settling. Raises BrokenError.

    Each unsettled change must be listed. What is listed must be unsettled, or an outcome that a read may correct.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(number) FROM audit_changeintent AS change WHERE NOT EXISTS (SELECT 1 FROM audit_changeoutcome "
            "AS outcome WHERE outcome.intent_id = change.number AND outcome.outcome <> 'unknown') "
            "AND NOT EXISTS (SELECT 1 FROM audit_openchange AS listed WHERE listed.number = change.number)"
        )
        (missing,) = cursor.fetchone()
    if missing is not None:
        raise BrokenError(missing, Problem.NOT_LISTED)
    now = timezone.now()
    for listed in _listed_with_changes():
        _check_listed(listed, now)


def _listed_with_changes() -> Iterator[Any]:
    change = ChangeIntent.objects.filter(number=OuterRef("number"))
    newest = ChangeOutcome.objects.filter(intent=OuterRef("number")).order_by("-number")
    return (
        OpenChange.objects.annotate(
            change_project=Subquery(change.values("project")),
            change_group=Subquery(change.values("group_id")),
            change_at=Subquery(change.values("at")),
            outcome=Subquery(newest.values("outcome")[:1]),
            http_status=Subquery(newest.values("http_status")[:1]),
        )
        .order_by("number")
        .iterator()
    )


def _check_listed(listed: Any, now: datetime) -> None:
    """Check an item of the list of open changes. Raises BrokenError."""
    if listed.change_at is None:
        raise BrokenError(listed.number, Problem.LISTED_NO_CHANGE)
    is_unsettled = listed.outcome in {None, Outcome.UNKNOWN}
    if not is_unsettled and not may_be_applied_late(listed.outcome, listed.http_status):
        raise BrokenError(listed.number, Problem.LISTED_SETTLED, {"outcome": listed.outcome})
    if (listed.project, listed.group_id) != (listed.change_project, listed.change_group):
        raise BrokenError(listed.number, Problem.LISTED_WRONG_GROUP)
    latest = {
        "begun_at": listed.change_at + MAX_START_DELAY,
        "next_read_at": listed.begun_at + OBSERVE_AFTER[-1],
        "leased_until": now + MAX_LEASE,
    }
    for name, moment in latest.items():
        if (found := getattr(listed, name)) and found > moment:
            details = {"name": name, "at": f"{found:%Y-%m-%d %H:%M:%S}"}
            raise BrokenError(listed.number, Problem.LISTED_FALSE_TIME, details)


def check_rows(rows: Iterable[Row], number: int, previous_hash: str, earlier: str = "") -> int:
    """Verify rows one after the other. Returns the number after the last row. Raises BrokenError at the first bad row.

    `number` is the expected number of the first row, `earlier` the time of the row before it.
    """
    keyed = hmac.new(audit_key(), digestmod="sha256")  # copied for each row, which is faster than a new one
    for row in rows:
        found, facts, digest, mac = row[:4]
        if found != number:
            raise BrokenError(number, Problem.MISSING)
        if not isinstance(facts, str) or sha256(facts.encode()).hexdigest() != digest:
            raise BrokenError(number, Problem.ALTERED)
        expected = keyed.copy()
        expected.update(digest.encode())
        if expected.hexdigest() != mac:
            raise BrokenError(number, Problem.WRONG_MAC)
        if not _has_expected_members(row, previous_hash):
            _compare_members(row, previous_hash)
        at = _time_of(facts)
        if at < earlier:
            raise BrokenError(number, Problem.WRONG_ORDER)
        number, previous_hash, earlier = number + 1, digest, at
    return number


def _has_expected_members(row: Row, previous_hash: str) -> bool:
    """Whether the text of the facts has the values of the columns. This avoids parsing JSON for nearly all rows.

    The members are sorted, and JSON escapes quotation marks in values, so a match can only be the members themselves.
    False is not a result: `_compare_members` decides.
    """
    number, facts, _, _, project, group_id, group_name, actor, kind, reason, outcome, key, at, subject = row
    middle = (
        f'"intent":{"null" if subject == number else subject},"key":{_json(key)},"kind":"{kind}","number":{number},'
        f'"outcome":{_json(outcome)},"previous_hash":"{previous_hash}","project":{_json(project)},'
    )
    return (
        middle in facts
        and f'"actor":{_json(actor)},' in facts
        and f'"at":"{_time_text(at)}"' in facts
        and f'"group_id":{_json(group_id)},"group_name":{_json(group_name)},' in facts
        and f'"reason":{_json(reason)},' in facts
    )


def _compare_members(row: Row, previous_hash: str) -> None:
    """Parse the facts and compare them with the columns. Raises BrokenError."""
    number, columns = row[0], dict(zip(SHOWN, row[4:], strict=True))
    facts = json.loads(row[1])
    if facts["previous_hash"] != previous_hash:
        raise BrokenError(number, Problem.WRONG_PREVIOUS_HASH)
    if facts["number"] != number:
        raise BrokenError(number, Problem.RENUMBERED)
    expected = facts | {"subject": facts["intent"] or number}
    columns["at"] = _time_text(columns["at"])
    if wrong := [name for name in SHOWN if columns[name] != expected[name]]:
        raise BrokenError(number, Problem.WRONG_COLUMNS, {"columns": ", ".join(wrong)})


def _json(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


def _time_text(at: str | datetime) -> str:
    """Return a time in the form of the facts. SQLite stores it as text."""
    text = at if isinstance(at, str) else at.isoformat(" ", "microseconds")
    return f"{text[:10]}T{text[11:26]}Z"


def _time_of(facts: str) -> str:
    place = facts.index('"at":"') + 6
    return facts[place : place + 27]


def _find_span(first: int | None, last: int | None, archived: ArchiveMarker) -> Span:
    """Find the rows to verify. Raises BrokenError if the ledger does not begin after the archived rows."""
    begin = archived.last + 1
    with connection.cursor() as cursor:
        # Two subqueries: SQLite uses the index for each of them, but reads every row for both aggregates in one query.
        ends = f"(SELECT min(number) FROM {TABLE})", f"(SELECT max(number) FROM {TABLE})"
        cursor.execute(f"SELECT coalesce({ends[0]}, %s), coalesce({ends[1]}, 0)", [begin])
        oldest, newest = cursor.fetchone()
    if oldest < begin:
        raise BrokenError(oldest, Problem.NOT_REMOVED, {"marker": archived.number})
    if oldest > begin and (first or begin) <= begin:
        raise BrokenError(begin, Problem.NOT_ARCHIVED, {"last": oldest - 1})
    if (requested := max(first or 0, last or 0)) > newest:
        raise BrokenError(newest + 1, Problem.MISSING_RANGE, {"last": requested})
    return Span(max(first or begin, begin), newest if last is None else last)


def _check_part(span: Span, archived: ArchiveMarker) -> None:
    end = check_rows(_rows(span), span.first, *_row_before(span.first, archived))
    if end <= span.last:
        raise BrokenError(end, Problem.MISSING)


def _row_before(number: int, archived: ArchiveMarker) -> tuple[str, str]:
    """Return hash and time of the row before this number. Raises BrokenError."""
    if number == archived.last + 1:
        return archived.hash, ""
    before = next(_rows(Span(number - 1, number - 1)), None)
    if before is None:
        raise BrokenError(number - 1, Problem.MISSING)
    return before[2], _time_of(before[1])


def _rows(span: Span) -> Iterator[Row]:
    """Read rows in chunks, so that no transaction stays open and memory use stays constant."""
    first = span.first
    while first <= span.last:
        rows = _fetch(
            f"SELECT number, facts, hash, mac, {', '.join(SHOWN)} FROM {TABLE} "
            "WHERE number BETWEEN %s AND %s ORDER BY number LIMIT %s",
            (first, span.last, CHUNK),
        )
        yield from rows
        if len(rows) < CHUNK:
            return
        first = rows[-1][0] + 1


def _fetch(query: str, values: tuple[int, ...]) -> list[Row]:
    """Fetch rows. On SQLite, invalid text is read with replacement characters, so that its row can be reported."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(query, values)
            return list(cursor.fetchall())
        except OperationalError as error:
            if "decode" not in str(error).lower():
                raise
    with connection.cursor() as cursor:
        connection.connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        try:
            cursor.execute(query, values)
            return list(cursor.fetchall())
        finally:
            connection.connection.text_factory = str
