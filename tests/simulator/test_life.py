"""A cloud with `--life`: servers and sessions change with the time, and groups are changed from outside."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.simulator.data import instant
from dashboard.simulator.life import CHANGES_EVERY, LONGEST_JUMP, edit, rng_of, scheduled_changes
from dashboard.simulator.sample_servers import OPEN_STATES
from dashboard.simulator.server import SimulatorServer
from tests.simulator.conftest import OTHER_PROJECT, PROJECT, Cloud

NOON = datetime(2026, 10, 14, 11, tzinfo=UTC)
NIGHT = datetime(2026, 10, 15, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
CALLS = "callcenter-01"


@pytest.fixture
def living(cloud: Cloud) -> Cloud:
    """A cloud with life, whose clock stands at noon."""
    move(cloud, NOON)
    return cloud


def move(cloud: Cloud, now: datetime) -> None:
    assert cloud.control("PUT", "life", {"is_on": True, "now": now.isoformat()}).status_code == 200


def rows(cloud: Cloud, path: str, **query: Any) -> list[dict[str, Any]]:
    page = cloud.get(f"/v1/{PROJECT}/{path}", limit=100, **query).json()
    rest = (
        cloud.get(f"/v1/{PROJECT}/{path}", limit=100, offset=o, **query).json() for o in range(100, page["count"], 100)
    )
    return [*page["items"], *(row for further in rest for row in further["items"])]


def servers(cloud: Cloud, name: str = CALLS) -> list[dict[str, Any]]:
    return rows(cloud, "app-servers", server_group_id=cloud.named(name)["id"])


def sessions(cloud: Cloud, name: str = CALLS) -> list[dict[str, Any]]:
    whenever = {"query_begin_time": "2020-01-01T00:00:00.000Z", "query_end_time": "2100-01-01T00:00:00Z"}
    return rows(cloud, "session/list-sessions", app_server_group_id=cloud.named(name)["id"], **whenever)


def open_sessions(cloud: Cloud, name: str = CALLS) -> dict[str, str]:
    """The ids of the open sessions with their start."""
    return {row["id"]: row["start_time"] for row in sessions(cloud, name) if row["session_state"] in OPEN_STATES}


class TestServersAndSessions:
    def test_servers_come_and_go_with_the_load(self, living: Cloud) -> None:
        by_day = servers(living)
        move(living, NIGHT)
        by_night = servers(living)

        assert (len(by_day) > 6, len(by_night)) == (True, 6)
        assert {row["id"] for row in by_night} < {row["id"] for row in by_day}
        assert {row["scaling_auto_create"] for row in by_night} == {False}

    def test_groups_show_their_current_number_of_servers(self, living: Cloud) -> None:
        count = len(servers(living))
        group = living.named(CALLS)

        assert (group["app_server_count"], living.show(group["id"])["app_server_count"]) == (count, count)
        state = living.groups(f"/{group['id']}/state").json()["aps_status"]
        assert sum(state.values()) == count

    def test_all_pages_have_each_server_once(self, living: Cloud) -> None:
        found = rows(living, "app-servers")

        groups = living.groups(limit=100).json()["items"]
        assert len({row["id"] for row in found}) == len(found) == sum(group["app_server_count"] for group in groups)

    def test_servers_count_their_open_sessions(self, living: Cloud) -> None:
        assert sum(row["session_count"] for row in servers(living)) == len(open_sessions(living)) > 100

    def test_sessions_stay_the_same_until_they_end(self, living: Cloud) -> None:
        before = open_sessions(living)
        move(living, NOON + timedelta(minutes=20))
        after = {row["id"]: row for row in sessions(living)}

        assert set(before) <= set(after)
        assert {key: after[key]["start_time"] for key in before} == before
        ended = [row for row in after.values() if row["session_state"] == "SignedOut"]
        assert all(row["end_time"] <= instant(NOON + timedelta(minutes=20)) for row in ended)

    def test_the_same_time_shows_the_same_cloud(self, living: Cloud) -> None:
        first = servers(living), sessions(living)
        move(living, NIGHT)
        move(living, NOON)

        assert (servers(living), sessions(living)) == first

    def test_a_group_that_is_off_gets_no_new_sessions(self, living: Cloud) -> None:
        morning, later, noon = (NOON - hours * HOUR for hours in (5, 4, 2))
        move(living, morning)
        group, before = living.named(CALLS), open_sessions(living)
        living.patch({"server_group_status": False}, group["id"])
        move(living, later)
        while_off = open_sessions(living)
        living.patch({"server_group_status": True}, group["id"])
        move(living, noon)

        assert set(while_off) <= set(before) != set()
        assert len(open_sessions(living)) > len(while_off)
        assert not [s for s in open_sessions(living).values() if instant(morning)[:19] < s < instant(later)[:19]]

    def test_switching_off_can_sign_sessions_out(self, living: Cloud) -> None:
        living.switch(sessions_when_off="sign_out")
        group = living.named(CALLS)

        living.patch({"server_group_status": False}, group["id"])

        assert open_sessions(living) == {}
        assert {row["session_count"] for row in servers(living)} == {0}

    def test_servers_have_trouble_at_times(self, living: Cloud) -> None:
        states: set[str] = set()
        for hours in range(8):
            move(living, NOON + hours * HOUR)
            states |= {row["status"] for row in rows(living, "app-servers")}

        assert states == {"REGISTERED", "MAINTAINING", "UNREGISTER", "STOPPED"}

    def test_without_life_nothing_changes(self, cloud: Cloud) -> None:
        before = servers(cloud)
        cloud.control("PUT", "life", {"now": NIGHT.isoformat()})

        assert (servers(cloud), cloud.history()) == (before, [])


class TestScheduledChanges:
    def test_a_group_is_changed_every_few_minutes(self, living: Cloud) -> None:
        move(living, NOON + 2 * HOUR)

        history = living.history()
        assert len(history) == pytest.approx(2 * HOUR / CHANGES_EVERY, abs=2)
        assert {change["request"] for change in history} == {None}
        assert {change["project"] for change in history} == {PROJECT, OTHER_PROJECT}
        for change in history:
            before, after = change["before"], change["after"]
            [field] = {name for name in after if after[name] != before[name]} - {"update_time"}
            assert field in {"description", "system_disk_size", "route_policy"}
            assert after["update_time"] == change["time"] != before["update_time"]

    def test_groups_show_the_changes(self, living: Cloud) -> None:
        move(living, NOON + HOUR)

        last = {change["group"]: change["after"] for change in living.history() if change["project"] == PROJECT}
        assert {group: living.control("GET", f"groups/{group}").json() for group in last} == last

    def test_the_clock_may_move_in_small_or_large_steps(self, living: Cloud) -> None:
        move(living, NOON + HOUR)
        large = living.history()
        living.control("POST", "reset")
        for minutes in range(0, 61, 5):
            move(living, NOON + timedelta(minutes=minutes))

        assert living.history() == large

    def test_a_clock_that_goes_back_starts_the_schedule_again(self, living: Cloud) -> None:
        move(living, NOON + HOUR)
        count = len(living.history())
        move(living, NOON)
        move(living, NOON + HOUR)

        assert len(living.history()) == 2 * count

    def test_no_change_is_made_up_for_a_time_without_life(self, living: Cloud) -> None:
        living.control("PUT", "life", {"is_on": False})
        living.control("PUT", "life", {"now": (NOON + HOUR).isoformat()})
        living.control("PUT", "life", {"is_on": True})

        assert living.history() == []

    def test_a_cloud_without_groups_has_no_changes(self) -> None:
        with SimulatorServer(groups=0, has_life=True) as server:
            cloud = Cloud(server.url)
            move(cloud, datetime.now(UTC) + HOUR)

            assert cloud.history() == []

    def test_life_can_be_on_from_the_start(self) -> None:
        with SimulatorServer(groups=3, has_life=True) as server:
            shown = Cloud(server.url).control("GET", "life").json()

        assert (shown["is_on"], shown["is_clock_stopped"]) == (True, False)

    def test_a_long_jump_makes_only_the_last_changes(self) -> None:
        changes = list(scheduled_changes(1, NOON - 365 * 24 * HOUR, NOON))

        assert len(changes) == pytest.approx(LONGEST_JUMP / CHANGES_EVERY, abs=2)
        assert changes == sorted(changes, key=lambda change: change.at)

    def test_two_periods_have_the_changes_of_both(self) -> None:
        both = list(scheduled_changes(1, NOON, NOON + 2 * HOUR))

        assert both == [
            *scheduled_changes(1, NOON, NOON + HOUR),
            *scheduled_changes(1, NOON + HOUR, NOON + 2 * HOUR),
        ]

    def test_a_group_with_members_of_any_type_can_be_changed(self) -> None:
        for change in scheduled_changes(1, NOON, NOON + 2 * HOUR):
            group = {"system_disk_size": "large", "route_policy": None}
            assert set(edit(change, group, rng_of(1, change))) == {"description"}
