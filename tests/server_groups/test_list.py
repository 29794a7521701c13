"""The list of groups: filters, order and pages from the address, empty states, and the last list."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.accounts.models import Actor, User
from dashboard.audit.ledger.services import Attempt, OutcomeDetails, record_intent, record_outcome
from dashboard.audit.models import Kind, Outcome
from dashboard.cloud import client as cloud_client
from dashboard.cloud.client import client_for
from dashboard.cloud.projects import Project, load_projects
from dashboard.simulator.server import SimulatorServer
from dashboard.text import show_direction_marks
from tests.cloud.scripted import respond, scripted_cloud
from tests.conftest import PROJECT_ID, Simulated, address
from tests.markup import Page, read, said, words
from tests.server_groups.conftest import GROUP_IDS

People = Callable[[str], Client]
LIST = address(group_id=None)
HTMX = {"HX-Request": "true"}
LISTS = {"method": "GET", "path": "*/app-server-groups"}
"""The match of a fault for the cloud's list of groups."""


def names(page: Page) -> list[str]:
    cells = page.by_class("cell-name")
    return [next(link.text for link in _links_after(page, cell)) for cell in cells]


def _links_after(page: Page, cell: Any) -> Iterator[Any]:
    at = page.elements.index(cell)
    return (element for element in page.elements[at:] if element.tag == "a")


def shown(client: Client, query: str = "", **headers: str) -> Page:
    return read(client.get(LIST + query, headers=headers))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?status=off", ["legal-archive", "library-kiosk", "training-lab"]),
        ("?q=finance-e", ["finance-eu", "finance-eu-standby"]),
        ("?q=FINANCE&role=standby", ["finance-eu-standby"]),
        ("?q=研发", ["研发设计组"]),
        ("?app_type=SESSION_DESKTOP_APP", ["browser-isolation", "exam-room", "library-kiosk"]),
        ("?tag=team%3Dqa", ["qa-windows"]),
        ("?image=engineering-2026-10", ["engineering-vdi", "Pilot_2026_Q4"]),
        ("?q=branch&sort=-name", ["branch-singapore", "branch-madrid", "branch-johannesburg"]),
        ("?q=branch&sort=-servers", ["branch-singapore", "branch-madrid", "branch-johannesburg"]),
        ("?q=branch&sort=servers&page=7", ["branch-johannesburg", "branch-madrid", "branch-singapore"]),
    ],
)
def test_the_address_selects_the_groups(client_as: People, project: Project, query: str, expected: list[str]) -> None:
    assert names(shown(client_as("viewer"), query)) == expected


@pytest.mark.parametrize("nonsense", ["?page=0", "?page=x", "?sort=price", "?status=both", "?role=a", "?%ff=%00"])
def test_invalid_values_in_the_address_are_ignored(client_as: People, project: Project, nonsense: str) -> None:
    assert len(names(shown(client_as("viewer"), nonsense))) == 42


@pytest.mark.parametrize("column", ["status", "name", "app_type", "image", "disk", "ready", "sessions", "app_groups"])
def test_each_column_sorts_in_both_orders(client_as: People, project: Project, column: str) -> None:
    client = client_as("viewer")

    up, down = shown(client, f"?sort={column}"), shown(client, f"?sort=-{column}")

    assert [head.attrs["aria-sort"] for page in (up, down) for head in page.all("th") if "aria-sort" in head.attrs] == [
        "ascending",
        "descending",
    ]
    links = [{link.attrs["href"] for link in page.all("a", rel="") or page.all("a")} for page in (up, down)]
    assert (f"?sort=-{column}" in links[0], f"?sort={column}" in links[1] or column == "name") == (True, True)


def test_counts_are_filters_and_the_age_is_shown(client_as: People, project: Project) -> None:
    page = shown(client_as("viewer"), "?q=design")

    assert words(page.by_class("counts")[0].text) == "42 groups 39 on 3 off"
    assert [link.attrs["href"] for link in page.all("a") if "status=" in link.attrs["href"]] == [
        f"{LIST}?status=on",
        f"{LIST}?status=off",
    ]
    assert words(page.by_class("as-of")[0].text).startswith("As of ")


def test_a_partial_has_only_the_table_the_count_and_the_address(client_as: People, project: Project) -> None:
    response = client_as("viewer").get(f"{LIST}?q=finance-e&page=3", headers=HTMX)

    page = read(response)
    assert page.all("html") == []
    assert words(page.by_id("live").text) == "2 groups found"
    assert response.headers["HX-Push-Url"] == f"{LIST}?q=finance-e"


def test_a_page_restored_from_the_history_is_complete(client_as: People, project: Project) -> None:
    page = shown(client_as("viewer"), **HTMX, **{"HX-History-Restore-Request": "true"})

    assert len(page.all("html")) == 1


def test_the_filters_show_the_current_choice(client_as: People, project: Project) -> None:
    page = shown(client_as("viewer"), "?q=de%22sign&status=on&role=primary&sort=-disk")

    (filters,) = [form for form in page.forms if form.attrs.get("role") == "search"]
    assert filters.fields == {
        "q": 'de"sign',
        "status": "on",
        "app_type": "",
        "role": "primary",
        "image": "",
        "tag": "",
    }
    (order,) = page.all("input", name="sort")
    assert (order.attrs["value"], order.attrs["form"]) == ("-disk", filters.attrs["id"])


# Empty or unreadable


def test_nothing_found_and_no_groups_are_different_pages(client_as: People, project: Project) -> None:
    client = client_as("viewer")

    by_text, by_filter, by_both = (
        said(client.get(LIST + query)) for query in ("?q=nowhere", "?role=standby&status=off", "?q=nowhere&status=off")
    )

    assert "None of the 42 groups match nowhere." in by_text
    assert "None of the 42 groups match these filters." in by_filter
    assert "None of the 42 groups match nowhere and the other filters." in by_both


@pytest.fixture
def sized(settings: Settings) -> Iterator[Callable[[int], Simulated]]:
    """A project with another number of groups."""
    servers: list[SimulatorServer] = []

    def of_size(groups: int) -> Simulated:
        servers.append(SimulatorServer(groups=groups).start())
        environ = {
            "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
            "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
            "WORKSPACE_ENDPOINT": servers[-1].url,
            "WORKSPACE_AUTH_TOKEN": "simulator-token",
        }
        settings.CLOUD_PROJECTS = load_projects(environ)
        return Simulated(servers[-1].url)

    yield of_size
    for client in cloud_client._clients.values():
        client.close()
    cloud_client._clients.clear()
    for server in servers:
        server.stop()


def test_a_project_without_groups_says_where_to_create_them(
    client_as: People, sized: Callable[[int], Simulated]
) -> None:
    sized(0)

    response = said(client_as("viewer").get(LIST))

    assert "No server groups yet" in response


def test_pages_cover_all_groups(client_as: People, sized: Callable[[int], Simulated]) -> None:
    simulator = sized(230)
    client = client_as("viewer")

    pages = [shown(client, f"?page={number}" if number > 1 else "") for number in (1, 2, 5, 99)]

    assert [len(names(page)) for page in pages] == [50, 50, 30, 30]
    assert [words(page.by_class("pager")[0].text) for page in pages] == [
        "1 to 50 of 230 Next",
        "51 to 100 of 230 Previous Next",
        "201 to 230 of 230 Previous",
        "201 to 230 of 230 Previous",
    ]
    assert [link.attrs["hx-get"] for link in pages[1].all("a") if link.attrs.get("rel")] == ["?", "?page=3"]
    assert [words(page.by_class("counts")[0].text.split("groups")[0]) for page in pages] == ["230"] * 4
    assert len({name for page in pages[:3] for name in names(page)}) == 130
    assert {entry["query"]["limit"] for entry in simulator.requests("GET")} == {"100"}


def test_refreshing_stays_on_the_page(client_as: People, sized: Callable[[int], Simulated]) -> None:
    sized(120)

    page = shown(client_as("viewer"), "?sort=-disk&page=2")

    (refresh,) = [form for form in page.all("form") if "refresh/" in form.attrs["action"]]
    assert refresh.attrs["action"] == refresh.attrs["hx-post"] == f"{LIST}refresh/?sort=-disk&page=2"
    assert client_as("viewer").post(refresh.attrs["action"]).headers["Location"] == f"{LIST}?sort=-disk&page=2"


@pytest.mark.parametrize("kind", ["unavailable", "drop_before_answer", "html", "not_json"])
def test_an_unavailable_cloud_keeps_the_last_list_and_locks_switches(
    client_as: People, project: Project, simulator: Simulated, kind: str
) -> None:
    client = client_as("help desk")
    before = names(shown(client))
    simulator.inject({"match": LISTS, "fault": kind})

    response = client.get(LIST)

    page = read(response)
    switches = page.all("button", role="switch")
    assert (response.status_code, names(page)) == (200, before)
    assert "Switches are locked until the cloud responds." in said(response)
    assert (len(switches), {"disabled" in switch.attrs for switch in switches}) == (42, {True})


def test_switches_work_again_when_the_cloud_responds(client_as: People, project: Project, simulator: Simulated) -> None:
    client = client_as("help desk")
    shown(client)
    simulator.inject({"match": LISTS, "fault": "unavailable"})
    shown(client)
    simulator.inject()

    switches = shown(client).all("button", role="switch")

    assert {"disabled" in switch.attrs for switch in switches} == {False}


@pytest.mark.parametrize(
    "kind", ["unavailable", "unauthorized", "forbidden", "not_found", "drop_before_answer", "html", "cut_json", "huge"]
)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_a_cloud_that_never_responded_is_an_error_page(
    client_as: People, project: Project, simulator: Simulated, kind: str, headers: dict[str, str]
) -> None:
    simulator.inject({"match": LISTS, "fault": kind})

    response = client_as("viewer").get(LIST, headers=headers)

    assert response.status_code == 503
    assert "The dashboard cannot read the cloud" in said(response)
    assert "othing was changed" not in said(response)


# Rows


def test_without_the_permission_to_switch_only_the_state_is_shown(client_as: People, project: Project) -> None:
    page = shown(client_as("viewer"), "?q=training-lab")

    assert page.all("button", role="switch") == []
    assert words(page.by_id(f"switch-{GROUP_IDS['training-lab']}").text) == "Off"


def test_missing_values_are_shown_as_not_known(client_as: People, project: Project, simulator: Simulated) -> None:
    group_id = GROUP_IDS["qa-windows"]
    simulator.change(
        group_id,
        name=None,
        server_group_status=None,
        app_type=None,
        image_name=None,
        system_disk_type=None,
        system_disk_size=None,
        app_server_count=None,
        app_group_count=None,
        update_time="yesterday",
        tags=None,
        description=None,
    )

    page = shown(client_as("help desk"), f"?q={group_id}")

    assert names(page) == [group_id]
    assert words(page.by_id(f"switch-{group_id}").text).startswith("Not known")
    assert words(page.by_id(f"last-change-{group_id}").text) == ""


def test_texts_of_the_cloud_are_escaped(client_as: People, project: Project, simulator: Simulated) -> None:
    evil = '<script>alert("x")</script>\'"><img src=x onerror=y>'
    group_id = GROUP_IDS["qa-windows"]
    simulator.change(
        group_id, name=evil, description=evil, image_name=evil, app_type=evil, tags=[{"key": evil, "value": evil}]
    )

    page = shown(client_as("help desk"), f"?q={group_id}")

    assert page.all("img") == []
    assert [script.text for script in page.all("script")] == ["", ""]
    assert names(page) == [evil]


def entries(actor_id: int, group_id: str, count: int, *, is_settled: bool) -> None:
    for number in range(count):
        key = f"{group_id}-{number}-{is_settled}"
        by = Actor(User(pk=actor_id, username="someone"), "192.0.2.7")
        attempt = Attempt("default", group_id, "design-pool", (), Kind.SWITCH, "", by, key)
        intent, _ = record_intent(attempt, seen_number=sys.maxsize, max_duration=timedelta())
        if is_settled:
            record_outcome(intent, OutcomeDetails(Outcome.APPLIED, ""))


def test_the_last_change_names_its_author(client_as: People, project: Project) -> None:
    entries(1, GROUP_IDS["qa-windows"], 2, is_settled=True)

    page = shown(client_as("viewer"), "?q=qa-windows")

    assert words(page.by_id(f"last-change-{GROUP_IDS['qa-windows']}").text) == "just now by someone"


def test_the_number_of_queries_does_not_grow(
    client_as: People,
    project: Project,
    without_copying: None,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_as("help desk")
    shown(client)
    with django_assert_max_num_queries(100) as few:
        shown(client)

    for number, group_id in enumerate(GROUP_IDS.values()):
        entries(1, group_id, 3, is_settled=number % 2 == 0)
    with django_assert_max_num_queries(100) as many:
        shown(client)

    assert len(many) <= len(few) + 1  # the outcomes of what is pending, of all rows at once
    assert len(few) <= 6


def test_the_list_makes_no_cloud_call(
    client_as: People, project: Project, simulator: Simulated, without_copying: None
) -> None:
    client = client_as("viewer")
    simulator.control("DELETE", "requests")

    pages = [shown(client, query) for query in ("", "?q=qa-windows", "?status=off&sort=-sessions")]
    client.get(f"{LIST}counts/", headers=HTMX)
    client.post(f"{LIST}refresh/", headers=HTMX)
    client.get(f"{LIST}copy-age/?polls=1", headers=HTMX)

    assert [len(names(page)) for page in pages] == [42, 1, 3]
    assert simulator.requests() == []


@pytest.mark.usefixtures("committed")
def test_a_missing_ledger_does_not_break_a_page(
    client_as: People, project: Project, missing: Callable[[], None]
) -> None:
    client = client_as("help desk")
    missing()

    responses = [
        client.get(LIST),
        client.get(LIST, headers=HTMX),
        client.get(address()),
        client.get(address("switch/")),
    ]

    assert [response.status_code for response in responses] == [200, 200, 200, 200]
    for response in responses[:3]:
        assert (
            "The ledger cannot be read. Changes are not possible until the operator of this dashboard repairs it."
            in said(response)
        )
        assert "no such table: main.audit_ledgerrow" in said(response)


# A group whose id cannot be part of an address


@pytest.mark.parametrize("group_id", ["a/b", "..", "a b,c", '"><img src=x>', "\u202e", "x" * 129])
def test_a_group_with_an_unusable_id_has_no_link_and_no_switch(
    client_as: People, project: Project, simulator: Simulated, group_id: str
) -> None:
    simulator.change(GROUP_IDS["qa-windows"], id=group_id)

    response = client_as("administrator").get(LIST + "?q=qa-windows")

    page = read(response)
    (row,) = [row for row in page.all("tr") if "unusable" in row.attrs.get("class", "")]
    too_long, wrong = "is longer than 128 characters", "contains characters that cannot be part of an address"
    assert f"This group cannot be opened. The id {too_long if len(group_id) > 128 else wrong}." in said(response)
    assert page.by_class("unusable-id")[0].text == show_direction_marks(group_id)
    assert words(page.by_class("cell-status")[0].text) == "On"
    assert words(page.by_class("cell-clip")[0].text) == simulator_image(simulator)
    assert words(row.text).startswith("On qa-windows")
    assert page.all("button", role="switch") == []
    assert page.all("img") == []
    assert [link.text for link in page.all("a") if group_id in link.attrs["href"]] == []


def simulator_image(simulator: Simulated) -> str:
    return str(simulator.group(GROUP_IDS["qa-windows"])["image_name"])


def test_a_group_with_an_unusable_id_is_counted(client_as: People, project: Project, simulator: Simulated) -> None:
    simulator.change(GROUP_IDS["qa-windows"], id="a/b", name=None, server_group_status=None)
    client = client_as("help desk")

    page = shown(client)
    counts = read(client.get(f"{LIST}counts/", headers=HTMX))

    assert len(page.all("button", role="switch")) == 41
    for one in (page, counts):
        assert words(one.by_class("counts")[0].text) == "42 groups 38 on 3 off"
    assert "a%2Fb" not in page.html


def test_the_cloud_check_uses_a_group_with_a_usable_id(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    listed = client_for(project).list_server_groups().value
    simulator.change(listed[0].id, id="../x")

    response = client_as("administrator").get(f"{LIST}cloud-check/")

    assert response.status_code == 200
    assert {entry["path"].rsplit("/", 1)[-1] for entry in simulator.requests("GET")} >= {listed[1].id}


# Incomplete lists


SHORT = {"match": LISTS, "fault": "wrong_count", "by": 258}


def test_an_incomplete_list_says_so_and_counts_the_read_groups(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.inject(SHORT)

    response = client_as("help desk").get(LIST)

    page = read(response)
    (alert,) = page.by_class("alert-warning")
    assert alert.attrs["role"] == "alert"
    assert words(alert.text) == (
        "258 of 300 groups could not be read. The cloud counts them, but did not send them in a readable form."
    )
    assert words(page.by_class("counts")[0].text) == "42 of 300 groups 39 on 3 off"
    assert {"disabled" in switch.attrs for switch in page.all("button", role="switch")} == {False}


@pytest.fixture
def scripted(settings: Settings) -> Iterator[Callable[..., None]]:
    """A project whose cloud gives these responses to all requests, and repeats the last one."""
    with ExitStack() as stack:

        def answering(*bodies: object) -> None:
            cloud = stack.enter_context(scripted_cloud(*(respond(200, body) for body in bodies)))
            settings.CLOUD_PROJECTS = load_projects(
                {
                    "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
                    "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
                    "WORKSPACE_ENDPOINT": cloud.url,
                    "WORKSPACE_AUTH_TOKEN": "simulator-token",
                }
            )

        yield answering
        for client in cloud_client._clients.values():
            client.close()
        cloud_client._clients.clear()


def listed(*names: str, count: int) -> dict[str, object]:
    items = [{"id": f"id-{name}", "name": name, "server_group_status": name != "c"} for name in names]
    return {"count": count, "items": items}


def test_groups_only_in_the_last_complete_list_are_marked_and_locked(
    client_as: People, scripted: Callable[..., None]
) -> None:
    client = client_as("help desk")
    scripted(listed("a", "b", "c", count=3))
    shown(client)

    scripted(listed("a", count=3))
    partly = client.get(LIST)
    scripted(listed("a", "b", count=2))
    whole = client.get(LIST)

    page = read(partly)
    assert names(page) == ["a", "b", "c"]
    assert "2 of 3 groups could not be read." in said(partly)
    assert words(page.by_class("counts")[0].text) == "1 of 3 groups 1 on 0 off"
    marks = [words(mark.text) for mark in page.by_class("tag-attention")]
    assert [bool(re.fullmatch(r"not in the latest response, as of \d\d:\d\d UTC", mark)) for mark in marks] == [
        True
    ] * 2
    switches = page.all("button", role="switch")
    assert [(one.attrs["aria-label"], "disabled" in one.attrs) for one in switches] == [
        ("a", False),
        ("b", True),
        ("c", True),
    ]
    assert names(read(whole)) == ["a", "b", "c"]
    assert "could not be read" not in said(whole)


def test_a_group_without_an_id_is_reported_as_unreadable(client_as: People, scripted: Callable[..., None]) -> None:
    body = listed("a", "b", count=3)
    scripted({**body, "items": [*body["items"], {"name": "nameless"}]})  # type: ignore[misc]  # a list, as above

    response = client_as("viewer").get(LIST)

    assert "1 of 3 groups could not be read. The cloud counts it, but did not send it in a readable form." in said(
        response
    )
    assert words(read(response).by_class("counts")[0].text) == "2 of 3 groups 2 on 0 off"


def test_an_unreadable_list_is_not_an_empty_project(client_as: People, scripted: Callable[..., None]) -> None:
    scripted({"count": 300, "items": []})

    response = said(client_as("viewer").get(LIST))

    assert "300 of 300 groups could not be read." in response
    assert "The cloud counts 300 groups in this project, but sent no group that the dashboard can read." in response
    assert "No server groups yet" not in response


def test_a_list_that_is_too_large_keeps_the_last_list(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    client = client_as("help desk")
    before = names(shown(client))
    simulator.inject({"match": LISTS, "fault": "wrong_count", "by": 100_000})

    response = client.get(LIST)

    assert names(read(response)) == before
    assert "The list has more than 100,000 rows or 160 MB. This dashboard reads no longer lists." in said(response)


# Counts and unknown projects


def test_the_counts_are_loaded_again_after_a_switch(client_as: People, project: Project, simulator: Simulated) -> None:
    simulator.change(server_group_status=False)

    page = read(client_as("viewer").get(f"{LIST}counts/?q=a", headers=HTMX))
    frame = read(client_as("viewer").get(f"{LIST}?q=a")).by_id("summary").attrs

    assert words(page.by_class("counts")[0].text) == "42 groups 38 on 4 off"
    assert (frame["hx-get"], frame["hx-trigger"]) == (f"{LIST}counts/?q=a", "server-group-switched from:body")


def test_an_unknown_project_is_not_found(client_as: People, project: Project) -> None:
    responses = [
        client_as("viewer").get(f"/projects/{slug}/{page}").status_code
        for slug in ("nowhere", "DEFAULT", "de fault", "..")
        for page in ("server-groups/", "audit/", f"server-groups/{GROUP_IDS['qa-windows']}/")
    ]

    assert set(responses) == {404}


def test_the_client_returns_its_last_list_while_the_cloud_is_unavailable(project: Project) -> None:
    assert len(client_for(project).list_server_groups().value) == 42
