"""Refused attempts: short rows, few rows, and only for groups that exist."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.test import Client
from pytest_django import Settings

from dashboard.accounts.models import Actor
from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger import folding
from dashboard.audit.ledger.folding import record_counts
from dashboard.audit.models import ChangeIntent, Repeat, SystemEvent
from dashboard.cloud.projects import Project
from dashboard.server_groups.refusals import Refusal, refuse
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.ledger import run
from tests.server_groups.conftest import GROUP_IDS

pytestmark = pytest.mark.django_db
People = Callable[[str], Client]
Pause = Callable[[timedelta], None]
MINUTE = timedelta(minutes=1)
BECAUSE = "No permission to edit."


def proofs() -> list[str]:
    return [entry.outcomes.get().proof for entry in ChangeIntent.objects.filter(kind="denied").order_by("number")]


def events(kind: str) -> list[tuple[str, str]]:
    return [(event.actor, event.proof) for event in SystemEvent.objects.filter(kind=kind).order_by("number")]


def bytes_of_ledger() -> int:
    return int(run("SELECT sum(length(facts)) FROM ROWS")[0][0])


def test_a_viewer_cannot_fill_the_ledger(client_as: People, project: Project) -> None:
    client = client_as("viewer")
    client.post(address("edit/"), {"name": "x"})
    before = bytes_of_ledger()

    fields = {f"route_policy__{name}": "9" * 10_000 for name in ("max_session", "cpu_threshold", "mem_threshold")}
    for _ in range(100):
        client.post(address("edit/"), fields | {"name": "x" * 10_000, "description": "y" * 10_000})

    assert (bytes_of_ledger() - before, proofs()) == (0, [BECAUSE])


def test_a_refused_attempt_is_stored_short(client_as: People, project: Project) -> None:
    names = ("name", "description", "image_id", "image_type", "ou_name", "session_type", "server_group_status")

    client_as("viewer").post(address("edit/"), dict.fromkeys(names, "x" * 10_000))

    entry = ChangeIntent.objects.get()
    assert [row.after for row in entry.fields.all()] == [f"{'x' * 99}…"] * 5
    assert entry.outcomes.get().proof.startswith(f"{BECAUSE} Fields left out: ")
    assert bytes_of_ledger() < 4000


def test_repeats_within_a_minute_become_one_row_with_their_number(
    client_as: People, project: Project, pause: Pause
) -> None:
    client = client_as("viewer")
    for _ in range(3):
        client.post(address("edit/"), {"name": "TEST"})
    pause(MINUTE)
    client.post(address("edit/"), {"name": "again"})
    client.post(address("edit/"), {"name": "again"})
    pause(MINUTE)
    record_counts()

    first, second, third = proofs()
    assert (first, third) == (BECAUSE, BECAUSE)
    assert second.startswith(f"{BECAUSE} And 2 more since ")
    assert second.endswith(" UTC.")
    assert verify().count > 0  # raises for a broken ledger
    pause(MINUTE)
    record_counts()
    assert (len(proofs()), Repeat.objects.filter(count__gt=0).count()) == (3, 0)


def test_the_worker_forgets_refusals_without_repeats(client_as: People, project: Project, pause: Pause) -> None:
    client_as("viewer").post(address("edit/"), {"name": "TEST"})

    pause(timedelta(hours=1))
    record_counts()

    assert (proofs(), Repeat.objects.count()) == ([BECAUSE], 0)


def test_other_people_groups_and_reasons_have_rows_of_their_own(client_as: People, project: Project) -> None:
    for role in ("viewer", "auditor"):
        for group in list(GROUP_IDS.values())[:2]:
            for page in ("edit/", "switch/"):
                client_as(role).post(address(page, group), {"name": "TEST"})

    rows = ChangeIntent.objects.values_list("actor", "group_name")
    assert (len(rows), len(set(rows))) == (8, 4)


def test_a_person_causes_few_rows_an_hour(
    client_as: People, project: Project, pause: Pause, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_ROWS", 3)
    client = client_as("viewer")
    groups = list(GROUP_IDS.values())

    for group in groups[:10]:
        client.post(address("edit/", group), {"name": "TEST"})
    limited = events("limited")
    pause(timedelta(hours=1))
    record_counts()

    limit = "The ledger has 3 rows about refused attempts within an hour. The rest is counted."
    assert (len(proofs()), limited) == (3, [("viewer", limit)])
    assert [event[1].partition(" since ")[0] for event in events("limited")] == [limit, f"{limit} And 6 more"]
    client.post(address("edit/", groups[11]), {"name": "TEST"})
    assert len(proofs()) == 4


def test_counts_hold_over_threads(project: Project, acting: Callable[[str], Actor], transactional_db: None) -> None:
    refusal = Refusal(project, DESIGN_POOL, BECAUSE, acting("viewer"))

    def attempt() -> None:
        with pytest.raises(PermissionDenied):
            refuse(refusal, {"name": "TEST"})
        connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(proofs()), Repeat.objects.get(key=refusal.fold.key).count) == (1, 7)


@pytest.mark.parametrize("group", ["00000000-0000-4000-8000-000000000000", "x" * 500, "a b", "..", "é"])
@pytest.mark.parametrize("role", ["viewer", "administrator"])
def test_groups_that_do_not_exist_share_one_row(client_as: People, project: Project, role: str, group: str) -> None:
    client = client_as(role)

    statuses = {client.post(address("switch/", f"{group}{number}"), {"status": "on"}).status_code for number in "12"}

    assert (statuses, ChangeIntent.objects.count()) == ({404 if role == "administrator" else 403}, 0)
    assert len(events("unknown_group")) == 1


def test_an_address_with_a_nul_character_does_not_exist(client_as: People, project: Project) -> None:
    client = client_as("viewer")

    statuses = [client.get(address("", "%00")).status_code, client.post(address("edit/", "a%00")).status_code]

    assert statuses == [404, 404]


def test_a_post_to_a_group_of_another_project_is_recorded(
    client_as: People, project: Project, simulator: Simulated, settings: Settings
) -> None:
    client = client_as("administrator")
    client.post(address("switch/"), {"status": "off", "reason": "why"})
    other = replace(project, slug="other", project_id="5d2e8f1a3b7c49d6a0e4c8b2f6d1a3e7", region="af-south-1")
    settings.CLOUD_PROJECTS = (project, other)

    response = client.post(f"/projects/other/server-groups/{DESIGN_POOL}/switch/", {"status": "on"})

    assert (response.status_code, len(simulator.patches)) == (404, 1)
    proof = f"Group {DESIGN_POOL}, project other. The group belongs to project default."
    assert events("unknown_group") == [("administrator", proof)]


def test_a_refusal_is_recorded_while_the_cloud_is_unavailable(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.inject(fault("internal_error", method="GET", times=None))

    client_as("viewer").post(address("edit/"), {"name": "TEST"})

    assert (ChangeIntent.objects.get().group_name, proofs()) == (DESIGN_POOL, [BECAUSE])
