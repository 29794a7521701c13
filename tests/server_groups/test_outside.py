"""Changes outside the dashboard: what the inventory found becomes an entry, unless the ledger explains it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import QuerySet
from django.test import Client

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import LedgerError
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.client import client_for
from dashboard.cloud.projects import Project
from dashboard.inventory.columns import columns_of
from dashboard.inventory.models import Difference, GroupCopy, ProjectCopy
from dashboard.server_groups.outside import record_outside_changes
from dashboard.server_groups.services import switch_server_group, update_server_group
from dashboard.server_groups.settling import observe_due, settle_unsettled
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.ledger import without_table
from tests.markup import read, said, words
from tests.server_groups.conftest import Entry, ledger

pytestmark = pytest.mark.django_db

SINCE = datetime(2026, 11, 24, 10, 42, 7, tzinfo=UTC)
UNTIL = datetime(2026, 11, 24, 10, 42, 22, tzinfo=UTC)
BETWEEN = "outside the dashboard between 2026-11-24 10:42:07 and 2026-11-24 10:42:22 UTC."
ACTIVITY = "/projects/default/audit/"


def found(path: str, before: object, after: object, **changed: Any) -> Difference:
    members: dict[str, Any] = {"project": "default", "group_id": DESIGN_POOL, "group_name": "design-pool"}
    members |= {"path": path, "before": before, "after": after, "since": SINCE, "until": UNTIL, **changed}
    return Difference.objects.create(**members)


def found_now(path: str, before: object, after: object, **changed: Any) -> Difference:
    """A difference between a read a minute ago and one just now."""
    now = datetime.now(UTC)
    return found(path, before, after, since=now - timedelta(minutes=1), until=now, **changed)


def copied(project: Project, group_id: str = DESIGN_POOL) -> GroupCopy:
    """The copy of a group as a first refresh makes it."""
    group, now = client_for(project).show_server_group(group_id), datetime.now(UTC) - timedelta(minutes=5)
    ProjectCopy.objects.get_or_create(slug=project.slug, defaults={"groups": 1, "groups_on": 1})
    return GroupCopy.objects.create(
        project=project.slug, group_id=group_id, read_at=now, first_seen_at=now, **columns_of(group)
    )


def outside(changes: dict[str, tuple[Any, Any]], group: str = "design-pool") -> Entry:
    return Entry("outside", "", group, changes, ["applied"])


def test_the_differences_between_two_reads_of_a_group_are_one_entry() -> None:
    found("name", "design", "design-pool")
    found("route_policy.cpu_threshold", 80, 85)
    found("description", "", "CAD", group_id="another", group_name="finance-apps")

    record_outside_changes()
    record_outside_changes()

    assert sorted(ledger(), key=lambda entry: entry.group) == [
        outside({"name": ("design", "design-pool"), "route_policy.cpu_threshold": (80, 85)}),
        outside({"description": ("", "CAD")}, group="finance-apps"),
    ]
    entry = ChangeIntent.objects.get(group_name="design-pool")
    proof = f"Two reads show the new values. They changed {BETWEEN}"
    assert (entry.actor_id, entry.from_address, entry.outcomes.get().proof) == (None, "", proof)
    assert Difference.objects.count() == 0


def test_a_new_and_a_deleted_group_are_entries() -> None:
    found("", None, DESIGN_POOL)
    found("", "gone", None, group_id="gone", group_name="old-pool")

    record_outside_changes()

    assert sorted(ledger(), key=lambda entry: entry.group) == [
        outside({"id": (None, DESIGN_POOL)}),
        outside({"id": ("gone", None)}, group="old-pool"),
    ]


def test_an_own_change_that_was_verified_is_not_from_outside(project: Project, acting: Callable[[str], Actor]) -> None:
    switch_server_group(project=project, group_id=DESIGN_POOL, on=False, reason="x", key="k", by=acting("help desk"))
    found_now("server_group_status", True, False)

    record_outside_changes()

    assert [entry.kind for entry in ledger()] == ["switch"]
    assert Difference.objects.count() == 0


def test_a_difference_waits_while_a_change_of_the_field_is_unsettled(
    project: Project, simulator: Simulated, acting: Callable[[str], Actor], pause: Callable[[timedelta], None]
) -> None:
    simulator.inject(
        fault("drop_after_applying"), fault("delay", "GET", times=1), fault("forbidden", "GET", times=None)
    )
    switch_server_group(project=project, group_id=DESIGN_POOL, on=False, reason="x", key="k", by=acting("help desk"))
    found_now("server_group_status", True, False)
    record_outside_changes()
    waiting = Difference.objects.count()

    simulator.inject()
    pause(timedelta(minutes=1))
    list(settle_unsettled())
    record_outside_changes()

    assert waiting == 1
    assert [(entry.kind, entry.outcomes[-1]) for entry in ledger()] == [("switch", "applied")]
    assert Difference.objects.count() == 0


def test_a_late_application_is_no_change_from_outside(
    project: Project, simulator: Simulated, acting: Callable[[str], Actor], pause: Callable[[timedelta], None]
) -> None:
    simulator.inject(fault("gateway_timeout"))
    switch_server_group(project=project, group_id=DESIGN_POOL, on=False, reason="x", key="k", by=acting("help desk"))
    pause(timedelta(seconds=31))
    list(settle_unsettled())
    simulator.inject()
    simulator.change(server_group_status=False)
    pause(timedelta(minutes=2))
    now = datetime.now(UTC) + timedelta(minutes=3)
    found("server_group_status", True, False, since=now - timedelta(minutes=2), until=now)
    record_outside_changes()
    list(observe_due())
    record_outside_changes()

    assert [(entry.kind, entry.outcomes) for entry in ledger()] == [("switch", ["unknown", "not_applied", "applied"])]
    assert Difference.objects.count() == 0


def test_another_value_than_the_unsettled_one_is_from_outside(
    project: Project, simulator: Simulated, acting: Callable[[str], Actor]
) -> None:
    simulator.inject(fault("drop_after_applying"))
    update_server_group(
        project=project,
        group_id=DESIGN_POOL,
        changes={"description": "ours"},
        seen=None,
        reason="",
        key="k",
        by=acting("administrator"),
    )
    found_now("description", "CAD users", "theirs")

    record_outside_changes()

    assert [entry.kind for entry in ledger()] == ["edit", "outside"]


def test_a_change_of_the_primary_group_explains_that_of_its_standby(
    project: Project, simulator: Simulated, acting: Callable[[str], Actor]
) -> None:
    standby = simulator.group()["secondary_server_group_ids"][0]
    copied(project, standby)
    update_server_group(
        project=project,
        group_id=DESIGN_POOL,
        changes={"storage_mount_policy": "SHARE"},
        seen=None,
        reason="",
        key="k",
        by=acting("administrator"),
    )
    found_now("storage_mount_policy", "ANY", "SHARE", group_id=standby, group_name="standby")
    found_now("description", "", "theirs", group_id=standby, group_name="standby")

    record_outside_changes()

    assert [(entry.kind, entry.changes) for entry in ledger()][1:] == [("outside", {"description": ("", "theirs")})]


def test_nothing_is_lost_while_the_ledger_is_unavailable(committed: None) -> None:
    found("name", "design", "design-pool")

    with without_table():
        with pytest.raises(LedgerError):
            record_outside_changes()
        waiting = Difference.objects.count()
    record_outside_changes()

    assert (waiting, ledger()) == (1, [outside({"name": ("design", "design-pool")})])


def test_a_process_that_stops_after_the_entry_does_not_record_it_twice(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found("name", "design", "design-pool")
    with monkeypatch.context() as patched:
        patched.setattr(QuerySet, "delete", lambda _rows: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record_outside_changes()
    assert ledger() == []

    record_outside_changes()

    assert ledger() == [outside({"name": ("design", "design-pool")})]
    assert Difference.objects.count() == 0


def test_a_verified_write_goes_into_the_copy_at_once(project: Project, acting: Callable[[str], Actor]) -> None:
    copied(project)

    switch_server_group(project=project, group_id=DESIGN_POOL, on=False, reason="x", key="k", by=acting("help desk"))

    copy, counts = GroupCopy.objects.get(), ProjectCopy.objects.get()
    assert (copy.status, copy.group.server_group_status) == (False, False)
    assert (copy.baseline["server_group_status"], copy.suspected) == (False, {})
    assert (counts.groups_on, counts.groups_off) == (0, 1)


def test_a_broken_copy_does_not_change_the_outcome_of_a_write(
    project: Project, acting: Callable[[str], Actor], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copied(project)
    monkeypatch.setattr("dashboard.inventory.own_writes.columns_of", lambda _group: {"name": None})

    switch_server_group(project=project, group_id=DESIGN_POOL, on=False, reason="x", key="k", by=acting("help desk"))

    assert [entry.outcomes for entry in ledger()] == [["applied"]]
    assert f"The copy of group {DESIGN_POOL} could not be changed" in caplog.text
    assert GroupCopy.objects.get().status is True


def test_pages_say_that_the_author_is_unknown(project: Project, client_as: Callable[[str], Client]) -> None:
    client, copy = client_as("administrator"), copied(project)
    found("description", "CAD users", "CAD")
    record_outside_changes()
    entry = ChangeIntent.objects.get()
    copy.refresh_from_db()

    activity, page = client.get(ACTIVITY, {"kind": "outside"}), client.get(f"{ACTIVITY}{entry.number}/")
    group, attention = (
        client.get(f"/projects/default/server-groups/{DESIGN_POOL}/"),
        client.get(f"{ACTIVITY}attention/"),
    )

    assert copy.changed_outside_at == entry.at
    assert "Someone outside the dashboard changed design-pool" in said(activity)
    assert "Someone outside the dashboard changed this group" in said(group)
    assert "Someone outside the dashboard changed design-pool" in said(page)
    assert "Not known. The change was made outside the dashboard" in said(page)
    assert "between 24 Nov 2026, 10:42:07 UTC and 24 Nov 2026, 10:42:22 UTC" in said(page)
    assert "1 change was made outside the dashboard in the last 24 hours." in said(attention)
    assert f"{ACTIVITY}?kind=outside" in [link.attrs["href"] for link in read(attention).all("a")]
    assert "Someone outside" not in said(client.get(ACTIVITY, {"kind": "edit"}))


def test_pages_say_that_a_group_was_created_or_deleted(client_as: Callable[[str], Client], project: Project) -> None:
    found("", None, DESIGN_POOL)
    found("", "gone", None, group_id="gone", group_name="old-pool")
    record_outside_changes()

    client, created, deleted = client_as("administrator"), *ChangeIntent.objects.order_by("group_name")
    page = said(client.get(ACTIVITY))
    entries = [client.get(f"{ACTIVITY}{entry.number}/") for entry in (created, deleted)]

    assert "Someone outside the dashboard created design-pool" in page
    assert f"Server group no value {DESIGN_POOL}" in page
    assert "Someone outside the dashboard deleted old-pool" in page
    assert "Server group gone no value" in page
    assert f"Two reads show the new group. It was created {BETWEEN}" in said(entries[0])
    assert f"No read finds the group. It was deleted {BETWEEN}" in said(entries[1])
    assert ["Revert" in said(entry) for entry in entries] == [False, False]


def test_a_change_from_outside_is_reverted_like_any_other(
    project: Project, simulator: Simulated, client_as: Callable[[str], Client]
) -> None:
    before, client = simulator.group()["description"], client_as("administrator")
    simulator.change(description="theirs")
    found("description", before, "theirs")
    record_outside_changes()
    number = ChangeIntent.objects.get().number

    (link,) = [a.attrs["href"] for a in read(client.get(f"{ACTIVITY}{number}/")).all("a") if words(a.text) == "Revert"]
    review = client.post(address("edit/review/"), read(client.get(link)).form("edit-form").fields)
    client.post(address("edit/"), next(form.fields for form in read(review).forms if "key" in form.fields))

    assert simulator.group()["description"] == before
    assert [(entry.kind, entry.reason) for entry in ledger()] == [
        ("outside", ""),
        ("revert", f"Reverts entry {number}"),
    ]


def test_filters_of_a_person_show_no_change_from_outside(project: Project, client_as: Callable[[str], Client]) -> None:
    client = client_as("auditor")
    found("description", "CAD users", "theirs")
    record_outside_changes()

    pages = [client.get(ACTIVITY, query) for query in ({"actor": "auditor"}, {"q": "pool"}, {"field": "description"})]

    assert ["Someone outside the dashboard changed design-pool" in said(page) for page in pages] == [False, True, True]


def test_the_ledger_with_changes_from_outside_verifies(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    found("name", "design", "design-pool")
    record_outside_changes()

    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify")

    assert ended.value.code in {0, None}
