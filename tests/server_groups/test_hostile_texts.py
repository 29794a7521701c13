"""Texts of the cloud are shown as plain text and never reveal a secret."""

import csv
import io
import json
import logging
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from dashboard.audit.models import ChangeIntent
from dashboard.cloud import client as cloud_client
from dashboard.cloud.credentials import TokenCredential
from dashboard.cloud.projects import Project
from tests.cloud.scripted import Received, Responder, project_at, respond, scripted_cloud
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import read
from tests.server_groups.test_switch import OFF, switch

People = Callable[[str], Client]
LEDGER = "/projects/default/audit/"
TOKEN = "".join(random.Random(7).choices(string.ascii_letters + string.digits + "+/", k=3000))  # noqa: S311 (a test's)
MARKED = "pool \u202efdp.exe\u2066\u200f"
VISIBLE = "pool [U+202E]fdp.exe[U+2066][U+200F]"
MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def parts_of_the_token(text: str) -> list[str]:
    return [TOKEN[place : place + 8] for place in range(len(TOKEN) - 7) if TOKEN[place : place + 8] in text]


@pytest.fixture
def echoing(simulator: Simulated, settings: Settings) -> Iterator[Project]:
    """A project whose cloud refuses every change and repeats the token: in the message, its code, and a header."""
    group = simulator.group() | {"description": f"Accepts {TOKEN}"}
    echo = {"error_code": f"WKS.{TOKEN[:40]}", "error_msg": f"The token {TOKEN} is not accepted.", "request_id": TOKEN}

    def route(received: Received) -> Responder:
        path = received.path.partition("?")[0]
        if received.method == "PATCH" or path.endswith("/volume-type"):
            return respond(403, echo, {"X-Request-Id": TOKEN[1000:]})
        if path.endswith("/app-server-groups"):
            return respond(200, {"items": [group], "count": 1})
        return respond(200, group if path.endswith(DESIGN_POOL) else {"items": [], "count": 0})

    with scripted_cloud(route=route) as cloud:
        project = project_at(cloud.url, TokenCredential(TOKEN))
        settings.CLOUD_PROJECTS = (project,)
        yield project
        cloud_client.client_for(project).close()
        cloud_client._clients.clear()


def test_no_part_of_an_echoed_token_is_shown_logged_or_recorded(
    client_as: People, echoing: Project, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    groups, audit = "/projects/test/server-groups/", "/projects/test/audit/"
    refused = client_as("help desk").post(f"{groups}{DESIGN_POOL}/switch/", OFF, follow=True)
    entry = ChangeIntent.objects.get()
    admin, auditor = client_as("administrator"), client_as("auditor")
    pages = [
        refused,
        *(admin.get(f"{groups}{page}") for page in ("", f"{DESIGN_POOL}/", f"{DESIGN_POOL}/edit/", "cloud-check/")),
        *(auditor.get(f"{audit}{page}") for page in ("", f"{entry.number}/")),
    ]
    exports = [b"".join(auditor.get(f"{audit}export.{suffix}")) for suffix in ("csv", "jsonl")]

    texts = [*(page.content for page in pages), *exports]
    assert [parts_of_the_token(text.decode()) for text in texts] == [[]] * 9
    assert parts_of_the_token(caplog.text) == []
    assert entry.outcomes.get().error_msg == "The token *** is not accepted."
    assert [page.status_code for page in pages] == [200] * 7


def test_direction_marks_are_visible_on_every_page(client_as: People, project: Project, simulator: Simulated) -> None:
    simulator.change(name=MARKED, description=MARKED)
    body = {"error_code": "WKS.0001", "error_msg": f"No: {MARKED}"}
    simulator.inject(fault("status", status=400, body=body))
    desk, auditor = client_as("help desk"), client_as("auditor")
    refused = switch(desk, OFF, follow=True)
    entry = ChangeIntent.objects.get()

    pages = {
        "after the switch": refused,
        "list": desk.get(address(group_id=None)),
        "part of the list": desk.get(address(group_id=None), headers={"HX-Request": "true"}),
        "group": desk.get(address()),
        "edit form": client_as("administrator").get(address("edit/")),
        "switch dialog": desk.get(address("switch/"), headers={"HX-Request": "true"}),
        "activity": auditor.get(LEDGER),
        "entry": auditor.get(f"{LEDGER}{entry.number}/"),
    }
    texts = {name: page.content.decode() for name, page in pages.items()}

    assert [(name, mark) for name, text in texts.items() for mark in MARKS if mark in text] == []
    assert [name for name, text in texts.items() if VISIBLE not in text] == []
    assert f"No: {VISIBLE}" in texts["entry"]


def test_direction_marks_are_visible_in_csv_and_escaped_in_json_lines(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.change(name=MARKED)
    switch(client_as("help desk"), OFF)
    auditor = client_as("auditor")
    as_csv, as_json = (b"".join(auditor.get(f"{LEDGER}export.{suffix}")) for suffix in ("csv", "jsonl"))

    rows = list(csv.DictReader(io.StringIO(as_csv.decode(), newline="")))
    assert {row["group_name"] for row in rows} == {VISIBLE}
    assert as_json.isascii()
    assert {json.loads(line)["group_name"] for line in as_json.splitlines()} == {MARKED}


def edit(client: Client, changes: dict[str, str]) -> Any:
    """Send the form of a page with some changes."""
    fields = read(client.get(address("edit/"))).form("edit-form").fields
    return client.post(address("edit/"), fields | changes, follow=True)


def test_an_unchanged_form_with_direction_marks_sends_nothing(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.change(name=MARKED, description=f"{MARKED}\nsecond line", ou_name=MARKED)

    edit(client_as("administrator"), {})

    assert simulator.patches == []


def test_a_form_with_direction_marks_sends_only_the_changed_field(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.change(description=MARKED, ou_name=MARKED)

    edit(client_as("administrator"), {"name": "TEST"})

    assert simulator.patches == [{"name": "TEST"}]


def test_an_option_with_direction_marks_stays_selected(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.change(system_disk_type=MARKED)

    shown_again = edit(client_as("administrator"), {"name": "not a name!"})

    assert read(shown_again).form("edit-form").fields["system_disk_type"] == VISIBLE
    assert simulator.patches == []
