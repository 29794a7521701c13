"""Which part is due, how often, within which budget, and what happens when the cloud or a process fails."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import Settings

from dashboard.cloud.client import client_for
from dashboard.cloud.projects import Project, load_projects
from dashboard.inventory import copying, leases, refresher
from dashboard.inventory.models import GroupCopy, ProjectCopy
from dashboard.inventory.problems import explain_problem
from dashboard.inventory.refresher import refresh_inventory
from dashboard.simulator.server import SimulatorServer
from tests.conftest import DESIGN_POOL, PROJECT_ID, Simulated

from .conftest import START, WATCHED, Refresh

pytestmark = pytest.mark.django_db

GROUPS = {"method": "GET", "path": "*/app-server-groups"}
SERVERS = {"method": "GET", "path": "*/app-servers"}
READ_ONLY = "SIMULATORREADONLY001"


def calls(simulator: Simulated) -> dict[str, int]:
    """The number of calls for each part since the last time, and none of another kind."""
    paths = [one["path"].removeprefix(f"/v1/{PROJECT_ID}/") for one in simulator.requests()]
    simulator.control("DELETE", "requests")
    kinds = {"app-server-groups": "groups", "app-servers": "servers"}
    return dict(Counter(kinds.get(path, "details") for path in paths))


def after(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def test_reads_a_small_project_in_the_first_seconds(simulator: Simulated, refresh: Refresh) -> None:
    copy = refresh(1)

    assert (copy.groups_as_of, copy.servers_as_of) == (START, START)
    assert calls(simulator) == {"groups": 1, "servers": 2, "details": 12}


def test_reads_groups_every_five_minutes_while_nobody_looks(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    calls(simulator)

    refresh(900)

    assert calls(simulator) == {"groups": 3, "servers": 2 * 3}


def test_reads_groups_every_15_seconds_and_servers_every_minute_while_someone_looks(
    simulator: Simulated, refresh: Refresh
) -> None:
    refresh(120)
    calls(simulator)

    refresh(300, is_viewed=True)

    assert calls(simulator) == {"groups": 20, "servers": 2 * 5}


def test_nobody_looks_any_more_a_minute_after_the_last_page(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    refresh(1, is_viewed=True)
    calls(simulator)

    refresh(299)

    assert calls(simulator) == {"groups": 3}


def test_a_request_for_a_refresh_is_met_at_once_and_only_once(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    calls(simulator)
    ProjectCopy.objects.update(asked_at=timezone.now() - timedelta(milliseconds=1))

    copy = refresh(60)

    assert copy.groups_as_of == after(120)
    assert calls(simulator) == {"groups": 1, "servers": 2}


def test_reads_the_details_of_each_group_once_a_day(
    simulator: Simulated, refresh: Refresh, clock: time_machine.Traveller
) -> None:
    refresh(120)
    calls(simulator)

    clock.shift(86_400 - 130)
    refresh(9)
    before = calls(simulator).get("details", 0)
    refresh(180)

    assert (before, calls(simulator)["details"]) == (0, 42)


def test_reads_the_details_of_a_group_whose_update_time_moved(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    calls(simulator)
    simulator.change(update_time=after(120).isoformat())

    refresh(60, is_viewed=True)

    assert calls(simulator)["details"] == 1
    assert GroupCopy.objects.get(group_id=DESIGN_POOL).details_as_of == after(123)


def test_the_copy_stays_as_it_was_while_the_cloud_is_unavailable(simulator: Simulated, refresh: Refresh) -> None:
    before = refresh(120)
    rows = list(GroupCopy.objects.order_by("pk").values())
    simulator.inject({"fault": "unavailable"})

    copy = refresh(600)

    assert (copy.groups_as_of, copy.servers_as_of) == (before.groups_as_of, before.servers_as_of)
    assert {copy.groups_problem, copy.servers_problem} <= {"UnavailableError", "CircuitOpenError"}
    assert (copy.groups_pages, copy.groups_pages_read) == (0, 0)
    assert list(GroupCopy.objects.order_by("pk").values()) == rows


def test_reads_again_after_the_cloud_was_unavailable(simulator: Simulated, refresh: Refresh, project: Project) -> None:
    refresh(120)
    simulator.inject({"fault": "unavailable"})
    refresh(600)
    simulator.inject()
    for breaker in client_for(project)._breakers.values():
        if breaker._open_until is not None:
            breaker._open_until -= breaker.OPEN_FOR  # the breaker's clock is not the one that this test moves

    copy = refresh(60)

    assert (copy.groups_problem, copy.servers_problem) == ("", "")
    assert copy.groups_as_of is not None
    assert copy.groups_as_of > after(700)


def test_probes_the_cloud_once_when_the_circuit_breaker_allows_it(
    simulator: Simulated, refresh: Refresh, project: Project
) -> None:
    refresh(120)
    simulator.inject({"fault": "unavailable"})
    refresh(300, is_viewed=True)
    assert client_for(project).is_circuit_open
    calls(simulator)

    refresh(120, is_viewed=True)
    while_open = calls(simulator)
    for breaker in client_for(project)._breakers.values():
        breaker._open_until = breaker._open_until and 0.0
    refresh(20, is_viewed=True)

    assert while_open == {}
    assert sum(calls(simulator).values()) == 1


@pytest.mark.parametrize("fault", ["unavailable", "reset_before", "cut_json", "throttled"])
def test_a_read_survives_single_failures(fault: str, simulator: Simulated, refresh: Refresh) -> None:
    simulator.inject({"fault": fault, "times": 2})

    copy = refresh(180)

    assert (copy.groups, copy.groups_problem, copy.servers_problem) == (42, "", "")
    assert copy.servers_as_of is not None
    assert not GroupCopy.objects.filter(details_as_of=None).exists()


def test_too_many_calls_halve_the_budget_for_ten_minutes(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    simulator.inject({"match": GROUPS, "fault": "throttled", "times": 1})

    copy = refresh(60, is_viewed=True)

    assert copy.halved_until == after(720)
    assert (copy.groups_problem, copy.groups_as_of) == ("", after(165))


def test_too_many_calls_for_ten_minutes_are_a_problem_that_passes(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    simulator.inject({"fault": "throttled"})
    throttled = refresh(600, is_viewed=True)
    made = calls(simulator)
    simulator.inject()

    copy = refresh(60, is_viewed=True)

    assert (throttled.groups_problem, throttled.groups_as_of) == ("ThrottledError", after(0))
    assert sum(made.values()) - 57 < 150
    assert (copy.groups_problem, copy.servers_problem) == ("", "")


def test_groups_go_on_if_the_credential_must_not_list_servers(
    simulator: Simulated, refresh: Refresh, settings: Settings
) -> None:
    settings.CLOUD_PROJECTS = load_projects(
        {
            "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
            "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
            "WORKSPACE_ENDPOINT": simulator.url,
            "HUAWEICLOUD_SDK_AK": READ_ONLY,
            "HUAWEICLOUD_SDK_SK": "simulator-secret-key-02",
        }
    )
    simulator.control("PUT", f"permissions/{READ_ONLY}", {"taken": ["workspace:server:list"]})

    copy = refresh(300, is_viewed=True)
    explained = explain_problem("servers", copy.servers_problem)
    made = calls(simulator)
    simulator.control("PUT", f"permissions/{READ_ONLY}", {"taken": []})
    ProjectCopy.objects.update(asked_at=timezone.now() - timedelta(milliseconds=1))
    allowed = refresh(5)

    assert (copy.servers_problem, copy.servers_as_of, copy.groups_problem) == ("ForbiddenError", None, "")
    assert explained is not None
    assert (explained.cause, explained.actions) == (
        "The credential of this dashboard lacks a permission.",
        ("workspace:server:list",),
    )
    assert (made["groups"], made["servers"]) == (20, 1)
    assert (allowed.servers_problem, allowed.servers_as_of) == ("", after(300))


def test_servers_are_not_summed_from_a_list_that_lacks_rows(simulator: Simulated, refresh: Refresh) -> None:
    simulator.inject({"match": SERVERS, "fault": "short_list", "count": 200, "rows": 150})

    copy = refresh(60)

    assert (copy.servers_problem, copy.servers_as_of) == ("IncompleteListError", None)
    assert set(GroupCopy.objects.values_list("ready", "servers_as_of")) == {(None, None)}
    assert GroupCopy.objects.get(group_id=DESIGN_POOL).servers == 3


@pytest.mark.parametrize("fault", [{"fault": "changing_list"}, {"fault": "shifting_list"}, {"fault": "repeated_rows"}])
def test_a_list_that_moves_while_it_is_read_reports_no_vanished_group(
    fault: dict[str, Any], settings: Settings, clock: time_machine.Traveller
) -> None:
    with SimulatorServer(groups=450) as server:
        simulator = Simulated(server.url)
        settings.CLOUD_PROJECTS = (simulated_project(server.url),)
        run_for(60, clock)
        known = set(GroupCopy.objects.values_list("group_id", flat=True))
        simulator.inject({"match": GROUPS, **fault})
        run_for(120, clock, is_viewed=True)
        simulator.inject()
        run_for(120, clock, is_viewed=True)

        current = {one["id"] for one in listed(server)}

    assert len(known) == 450
    assert set(GroupCopy.objects.of("default").values_list("group_id", flat=True)) == current
    assert not GroupCopy.objects.exclude(vanished_at=None).filter(group_id__in=current).exists()


def simulated_project(url: str, **changed: str) -> Project:
    environ = {
        "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
        "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
        "WORKSPACE_ENDPOINT": url,
        "WORKSPACE_AUTH_TOKEN": "simulator-token",
    }
    return load_projects({**environ, **changed})[0]


def listed(server: SimulatorServer) -> list[Mapping[str, Any]]:
    store = server._app._tenant.store
    return list(store.groups(PROJECT_ID).values())


def run_for(seconds: int, clock: time_machine.Traveller, *, is_viewed: bool = False) -> None:
    for _ in range(seconds):
        if is_viewed:
            ProjectCopy.objects.update(viewed_at=timezone.now())
        refresh_inventory(watched=WATCHED)
        clock.shift(1)


def test_the_first_copy_shows_its_rows_and_progress_as_they_come(
    settings: Settings, clock: time_machine.Traveller
) -> None:
    with SimulatorServer(groups=3000) as server:
        settings.CLOUD_PROJECTS = (simulated_project(server.url),)
        run_for(2, clock)
        copy = ProjectCopy.objects.get()
        rows = GroupCopy.objects.count()
        run_for(30, clock)

    assert (copy.groups_as_of, copy.groups_pages) == (None, 30)
    assert 1000 <= rows <= 1700
    assert 10 <= copy.groups_pages_read <= 17
    assert ProjectCopy.objects.get().groups == GroupCopy.objects.count() == 3000


def test_only_the_holder_of_the_lease_reads(
    simulator: Simulated, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh(120)
    calls(simulator)
    ProjectCopy.objects.update(leased_until=after(150), lease_holder="another process")

    held = refresh(30, is_viewed=True)
    while_held = calls(simulator)
    taken = refresh(10, is_viewed=True)

    assert (while_held, held.lease_holder) == ({}, "another process")
    assert (taken.groups_as_of, taken.lease_holder) == (after(150), leases.holder())


def test_a_lease_far_in_the_future_is_from_a_wrong_clock(simulator: Simulated, refresh: Refresh) -> None:
    refresh(120)
    ProjectCopy.objects.update(leased_until=after(86_400 * 365), lease_holder="another process")

    copy = refresh(5, is_viewed=True)

    assert copy.groups_as_of == after(120)


def test_a_process_that_lost_the_lease_stores_nothing(
    simulator: Simulated, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = refresh(120)
    rows = list(GroupCopy.objects.order_by("pk").values())
    simulator.change(description="read by two processes")
    compare = copying._compare_all

    def lose_lease(*args: Any) -> Any:
        ProjectCopy.objects.update(leased_until=after(140), lease_holder="another process")
        return compare(*args)

    monkeypatch.setattr(copying, "_compare_all", lose_lease)
    copy = refresh(1, is_viewed=True)

    assert copy.groups_as_of == before.groups_as_of
    assert list(GroupCopy.objects.order_by("pk").values()) == rows


def test_another_process_begins_anew_after_a_kill(settings: Settings, clock: time_machine.Traveller) -> None:
    with SimulatorServer(groups=3000) as server:
        settings.CLOUD_PROJECTS = (simulated_project(server.url),)
        run_for(2, clock)
        refresher._refreshers.clear()  # the process ends in the middle of the first copy
        ProjectCopy.objects.update(lease_holder="the killed process")
        run_for(25, clock)
        while_leased = ProjectCopy.objects.get().groups_as_of
        run_for(60, clock)

    copy = ProjectCopy.objects.get()
    assert while_leased is None
    assert copy.groups_as_of is not None
    assert after(28) <= copy.groups_as_of <= after(35)
    assert (copy.groups, GroupCopy.objects.count()) == (3000, 3000)


def test_an_error_of_one_project_does_not_stop_the_others(
    simulator: Simulated,
    settings: Settings,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    second = {"HUAWEICLOUD_SDK_PROJECT_ID": "5d2e8f1a3b7c49d6a0e4c8b2f6d1a3e7", "HUAWEICLOUD_SDK_REGION": "af-south-1"}
    first, other = simulated_project(simulator.url), simulated_project(simulator.url, **second)
    settings.CLOUD_PROJECTS = (first, replace(other, slug="other"))
    store_pass = copying.store_pass

    def fail_for_the_first(copy: ProjectCopy, *args: Any) -> Any:
        if copy.slug == "default":
            raise DatabaseError("database or disk is full")
        return store_pass(copy, *args)

    monkeypatch.setattr(copying, "store_pass", fail_for_the_first)
    with caplog.at_level(logging.ERROR):
        run_for(5, clock)
    as_of = dict(ProjectCopy.objects.values_list("slug", "groups_as_of"))
    monkeypatch.undo()
    run_for(20, clock)

    assert as_of == {"default": None, "other": START}
    assert [record.message for record in caplog.records] == ["A refresh of the inventory failed and begins anew"]
    assert ProjectCopy.objects.get(slug="default").groups == 42


def test_a_clock_that_goes_back_does_not_stop_the_refresh(
    simulator: Simulated, refresh: Refresh, clock: time_machine.Traveller
) -> None:
    refresh(120, is_viewed=True)
    clock.move_to(START - timedelta(days=30))

    copy = refresh(20, is_viewed=True)

    assert copy.groups_as_of is not None
    assert copy.groups_as_of < START - timedelta(days=29)
    assert copy.groups_problem == ""
