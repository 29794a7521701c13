"""What the copy holds after reads of the simulator, and which differences are found."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from dashboard.cloud.resources import ServerGroup
from dashboard.inventory import copying
from dashboard.inventory.models import Difference, GroupCopy, GroupTag
from tests.conftest import DESIGN_POOL, Simulated

from .conftest import START, Refresh

pytestmark = pytest.mark.django_db

GROUPS = {"method": "GET", "path": "*/app-server-groups"}
ONE_GROUP = {"method": "GET", "path": "*/app-server-groups/*"}


def differences() -> list[tuple[str, str, Any, Any, int, int]]:
    """All differences, with the seconds since the start of the test."""
    return [
        (one.group_name, one.path, one.before, one.after, (one.since - START).seconds, (one.until - START).seconds)
        for one in Difference.objects.all()
    ]


def copy_of(group_id: str = DESIGN_POOL) -> GroupCopy:
    return GroupCopy.objects.get(group_id=group_id)


def moved(seconds: int) -> str:
    """An `update_time` so many seconds after the start of the test."""
    return (START + timedelta(seconds=seconds)).isoformat()


def test_the_first_copy_has_all_groups_with_tags_and_no_differences(simulator: Simulated, refresh: Refresh) -> None:
    copy = refresh(120)

    shown = simulator.group()
    assert (copy.groups, copy.groups_on, copy.groups_off, copy.unreadable) == (42, 39, 3, 0)
    assert copy.groups_as_of == START
    assert (len(copy.images), copy.app_types) == (14, ["COMMON_APP", "SESSION_DESKTOP_APP"])
    assert copy.tags[:3] == ["cost-centre=4100", "site=dublin", "site=johannesburg"]
    assert copy_of().group == ServerGroup.from_api(shown)
    assert list(GroupTag.objects.filter(group__group_id=DESIGN_POOL).values_list("key", "value")) == [
        ("team", "design")
    ]
    assert differences() == []


def test_a_change_in_the_console_is_a_difference_after_two_reads(simulator: Simulated, refresh: Refresh) -> None:
    refresh(30, is_viewed=True)
    simulator.change(name="design-pool-eu", tags=[{"key": "team", "value": "cad"}])

    refresh(1, is_viewed=True)
    suspected = (copy_of().name, copy_of().suspected, differences())
    refresh(15, is_viewed=True)

    assert suspected == (
        "design-pool-eu",
        {"name": {"value": "design-pool-eu", "since": moved(15), "until": moved(30)}},
        [],
    )
    assert differences() == [("design-pool-eu", "name", "design-pool", "design-pool-eu", 15, 30)]
    assert copy_of().suspected == {}
    assert copy_of().baseline["name"] == "design-pool-eu"
    assert list(GroupTag.objects.filter(group__group_id=DESIGN_POOL).values_list("key", "value")) == [("team", "cad")]


def test_a_change_of_the_details_is_a_difference_after_two_reads(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    policy = {**simulator.group()["route_policy"], "max_session": 4}
    simulator.change(route_policy=policy, update_time=moved(120))

    refresh(30, is_viewed=True)

    assert [one[:4] for one in differences()] == [("design-pool", "route_policy.max_session", 6, 4)]
    assert copy_of().max_session == 4
    assert (copy_of().details or {})["route_policy"] == policy


def test_drops_a_suspected_value_that_the_next_read_does_not_show(simulator: Simulated, refresh: Refresh) -> None:
    refresh(30, is_viewed=True)
    simulator.change(description="for a moment")
    refresh(15, is_viewed=True)

    simulator.change(description="CAD users, Building 7")
    refresh(45, is_viewed=True)

    assert differences() == []
    assert (copy_of().suspected, copy_of().description) == ({}, "CAD users, Building 7")


def test_renews_a_suspected_value_that_changed_again(simulator: Simulated, refresh: Refresh) -> None:
    refresh(30, is_viewed=True)
    simulator.change(description="first")
    refresh(15, is_viewed=True)

    simulator.change(description="second")
    refresh(45, is_viewed=True)

    assert differences() == [("design-pool", "description", "CAD users, Building 7", "second", 30, 45)]


def test_a_read_without_a_value_says_nothing(simulator: Simulated, refresh: Refresh) -> None:
    refresh(30, is_viewed=True)
    simulator.change(description="new", ou_name="OU=New")
    refresh(15, is_viewed=True)

    simulator.change(description=None)
    refresh(15, is_viewed=True)
    simulator.change(description="new")
    refresh(15, is_viewed=True)

    assert differences() == [
        ("design-pool", "ou_name", "", "OU=New", 15, 30),
        ("design-pool", "description", "CAD users, Building 7", "new", 15, 30),
    ]


def test_adopts_a_value_that_was_never_reported_before(simulator: Simulated, refresh: Refresh) -> None:
    simulator.change(description=None)
    refresh(30, is_viewed=True)

    simulator.change(description="shown at last")
    refresh(30, is_viewed=True)

    assert differences() == []
    assert copy_of().baseline["description"] == "shown at last"


def test_a_new_group_shows_at_once_and_is_a_difference_after_two_reads(simulator: Simulated, refresh: Refresh) -> None:
    refresh(30, is_viewed=True)
    simulator.control("POST", "groups", {"id": "fresh", "name": "fresh-group"})

    refresh(1, is_viewed=True)
    at_once = (GroupCopy.objects.of("default").filter(group_id="fresh").exists(), differences())
    refresh(60, is_viewed=True)

    assert at_once == (True, [])
    assert differences() == [("fresh-group", "", None, "fresh", 15, 30)]


def test_a_deleted_group_vanishes_after_two_reads_and_a_404(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    simulator.control("DELETE", f"groups/{DESIGN_POOL}")

    refresh(1, is_viewed=True)
    missing = (copy_of().missing_since, copy_of().vanished_at, differences())
    copy = refresh(30, is_viewed=True)

    assert missing == (START + timedelta(seconds=120), None, [])
    assert differences() == [("design-pool", "", DESIGN_POOL, None, 0, 120)]
    assert copy_of().vanished_at == START + timedelta(seconds=135)
    assert (copy.groups, copy.groups_on, GroupCopy.objects.of("default").count()) == (41, 38, 41)


def test_a_group_made_again_under_the_same_name_is_another_group(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    simulator.control("DELETE", f"groups/{DESIGN_POOL}")
    simulator.control("POST", "groups", {"id": "second", "name": "design-pool"})

    refresh(60, is_viewed=True)

    assert {one[:4] for one in differences()} == {
        ("design-pool", "", DESIGN_POOL, None),
        ("design-pool", "", None, "second"),
    }
    assert GroupCopy.objects.of("default").get(name="design-pool").group_id == "second"


def test_a_vanished_group_that_is_back_is_new(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    shown = simulator.group()
    simulator.control("DELETE", f"groups/{DESIGN_POOL}")
    refresh(60, is_viewed=True)

    simulator.control("POST", "groups", {**shown, "description": "restored"})
    refresh(60, is_viewed=True)

    assert [one[:4] for one in differences()] == [
        ("design-pool", "", DESIGN_POOL, None),
        ("design-pool", "", None, DESIGN_POOL),
    ]
    assert (copy_of().vanished_at, copy_of().missing_since) == (None, None)


def test_a_group_that_the_list_hides_stays_with_what_its_own_read_shows(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    second = simulator.control("GET", f"groups/{DESIGN_POOL}")["secondary_server_group_ids"][0]
    simulator.inject({"match": GROUPS, "fault": "hidden_groups", "places": [1]})
    simulator.change(second, description="seen only alone")

    copy = refresh(61, is_viewed=True)

    assert copy.groups == 41
    assert copy_of(second).description == "seen only alone"
    assert (copy_of(second).vanished_at, GroupCopy.objects.of("default").count()) == (None, 42)
    assert [one[:4] for one in differences()] == [
        ("design-pool-standby", "description", "Standby of design-pool", "seen only alone")
    ]


@pytest.mark.parametrize("name", ["wrong_count", "short_list"])
def test_a_read_with_fewer_rows_than_the_count_makes_no_group_missing(
    name: str, simulator: Simulated, refresh: Refresh
) -> None:
    refresh(120)
    options = {"count": 42} if name == "short_list" else {}
    simulator.inject({"match": GROUPS, "fault": name, **options})

    copy = refresh(61, is_viewed=True)

    assert copy.unreadable in (3, 27)
    assert copy.groups_as_of == START + timedelta(seconds=180)
    assert not GroupCopy.objects.exclude(missing_since=None).exists()
    assert differences() == []


@pytest.mark.parametrize("group_id", ["a/b", "..", "a b", "ä", "x" * 129])
def test_a_group_with_an_unusable_id_is_in_the_copy(group_id: str, simulator: Simulated, refresh: Refresh) -> None:
    simulator.control("POST", "groups", {"id": group_id, "name": "unusable"})

    copy = refresh(150)

    assert copy_of(group_id).name == "unusable"
    assert copy_of(group_id).group.id_problem
    assert (copy.groups, copy_of(group_id).details_as_of) == (43, None)
    assert not [one for one in simulator.requests() if one["status"] != 200]


def test_a_group_with_an_unusable_id_vanishes_without_a_call(simulator: Simulated, refresh: Refresh) -> None:
    simulator.control("POST", "groups", {"id": "a b", "name": "unusable"})
    refresh(120)

    simulator.control("DELETE", "groups/a%20b")
    refresh(60, is_viewed=True)

    assert [one[:4] for one in differences()] == [("unusable", "", "a b", None)]


def test_a_read_does_not_overwrite_what_was_stored_after_it_began(
    simulator: Simulated, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh(120)
    simulator.change(description="old")
    compare = copying._compare_all

    def write_meanwhile(*args: Any) -> Any:
        comparison = compare(*args)
        GroupCopy.objects.filter(group_id=DESIGN_POOL).update(
            description="written", read_at=START + timedelta(seconds=120, milliseconds=1)
        )
        return comparison

    monkeypatch.setattr(copying, "_compare_all", write_meanwhile)
    refresh(1, is_viewed=True)

    assert copy_of().description == "written"


def test_a_stored_time_in_the_future_does_not_stop_the_reads(
    simulator: Simulated, refresh: Refresh, clock: time_machine.Traveller
) -> None:
    refresh(120)
    clock.move_to(START - timedelta(days=400))
    simulator.change(description="after the clock went back")

    copy = refresh(60)

    assert copy.groups_as_of is not None
    assert copy.groups_as_of < START - timedelta(days=399)
    assert copy_of().description == "after the clock went back"
    assert copy_of().read_at < START
