"""The load of groups: sums of servers, samples, and thinning of old samples."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from dashboard.inventory import leases
from dashboard.inventory.loads import ServerLoad, store_servers, thin_out
from dashboard.inventory.models import GroupCopy, LoadSample, ProjectCopy
from dashboard.inventory.passes import Found, ListPass
from tests.conftest import DESIGN_POOL, Simulated

from .conftest import START, Refresh

pytestmark = pytest.mark.django_db

Store = Callable[..., None]


@pytest.fixture
def group(clock: time_machine.Traveller) -> GroupCopy:
    return make_group("one")


def make_group(group_id: str, **columns: Any) -> GroupCopy:
    values = {"data": {"id": group_id}, "read_at": START, "first_seen_at": START, **columns}
    return GroupCopy.objects.create(project="default", group_id=group_id, **values)


@pytest.fixture
def store(clock: time_machine.Traveller) -> Store:
    """Return a function that stores a complete read of these servers of the group `one`."""
    copy = ProjectCopy(slug="default")

    def run(*servers: tuple[str, int], seconds: float = 0) -> None:
        clock.move_to(START + timedelta(seconds=seconds))
        leases.take(copy, timezone.now())
        copy.save()
        read = ListPass[ServerLoad](timezone.now())
        for number, (status, sessions) in enumerate(servers):
            read.rows[str(number)] = Found(ServerLoad(str(number), "one", status, sessions), read.begun_at)
        store_servers(copy, read)

    return run


def samples(span: str = "raw") -> list[tuple[float, int, int, int, int | None]]:
    """Seconds since the start, sessions, ready servers, all servers and capacity of each sample."""
    rows = LoadSample.objects.filter(span=span).order_by("at", "group_id")
    return [((row.at - START).total_seconds(), row.sessions, row.ready, row.servers, row.capacity) for row in rows]


def make_sample(group: GroupCopy, at: datetime, sessions: int, span: str = "raw", **figures: Any) -> LoadSample:
    values = {"ready": 2, "servers": 3, "capacity": 12, **figures}
    return LoadSample.objects.create(group=group, span=span, at=at, sessions=sessions, **values)


def test_sums_the_servers_of_each_group_by_state(simulator: Simulated, refresh: Refresh) -> None:
    copy = refresh(1)

    row = GroupCopy.objects.get(group_id=DESIGN_POOL)
    kiosk = GroupCopy.objects.get(name="library-kiosk")
    assert (row.ready, row.servers, row.servers_by_state) == (2, 3, {"MAINTAINING": 1, "REGISTERED": 2})
    assert row.sessions is not None
    assert row.sessions > 0
    assert (kiosk.ready, kiosk.servers, kiosk.sessions, kiosk.servers_by_state) == (0, 0, 0, {})
    assert set(GroupCopy.objects.values_list("servers_as_of", flat=True)) == {copy.servers_as_of}


def test_stores_a_sample_only_if_the_load_changed_or_an_hour_began(group: GroupCopy, store: Store) -> None:
    store(("REGISTERED", 3), seconds=0)
    store(("REGISTERED", 3), seconds=300)
    store(("REGISTERED", 4), seconds=600)
    store(("REGISTERED", 4), seconds=3599)
    store(("REGISTERED", 4), seconds=3601)
    store(("REGISTERED", 4), ("STOPPED", 0), seconds=3900)

    assert samples() == [
        (0, 3, 1, 1, None),
        (600, 4, 1, 1, None),
        (3601, 4, 1, 1, None),
        (3900, 4, 1, 2, None),
    ]


def test_stores_a_sample_after_the_capacity_changed(group: GroupCopy, store: Store) -> None:
    store(("REGISTERED", 3), ("REGISTERED", 1), seconds=0)
    GroupCopy.objects.update(max_session=6)
    store(("REGISTERED", 3), ("REGISTERED", 1), seconds=300)

    assert samples() == [(0, 4, 2, 2, None), (300, 4, 2, 2, 12)]


def test_stores_absurd_numbers_within_the_limits_of_the_columns(group: GroupCopy, store: Store) -> None:
    GroupCopy.objects.update(max_session=2**63 - 1)
    store(("REGISTERED", 2**62), ("REGISTERED", 2**62), seconds=0)
    GroupCopy.objects.update(max_session=-5)
    store(("REGISTERED", 0), seconds=300)

    assert samples() == [(0, 2**31 - 1, 2, 2, 2**63 - 1), (300, 0, 1, 1, 0)]


def test_a_vanished_group_gets_no_samples(group: GroupCopy, store: Store) -> None:
    GroupCopy.objects.update(vanished_at=START)

    store(("REGISTERED", 3), seconds=0)

    assert samples() == []


def test_keeps_raw_samples_for_48_hours_and_then_the_largest_of_each_hour(
    group: GroupCopy, clock: time_machine.Traveller
) -> None:
    begin = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
    other = make_group("two")
    make_sample(group, begin, 3)
    make_sample(group, begin + timedelta(minutes=20), 7, ready=1, capacity=6)
    make_sample(group, begin + timedelta(minutes=70), 5, capacity=None)
    make_sample(other, begin + timedelta(minutes=30), 9, is_made_up=True)
    make_sample(group, begin + timedelta(hours=2), 4)

    thin_out()
    thin_out()

    hours = LoadSample.objects.filter(span="hour").order_by("at", "group_id")
    assert [
        (row.group_id, row.at, row.sessions, row.ready, row.servers, row.capacity, row.is_made_up) for row in hours
    ] == [
        (group.pk, begin, 7, 2, 3, 12, False),
        (other.pk, begin, 9, 2, 3, 12, True),
        (group.pk, begin + timedelta(hours=1), 5, 2, 3, None, False),
    ]
    assert [at for at, *_ in samples()] == [-48 * 3600.0]


def test_keeps_hours_for_90_days_and_days_for_two_years(group: GroupCopy, clock: time_machine.Traveller) -> None:
    midnight = START.replace(hour=0)
    make_sample(group, midnight - timedelta(days=91), 3, "hour")
    make_sample(group, midnight - timedelta(days=91) + timedelta(hours=23), 8, "hour")
    make_sample(group, midnight - timedelta(days=90), 5, "hour")
    make_sample(group, midnight - timedelta(days=731), 2, "day")
    make_sample(group, midnight - timedelta(days=732), 1, "day")

    thin_out()

    rows = LoadSample.objects.order_by("at").values_list("span", "at", "sessions")
    assert list(rows) == [
        ("day", midnight - timedelta(days=731), 2),
        ("day", midnight - timedelta(days=91), 8),
        ("hour", midnight - timedelta(days=90), 5),
    ]


def test_deletes_a_vanished_group_with_its_samples_after_30_days(
    group: GroupCopy, clock: time_machine.Traveller
) -> None:
    kept = make_group("two", vanished_at=START - timedelta(days=30))
    gone = make_group("three", vanished_at=START - timedelta(days=30, seconds=1))
    make_sample(gone, START, 3)

    thin_out()

    assert set(GroupCopy.objects.values_list("group_id", flat=True)) == {group.group_id, kept.group_id}
    assert samples() == []
