"""A field is one line in the field table: the tests follow a new one from the form to the ledger and the snippets."""

import json
import sys
from collections.abc import Callable
from dataclasses import make_dataclass
from importlib import import_module

import pytest
from django.test import Client

from dashboard.accounts.roles import EDIT
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups import fields
from dashboard.server_groups.fields import EditableField, Effect, Section
from dashboard.server_groups.inputs import WholeNumberField
from dashboard.simulator.contract import load_contract
from tests.conftest import DESIGN_POOL, Simulated, address
from tests.markup import read, said
from tests.server_groups.conftest import Entry, ledger

LEDGER = "/projects/default/audit/"
IDLE = EditableField(
    "idle_minutes",
    "Idle time",
    Section.AVAILABILITY,
    Effect.NEXT_SIGN_IN,
    lambda: WholeNumberField(5, 120),
    help="5 to 120.",
    unit="minutes",
    permission=EDIT,
    cascades=True,
    tenant_ceiling=lambda context: context.session_ceiling,
    terraform="idle_time",
    sdk="idle_min",
)


for _name in (
    "dashboard.urls",
    "dashboard.activity.templatetags.activity",
    "dashboard.server_groups.templatetags.server_groups",
):
    import_module(_name)  # a module that is first imported while the table is replaced would keep the replacement


def replace_everywhere(monkeypatch: pytest.MonkeyPatch, name: str, old: object, new: object) -> None:
    """Replace `old` by `new` in each module that has it."""
    for module in [module for path, module in sys.modules.items() if path.startswith("dashboard.")]:
        if getattr(module, name, None) is old:
            monkeypatch.setattr(module, name, new)


@pytest.fixture(autouse=True)
def _idle_time(monkeypatch: pytest.MonkeyPatch, simulator: Simulated) -> None:
    """Add a line to the field table, one to the resource, and the member to the cloud."""
    replace_everywhere(monkeypatch, "FIELDS", fields.FIELDS, (*fields.FIELDS, IDLE))
    monkeypatch.setitem(fields.BY_PATH, IDLE.path, IDLE)
    longer = make_dataclass("ServerGroup", [(IDLE.path, int | None, None)], bases=(ServerGroup,), frozen=True)
    replace_everywhere(monkeypatch, "ServerGroup", ServerGroup, longer)
    members = load_contract().operation("UpdateServerGroup").members
    monkeypatch.setitem(members, IDLE.path, {"type": "integer", "minimum": 5, "maximum": 120})
    simulator.change(idle_minutes=30)
    simulator.control("PUT", "switches", {"max_session_quota": "100"})


def test_a_new_field_is_on_the_group_page_and_in_the_form(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")

    form = read(client.get(address("edit/")))

    box = form.by_id("id_idle_minutes")
    assert (box.attrs["value"], box.attrs["min"], box.attrs["max"]) == ("30", "5", "100")
    assert "5 to 100 minutes. This is the maximum of this account." in form.html
    assert "30 minutes" in said(client.get(address()))


def test_a_new_field_has_its_limits(client_as: Callable[[str], Client], project: Project, simulator: Simulated) -> None:
    response = client_as("administrator").post(address("edit/"), {"idle_minutes": "101"})

    assert "Enter a number from 5 to 100. 101 is outside this range." in said(response)
    assert simulator.patches == []


def test_a_new_field_is_reviewed_with_its_consequences_and_snippets(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    form = read(client.get(address("edit/"))).form("edit-form").fields

    review = client.post(address("edit/review/"), form | {"idle_minutes": "45"})

    assert "Idle time 30 minutes 45 minutes next sign-in" in said(review)
    assert "The cloud also changes this field of the standby design-pool-standby: Idle time." in said(review)
    snippets = [code.text for code in read(review).all("code")]
    assert '"idle_minutes": 45' in snippets[0]
    assert "            idle_min=45," in snippets[2].splitlines()
    assert "--idle_minutes=45" in snippets[3]
    assert "  idle_time = 45" in snippets[4].splitlines()


def test_a_new_field_reaches_the_cloud_the_ledger_its_pages_and_the_export(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    form = read(client.get(address("edit/"))).form("edit-form").fields
    review = read(client.post(address("edit/review/"), form | {"idle_minutes": "45"}))
    carried = next(found.fields for found in review.forms if "submission" in found.fields)

    client.post(address("edit/"), carried)

    assert simulator.patches == [{"idle_minutes": 45}]
    assert simulator.group(DESIGN_POOL)["idle_minutes"] == 45
    assert ledger() == [Entry("edit", "administrator", "design-pool", {"idle_minutes": (30, 45)}, ["applied"])]
    entry = client.get(f"{LEDGER}{ChangeIntent.objects.get().number}/")
    assert "Idle time idle_minutes 30 minutes 45 minutes" in said(entry)
    export = client_as("auditor").get(f"{LEDGER}export.jsonl")
    rows = [json.loads(line) for line in b"".join(export).splitlines()]
    assert rows[0]["changes"] == [{"field": "idle_minutes", "label": "Idle time", "before": 30, "after": 45}]
