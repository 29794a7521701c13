"""Taking back a change from its entry: what still holds is put back, through the form and its review."""

from collections.abc import Callable

import pytest
from django.test import Client

from dashboard.accounts.models import Actor
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from dashboard.server_groups.inputs import Value
from dashboard.server_groups.services import update_server_group
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import read, said, words
from tests.server_groups.conftest import GROUP_IDS, Told, ledger, told

People = Callable[[str], Client]
LEDGER = "/projects/default/audit/"


@pytest.fixture
def changed(project: Project, simulator: Simulated, acting: Callable[[str], Actor]) -> Callable[..., ChangeIntent]:
    """Makes a change and returns its entry."""

    def change(**changes: Value) -> ChangeIntent:
        written = update_server_group(
            project=project,
            group_id=DESIGN_POOL,
            changes={path.replace("__", "."): value for path, value in changes.items()},
            seen=None,
            reason="",
            key=f"{changes}",
            by=acting("administrator"),
        )
        assert written.intent is not None
        simulator.control("DELETE", "requests")
        return written.intent

    return change


def test_a_change_is_taken_back_through_form_and_review(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent]
) -> None:
    entry = changed(name="TEST", route_policy__cpu_threshold=85)
    client = client_as("administrator")

    page = read(client.get(f"{LEDGER}{entry.number}/"))
    (link,) = [a.attrs["href"] for a in page.all("a") if words(a.text) == "Take back"]
    form = read(client.get(link)).form("edit-form").fields
    review = client.post(address("edit/review/"), form)
    carried = next(f.fields for f in read(review).forms if "key" in f.fields)
    client.post(address("edit/"), carried)

    assert "Name TEST design-pool now CPU threshold 85 % 80 % now" in said(review)
    (patch,) = simulator.patches
    assert (patch["name"], patch["route_policy"]["cpu_threshold"]) == ("design-pool", 80)
    assert ledger()[-1] == Told(
        "revert",
        "administrator",
        "TEST",
        {"name": ("TEST", "design-pool"), "route_policy.cpu_threshold": (85, 80)},
        ["applied"],
        f"Takes back entry {entry.number}",
    )
    assert "administrator reverted design-pool" in said(client.get(f"{LEDGER}?kind=revert")).replace(
        "TEST", "design-pool"
    )


def test_what_someone_changed_since_is_named_and_left(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent]
) -> None:
    entry = changed(name="TEST", description="new")
    simulator.change(description="newer")

    answer = client_as("administrator").get(f"{address('edit/')}?revert={entry.number}")

    form = read(answer).form("edit-form").fields
    assert (form["name"], form["description"]) == ("design-pool", "newer")
    assert "Left as they are, because they hold another value by now: Description." in said(answer)


@pytest.mark.parametrize("number", ["999", "0", "x", "-1", "9" * 40, "\u0663"])
def test_an_entry_that_is_none_of_this_group_is_no_page(
    client_as: People, changed: Callable[..., ChangeIntent], number: str
) -> None:
    entry, client = changed(name="TEST"), client_as("administrator")

    assert client.get(f"{address('edit/')}?revert={number}").status_code == 404
    assert client.get(f"{address('edit/', GROUP_IDS['qa-windows'])}?revert={entry.number}").status_code == 404


@pytest.mark.parametrize("role", ["help desk", "auditor"])
def test_who_may_not_edit_is_not_offered_to_take_back(
    client_as: People, changed: Callable[..., ChangeIntent], role: str
) -> None:
    entry, client = changed(name="TEST"), client_as(role)

    assert "Take back" not in said(client.get(f"{LEDGER}{entry.number}/"))
    assert client.get(f"{address('edit/')}?revert={entry.number}").status_code == 403


def test_what_was_not_applied_cannot_be_taken_back(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent]
) -> None:
    simulator.play(fault("bad_request"))
    entry = changed(name="TEST")

    assert told(entry).outcomes == ["rejected"]
    assert "Take back" not in said(client_as("administrator").get(f"{LEDGER}{entry.number}/"))
