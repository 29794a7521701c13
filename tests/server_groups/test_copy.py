"""Pages from the copy: its age, a refresh, the first read, and a cloud that does not respond."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.cloud.client import client_for
from dashboard.cloud.projects import Project
from dashboard.inventory.models import GroupCopy, ProjectCopy
from dashboard.server_groups.list_views import MOST_POLLS
from tests.conftest import DESIGN_POOL, Simulated, address
from tests.inventory_copy import CopyBeforeLists
from tests.markup import read, said, words
from tests.server_groups.conftest import GROUP_IDS

People = Callable[[str], Client]
LIST = address(group_id=None)
HTMX = {"HX-Request": "true"}
LISTS = {"method": "GET", "path": "*/app-server-groups"}
SERVERS = {"method": "GET", "path": "*/app-servers"}
NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def copied(project: Project, without_copying: None) -> Project:
    """The project with a copy that stays as it is."""
    return project


def change_copy(**columns: object) -> None:
    ProjectCopy.objects.filter(slug="default").update(**columns)


def test_the_page_shows_the_age_of_groups_and_of_servers(client_as: People, copied: Project) -> None:
    change_copy(groups_as_of=NOON, servers_as_of=NOON - timedelta(minutes=1))

    page = read(client_as("viewer").get(LIST))

    text = words(page.by_id("copy-age").text)
    assert text == "As of 12:00:00 UTC servers and sessions as of 11:59:00 UTC Refresh"


def test_a_row_shows_ready_servers_and_sessions_against_capacity(client_as: People, copied: Project) -> None:
    GroupCopy.objects.filter(group_id=DESIGN_POOL).update(ready=2, servers=3, sessions=17, max_session=9)

    page = read(client_as("viewer").get(f"{LIST}?q=design-pool&status=on"))

    row = next(row for row in page.all("tr") if row.attrs.get("id") == f"server-group-{DESIGN_POOL}")
    (meter, *_) = page.all("meter")
    assert "2 / 3 17 of 18" in words(row.text)
    assert {name: meter.attrs[name] for name in ("value", "max", "high")} == {"value": "17", "max": "18", "high": "15"}


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"ready": None, "servers": 3, "sessions": None}, "? / 3 ?"),
        ({"ready": 0, "servers": 2, "sessions": 5}, "0 / 2 5"),
        ({"ready": 0, "servers": 0, "sessions": 0}, "0 / 0 0"),
        ({"ready": 2, "servers": 2, "sessions": 5, "max_session": None}, "2 / 2 5"),
        ({"ready": None, "servers": None, "sessions": None}, "? / ? ?"),
    ],
)
def test_a_row_shows_what_is_not_known(
    client_as: People, copied: Project, columns: dict[str, int | None], text: str
) -> None:
    group_id = GROUP_IDS["qa-windows"]
    GroupCopy.objects.filter(group_id=group_id).update(**columns)

    page = read(client_as("viewer").get(f"{LIST}?q=qa-windows"))

    (row,) = [row for row in page.all("tr") if row.attrs.get("id") == f"server-group-{group_id}"]
    assert f" 80 GB {text} " in words(row.text)


# Refresh


def test_a_refresh_asks_the_worker_and_returns_to_the_list(client_as: People, copied: Project) -> None:
    before = timezone.now()

    response = client_as("viewer").post(f"{LIST}refresh/?q=a&page=1")

    copy = ProjectCopy.objects.get()
    assert (response.status_code, response.headers["Location"]) == (302, f"{LIST}?q=a")
    assert copy.asked_at is not None
    assert before <= copy.asked_at <= timezone.now()


def test_the_page_asks_for_the_progress_until_the_list_is_newer(client_as: People, copied: Project) -> None:
    client = client_as("viewer")
    asked = read(client.post(f"{LIST}refresh/?q=a", headers=HTMX)).by_id("copy-age")
    change_copy(groups_pages=12, groups_pages_read=5)
    response = client.get(asked.attrs["hx-get"], headers=HTMX)
    waiting = read(response)
    change_copy(groups_as_of=timezone.now(), groups_pages=0, groups_pages_read=0)
    renewed = client.get(waiting.by_id("copy-age").attrs["hx-get"], headers=HTMX)

    (progress,) = waiting.all("progress")
    assert (progress.attrs["value"], progress.attrs["max"]) == ("5", "12")
    assert waiting.by_id("copy-age").attrs["hx-trigger"] == "load delay:1s"
    assert "HX-Trigger" not in response.headers
    assert renewed.headers["HX-Trigger"] == '{"server-groups-refreshed": {}}'
    assert read(renewed).all("progress") == []
    assert "hx-get" not in read(renewed).by_id("copy-age").attrs


def test_the_page_stops_asking_after_a_minute(client_as: People, copied: Project) -> None:
    client = client_as("viewer")
    client.post(f"{LIST}refresh/", headers=HTMX)

    pages = [read(client.get(f"{LIST}copy-age/?polls={polls}", headers=HTMX)) for polls in (59, 60)]

    assert ["hx-get" in page.by_id("copy-age").attrs for page in pages] == [True, False]
    assert MOST_POLLS == 60


def test_a_renewed_list_keeps_its_filters(client_as: People, copied: Project) -> None:
    client = client_as("viewer")
    (section,) = [one for one in read(client.get(f"{LIST}?q=finance-eu")).all("section") if one.attrs["id"] == "groups"]

    response = client.get(section.attrs["hx-get"], headers=HTMX)

    assert section.attrs["hx-trigger"] == "server-groups-refreshed from:body"
    assert section.attrs["hx-get"] == f"{LIST}?q=finance-eu"
    assert words(read(response).by_id("live").text) == "2 groups found"


def test_a_page_notes_the_view_at_most_every_ten_seconds(client_as: People, copied: Project) -> None:
    client = client_as("viewer")
    times = []
    for before in (None, timezone.now() - timedelta(seconds=9), timezone.now() - timedelta(seconds=11)):
        change_copy(viewed_at=before)
        client.get(LIST)
        times.append((before, ProjectCopy.objects.get().viewed_at))

    assert [after != before for before, after in times] == [True, False, True]


# The first read


def test_before_the_first_read_the_page_says_that_it_waits(
    client_as: People, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CopyBeforeLists, "is_on", False)

    response = client_as("viewer").get(LIST)

    page = read(response)
    assert response.status_code == 200
    assert "The dashboard is reading the groups" in said(response)
    assert "hx-get" in page.by_id("copy-age").attrs
    assert len(page.all("progress")) == 1
    assert ProjectCopy.objects.get().viewed_at is not None


def test_during_the_first_read_the_page_shows_the_rows_it_has(client_as: People, copied: Project) -> None:
    change_copy(groups_as_of=None, groups_pages=3, groups_pages_read=2)

    page = read(client_as("help desk").get(LIST))

    (progress,) = page.all("progress")
    assert len(page.by_class("cell-name")) == 42
    assert (progress.attrs["value"], progress.attrs["max"]) == ("2", "3")
    assert "Reading the groups for the first time" in words(page.by_id("copy-age").text)


# A cloud that does not respond


@pytest.mark.parametrize(
    ("problem", "cause", "is_locked"),
    [
        ("UnreachableError", "This dashboard could not connect to the cloud.", True),
        ("UnavailableError", "The cloud did not respond.", True),
        ("CircuitOpenError", "The cloud failed several times in a row.", True),
        ("SignInError", "This dashboard could not sign in to the cloud.", True),
        ("ThrottledError", "The account made too many calls in a short time.", False),
        ("ForbiddenError", "The credential of this dashboard lacks a permission.", False),
        ("ListTooLargeError", "The list has more than 100,000 rows", False),
    ],
)
def test_the_page_says_why_the_copy_is_old(
    client_as: People, copied: Project, problem: str, cause: str, is_locked: bool
) -> None:
    change_copy(groups_problem=problem)

    response = client_as("help desk").get(LIST)

    switches = read(response).all("button", role="switch")
    assert cause in said(response)
    assert "The list is from just now." in said(response)
    assert ("Switches are locked until the cloud responds." in said(response)) is is_locked
    assert {"disabled" in switch.attrs for switch in switches} == {is_locked}


def test_switches_are_locked_while_the_circuit_breaker_is_open(
    client_as: People, copied: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(client_for(copied)), "is_circuit_open", True)

    response = client_as("help desk").get(LIST)

    assert "Switches are locked until it responds." in said(response)
    assert {"disabled" in switch.attrs for switch in read(response).all("button", role="switch")} == {True}


def test_a_credential_that_may_not_list_servers_is_named(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.inject({"match": SERVERS, "fault": "forbidden"})

    response = client_as("help desk").get(LIST)

    assert "The dashboard cannot read the servers" in said(response)
    assert "The credential of this dashboard lacks a permission." in said(response)
    assert {"disabled" in switch.attrs for switch in read(response).all("button", role="switch")} == {False}


@pytest.mark.parametrize("kind", ["unavailable", "drop_before_answer", "html"])
def test_the_page_of_a_group_shows_its_copy(
    client_as: People, copied: Project, simulator: Simulated, kind: str
) -> None:
    GroupCopy.objects.filter(group_id=DESIGN_POOL).update(read_at=timezone.now() - timedelta(minutes=3))
    simulator.inject({"match": {"method": "GET"}, "fault": kind})

    response = client_as("administrator").get(address())

    page = read(response)
    (switch,) = page.all("button", role="switch")
    assert response.status_code == 200
    assert "This is the dashboard's copy from 3 min ago." in said(response)
    assert "disabled" in switch.attrs
    assert [link.text for link in page.all("a") if link.text == "Edit"] == []


def test_a_group_without_a_copy_has_an_error_page(client_as: People, project: Project, simulator: Simulated) -> None:
    simulator.inject({"match": {"method": "GET"}, "fault": "unavailable"})

    response = client_as("administrator").get(address())

    assert response.status_code == 503
    assert "The dashboard cannot read the cloud" in said(response)


# Kept rows


def test_a_kept_row_has_the_values_permissions_and_keys_of_each_response(client_as: People, copied: Project) -> None:
    group_id = GROUP_IDS["training-lab"]
    pages = [read(client_as(role).get(f"{LIST}?q=training-lab")) for role in ("help desk", "help desk", "viewer")]
    GroupCopy.objects.filter(group_id=group_id).update(name="training-lab-2")
    renamed = read(client_as("help desk").get(f"{LIST}?q=training-lab"))

    keys = [page.form(f"switch-{group_id}").fields["key"] for page in pages[:2]]
    assert len(set(keys)) == 2
    assert [len(page.all("button", role="switch")) for page in pages] == [1, 1, 0]
    assert next(link.text for link in renamed.all("a") if group_id in link.attrs["href"]) == "training-lab-2"


@pytest.mark.parametrize(("hours", "is_marked"), [(23, True), (25, False)])
def test_a_change_outside_the_dashboard_is_marked_for_a_day(
    client_as: People, copied: Project, hours: int, is_marked: bool
) -> None:
    changed_at = timezone.now() - timedelta(hours=hours)
    GroupCopy.objects.filter(group_id=DESIGN_POOL).update(changed_outside_at=changed_at)

    pages = [read(client_as(role).get(f"{LIST}?q=design-pool")) for role in ("auditor", "viewer")]

    marks = [[mark.tag for mark in page.by_class("tag-attention")] for page in pages]
    assert marks == ([["a"], ["span"]] if is_marked else [[], []])
