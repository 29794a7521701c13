"""The made-up load before a demo starts: two days, marked, never twice."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.cloud.projects import Project
from dashboard.demo.load_history import has_copies, make_up_loads
from dashboard.inventory.models import GroupCopy, LoadSample, ProjectCopy
from dashboard.simulator.load_curve import load_history
from tests.conftest import DESIGN_POOL
from tests.server_groups.conftest import GROUP_IDS

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 4, 11, 20, 7, tzinfo=UTC)
FIRST = datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
STEP = timedelta(minutes=15)


def copy_of(group_id: str) -> GroupCopy:
    return GroupCopy.objects.create(project="default", group_id=group_id, data={}, read_at=NOW, first_seen_at=NOW)


@pytest.fixture
def copy() -> GroupCopy:
    return copy_of(DESIGN_POOL)


def times() -> list[datetime]:
    return list(LoadSample.objects.order_by("at").values_list("at", flat=True))


def real_sample(copy: GroupCopy, at: datetime) -> None:
    LoadSample.objects.create(group=copy, span=LoadSample.Span.RAW, at=at, sessions=1, ready=1, servers=1)


def test_two_days_of_the_simulators_curve_are_stored_and_marked(copy: GroupCopy) -> None:
    make_up_loads(seed=1, until=NOW)

    stored = LoadSample.objects.order_by("at")
    curve = load_history(DESIGN_POOL, 1, FIRST, NOW, STEP)
    assert [(row.at, row.sessions, row.ready, row.servers) for row in stored] == list(curve)
    assert (stored.count(), stored[0].at, stored[191].at) == (192, FIRST, NOW.replace(minute=15, second=0))
    assert {(row.group_id, row.span, row.is_made_up, row.capacity == 6 * row.ready) for row in stored} == {
        (copy.pk, "raw", True, True)
    }


def test_the_capacity_of_a_single_session_group_is_not_known() -> None:
    copy_of(GROUP_IDS["engineering-vdi"])

    make_up_loads(seed=1, until=NOW)

    assert set(LoadSample.objects.values_list("capacity", flat=True)) == {None}


def test_a_group_that_the_simulator_does_not_name_has_no_made_up_load() -> None:
    copy_of("another")

    make_up_loads(seed=1, until=NOW)

    assert times() == []


def test_a_second_start_adds_only_the_time_since_the_first(copy: GroupCopy) -> None:
    make_up_loads(seed=1, until=NOW)

    make_up_loads(seed=1, until=NOW)
    assert len(times()) == 192

    make_up_loads(seed=1, until=NOW + timedelta(days=1))
    assert times() == [FIRST + number * STEP for number in range(192 + 96)]


def test_a_start_after_a_week_makes_up_two_days(copy: GroupCopy) -> None:
    make_up_loads(seed=1, until=NOW)

    make_up_loads(seed=1, until=NOW + timedelta(days=7))

    assert times()[192:] == [FIRST + timedelta(days=7) + number * STEP for number in range(192)]


def test_real_samples_stay_and_are_not_mixed_with_made_up_ones(copy: GroupCopy) -> None:
    of_an_earlier_demo, of_this_demo = NOW - timedelta(hours=1), NOW + timedelta(seconds=2)
    real_sample(copy, of_an_earlier_demo)
    real_sample(copy, of_this_demo)

    make_up_loads(seed=1, until=NOW)

    made_up = [NOW.replace(minute=minute, second=0) - timedelta(hours=hour) for hour, minute in ((1, 30), (1, 45))]
    assert times() == [
        of_an_earlier_demo,
        *made_up,
        NOW.replace(minute=0, second=0),
        NOW.replace(minute=15, second=0),
        of_this_demo,
    ]


def test_waits_for_the_copy_of_every_project(project: Project) -> None:
    copy = ProjectCopy.objects.create(slug=project.slug)
    assert not has_copies()

    copy.groups_as_of = NOW
    copy.save()
    assert has_copies()
