"""The edit form as a person uses it: shown values, errors, the PATCH and the result."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from dashboard.accounts.models import User
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.client import client_for
from dashboard.cloud.projects import Project
from dashboard.server_groups.fields import FIELDS
from dashboard.server_groups.submission import MAX_AGE
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import Form, read, said
from tests.server_groups.conftest import GROUP_IDS, Entry, later, ledger

People = Callable[[str], Client]
HTMX = {"HX-Request": "true"}


def form_of(client: Client, group_id: str = DESIGN_POOL) -> Form:
    return read(client.get(address("edit/", group_id))).form("edit-form")


def save(client: Client, changes: dict[str, str], *, group_id: str = DESIGN_POOL, **options: Any) -> Any:
    """Open the form, change it, and send it."""
    fields = form_of(client, group_id).fields | changes
    return client.post(address("edit/", group_id), fields, **options)


def test_saving_one_field_sends_only_it_and_shows_the_entry(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    response = save(client_as("administrator"), {"name": "TEST", "reason": "INC-4711"}, follow=True)

    assert simulator.patches == [{"name": "TEST"}]
    assert ledger() == [
        Entry("edit", "administrator", "design-pool", {"name": ("design-pool", "TEST")}, ["applied"], "INC-4711")
    ]
    entry = ChangeIntent.objects.get()
    assert response.redirect_chain == [(f"/projects/default/audit/{entry.number}/", 302)]


def test_the_form_shows_current_values_and_limits(client_as: People, project: Project, simulator: Simulated) -> None:
    page = read(client_as("administrator").get(address("edit/")))

    group, form = client_for(project).show_server_group(DESIGN_POOL), page.form("edit-form")
    shown = {field.path: form.fields[field.name] for field in FIELDS}
    assert shown == {field.path: str(group.value(field.path)).replace("True", "true") for field in FIELDS}
    assert form.disabled == set()
    sessions = page.by_id("id_route_policy__max_session").attrs
    assert (sessions["min"], sessions["type"]) == ("1", "number")


def test_routing_is_disabled_for_a_single_session_group(client_as: People, project: Project) -> None:
    form = form_of(client_as("administrator"), GROUP_IDS["engineering-vdi"])

    routing = {field.name for field in FIELDS if field.path.startswith("route_policy.")}
    assert routing <= form.disabled
    assert routing.isdisjoint(form.fields)


def test_routing_posted_for_a_single_session_group_is_refused(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    response = save(
        client_as("administrator"), {"route_policy__max_session": "5"}, group_id=GROUP_IDS["engineering-vdi"]
    )

    assert response.status_code == 422
    assert "Only for multi-session groups" in said(response)
    assert (simulator.patches, ledger()) == ([], [])


def test_a_single_session_group_is_saved_without_its_routing(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    save(client_as("administrator"), {"name": "renamed"}, group_id=GROUP_IDS["engineering-vdi"])

    assert simulator.patches == [{"name": "renamed"}]


def test_an_unchanged_form_sends_nothing_and_says_so(client_as: People, project: Project, simulator: Simulated) -> None:
    response = save(client_as("administrator"), {"reason": "just looking"}, follow=True)

    assert response.redirect_chain == [(address(), 302)]
    assert "You did not change anything, so nothing was sent." in said(response)
    assert (simulator.patches, ledger()) == ([], [])


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        ("design-pool", {"server_group_status": "false"}),
        ("training-lab", {"server_group_status": "true"}),
        ("研发设计组", {"name": "研发设计组-2"}),
        ("helpdesk-tools", {"description": "<i>lines</i>\r\nand & more"}),
        ("finance-eu", {"ou_name": ""}),
    ],
)
def test_the_cloud_receives_exactly_the_typed_values(
    client_as: People, project: Project, simulator: Simulated, group: str, changes: dict[str, str]
) -> None:
    save(client_as("administrator"), changes | {"reason": "why"}, group_id=GROUP_IDS[group])

    ((name, text),) = changes.items()
    value: Any = {"true": True, "false": False}.get(text, text.replace("\r\n", "\n"))
    assert simulator.patches == [{name: value}]


def test_an_invalid_value_in_the_cloud_does_not_block_other_fields(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.change(
        name="old name, with spaces",
        description="a\tb\r\nc\u200b" * 40,
        system_disk_type="FLASH",
        app_type="STREAMED_APP",
        ou_name="x" * 300,
        image_type="exotic",
    )

    save(client_as("administrator"), {"system_disk_size": "90"})

    assert simulator.patches == [{"system_disk_size": 90}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "This field cannot be empty."),
        ({"name": "a b"}, "Use letters, digits, _ and -. Spaces are not allowed."),
        ({"route_policy__max_session": "1025"}, "Enter a number from 1 to 1024. 1025 is outside this range."),
        ({"route_policy__cpu_threshold": "８０"}, "Enter a whole number from 1 to 100. Use only digits."),
        ({"system_disk_size": "1_000"}, "Enter a whole number from 10 to 32768. Use only digits."),
        ({"server_group_status": "off"}, "Choose one of the options."),
        ({"description": "x" * 256}, "Enter at most 255 characters. This text has 256."),
        ({"image_product_id": ""}, "A Marketplace image needs its product ID."),
        ({"reason": "x" * 501}, "Ensure this value has at most 500 characters (it has 501)."),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_an_invalid_field_shows_its_error_twice_and_keeps_the_input(
    client_as: People,
    project: Project,
    simulator: Simulated,
    changes: dict[str, str],
    message: str,
    headers: dict[str, str],
) -> None:
    ((name, text),) = changes.items()

    response = save(client_as("administrator"), {"ou_name": "OU=typed", **changes}, headers=headers)

    page = read(response)
    (summary,) = page.by_class("error-summary")
    fields = page.form("edit-form").fields
    assert response.status_code == 422
    assert message in summary.text
    assert page.html.count(message.replace("'", "&#x27;")) >= 2
    assert [link.attrs["href"] for link in page.all("a") if link.attrs["href"].startswith("#id_")] == [f"#id_{name}"]
    assert fields["ou_name"] == "OU=typed"
    assert fields[name] == text or name == "server_group_status"
    assert (simulator.patches, ledger()) == ([], [])


def test_a_missing_status_is_not_off(client_as: People, project: Project, simulator: Simulated) -> None:
    client = client_as("administrator")
    fields = form_of(client).fields
    del fields["server_group_status"]

    client.post(address("edit/"), fields | {"name": "TEST"})

    assert simulator.patches == [{"name": "TEST"}]


def test_a_field_sent_twice_is_refused(client_as: People, project: Project, simulator: Simulated) -> None:
    client = client_as("administrator")

    response = client.post(address("edit/"), form_of(client).fields | {"name": ["one", "two"]})

    assert (response.status_code, simulator.patches) == (422, [])
    assert "This field was sent twice. Send it once." in said(response)


def test_a_script_can_post_only_the_new_values(client_as: People, project: Project, simulator: Simulated) -> None:
    responses = [
        client_as("administrator").post(address("edit/"), {"name": name}).status_code for name in ("one", "two")
    ]

    assert (responses, simulator.patches) == ([302, 302], [{"name": "one"}, {"name": "two"}])


def test_a_form_sent_twice_makes_one_change(client_as: People, project: Project, simulator: Simulated) -> None:
    client = client_as("administrator")
    fields = form_of(client).fields | {"name": "TEST"}

    responses = [client.post(address("edit/"), fields) for _ in range(2)]

    assert {response.headers["Location"] for response in responses} == {
        f"/projects/default/audit/{ChangeIntent.objects.get().number}/"
    }
    assert simulator.patches == [{"name": "TEST"}]


@pytest.mark.parametrize("seen", ["", "nonsense"])
@pytest.mark.parametrize("choices", [{}, {"resolve__name": "theirs"}, {"resolve__ou_name": "theirs"}])
def test_an_altered_form_is_refused_and_its_input_is_listed(
    client_as: People, project: Project, simulator: Simulated, seen: str, choices: dict[str, str]
) -> None:
    response = save(client_as("administrator"), {"name": "TEST", "seen": seen, "reason": "why", **choices})

    fields = read(response).form("edit-form").fields
    assert response.status_code == 422
    assert "too old or was altered" in said(response)
    assert "Field Your input Current value Name TEST design-pool" in said(response)
    assert (fields["name"], fields["reason"]) == ("design-pool", "why")
    (entry,) = ledger()
    assert (entry.kind, entry.outcomes, entry.changes["name"]) == ("denied", ["denied"], (None, "TEST"))
    assert simulator.patches == []


def test_an_expired_form_is_refused_even_with_a_resolved_conflict(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    fields = form_of(client).fields | {"name": "TEST", "system_disk_size": "90", "resolve__name": "theirs"}

    with later(MAX_AGE + timedelta(minutes=1)):
        response = client.post(address("edit/"), fields)

    assert (response.status_code, simulator.patches) == (422, [])
    assert "System disk size 90 GB 80 GB" in said(response)
    assert [entry.kind for entry in ledger()] == ["denied"]


@pytest.mark.parametrize("below", ["edit/", "edit/review/"])
def test_an_open_form_undoes_nothing_after_a_new_secret_key(
    client_as: People, project: Project, simulator: Simulated, settings: Settings, below: str
) -> None:
    fields = form_of(client_as("administrator")).fields | {"name": "mine"}
    simulator.change(description="theirs", ou_name="OU=Theirs")
    settings.SECRET_KEY = "another key"
    client = client_as("administrator")

    response = client.post(address(below), fields)

    shown = read(response).form("edit-form").fields
    assert (shown["name"], shown["description"], shown["ou_name"]) == ("design-pool", "theirs", "OU=Theirs")
    assert "Name mine design-pool" in said(response)
    client.post(address("edit/"), shown)
    client.post(address("edit/"), shown | {"system_disk_size": "90"})
    assert simulator.patches == [{"system_disk_size": 90}]


def test_a_kept_form_undoes_nothing_after_a_new_secret_key(
    client_as: People, project: Project, simulator: Simulated, settings: Settings
) -> None:
    client = client_as("administrator")
    fields = form_of(client).fields | {"name": "mine"}
    simulator.change(description="theirs")
    del client.cookies["sessionid"]
    client.post(address("edit/review/"), fields)
    settings.SECRET_KEY = "another key"
    user = User.objects.get(username="administrator")
    client.force_login(user, backend="dashboard.accounts.backends.RoleBackend")

    response = client.get(address("edit/"))

    shown = read(response).form("edit-form").fields
    assert (response.status_code, shown["name"], shown["description"]) == (200, "design-pool", "theirs")
    assert "Name mine design-pool" in said(response)
    assert simulator.patches == []


def test_a_refusal_also_shows_changes_by_others(client_as: People, project: Project, simulator: Simulated) -> None:
    client = client_as("administrator")
    fields = form_of(client).fields | {"name": "mine"}
    simulator.change(description="theirs")
    simulator.inject(fault("bad_request"))

    again = client.post(address("edit/"), fields)

    assert read(again).form("edit-form").fields["description"] == "theirs"
    assert "Description is now theirs" in said(again)


def test_a_threshold_needs_the_thresholds_that_the_cloud_hides(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.inject({"match": {"method": "GET"}, "fault": "missing_members", "members": ["route_policy"], "times": 20})
    client = client_as("administrator")
    page = client.get(address("edit/"))
    fields = read(page).form("edit-form").fields
    assert fields["route_policy__cpu_threshold"] == ""
    assert "To change a threshold, enter all four." in said(page)

    alone = client.post(address("edit/"), fields | {"route_policy__cpu_threshold": "85"})
    assert alone.status_code == 422
    assert "Enter all four, or the cloud could delete it." in said(alone)
    assert simulator.patches == []

    names = ("max_session", "cpu_threshold", "gpu_threshold", "mem_threshold")
    client.post(address("edit/"), fields | {f"route_policy__{name}": "50" for name in names})
    assert simulator.patches == [{"route_policy": dict.fromkeys(names, 50)}]


def test_an_htmx_post_redirects_to_the_entry(client_as: People, project: Project) -> None:
    response = save(client_as("administrator"), {"name": "TEST"}, headers=HTMX)

    assert response.headers["HX-Redirect"] == f"/projects/default/audit/{ChangeIntent.objects.get().number}/"


# The cloud refuses


@pytest.mark.parametrize(
    ("kind", "status", "code", "advice"),
    [
        ("bad_request", 400, "WKS.00129901", "The cloud would refuse the same change again."),
        ("forbidden", 403, "WKS.00081102", "The cloud would refuse the same change again."),
        ("not_found", 404, "WKS.00120404", "The cloud would refuse the same change again."),
        ("method_not_allowed", 405, "WKS.00000405", "The cloud would refuse the same change again."),
    ],
)
def test_a_refusal_keeps_the_input_and_quotes_the_cloud(
    client_as: People, project: Project, simulator: Simulated, kind: str, status: int, code: str, advice: str
) -> None:
    simulator.inject(fault(kind))

    response = save(client_as("administrator"), {"name": "TEST", "reason": "why"})

    page, entry = read(response), ChangeIntent.objects.get()
    assert response.status_code == 422
    assert code in said(response)
    assert advice in said(response)
    assert (page.form("edit-form").fields["name"], page.form("edit-form").fields["reason"]) == ("TEST", "why")
    assert page.all("a", href=f"/projects/default/audit/{entry.number}/") != []
    assert [entry.outcomes for entry in ledger()] == [["rejected"]]


def test_after_a_refusal_the_same_form_can_be_sent_again(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    simulator.inject(fault("bad_request"))
    fields = read(save(client, {"name": "TEST"})).form("edit-form").fields

    client.post(address("edit/"), fields)

    assert simulator.patches == [{"name": "TEST"}, {"name": "TEST"}]
    assert [entry.outcomes for entry in ledger()] == [["rejected"], ["applied"]]


@pytest.mark.parametrize("kind", ["internal_error", "drop_before_answer", "error_in_200", "ignored"])
def test_an_unknown_outcome_is_shown_as_unknown(
    client_as: People, project: Project, simulator: Simulated, kind: str
) -> None:
    simulator.inject(fault(kind))

    response = save(client_as("administrator"), {"name": "TEST"}, follow=True)

    assert "It is not known yet whether the cloud applied this change." in said(response)
    assert [entry.outcomes for entry in ledger()] == [["unknown"]]


def test_an_unreadable_cloud_keeps_the_input(client_as: People, project: Project, simulator: Simulated) -> None:
    client = client_as("administrator")
    fields = form_of(client).fields | {"name": "TEST"}
    simulator.inject(fault("forbidden", "GET", times=None))

    response = client.post(address("edit/"), fields)

    assert response.status_code == 422
    assert "nothing was sent" in said(response)
    assert "You can safely try again." in said(response)
    assert (simulator.patches, [entry.outcomes for entry in ledger()]) == ([], [["not_sent"]])


# Changes by others


def test_a_conflict_keeps_the_input_and_can_be_resolved(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    simulator.change(description="first\nsecond")
    fields = form_of(client).fields | {"name": "mine", "system_disk_size": "90"}
    fields["description"] = fields["description"].replace("\n", "\r\n")
    simulator.change(name="theirs", description="their own\nwords")

    conflict = client.post(address("edit/"), fields)

    shown = read(conflict).form("edit-form").fields
    assert conflict.status_code == 409
    assert "design-pool" in said(conflict)
    assert "theirs" in said(conflict)
    assert (simulator.patches, [entry.outcomes for entry in ledger()]) == ([], [["conflict"]])
    assert (shown["name"], shown["system_disk_size"], shown["description"]) == ("mine", "90", "their own\nwords")

    client.post(address("edit/"), shown)

    assert simulator.patches == [{"name": "mine", "system_disk_size": 90}]
    assert ledger()[1].changes == {"name": ("theirs", "mine"), "system_disk_size": (80, 90)}


def test_the_entry_page_warns_of_changes_by_others(client_as: People, project: Project, simulator: Simulated) -> None:
    client = client_as("administrator")
    fields = form_of(client).fields | {"name": "mine"}
    simulator.change(description="theirs")

    response = client.post(address("edit/"), fields, follow=True)

    assert "Other people changed these fields since you opened the form: Description." in said(response)
    assert simulator.patches == [{"name": "mine"}]


def test_texts_of_the_cloud_are_escaped(client_as: People, project: Project, simulator: Simulated) -> None:
    evil = '<script>alert("x")</script>\'"><img src=x onerror=y>'
    simulator.change(name=evil, description=evil, ou_name=evil, image_id=evil, system_disk_type=evil, app_type=evil)
    simulator.inject(fault("status", status=400, body={"error_code": evil[:30], "error_msg": evil}))

    response = save(client_as("administrator"), {"server_group_status": "false", "reason": "why"})

    page = read(response)
    assert response.status_code == 422
    assert page.all("img") == []
    assert [script.text for script in page.all("script")] == ["", ""]
    assert page.form("edit-form").fields["name"] == evil
    assert evil in said(response)
