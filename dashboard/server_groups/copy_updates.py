"""Put the reads that verify and settle changes into the local copy of the cloud."""

from collections.abc import Iterable

from dashboard.audit.ledger.services import Change, OutcomeDetails
from dashboard.audit.models import Outcome
from dashboard.cloud.projects import Project
from dashboard.inventory.own_writes import store_written
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.outcome_check import GroupRead

SHOWN = {Outcome.APPLIED, Outcome.ACCEPTED, Outcome.CONFLICT}
"""The outcomes after a read that can show new values."""


def store_outcome(project: Project, read: GroupRead, changes: Iterable[Change], details: OutcomeDetails) -> None:
    """Store the read that showed the outcome of a change. If it showed the old values, the copy has them already."""
    if details.outcome in SHOWN:
        written = [change.field for change in changes if read.group.value(change.field) == change.after]
        store_written(project.slug, read.group, begun_at=read.begun_at, written=written, watched=tuple(BY_PATH))
