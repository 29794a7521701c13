"""The made-up load of the days before a demo starts, so that its charts are not empty."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Max, Q

from dashboard.inventory.models import GroupCopy, LoadSample, ProjectCopy
from dashboard.simulator.load_curve import NamedGroup, load_history, named_groups

LENGTH = timedelta(days=2)
STEP = timedelta(minutes=15)


def has_copies() -> bool:
    """Whether the list of groups of every project was read."""
    copies = ProjectCopy.objects.exclude(groups_as_of=None)
    return copies.count() == len(settings.CLOUD_PROJECTS)


def make_up_loads(*, seed: int, until: datetime) -> None:
    """Store the load of two days before `until`. It begins after the last sample of an earlier demo."""
    groups = {group.id: group for group in named_groups(seed)}
    last = Max("samples__at", filter=Q(samples__at__lt=until))
    copies = GroupCopy.objects.filter(group_id__in=groups).annotate(last=last)
    for key, group_id, last_at in copies.values_list("pk", "group_id", "last"):
        since = _next_step(max(last_at or until - LENGTH, until - LENGTH))
        LoadSample.objects.bulk_create(_samples(key, groups[group_id], seed, since, until))


def _samples(copy: int, group: NamedGroup, seed: int, since: datetime, until: datetime) -> Iterator[LoadSample]:
    for load in load_history(group.id, seed, since, until, STEP):
        yield LoadSample(
            group_id=copy,
            span=LoadSample.Span.RAW,
            at=load.at,
            sessions=load.sessions,
            ready=load.ready,
            servers=load.servers,
            capacity=None if group.max_session is None else load.ready * group.max_session,
            is_made_up=True,
        )


def _next_step(moment: datetime) -> datetime:
    """The first round time after a moment."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return start + ((moment - start) // STEP + 1) * STEP
