"""Put verified changes into the local copy of the cloud."""

from collections.abc import Iterable

from dashboard.audit.ledger.services import Change, OutcomeDetails
from dashboard.audit.models import Outcome
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.own_writes import store_written
from dashboard.server_groups.fields import BY_PATH


def store_applied(project: Project, group: ServerGroup, changes: Iterable[Change], details: OutcomeDetails) -> None:
    """Store the read that showed that a change was applied. Any other outcome leaves the copy to the next refresh."""
    if details.outcome == Outcome.APPLIED:
        written = [change.field for change in changes if group.value(change.field) == change.after]
        store_written(project.slug, group, written=written, watched=tuple(BY_PATH))
