"""The load of a group in the local copy."""

from datetime import timedelta

from django.utils import timezone

from dashboard.inventory.models import GroupCopy, LoadSample


def store_load(group_id: str) -> None:
    """Store the load of three days, with a gap, and a maximum of sessions that was changed."""
    now = timezone.now()
    copy = GroupCopy.objects.create(
        project="default", group_id=group_id, data={}, read_at=now, first_seen_at=now, servers_as_of=now
    )
    LoadSample.objects.bulk_create(
        LoadSample(
            group=copy,
            span=LoadSample.Span.RAW,
            at=now - timedelta(hours=hours),
            sessions=abs(12 - hours % 24),
            ready=3,
            servers=3,
            capacity=12 if hours < 6 else 18,
            is_made_up=True,
        )
        for hours in range(72)
        if not 10 < hours < 16
    )
