"""Response x applied or not x what reads show, for a switch and an edit: page, ledger and cloud agree."""

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from dashboard.server_groups import outcome_check
from dashboard.server_groups.settling import observe_due, settle_unsettled
from tests.conftest import Simulated, address, fault
from tests.markup import said
from tests.server_groups.conftest import entry_of

pytestmark = pytest.mark.django_db

UNTIL_CLEAR = timedelta(seconds=outcome_check.CALL_SECONDS + 16)
OWN = {"error_code": "WKS.00129901", "error_msg": "The cloud said no."}
HTML = "<html>no</html>"


def status(code: int, body: object = OWN) -> dict[str, Any]:
    return {"fault": "status", "status": code, "body": body}


RESPONSES: dict[str, dict[str, Any]] = {
    "200 null": {"fault": "null"},
    "200 html": {"fault": "html"},
    "200 empty": {"fault": "empty"},
    "200 error": {"fault": "error_in_200"},
    **{f"{code}": status(code) for code in (400, 403, 404, 405, 413)},
    **{f"{code}": status(code) for code in (408, 409, 425, 429, 499, 500, 503)},
    **{f"{code} html": status(code, HTML) for code in (400, 401, 403, 429, 502)},
    "gateway 429": {"fault": "retry_after_seconds", "seconds": 60},
    "307": status(307),
}
CERTAIN = {"400", "403", "404", "405", "413"}
READS: dict[str, list[dict[str, Any]]] = {
    "shown": [],
    "only in the list": [fault("missing_members", "GET", times=None, members=["description", "server_group_status"])],
    "wrong type": [fault("wrong_types", "GET", times=None, members=["description", "server_group_status"])],
    "nowhere": [
        {
            "match": {"method": "GET"},
            "fault": "missing_members",
            "members": ["description", "server_group_status"],
            "times": None,
        }
    ],
    "unavailable": [{"match": {"method": "GET"}, "fault": "forbidden", "times": None}],
}
READS_BEFORE = {"switch": 1, "edit": 3}
"""How often a page reads the group and the tenant's ceilings before it sends a change."""
READABLE = {"shown", "only in the list", "wrong type"}


@dataclass(frozen=True)
class Cell:
    kind: str
    response: str
    is_applied: bool
    read: str

    def __str__(self) -> str:
        return f"{self.kind}, {self.response}, {'' if self.is_applied else 'not '}applied, {self.read}"

    @property
    def outcome(self) -> str:
        """The outcome after settling, from the responses and reads."""
        if self.read not in READABLE:
            return self._without_a_read
        if self.is_applied:
            return "applied"
        if self.response in CERTAIN:
            return "rejected"
        return {"gateway 429": "not_sent", "200 null": "unknown"}.get(self.response, "not_applied")

    @property
    def _without_a_read(self) -> str:
        if self.response in CERTAIN:
            return "rejected"
        return "accepted" if (self.response, self.read) == ("200 null", "nowhere") else "unknown"


def cells() -> Iterator[Cell]:
    for kind in ("switch", "edit"):
        for response in RESPONSES:
            for is_applied in (True, False):
                yield from (Cell(kind, response, is_applied, read) for read in READS)


def change(client: Client, kind: str) -> str:
    """Switch off or edit as a browser without JavaScript does, and return the next page."""
    if kind == "switch":
        return said(client.post(address("switch/"), {"status": "off", "reason": "INC-4711"}, follow=True))
    return said(client.post(address("edit/"), {"description": "mine"}, follow=True))


def is_new(simulator: Simulated, kind: str) -> bool:
    group = simulator.group()
    return group["server_group_status"] is False if kind == "switch" else group["description"] == "mine"


def assert_says_only_what_a_read_showed(page: str, cell: Cell) -> None:
    can_know = cell.read in READABLE
    if cell.kind == "switch":
        page = page.replace("whether design-pool is off.", "")
        assert "design-pool is off." not in page or (cell.is_applied and can_know)
        assert "design-pool is still on." not in page or (not cell.is_applied and can_know)
    if cell.response not in CERTAIN:
        assert "safe" not in page
    assert "The answer was lost" not in page


CELLS = list(cells())
if not os.environ.get("ALL_CASES"):
    CELLS = random.Random(4711).sample(CELLS, 100)  # noqa: S311 - a seeded sample of tests
"""`make test-crash` runs all cells, `make test` a seeded sample."""


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_page_ledger_and_cloud_agree(
    project: Project,
    simulator: Simulated,
    client_as: Callable[[str], Client],
    pause: Callable[[timedelta], None],
    cell: Cell,
) -> None:
    client = client_as("administrator")
    patch = {"match": {"method": "PATCH"}, "times": 1, "applied": cell.is_applied, **RESPONSES[cell.response]}
    before = [fault("delay", "GET", times=READS_BEFORE[cell.kind])] if cell.read == "unavailable" else []
    simulator.inject(patch, *before, *READS[cell.read])

    at_once = change(client, cell.kind)
    pause(UNTIL_CLEAR)
    list(settle_unsettled())
    pause(timedelta(minutes=1))
    list(observe_due())

    intent = ChangeIntent.objects.get()
    entry = said(client.get(f"/projects/default/audit/{intent.number}/"))
    exported = b"".join(client.get("/projects/default/audit/export.jsonl").streaming_content)  # type: ignore[attr-defined]
    last = [json.loads(line) for line in exported.splitlines() if b'"outcome"' in line][-1]
    assert len(simulator.patches) == 1
    assert is_new(simulator, cell.kind) is cell.is_applied
    assert (entry_of(intent).outcomes[-1], last["outcome"]) == (cell.outcome, cell.outcome)
    assert intent.outcome_label in entry
    for page in (at_once, entry):
        assert_says_only_what_a_read_showed(page, cell)
