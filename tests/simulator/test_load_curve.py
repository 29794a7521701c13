"""The load of a group over the day."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dashboard.simulator.life import Life
from dashboard.simulator.load_curve import Load, load_history, named_groups
from dashboard.simulator.sample_servers import OPEN_STATES
from dashboard.simulator.state import Store
from tests.simulator.conftest import DESIGN_POOL, OTHER_PROJECT, PROJECT

WEDNESDAY = datetime(2026, 10, 14, tzinfo=UTC)
SUNDAY = datetime(2026, 10, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
IDS = {group["name"]: group["id"] for group in Store(42, seed=1).groups(PROJECT).values()}


def loads(name: str, day: datetime = WEDNESDAY, step: timedelta = HOUR) -> list[Load]:
    return list(load_history(IDS[name], 1, day, day + DAY, step))


def test_yields_a_load_at_the_begin_and_after_each_step() -> None:
    history = load_history(DESIGN_POOL, 1, WEDNESDAY, WEDNESDAY + 2 * HOUR + timedelta(seconds=1), HOUR)

    assert [load.at for load in history] == [WEDNESDAY, WEDNESDAY + HOUR, WEDNESDAY + 2 * HOUR]


def test_nothing_is_between_two_equal_times() -> None:
    assert list(load_history(DESIGN_POOL, 1, WEDNESDAY, WEDNESDAY, HOUR)) == []


def test_many_people_work_at_noon_and_few_at_night() -> None:
    sessions = {load.at.hour: load.sessions for load in loads("callcenter-01")}

    assert sessions[2] < 10 < 100 < sessions[11]


def test_few_people_work_on_sundays() -> None:
    workday, sunday = (max(load.sessions for load in loads("office-standard", day)) for day in (WEDNESDAY, SUNDAY))

    assert sunday < workday / 3


def test_a_group_that_scales_has_more_servers_by_day() -> None:
    servers = {load.at.hour: load.servers for load in loads("callcenter-01")}

    assert (servers[3], servers[11] > 6, max(servers.values()) <= 12) == (6, True, True)


def test_servers_never_have_more_sessions_than_they_accept() -> None:
    for group in named_groups():
        for load in load_history(group.id, 1, WEDNESDAY, WEDNESDAY + DAY, HOUR):
            assert group.max_session is None or load.sessions <= load.servers * group.max_session


@pytest.mark.parametrize(
    ("name", "ready"), [("training-lab", {0}), ("library-kiosk", {0}), ("finance-eu-standby", {1, 2})]
)
def test_standbys_and_groups_that_are_off_have_no_sessions(name: str, ready: set[int]) -> None:
    history = loads(name)

    assert {load.sessions for load in history} == {0}
    assert {load.ready for load in history} <= ready


def test_the_same_seed_gives_the_same_load() -> None:
    first, again = (list(load_history(DESIGN_POOL, 7, WEDNESDAY, WEDNESDAY + DAY, HOUR)) for _ in range(2))
    other = list(load_history(DESIGN_POOL, 8, WEDNESDAY, WEDNESDAY + DAY, HOUR))

    assert first == again != other


def test_the_time_zone_does_not_matter() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    elsewhere = load_history(DESIGN_POOL, 1, WEDNESDAY.astimezone(zone), (WEDNESDAY + DAY).astimezone(zone), HOUR)

    assert list(elsewhere) == loads("design-pool")


def test_knows_the_named_groups_of_both_projects() -> None:
    groups = named_groups()

    assert [sum(group.project == project for group in groups) for project in (PROJECT, OTHER_PROJECT)] == [42, 8]
    assert groups[0] == (PROJECT, DESIGN_POOL, 6)
    assert any(group.max_session is None for group in groups)


def test_an_unknown_group_is_an_error() -> None:
    with pytest.raises(KeyError):
        load_history("unknown", 1, WEDNESDAY, SUNDAY, HOUR)


@pytest.mark.parametrize("hours", [0.5, 4, 7.25, 9, 11.9, 16, 23])
def test_the_load_is_that_of_a_living_cloud(hours: float) -> None:
    at = WEDNESDAY + hours * HOUR + timedelta(seconds=30)
    store = Store(42, seed=1)
    store.set_life(Life(is_on=True, stopped_at=at))

    for group in named_groups():
        held = store.group_servers(group.project, group.id)
        open_sessions = [session for session in held.sessions if session["session_state"] in OPEN_STATES]
        ready = [server for server in held.servers if server["status"] == "REGISTERED"]
        counted = Load(at, len(open_sessions), len(ready), len(held.servers))
        assert [counted] == list(load_history(group.id, 1, at, at + HOUR, HOUR))
