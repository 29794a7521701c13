"""Record repeated refusals in few rows, so that nobody can fill the ledger.

The first refusal of a kind is a row at once. Its repeats within a minute are only counted, in the table of `Repeat`.
The next row says how many there were. One person or account causes at most MOST_ROWS rows an hour. After that, a row
says so, and the rest is counted until the hour has passed.

The counts are in the database, so they hold over all processes and survive the end of a process. The worker records the
counts that no later refusal records.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from dashboard.audit.ledger.chain import canonical, hash_of
from dashboard.audit.ledger.services import (
    Attempt,
    Event,
    OutcomeDetails,
    append_row,
    appending,
    event_facts,
    intent_facts,
    outcome_facts,
    reading_ledger,
)
from dashboard.audit.models import EventKind, Outcome, Repeat

COUNT_FOR = timedelta(minutes=1)
LIMIT_FOR = timedelta(hours=1)
MOST_ROWS = 60
"""The most rows within LIMIT_FOR about one person or account."""


@dataclass(frozen=True)
class Fold:
    """`same` identifies refusals that are repeats of each other. `limited` is the person or account with the limit."""

    same: tuple[str | int | None, ...]
    limited: tuple[str | int | None, ...]

    @property
    def key(self) -> str:
        return _key("same", self.same)

    @property
    def limited_key(self) -> str:
        return _key("limited", self.limited)


def record_refused(attempt: Attempt, details: OutcomeDetails, fold: Fold) -> None:
    """Record or count a refused attempt. Raises LedgerError."""
    _record(intent_facts(attempt) | outcome_facts(details), fold)


def record_refused_event(event: Event, fold: Fold) -> None:
    """Record or count a refusal as a system event. Raises LedgerError."""
    _record(event_facts(event), fold)


def count_repeat(fold: Fold) -> bool:
    """Count a refusal that gets no row: a repeat, or one over the limit. False if it is neither. Raises LedgerError."""
    current = Repeat.objects.filter(until__gt=timezone.now())
    more = {"count": F("count") + 1}
    with reading_ledger():
        is_counted = current.filter(key=fold.key).update(**more) or current.filter(
            key=fold.limited_key, rows__gt=MOST_ROWS
        ).update(**more)
    return bool(is_counted)


def record_counts() -> None:
    """Record the counts whose time has passed, and forget the refusals without repeats. Raises LedgerError."""
    with reading_ledger():
        keys = list(Repeat.objects.filter(until__lte=timezone.now()).values_list("key", flat=True))
    for key in keys:
        with appending():
            if (repeat := Repeat.objects.filter(key=key, until__lte=timezone.now()).first()) is not None:
                _close(repeat)


def _record(facts: dict[str, Any], fold: Fold) -> None:
    if count_repeat(fold):
        return
    with appending():
        if count_repeat(fold):  # another process was faster
            return
        if (repeat := Repeat.objects.filter(key=fold.key).first()) is not None:
            repeat.count, repeat.facts = repeat.count + 1, facts
            _close(repeat)
        elif _may_append(fold.limited_key, facts, count=1):
            append_row(facts)
            _count_from_now(Repeat(key=fold.key, limited=fold.limited_key, facts=facts), COUNT_FOR)


def _close(repeat: Repeat) -> None:
    """Record a count whose time has passed. The row stands for one refusal and names the number of the others."""
    if repeat.count and (not repeat.limited or _may_append(repeat.limited, repeat.facts, count=repeat.count)):
        append_row(_with_count(repeat))
        if repeat.limited:
            _count_from_now(repeat, COUNT_FOR)
            return
    repeat.delete()


def _may_append(limited: str, facts: dict[str, Any], *, count: int) -> bool:
    """Use one row of the limit. The row after the last one says that the limit is reached; the rest is only counted."""
    limit = Repeat.objects.filter(key=limited).first()
    if limit is not None and limit.until <= timezone.now():
        _close(limit)
        limit = None
    if limit is None:
        limit = Repeat(key=limited, facts=_limit_facts(facts))
        _count_from_now(limit, LIMIT_FOR)
    limit.rows += 1
    if limit.rows > MOST_ROWS:
        limit.count += count
    if limit.rows == MOST_ROWS + 1:
        append_row(limit.facts)
    limit.save()
    return limit.rows <= MOST_ROWS


def _count_from_now(repeat: Repeat, duration: timedelta) -> None:
    repeat.count, repeat.since = 0, timezone.now()
    repeat.until = repeat.since + duration
    repeat.save()


def _limit_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    proof = f"The ledger has {MOST_ROWS} rows about refused attempts within an hour. The rest is counted."
    person = {"actor": facts["actor"], "actor_id": facts["actor_id"]}
    return event_facts(Event(EventKind.LIMITED, **person, proof=proof, outcome=Outcome.DENIED))


def _with_count(repeat: Repeat) -> dict[str, Any]:
    facts: dict[str, Any] = repeat.facts
    others = repeat.count - 1
    proof = f"{facts['proof']} And {others} more since {repeat.since:%H:%M:%S} UTC." if others else facts["proof"]
    return facts | {"proof": proof.strip(), "key": facts["key"] and uuid.uuid4().hex}


def _key(kind: str, parts: tuple[str | int | None, ...]) -> str:
    return hash_of(canonical({kind: parts}))
