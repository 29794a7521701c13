"""Our own writes in the copy: at once, never older than a newer read, and never taken for changes from outside."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from dashboard.accounts.models import Actor
from dashboard.audit.models import ChangeIntent, Kind, Value
from dashboard.cloud.client import client_for
from dashboard.cloud.projects import Project
from dashboard.inventory.models import GroupCopy, GroupTag, ProjectCopy
from dashboard.inventory.own_writes import store_written
from dashboard.server_groups.outside import record_outside_changes
from dashboard.server_groups.services import update_server_group
from tests.conftest import DESIGN_POOL, Simulated
from tests.inventory.conftest import WATCHED

pytestmark = pytest.mark.django_db(transaction=True)

Refresh = Callable[..., ProjectCopy]
Write = Callable[..., None]
STALE = {"match": {"method": "GET"}, "times": None, "fault": "stale_reads", "seconds": 3600}
"""Every read shows the groups as they were before the test."""


@pytest.fixture
def write(project: Project, acting: Callable[[str], Actor], refresh: Refresh) -> Write:
    """Return a function that sets fields of the group with the dashboard, after a first refresh."""
    refresh(20)

    def change(**changes: Value) -> None:
        update_server_group(
            project=project,
            group_id=DESIGN_POOL,
            changes=changes,
            seen=None,
            reason="",
            key=f"{changes}",
            by=acting("administrator"),
        )

    return change


@pytest.fixture
def watch(refresh: Refresh) -> Callable[[int], None]:
    """Return a function that runs the jobs of the worker for some seconds, while someone looks."""

    def run(seconds: int) -> None:
        for _ in range(seconds):
            ProjectCopy.objects.update(viewed_at=timezone.now())
            refresh(1)
            record_outside_changes()

    return run


def copied() -> GroupCopy:
    return GroupCopy.objects.get(group_id=DESIGN_POOL)


def outside() -> list[tuple[str, Value, Value]]:
    entries = ChangeIntent.objects.filter(kind=Kind.OUTSIDE).order_by("number").with_rows()
    return [(row.field, row.before, row.after) for entry in entries for row in entry.fields.all()]


def test_stale_reads_after_a_write_change_neither_the_copy_nor_the_ledger(
    write: Write, watch: Callable[[int], None], simulator: Simulated
) -> None:
    write(description="ours")
    simulator.inject(STALE)
    watch(40)
    while_stale = copied().description
    simulator.inject()
    watch(90)

    assert (while_stale, copied().description, outside()) == ("ours", "ours", [])


def test_a_change_back_from_outside_right_after_a_write_is_recorded(
    write: Write, watch: Callable[[int], None], simulator: Simulated, clock: time_machine.Traveller
) -> None:
    before = simulator.group()["description"]
    write(description="ours")
    clock.shift(2)
    simulator.change(description=before, update_time=timezone.now().isoformat(timespec="milliseconds"))

    watch(150)

    assert outside() == [("description", "ours", before)]


def test_a_change_from_outside_that_the_verifying_read_shows_first_is_recorded(
    write: Write, watch: Callable[[int], None], simulator: Simulated, clock: time_machine.Traveller
) -> None:
    before = simulator.group()["name"]
    clock.shift(2)
    simulator.change(name="theirs", update_time=timezone.now().isoformat(timespec="milliseconds"))
    write(description="ours")

    watch(150)

    assert outside() == [("name", before, "theirs")]


def test_a_delayed_read_does_not_replace_a_newer_one(project: Project, write: Write, simulator: Simulated) -> None:
    old, began = client_for(project).show_server_group(DESIGN_POOL), timezone.now() - timedelta(seconds=1)
    write(description="ours")

    store_written(project.slug, old, begun_at=began, written=["description"], watched=WATCHED)

    copy = copied()
    assert (copy.description, copy.baseline["description"]) == ("ours", "ours")


def test_a_write_keeps_what_only_the_list_shows(project: Project, write: Write) -> None:
    before, tags = copied(), list(GroupTag.objects.order_by("id").values_list("group__group_id", "key", "value"))

    write(name="renamed")

    copy = copied()
    assert (copy.name, copy.name_key) == ("renamed", "renamed")
    assert (copy.data["tags"], copy.app_groups, copy.servers) == (
        before.data["tags"],
        before.app_groups,
        before.servers,
    )
    assert list(GroupTag.objects.order_by("id").values_list("group__group_id", "key", "value")) == tags


def test_a_group_without_a_copy_gets_none(project: Project, simulator: Simulated) -> None:
    group = client_for(project).show_server_group(DESIGN_POOL)

    store_written(project.slug, group, begun_at=timezone.now(), written=["name"], watched=WATCHED)

    assert GroupCopy.objects.count() == 0
