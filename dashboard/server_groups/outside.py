"""Record the changes that someone made outside the dashboard, such as in the cloud's console.

The inventory stores each difference that two of its reads agree on. A difference that a change in the ledger explains
is no news. While a change of the same field is unsettled or observed, the difference waits for its outcome.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from dashboard.audit.ledger.services import Attempt, Change, LedgerError, OutcomeDetails, reading_ledger, record_closed
from dashboard.audit.models import OBSERVED_FOR, ChangeIntent, Kind, Outcome
from dashboard.inventory.models import Difference, GroupCopy
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.ledger_texts import field_change

logger = logging.getLogger(__name__)

EXISTENCE = "id"
"""The field of a change that created or deleted a group."""


def record_outside_changes() -> None:
    """Record or drop each difference that can be decided now. Safe to repeat, and for several processes."""
    differences = Difference.objects.order_by("project", "group_id", "since", "until", "id")
    for _, rows in groupby(differences, key=lambda row: (row.project, row.group_id, row.since, row.until)):
        try:
            _decide(list(rows))
        except LedgerError:
            logger.exception("A change outside the dashboard could not be recorded and is tried again")


def _decide(rows: Sequence[Difference]) -> None:
    """Decide the differences of one group between two reads."""
    new, done = [], []
    for row in rows:
        explanations = [change for change in _own_changes(row) if _explains(change, row)]
        if any(_is_open(change) for change in explanations):
            continue
        done.append(row.pk)
        if not explanations:
            new.append(row)
    if new:
        _record(new)
    Difference.objects.filter(pk__in=done).delete()


def _record(rows: Sequence[Difference]) -> None:
    first = rows[0]
    changes = tuple(_change(row) for row in rows)
    attempt = Attempt(
        project=first.project,
        group_id=first.group_id,
        group_name=first.group_name or first.group_id,
        changes=changes,
        kind=Kind.OUTSIDE,
        reason="",
        by=None,
        key=hashlib.sha256(f"outside/{[row.pk for row in rows]}/{first}/{first.until}".encode()).hexdigest(),
    )
    proof = (
        "Two reads show the new value. It changed outside the dashboard between "
        f"{first.since:%Y-%m-%d %H:%M:%S} and {first.until:%Y-%m-%d %H:%M:%S} UTC."
    )
    entry = record_closed(attempt, OutcomeDetails(Outcome.APPLIED, proof))
    copy = GroupCopy.objects.filter(project=first.project, group_id=first.group_id)
    copy.update(changed_outside_at=entry.at)


def _change(row: Difference) -> Change:
    if row.path:
        return field_change(row.path, row.before, row.after)
    return Change(EXISTENCE, "Server group", row.before, row.after)


def _own_changes(row: Difference) -> Iterator[ChangeIntent]:
    """The changes in the ledger that may have made a difference, with their rows."""
    if not row.path:
        return
    since = row.since - OBSERVED_FOR - timedelta(minutes=1)
    with reading_ledger():
        for group_id in (row.group_id, *_primaries(row)):
            changes = ChangeIntent.objects.for_group(row.project, group_id).exclude(kind=Kind.OUTSIDE)
            yield from changes.touching(row.path).filter(at__gte=since, at__lte=row.until).with_rows()


def _primaries(row: Difference) -> tuple[str, ...]:
    """The primary groups whose change of the field the cloud also makes in this group."""
    if not BY_PATH[row.path].cascades:
        return ()
    copy = GroupCopy.objects.filter(project=row.project, group_id=row.group_id).first()
    return copy.group.primary_server_group_ids if copy else ()


def _explains(change: ChangeIntent, row: Difference) -> bool:
    """Whether the change set this value and was, or may have been, applied after the last read of the old one."""
    sent = {field.field: field.after for field in change.fields.all()}
    if sent.get(row.path) != row.after:
        return False
    last = change.last_outcome
    if _is_open(change) or last is None:
        return True
    applied = {Outcome.APPLIED, Outcome.ACCEPTED}
    return last.outcome in applied and last.at >= row.since


def _is_open(change: ChangeIntent) -> bool:
    return not change.is_settled or change.is_observed
