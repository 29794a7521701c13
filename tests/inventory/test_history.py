"""The load of a group over time: the largest values of each step, from rows of reads, hours and days."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from dashboard.inventory.history import LargestLoad, LoadHistory, load_history
from dashboard.inventory.models import GroupCopy, LoadSample

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
Sample = Callable[..., LoadSample]


@pytest.fixture
def group() -> GroupCopy:
    return GroupCopy.objects.create(
        project="default", group_id="pool", name="pool", name_key="pool", data={}, read_at=NOON, first_seen_at=NOON
    )


@pytest.fixture
def sample(group: GroupCopy) -> Sample:
    """Store the load of the group at a number of minutes after noon."""

    def store(minutes: float, sessions: int, span: str = "raw", **values: object) -> LoadSample:
        at = NOON + timedelta(minutes=minutes)
        defaults = {"ready": 2, "servers": 3, "capacity": 12, "group": group}
        return LoadSample.objects.create(span=span, at=at, sessions=sessions, **{**defaults, **values})

    return store


def history(steps: int = 4, step: timedelta = QUARTER, group_id: str = "pool", project: str = "default") -> LoadHistory:
    return load_history(project, group_id, since=NOON, until=NOON + steps * step, steps=steps)


def sessions(found: LoadHistory) -> list[int | None]:
    return [point.load.sessions if point.load else None for point in found.points]


def read_until(group: GroupCopy, minutes: float) -> None:
    GroupCopy.objects.filter(pk=group.pk).update(servers_as_of=NOON + timedelta(minutes=minutes))


def test_a_step_has_the_largest_values_in_it(sample: Sample) -> None:
    sample(0, 5, ready=1, servers=4, capacity=6)
    sample(5, 3, ready=2, servers=2, capacity=12)
    sample(14.9, 4, ready=1, servers=3, capacity=None)

    first = history().points[0]

    assert (first.at, first.load) == (NOON, LargestLoad(5, ready=2, servers=4, capacity=12, is_made_up=False))


def test_a_row_stands_until_the_next_one(sample: Sample) -> None:
    sample(5, 5)
    sample(40, 2)

    assert sessions(history()) == [5, 5, 5, None]


def test_the_last_row_stands_until_the_last_read(sample: Sample, group: GroupCopy) -> None:
    sample(5, 5)
    read_until(group, 35)

    found = history()

    assert (sessions(found), found.read_at) == ([5, 5, 5, None], NOON + timedelta(minutes=35))


def test_a_row_that_ends_at_a_step_is_not_in_that_step(sample: Sample) -> None:
    sample(0, 5)
    sample(30, 2)

    assert sessions(history()) == [5, 5, 2, None]


def test_a_row_before_the_period_reaches_into_it(sample: Sample) -> None:
    sample(-40, 5)
    sample(20, 2)

    assert sessions(history()) == [5, 5, None, None]


def test_a_long_time_without_a_row_is_a_gap(sample: Sample) -> None:
    sample(5, 5)
    sample(100, 2)

    assert sessions(history(steps=8)) == [5, None, None, None, None, None, 2, None]


def test_a_gap_is_not_zero(sample: Sample) -> None:
    sample(20, 0)

    assert sessions(history()) == [None, 0, None, None]


def test_an_hour_and_a_day_stand_for_their_whole_period(sample: Sample) -> None:
    sample(0, 9, "hour")
    assert sessions(history(steps=6)) == [9, 9, 9, 9, None, None]

    sample(-12 * 60, 30, "day")
    assert sessions(history(steps=4, step=timedelta(hours=6))) == [30, 30, None, None]


def test_reads_and_hours_of_the_same_time_count_once(sample: Sample) -> None:
    sample(0, 9, "hour")
    sample(10, 4)
    sample(20, 9)
    sample(55, 3)

    assert sessions(history(steps=2, step=timedelta(hours=1))) == [9, None]


def test_a_capacity_that_is_not_known_stays_unknown(sample: Sample) -> None:
    sample(0, 5, capacity=None)

    load = history().points[0].load

    assert load == LargestLoad(5, ready=2, servers=3, capacity=None, is_made_up=False)


def test_one_made_up_row_marks_the_history(sample: Sample) -> None:
    sample(0, 5)
    assert not history().is_made_up

    sample(10, 2, is_made_up=True)
    assert history().is_made_up


def test_rows_outside_the_period_and_of_other_groups_do_not_count(sample: Sample) -> None:
    sample(-200, 1)
    sample(60, 2)
    sample(15, 3)

    assert sessions(history()) == [None, 3, 3, 3]
    assert sessions(history(group_id="another")) == [None] * 4
    assert sessions(history(project="another")) == [None] * 4


def test_reads_everything_with_one_query(sample: Sample, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for minutes in range(30):
        sample(minutes, minutes)

    with django_assert_num_queries(1):
        assert sessions(history()) == [14, 29, None, None]
