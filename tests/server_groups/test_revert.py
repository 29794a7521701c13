"""Reverting a change from its entry, through the form and its review."""

from collections.abc import Callable

import pytest
from django.test import Client

from dashboard.accounts.models import Actor
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from dashboard.server_groups.inputs import Value
from dashboard.server_groups.services import switch_server_group, update_server_group
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import Rendered, read, said, words
from tests.server_groups.conftest import GROUP_IDS, Entry, entry_of, ledger

People = Callable[[str], Client]
LEDGER = "/projects/default/audit/"


def links(response: Rendered) -> list[str]:
    return [words(a.text) for a in read(response).all("a")]


@pytest.fixture
def changed(project: Project, simulator: Simulated, acting: Callable[[str], Actor]) -> Callable[..., ChangeIntent]:
    """Make a change and return its entry."""

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


def test_a_change_is_reverted_through_form_and_review(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent]
) -> None:
    entry = changed(name="TEST", route_policy__cpu_threshold=85)
    client = client_as("administrator")

    page = read(client.get(f"{LEDGER}{entry.number}/"))
    (link,) = [a.attrs["href"] for a in page.all("a") if words(a.text) == "Revert"]
    form = read(client.get(link)).form("edit-form").fields
    review = client.post(address("edit/review/"), form)
    carried = next(f.fields for f in read(review).forms if "key" in f.fields)
    client.post(address("edit/"), carried)

    assert "Name TEST design-pool now CPU threshold 85 % 80 % now" in said(review)
    (patch,) = simulator.patches
    assert (patch["name"], patch["route_policy"]["cpu_threshold"]) == ("design-pool", 80)
    assert ledger()[-1] == Entry(
        "revert",
        "administrator",
        "TEST",
        {"name": ("TEST", "design-pool"), "route_policy.cpu_threshold": (85, 80)},
        ["applied"],
        f"Reverts entry {entry.number}",
    )
    assert "administrator reverted design-pool" in said(client.get(f"{LEDGER}?kind=revert")).replace(
        "TEST", "design-pool"
    )


def test_a_field_changed_since_is_named_and_not_reverted(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent]
) -> None:
    entry = changed(name="TEST", description="new")
    simulator.change(description="newer")

    response = client_as("administrator").get(f"{address('edit/')}?revert={entry.number}")

    form = read(response).form("edit-form").fields
    assert (form["name"], form["description"]) == ("design-pool", "newer")
    assert "Not reverted, because they have another value now: Description." in said(response)


@pytest.mark.parametrize("number", ["999", "0", "x", "-1", "9" * 40, "\u0663"])
def test_an_entry_of_another_group_is_not_found(
    client_as: People, changed: Callable[..., ChangeIntent], number: str
) -> None:
    entry, client = changed(name="TEST"), client_as("administrator")

    assert client.get(f"{address('edit/')}?revert={number}").status_code == 404
    assert client.get(f"{address('edit/', GROUP_IDS['qa-windows'])}?revert={entry.number}").status_code == 404


@pytest.mark.parametrize("role", ["help desk", "auditor"])
def test_without_the_permission_to_edit_revert_is_not_offered(
    client_as: People, changed: Callable[..., ChangeIntent], role: str
) -> None:
    entry, client = changed(name="TEST"), client_as(role)

    assert "Revert" not in links(client.get(f"{LEDGER}{entry.number}/"))
    assert client.get(f"{address('edit/')}?revert={entry.number}").status_code == 403


def sent_revert(client: Client, entry: ChangeIntent, **typed: str) -> ChangeIntent:
    """Follow the link to revert an entry, change the form by `typed`, send the review, and return the new entry."""
    form = read(client.get(f"{address('edit/')}?revert={entry.number}")).form("edit-form").fields
    review = read(client.post(address("edit/review/"), form | typed))
    carried = next(found.fields for found in review.forms if "key" in found.fields)
    client.post(address("edit/"), carried | {name: text for name, text in typed.items() if name == "reason"})
    newest = ChangeIntent.objects.first()
    assert newest is not None
    return newest


def test_entry_and_revert_name_each_other(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent]
) -> None:
    entry, client = changed(name="TEST"), client_as("administrator")

    reverting = sent_revert(client, entry)

    def facts(number: int) -> dict[str, str]:
        page = read(client.get(f"{LEDGER}{number}/"))
        return {words(dt.text): words(dd.text) for dt, dd in zip(page.all("dt"), page.all("dd"), strict=True)}

    assert facts(reverting.number)["Reverts"] == f"Entry {entry.number}"
    assert facts(entry.number)["Reverted by"] == f"Entry {reverting.number}"
    assert "Reverted by" not in facts(reverting.number)


@pytest.mark.parametrize(
    ("typed", "kept"), [("INC-9", "Reverts entry {}: INC-9"), ("", "Reverts entry {}"), (" ", "Reverts entry {}")]
)
def test_the_reason_of_a_revert_always_names_the_entry(
    client_as: People, changed: Callable[..., ChangeIntent], typed: str, kept: str
) -> None:
    entry = changed(name="TEST")

    reverting = sent_revert(client_as("administrator"), entry, reason=typed)

    assert (reverting.kind, reverting.reason) == ("revert", kept.format(entry.number))


def test_an_administrator_can_revert_a_switch(
    client_as: People, project: Project, simulator: Simulated, acting: Callable[[str], Actor]
) -> None:
    written = switch_server_group(
        project=project, group_id=DESIGN_POOL, on=False, reason="why", key="off", by=acting("help desk")
    )
    assert written.intent is not None

    reverting = sent_revert(client_as("administrator"), written.intent)

    assert (entry_of(reverting).changes, entry_of(reverting).outcomes) == (
        {"server_group_status": (False, True)},
        ["applied"],
    )
    assert reverting.kind == "revert"


def test_a_form_that_restores_no_value_is_an_edit(client_as: People, changed: Callable[..., ChangeIntent]) -> None:
    entry = changed(name="TEST")

    other = sent_revert(client_as("administrator"), entry, name="TEST", description="another thing")

    assert (other.kind, list(entry_of(other).changes)) == ("edit", ["description"])


@pytest.mark.parametrize("number", ["1000000", "9" * 40])
def test_a_revert_of_no_entry_of_this_group_is_an_edit(
    client_as: People, project: Project, simulator: Simulated, number: str
) -> None:
    client_as("administrator").post(address("edit/"), {"name": "TEST", "revert": number, "reason": "why"})

    assert [(entry.kind, entry.reason) for entry in ledger()] == [("edit", "why")]


@pytest.mark.parametrize(
    ("now", "words_"),
    [
        ({"name": "newer"}, "Not reverted, because they have another value now: Name."),
        ({"name": "design-pool"}, "Not reverted, because they have the earlier value already: Name."),
    ],
)
def test_an_entry_without_revertible_fields_shows_the_reason(
    client_as: People,
    simulator: Simulated,
    changed: Callable[..., ChangeIntent],
    now: dict[str, str],
    words_: str,
) -> None:
    entry, client = changed(name="TEST"), client_as("administrator")
    simulator.change(**now)

    response = client.get(f"{address('edit/')}?revert={entry.number}", follow=True)

    assert response.redirect_chain == [(f"{LEDGER}{entry.number}/", 302)]
    assert f"There is nothing to revert. {words_}" in said(response)
    assert simulator.patches == []


def test_fixed_and_unknown_values_are_not_reverted(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent]
) -> None:
    simulator.inject(
        fault("missing_members", "GET", members=["ou_name"]),
        {"match": {"path": "*/app-server-groups"}, "fault": "forbidden", "times": 1},
    )
    entry = changed(ou_name="OU=A", app_type="SESSION_DESKTOP_APP", name="TEST")
    simulator.change(primary_server_group_ids=["another"])

    response = client_as("administrator").get(f"{address('edit/')}?revert={entry.number}")

    assert read(response).form("edit-form").fields["name"] == "design-pool"
    assert (
        "Not reverted, because the earlier value is not known: Organisational unit. "
        "Not reverted, because they can no longer be changed here: Application type."
    ) in said(response)


@pytest.mark.parametrize(
    ("played", "words_"),
    [("bad_request", "Entry {} changed nothing."), ("ignored", "The outcome of entry {} is not known yet.")],
)
def test_a_change_that_was_not_applied_cannot_be_reverted(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent], played: str, words_: str
) -> None:
    simulator.inject(fault(played))
    entry, client = changed(name="TEST"), client_as("administrator")

    response = client.get(f"{address('edit/')}?revert={entry.number}", follow=True)

    assert "Revert" not in links(response)
    assert words_.format(entry.number) in said(response)


def test_a_form_that_names_an_unapplied_entry_is_an_edit(
    client_as: People, simulator: Simulated, changed: Callable[..., ChangeIntent]
) -> None:
    simulator.inject(fault("bad_request"))
    entry = changed(name="TEST")
    simulator.change(name="TEST")

    client_as("administrator").post(
        address("edit/"), {"name": "design-pool", "revert": str(entry.number), "reason": "why"}
    )

    assert [(each.kind, each.reason) for each in ledger()[1:]] == [("edit", "why")]
