"""Record attempts that the dashboard refuses: short, folded, and only for groups that exist."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NoReturn

from django.conf import settings
from django.core.exceptions import PermissionDenied

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.folding import Fold, count_repeat, record_refused, record_refused_event
from dashboard.audit.ledger.services import Attempt, Event, LedgerError, OutcomeDetails, last_intent
from dashboard.audit.models import EventKind, Kind, Outcome, Value
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError, NotFoundError
from dashboard.cloud.projects import Project
from dashboard.server_groups.ledger_texts import field_change

logger = logging.getLogger(__name__)

MAX_VALUE = 100
"""Characters that the ledger keeps of a refused value."""
MAX_FIELDS = 5
"""Fields of a refused attempt that the ledger keeps."""


@dataclass(frozen=True)
class Refusal:
    """An attempt that is not allowed. `rule` is the part of `because` that is the same in each such refusal."""

    project: Project
    group_id: str
    because: str
    by: Actor
    rule: str = ""

    @property
    def fold(self) -> Fold:
        person = self.by.user.pk
        return Fold((person, self.project.slug, self.group_id, self.rule or self.because), ("person", person))


def refuse(refusal: Refusal, attempted: Mapping[str, Value]) -> NoReturn:
    """Record an attempt that is not allowed, and raise PermissionDenied, also if the ledger is unavailable."""
    record_refusal(refusal, attempted)
    raise PermissionDenied(refusal.because)


def record_refusal(refusal: Refusal, attempted: Mapping[str, Value]) -> None:
    """Record an attempt that is refused. If the ledger is unavailable, the log gets the failure."""
    try:
        if count_repeat(refusal.fold):
            return
        if (name := _name_of(refusal.project, refusal.group_id)) is None:
            record_unknown_group(refusal.project, refusal.group_id, refusal.by)
        else:
            record_refused(_attempt(refusal, name, attempted), _details(refusal, attempted), refusal.fold)
    except LedgerError:
        logger.exception("A refused attempt by %s could not be recorded", refusal.by.user.pk)


def record_unknown_group(project: Project, group_id: str, by: Actor) -> None:
    """Record a post for a group that the project does not have. It can be a group of another project."""
    person = by.user
    others = [other.slug for other in settings.CLOUD_PROJECTS if other.slug != project.slug]
    try:
        owner = next((slug for slug in others if last_intent(slug, group_id)), None)
        proof = f"Group {group_id[:MAX_VALUE]}, project {project.slug}."
        proof += f" The group belongs to project {owner}." if owner else ""
        event = Event(EventKind.UNKNOWN_GROUP, person.get_username(), person.pk, by.address, proof, Outcome.DENIED)
        record_refused_event(event, Fold((EventKind.UNKNOWN_GROUP, person.pk, project.slug), ("person", person.pk)))
    except LedgerError:
        logger.exception("A post by %s for an unknown group could not be recorded", person.pk)


def _name_of(project: Project, group_id: str) -> str | None:
    """The group's name in the ledger or in the cloud. None if there is no such group."""
    if (newest := last_intent(project.slug, group_id)) is not None:
        return newest.group_name
    try:
        return client_for(project).show_server_group(group_id).name
    except NotFoundError:
        return None
    except CloudError:
        return group_id


def _attempt(refusal: Refusal, group_name: str, attempted: Mapping[str, Value]) -> Attempt:
    changes = (field_change(path, None, _shorten(value)) for path, value in attempted.items())
    return Attempt(
        project=refusal.project.slug,
        group_id=refusal.group_id,
        group_name=group_name,
        changes=tuple(islice(changes, MAX_FIELDS)),
        kind=Kind.DENIED,
        reason="",
        by=refusal.by,
        key=uuid.uuid4().hex,
    )


def _details(refusal: Refusal, attempted: Mapping[str, Value]) -> OutcomeDetails:
    left_out = len(attempted) - MAX_FIELDS
    proof = f"{refusal.because} Fields left out: {left_out}." if left_out > 0 else refusal.because
    return OutcomeDetails(Outcome.DENIED, proof)


def _shorten(value: Value) -> Value:
    return f"{value[: MAX_VALUE - 1]}…" if isinstance(value, str) and len(value) > MAX_VALUE else value
