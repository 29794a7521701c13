"""The initial data of the simulator. The demo and other tests use it."""

from typing import Any

import pytest

from dashboard.simulator.catalogue import IMAGES_BY_ID, PROJECTS
from dashboard.simulator.data import seed_groups
from dashboard.simulator.sample_servers import OPEN_STATES
from dashboard.simulator.state import Store
from tests.simulator.conftest import DESIGN_POOL, OTHER_PROJECT, PROJECT


@pytest.fixture(scope="module")
def groups() -> list[Any]:
    return [seeded.document for seeded in seed_groups(PROJECTS[PROJECT], 42, seed=1)]


def test_the_groups_are_like_those_of_a_company(groups: list[Any]) -> None:
    names = [group["name"] for group in groups]

    assert len(set(names)) == 42
    assert "研发设计组" in names
    assert max(map(len, names)) == 64
    assert [group["name"] for group in groups if not group["server_group_status"]] == [
        "training-lab",
        "legal-archive",
        "library-kiosk",
    ]
    assert {group["image_type"] for group in groups} == {"gold", "private", "shared", "public"}
    assert {group["app_type"] for group in groups} == {"COMMON_APP", "SESSION_DESKTOP_APP"}
    assert {group["is_vdi"] for group in groups} == {True, False}


def test_some_texts_need_escaping_or_wrapping(groups: list[Any]) -> None:
    descriptions = [group["description"] for group in groups]

    assert "" in descriptions
    assert "=1+1" in descriptions
    assert any("<script>" in description for description in descriptions)


def test_all_groups_follow_the_rules_of_an_update(groups: list[Any]) -> None:
    for group in groups:
        assert group["system_disk_size"] >= IMAGES_BY_ID[group["image_id"]].min_disk
        assert bool(group["image_product_id"]) == (group["image_type"] == "gold")
        assert ("route_policy" in group) == (not group["is_vdi"])


def test_primaries_and_standbys_name_each_other(groups: list[Any]) -> None:
    by_id = {group["id"]: group for group in groups}
    pairs = [(group, by_id[standby]) for group in groups for standby in group["secondary_server_group_ids"]]

    assert len(pairs) == 5
    for primary, standby in pairs:
        assert standby["primary_server_group_ids"] == [primary["id"]]
        assert standby["app_type"] == primary["app_type"]
        assert standby["storage_mount_policy"] == primary["storage_mount_policy"]


def test_only_the_project_with_a_directory_has_ous() -> None:
    by_project = {
        project.id: {seeded.document["ou_name"] for seeded in seed_groups(project, 42, 1)}
        for project in PROJECTS.values()
    }

    assert len(by_project[PROJECT]) > 1
    assert by_project[OTHER_PROJECT] == {""}


@pytest.mark.parametrize(("count", "first", "second"), [(0, 0, 0), (1, 1, 1), (5, 5, 5), (42, 42, 8), (1000, 1000, 8)])
def test_the_number_of_groups_is_as_given(count: int, first: int, second: int) -> None:
    store = Store(count, seed=1)

    assert [len(store.groups(project)) for project in (PROJECT, OTHER_PROJECT)] == [first, second]
    assert count == 0 or next(iter(store.groups(PROJECT))) == DESIGN_POOL


def test_a_primary_without_its_standby_has_none() -> None:
    [alone] = seed_groups(PROJECTS[PROJECT], 1, seed=1)

    assert alone.document["secondary_server_group_ids"] == []


def test_generated_names_are_unique() -> None:
    names = [seeded.document["name"] for seeded in seed_groups(PROJECTS[PROJECT], 10_000, seed=1)]

    assert len(set(names)) == 10_000


def test_a_group_is_the_same_in_a_larger_cloud() -> None:
    small, large = (seed_groups(PROJECTS[PROJECT], count, seed=1) for count in (60, 90))

    assert list(small) == list(large)[:60]


def test_a_hundred_thousand_groups_have_servers_at_once() -> None:
    store = Store(100_000, seed=1)
    ids = store.groups(PROJECT).ids

    assert len(set(ids)) == 100_000
    assert 340_000 < store.server_ends(PROJECT, ids, None)[-1] < 370_000
    assert store.groups(PROJECT)[ids[-1]]["id"] == ids[-1]


def test_the_same_seed_makes_the_same_data() -> None:
    first, again, other = (list(seed_groups(PROJECTS[PROJECT], 60, seed)) for seed in (7, 7, 8))

    assert first == again
    assert {group.id for group in first} & {group.id for group in other} == {DESIGN_POOL}


def test_servers_and_sessions_are_the_same_at_each_read() -> None:
    first, again = (Store(42, seed=3) for _ in range(2))

    assert first.group_servers(PROJECT, DESIGN_POOL).servers == again.group_servers(PROJECT, DESIGN_POOL).servers
    assert first.group_servers(PROJECT, DESIGN_POOL) == first.group_servers(PROJECT, DESIGN_POOL)


def test_groups_that_are_off_have_no_open_sessions() -> None:
    store = Store(42, seed=1)
    off = [group for group in store.groups(PROJECT).values() if not group["server_group_status"]]

    sessions = [session for group in off for session in store.group_servers(PROJECT, group["id"]).sessions]

    assert not [session for session in sessions if session["session_state"] in OPEN_STATES]
