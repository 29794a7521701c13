"""The review before sending: its contents, its confirmations, and the way back to the form."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import Settings

from dashboard.accounts.models import User
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.client import client_for
from dashboard.cloud.projects import Project
from dashboard.server_groups.inputs import Value
from dashboard.server_groups.review import read_review
from dashboard.server_groups.submission import MAX_AGE
from tests.conftest import DESIGN_POOL, Simulated, address
from tests.markup import Rendered, read, said
from tests.server_groups.conftest import later, ledger

BOTH = "Application type, NAS directories mounted."
OTHER_IMAGE = {
    "image_id": "1fab59cf-8760-5669-8300-cc619268e6ad",
    "image_product_id": "00301-902377-0--0",
    "system_disk_size": "120",
}


def inputs(page: Rendered) -> dict[str, str]:
    """The fields of the form or of the review on a page."""
    (form,) = (form for form in read(page).forms if "/edit/" in form.attrs["action"])
    return form.fields


def consequences(project: Project, changes: Mapping[str, Value]) -> tuple[str, ...]:
    return read_review(project, client_for(project).show_server_group(DESIGN_POOL), changes).consequences


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "TEST"}, ()),
        (
            {"server_group_status": False},
            ("The cloud refuses new sign-ins. The documentation does not say whether open sessions stay open.",),
        ),
        (
            {"system_disk_size": 100},
            ("Existing servers keep their image, disk and organisational unit. New servers get the new ones.",),
        ),
        (
            {"route_policy.max_session": 1000},
            (
                "The cloud recalculates the routing when users next access the group.",
                "None of 3 servers has 1000 sessions now, so none would refuse new ones.",
            ),
        ),
        (
            {"app_type": "SESSION_DESKTOP_APP", "storage_mount_policy": "USER"},
            ("The cloud also changes these fields of the standby design-pool-standby: " + BOTH,),
        ),
    ],
)
def test_the_review_names_the_consequences_of_a_change(
    project: Project, changes: Mapping[str, Value], expected: tuple[str, ...]
) -> None:
    assert consequences(project, changes) == expected


def test_the_review_names_servers_that_would_refuse_new_sessions(project: Project, simulator: Simulated) -> None:
    servers = client_for(project).list_servers(DESIGN_POOL)
    most = max(server.session_count or 0 for server in servers)
    full = [server for server in servers if server.session_count == most]

    said = consequences(project, {"route_policy.max_session": most})

    assert said[-1].startswith(f"{len(full)} of {len(servers)} servers would refuse new sessions now: {full[0].name}")


def test_the_review_says_that_servers_are_unreadable(project: Project, simulator: Simulated) -> None:
    simulator.inject({"match": {"method": "GET", "path": "*/app-servers"}, "fault": "forbidden"})

    said = consequences(project, {"image_id": "another", "route_policy.max_session": 5})

    assert "The servers could not be read. It is not known how many use the present image." in said
    assert "The servers could not be read. It is not known which of them would refuse new sessions." in said


def test_the_review_shows_old_new_and_effect_and_sends_nothing(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))

    page = client.post(address("edit/review/"), form | {"route_policy__cpu_threshold": "85"})

    assert "Field Old value New value Takes effect CPU threshold 80 % 85 % now" in said(page)
    assert simulator.patches == []
    assert not ChangeIntent.objects.exists()


def test_the_reviewed_changes_are_exactly_the_sent_changes(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))
    review = inputs(client.post(address("edit/review/"), form | {"name": "TEST"}))

    client.post(address("edit/"), review | {"reason": "CHG-1"})

    assert simulator.patches == [{"name": "TEST"}]
    assert ChangeIntent.objects.get().reason == "CHG-1"


def test_going_back_from_the_review_keeps_the_input(client_as: Callable[[str], Client], project: Project) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))
    review = inputs(client.post(address("edit/review/"), form | {"name": "TEST"}))

    again = inputs(client.post(address("edit/review/"), review | {"back": "1"}))

    assert again["name"] == "TEST"
    assert {name: again[name] for name in form if name not in {"name", "key", "seen", "csrfmiddlewaretoken"}} == {
        name: form[name] for name in form if name not in {"name", "key", "seen", "csrfmiddlewaretoken"}
    }


def test_the_review_has_one_signed_submission(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))

    review = inputs(client.post(address("edit/review/"), form | {"name": "TEST", "description": "two\r\nlines"}))

    assert set(review) - {"csrfmiddlewaretoken"} == {"submission", "key", "reason"}
    client.post(address("edit/"), review | {"name": "IGNORED"})
    assert simulator.patches == [{"name": "TEST", "description": "two\nlines"}]


@pytest.mark.parametrize("back", [{}, {"back": "1"}])
def test_an_altered_review_is_refused(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated, back: dict[str, str]
) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))
    review = inputs(client.post(address("edit/review/"), form | {"name": "TEST"}))
    altered = review | back | {"submission": f"x{review['submission']}", "reason": "why"}

    page = client.post(address("edit/review/" if back else "edit/"), altered)

    assert page.status_code == 422
    assert "too old or was altered" in said(page)
    assert (inputs(page)["name"], inputs(page)["reason"]) == ("design-pool", "why")
    assert [entry.kind for entry in ledger()] == ([] if back else ["denied"])
    assert simulator.patches == []


def test_an_expired_review_is_refused_and_its_input_is_shown(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))
    review = inputs(client.post(address("edit/review/"), form | {"name": "TEST"}))

    with later(MAX_AGE + timedelta(minutes=1)):
        page = client.post(address("edit/"), review | {"reason": "why"})

    assert "Field Your input Current value Name TEST design-pool" in said(page)
    assert (inputs(page)["name"], inputs(page)["reason"]) == ("design-pool", "why")
    assert [(entry.kind, entry.changes) for entry in ledger()] == [("denied", {"name": (None, "TEST")})]
    assert simulator.patches == []


def test_another_person_cannot_send_a_review(
    client_as: Callable[[str], Client], person: Callable[[str], User], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))
    review = inputs(client.post(address("edit/review/"), form | {"name": "TEST"}))
    other = User.objects.create(username="other")
    other.groups.set(person("administrator").groups.all())
    client.force_login(other, backend="dashboard.accounts.backends.RoleBackend")

    page = client.post(address("edit/"), review)

    assert (page.status_code, simulator.patches) == (422, [])


def test_a_review_survives_an_expired_session(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))
    review = inputs(client.post(address("edit/review/"), form | {"name": "TEST"}))
    del client.cookies["sessionid"]
    client.post(address("edit/"), review | {"reason": "why"})
    user = User.objects.get(username="administrator")
    client.force_login(user, backend="dashboard.accounts.backends.RoleBackend")

    page = client.get(address("edit/"))

    assert (inputs(page)["name"], inputs(page)["reason"]) == ("TEST", "why")
    assert simulator.patches == []


def test_reloading_the_review_shows_the_form(client_as: Callable[[str], Client], project: Project) -> None:
    response = client_as("administrator").get(address("edit/review/"))

    assert (response.status_code, response.headers["Location"]) == (302, address("edit/"))


def test_an_unchanged_form_has_no_review(client_as: Callable[[str], Client], project: Project) -> None:
    client = client_as("administrator")
    form = inputs(client.get(address("edit/")))

    page = client.post(address("edit/review/"), form)

    assert page.status_code == 422
    assert "You have not changed anything yet, so there is nothing to send." in page.content.decode()


def test_replacing_the_image_needs_a_separate_confirmation(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")

    unticked = client.post(address("edit/"), OTHER_IMAGE)
    ticked = client.post(address("edit/"), OTHER_IMAGE | {"confirm_image": "on"})

    assert (unticked.status_code, ticked.status_code) == (422, 302)
    assert "Confirm that you want to replace the image." in unticked.content.decode()
    assert simulator.patches == [OTHER_IMAGE | {"system_disk_size": 120}]


def test_a_reason_can_be_required(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated, settings: Settings
) -> None:
    settings.REASON_REQUIRED = True
    client = client_as("administrator")

    without = client.post(address("edit/"), {"name": "TEST", "reason": " "})
    given = client.post(address("edit/"), {"name": "TEST", "reason": "CHG-1"})

    assert (without.status_code, given.status_code) == (422, 302)
    assert "Enter a reason. The next person needs it." in without.content.decode()
    assert simulator.patches == [{"name": "TEST"}]


def test_switching_off_through_the_form_needs_a_reason_and_shows_the_sessions(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    off = inputs(client.get(address("edit/"))) | {"server_group_status": "false"}
    dialog = said(client.get(address("switch/")))

    review = client.post(address("edit/review/"), off)
    without = client.post(address("edit/"), inputs(review))
    sent = len(simulator.patches)
    given = client.post(address("edit/"), inputs(review) | {"reason": "CHG-1"})

    facts = dialog[dialog.index("active sessions") : dialog.index("standby")]
    assert (facts in said(review), facts in said(without)) == (True, True)
    assert "Reason required" in said(review)
    assert (without.status_code, sent, given.status_code) == (422, 0, 302)
    assert "Enter a reason. The next person needs it." in said(without)
    assert simulator.patches == [{"server_group_status": False}]
    assert [(entry.kind, entry.reason) for entry in ledger()] == [("edit", "CHG-1")]


def test_the_review_of_another_change_shows_no_sessions(client_as: Callable[[str], Client], project: Project) -> None:
    review = said(client_as("administrator").post(address("edit/review/"), {"name": "TEST"}))

    assert ("active sessions" in review, "Reason required" in review) == (False, False)


def test_the_review_of_switching_off_says_what_is_not_known(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    off = inputs(client.get(address("edit/"))) | {"server_group_status": "false"}
    simulator.inject({"match": {"method": "GET"}, "times": None, "fault": "internal_error"})

    review = client.post(address("edit/review/"), off)

    assert review.status_code == 200
    assert "active sessions not known" in said(review)


def test_an_invalid_form_has_no_review(client_as: Callable[[str], Client], project: Project) -> None:
    response = client_as("administrator").post(address("edit/review/"), {"name": "a b"})

    assert response.status_code == 422
    assert "Use letters, digits, _ and -. Spaces are not allowed." in said(response)


def test_a_standby_with_an_unusable_id_is_named_by_its_id(project: Project, simulator: Simulated) -> None:
    simulator.change(secondary_server_group_ids=["a/b", ".."])

    found = consequences(project, {"app_type": "SESSION_DESKTOP_APP"})

    assert found == ("The cloud also changes this field of the standby a/b, ..: Application type.",)


def test_an_unreadable_standby_is_named_by_its_id(project: Project, simulator: Simulated) -> None:
    simulator.change(secondary_server_group_ids=["7b1d2c52-0000-4c57-9a3b-2f8f6a1c9e10"])

    found = consequences(project, {"app_type": "SESSION_DESKTOP_APP"})

    assert found == (
        "The cloud also changes this field of the standby 7b1d2c52-0000-4c57-9a3b-2f8f6a1c9e10: Application type.",
    )
