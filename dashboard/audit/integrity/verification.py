"""Whether the ledger is what was written: every number there, every hash and MAC right, every row on the one before.

What the guards in the database cannot keep its owner from doing is found here, with the number of the first bad row.
A tail that was cut off, or an old copy put back, leaves a ledger that is right in itself: only a checkpoint, kept
elsewhere, tells. Rows may only be away at the beginning, where an archive marker says that they were archived.
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

Row = tuple[Any, ...]
"""Number, facts, hash and MAC, and then the columns made of the facts, which an owner can change alone."""
CHUNK = 5_000
PART = 100_000
"""So many rows are worth a process of their own."""
LONGEST_LEASE = timedelta(hours=1)
"""Longer than whoever settles a change holds it; a later end hides the change from settling."""
LATEST_BEGIN = timedelta(hours=1)
"""The list has the clock's time, at most this much later than the row's: only the row's can be ahead of the clock."""


class BrokenError(Exception):
    """The ledger is not what was written; `number` is the first row that is not."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(number, why)
        self.number, self.why = number, why

    def __str__(self) -> str:
        return f"Row {self.number} {self.why}"


@dataclass(frozen=True)
class Span:
    """Rows from the first number to the last, both included."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return max(self.last - self.first + 1, 0)


def verify(first: int | None = None, last: int | None = None, *, processes: int | None = None) -> Span:
    """Check the rows between two numbers; without any, all of them, and what finds them by field.

    Raises BrokenError; DatabaseError if the ledger cannot be read.
    """
    archived = newest_marker()
    try:
        return _verify(_chosen(first, last, archived), archived, with_index=first is last is None, processes=processes)
    except BrokenError:
        if newest_marker() == archived:
            raise
        return verify(first, last, processes=processes)  # what was archived just now is not missing


def _verify(span: Span, archived: ArchiveMarker, *, with_index: bool, processes: int | None) -> Span:
    jobs: list[Callable[[], None]] = [
        partial(_check, Span(start, min(start + PART - 1, span.last)), archived)
        for start in range(span.first, span.last + 1, PART)
    ]
    if with_index:
        jobs.insert(0, check_index)  # the longest, so that it starts first
    workers = min(processes or cpu_count(), len(jobs)) if span.count > PART else 1
    if workers == 1:
        problems = [_problem(job) for job in jobs]
    else:
        # Not forked: a child would share this process's connection to the database.
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=django.setup) as pool:
            problems = list(pool.map(_problem, jobs))
    if found := sorted(problem for problem in problems if problem):
        raise BrokenError(*found[0])
    if with_index:
        check_open_changes()  # of rows that are right: where one is away, that is what is to be named
    return span


def check_index() -> None:
    """Whether what finds a change by its fields names each change, and no other. Raises BrokenError."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(t.number) FROM audit_fieldchange AS c LEFT JOIN audit_touchedfield AS t "
            "ON t.project = c.project AND t.field = c.field AND t.number = c.intent_id"
        )
        held, found = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM audit_touchedfield")
        (noted,) = cursor.fetchone()
    if held == found == noted:
        return
    columns = (
        "SELECT intent_id, project, field FROM audit_fieldchange",
        "SELECT number, project, field FROM audit_touchedfield",
    )
    for one, other in (columns, columns[::-1]):
        with connection.cursor() as cursor:
            cursor.execute(f"{one} EXCEPT {other} ORDER BY 1 LIMIT 1")
            if wrong := cursor.fetchone():
                raise BrokenError(wrong[0], f"is not found by the fields it touches: {wrong[2]}")


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
        raise BrokenError(missing, "is an unsettled change, and the list of open changes does not have it")
    now = timezone.now()
    for listed in _listed_with_their_changes():
        if problem := _problem_of(listed, now):
            raise BrokenError(listed.number, problem)


def _listed_with_their_changes() -> Iterator[Any]:
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


def _problem_of(listed: Any, now: datetime) -> str:
    """What is wrong with an entry of the list of open changes; nothing if it is right."""
    if listed.change_at is None:
        return "is no change, but is in the list of open changes"
    is_unsettled = listed.outcome in {None, Outcome.UNKNOWN}
    if not is_unsettled and not may_be_applied_late(listed.outcome, listed.http_status):
        return f"is settled ({listed.outcome}), but is in the list of open changes"
    if (listed.project, listed.group_id) != (listed.change_project, listed.change_group):
        return "is a change of another group than the list of open changes says"
    latest = {
        "begun_at": listed.change_at + LATEST_BEGIN,
        "next_read_at": listed.begun_at + OBSERVE_AFTER[-1],
        "leased_until": now + LONGEST_LEASE,
    }
    for name, moment in latest.items():
        if (found := getattr(listed, name)) and found > moment:
            return f"has a false time in the list of open changes: {name} is {found:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def check_rows(rows: Iterable[Row], number: int, previous_hash: str, earlier: str = "") -> int:
    """Raises BrokenError at the first row that is wrong in itself or does not follow from the one before.

    `number` is the first one's, `earlier` the time of the row before it. Returns the number that would come next.
    """
    keyed = hmac.new(audit_key(), digestmod="sha256")  # the key is taken in once and not with each row
    for row in rows:
        found, facts, digest, mac = row[:4]
        if found != number:
            raise BrokenError(number, "is missing")
        if not isinstance(facts, str) or sha256(facts.encode()).hexdigest() != digest:
            raise BrokenError(number, "was altered: its facts are not those its hash was made of")
        sealing = keyed.copy()
        sealing.update(digest.encode())
        if sealing.hexdigest() != mac:
            raise BrokenError(number, "was not written by this dashboard: its MAC is not of this ledger's key")
        if not _is_plainly_right(row, previous_hash):
            _look_closely(row, previous_hash)
        at = _time_of(facts)
        if at < earlier:
            raise BrokenError(number, "is older than the row before it")
        number, previous_hash, earlier = number + 1, digest, at
    return number


def _is_plainly_right(row: Row, previous_hash: str) -> bool:
    """Whether the facts, whose members are in order, hold what the columns say; a row of another shape is no answer.

    Inside a value every quotation mark is escaped, so that what is found can only be the members themselves.
    """
    number, facts, _, _, project, group_id, group_name, actor, kind, reason, outcome, key, at, subject = row
    middle = (
        f'"intent":{"null" if subject == number else subject},"key":{_json(key)},"kind":"{kind}","number":{number},'
        f'"outcome":{_json(outcome)},"previous_hash":"{previous_hash}","project":{_json(project)},'
    )
    return (
        middle in facts
        and f'"actor":{_json(actor)},' in facts
        and f'"at":"{_written(at)}"' in facts
        and f'"group_id":{_json(group_id)},"group_name":{_json(group_name)},' in facts
        and f'"reason":{_json(reason)},' in facts
    )


def _look_closely(row: Row, previous_hash: str) -> None:
    number, columns = row[0], dict(zip(SHOWN, row[4:], strict=True))
    facts = json.loads(row[1])
    if facts["previous_hash"] != previous_hash:
        raise BrokenError(number, "does not follow from the row before it")
    if facts["number"] != number:
        raise BrokenError(number, "was numbered anew")
    held = facts | {"subject": facts["intent"] or number}
    columns["at"] = _written(columns["at"])
    if wrong := [name for name in SHOWN if columns[name] != held[name]]:
        raise BrokenError(number, f"shows something else than its facts: {', '.join(wrong)}")


def _json(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


def _written(at: str | datetime) -> str:
    """A time as the facts have it; SQLite keeps it as a text."""
    text = at if isinstance(at, str) else at.isoformat(" ", "microseconds")
    return f"{text[:10]}T{text[11:26]}Z"


def _time_of(facts: str) -> str:
    place = facts.index('"at":"') + 6
    return facts[place : place + 27]


def _chosen(first: int | None, last: int | None, archived: ArchiveMarker) -> Span:
    """Raises BrokenError where the first rows are away and no archive marker says so, or there though one does."""
    begin = archived.last + 1
    with connection.cursor() as cursor:
        # Each a query of its own: SQLite finds one end by its index, and both at once by reading every row.
        ends = f"(SELECT min(number) FROM {TABLE})", f"(SELECT max(number) FROM {TABLE})"
        cursor.execute(f"SELECT coalesce({ends[0]}, %s), coalesce({ends[1]}, 0)", [begin])
        oldest, newest = cursor.fetchone()
    if oldest < begin:
        raise BrokenError(oldest, f"is there, though row {archived.number} says that it was archived")
    if oldest > begin and (first or begin) <= begin:
        raise BrokenError(
            begin, f"is missing, and each to row {oldest - 1}: no archive marker says that they were archived"
        )
    if (asked := max(first or 0, last or 0)) > newest:
        raise BrokenError(newest + 1, f"is missing, and each to row {asked}")
    return Span(max(first or begin, begin), newest if last is None else last)


def _problem(job: Callable[[], None]) -> tuple[int, str] | None:
    """What another process has to say: an exception of two arguments does not travel."""
    try:
        job()
    except BrokenError as error:
        return error.number, error.why
    return None


def _check(span: Span, archived: ArchiveMarker) -> None:
    end = check_rows(_rows(span), span.first, *_before(span.first, archived))
    if end <= span.last:
        raise BrokenError(end, "is missing")


def _before(number: int, archived: ArchiveMarker) -> tuple[str, str]:
    """Hash and time of the row before."""
    if number == archived.last + 1:
        return archived.hash, ""
    before = next(_rows(Span(number - 1, number - 1)), None)
    if before is None:
        raise BrokenError(number - 1, "is missing")
    return before[2], _time_of(before[1])


def _rows(span: Span) -> Iterator[Row]:
    """In chunks, each a query of its own: no transaction stays open and memory stays flat."""
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
    """SQLite also keeps bytes that are no text: they are read as a sign for them, so that their row is named."""
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
