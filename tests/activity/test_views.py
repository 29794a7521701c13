"""The pages of the ledger: filters, pages by cursor, entries, and escaped text."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.audit.ledger.services import Change
from dashboard.audit.models import ChangeIntent, Kind
from dashboard.cloud.projects import Project
from tests.audit.conftest import NOON, SESSIONS, Enter
from tests.ledger import without_table
from tests.markup import Element, Page, read, said, words

People = Callable[[str], Client]
LEDGER = "/projects/default/audit/"
HTMX = {"HX-Request": "true"}
RENAME = Change("name", "Name", "old", "new")
OFF = Change("server_group_status", "Status", True, False)


def numbers(page: Page) -> list[int]:
    """The numbers of the entries on a page, in their order."""
    links = [link.attrs["href"] for link in page.all("a") if link.attrs.get("href", "").startswith(LEDGER)]
    tails = [link.removeprefix(LEDGER).strip("/") for link in links]
    return [int(tail) for tail in tails if tail.isdigit()]


@pytest.fixture
def history(enter: Enter) -> dict[str, int]:
    """The numbers of four entries with different people, fields, groups, days and outcomes."""
    entries = {
        "march": enter("admin", SESSIONS, reason="INC-4711", at=NOON),
        "april": enter("admin", RENAME, outcomes=("rejected",), at=NOON + timedelta(days=31), group_id="g-2"),
        "switch": enter(
            "helpdesk", OFF, outcomes=("unknown", "applied"), at=NOON + timedelta(days=62), kind=Kind.SWITCH
        ),
        "denied": enter(
            "viewer", OFF, RENAME, outcomes=("denied",), at=NOON + timedelta(days=93), kind=Kind.DENIED, group_name="hr"
        ),
    }
    enter("admin", project="elsewhere")
    return {name: entry.number for name, entry in entries.items()}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["denied", "switch", "april", "march"]),
        ("?group=g-2", ["april"]),
        ("?group=hr", ["denied"]),
        ("?actor=admin", ["april", "march"]),
        ("?actor=Admin", []),
        ("?field=route_policy.max_session", ["march"]),
        ("?field=name", ["denied", "april"]),
        ("?field=server_group_status", ["denied", "switch"]),
        ("?outcome=applied", ["switch", "march"]),
        ("?outcome=unknown", []),
        ("?outcome=rejected", ["april"]),
        ("?outcome=denied", ["denied"]),
        ("?since=2026-04-14", ["denied", "switch", "april"]),
        ("?until=2026-04-14", ["april", "march"]),
        ("?since=2026-04-14&until=2026-04-14", ["april"]),
        ("?since=2026-03-14T12:00:00Z&until=2026-03-14T12:00:01Z", ["march"]),
        ("?until=2026-03-14T12:00:00Z", []),
        ("?since=2026-03-14T13:00:00%2B01:00&until=2026-03-15", ["march"]),
        ("?kind=switch", ["switch"]),
        ("?kind=perhaps", ["denied", "switch", "april", "march"]),
        ("?kind=edit&actor=admin&q=g", ["april", "march"]),
        ("?group=g-1&outcome=rejected", []),
        ("?group=design-pool&kind=switch", ["switch"]),
        ("?group=g-2&actor=helpdesk", []),
        ("?q=inc-47", ["march"]),
        ("?q=HELP", ["switch"]),
        ("?q=hr", ["denied"]),
        ("?q=%25", []),
        ("?actor=admin&field=name&outcome=rejected&since=2026-01-01&q=design", ["april"]),
        ("?actor=+admin+", ["april", "march"]),
    ],
)
def test_filters(client_as: People, project: Project, history: dict[str, int], query: str, expected: list[str]) -> None:
    page = read(client_as("auditor").get(LEDGER + query))

    assert numbers(page) == [history[name] for name in expected]


@pytest.mark.parametrize(
    "invalid",
    [
        "outcome=perhaps",
        "since=yesterday",
        "since=2026-13-45",
        "until=9999-12-31",
        "since=0001-01-01T00:00:00%2B14:00",
        "since=2026-02-30T25:00",
        "cursor=x",
        "cursor=-1",
        "cursor=٣",
        "cursor=99999999999999999999999",
        "q=%00",
        "actor=%00&group=%00&field=%00",
        "unknown=filter",
        "q=%ff",
    ],
)
def test_ignores_invalid_filters(client_as: People, project: Project, history: dict[str, int], invalid: str) -> None:
    answer = client_as("auditor").get(f"{LEDGER}?{invalid}")

    everything = [history[name] for name in ("denied", "switch", "april", "march")]
    assert answer.status_code == 200
    assert numbers(read(answer)) == ([] if invalid == "q=%ff" else everything)


def test_the_form_shows_the_filters_and_keeps_person_and_group(client_as: People, project: Project) -> None:
    query = "?q=de%22sign&field=name&outcome=applied&since=2026-01-01&until=2026-12-31&group=g-1&actor=admin"

    page = read(client_as("auditor").get(LEDGER + query))

    (form,) = [form for form in page.forms if form.attrs.get("role") == "search"]
    assert form.fields == {
        "q": 'de"sign',
        "field": "name",
        "kind": "",
        "outcome": "applied",
        "since": "2026-01-01",
        "until": "2026-12-31",
        "group": "g-1",
        "actor": "admin",
    }


def test_pages_by_cursor_show_every_entry_once(client_as: People, project: Project, enter: Enter) -> None:
    made = [enter("admin" if number % 10 else "other").number for number in range(120)]
    client = client_as("auditor")

    pages, link = [], "?actor=admin"
    while link:
        page = read(client.get(LEDGER + link))
        pages.append(numbers(page))
        link = next((older.attrs["href"] for older in page.all("a", rel="next")), "")
    newest = [a.attrs["href"] for a in page.all("a") if a.text == "Newest"]

    assert [len(page) for page in pages] == [50, 50, 8]
    assert [number for page in pages for number in page] == [number for index, number in enumerate(made) if index % 10][
        ::-1
    ]
    assert newest == [f"{LEDGER}?actor=admin"]


def test_new_entries_do_not_shift_a_page(client_as: People, project: Project, enter: Enter) -> None:
    client = client_as("auditor")
    for _ in range(60):
        enter()
    (older,) = read(client.get(LEDGER)).all("a", rel="next")
    before = numbers(read(client.get(LEDGER + older.attrs["href"])))

    enter()

    assert numbers(read(client.get(LEDGER + older.attrs["href"]))) == before


def test_a_partial_has_only_the_entries_and_their_count(
    client_as: People, project: Project, history: dict[str, int]
) -> None:
    answer = client_as("auditor").get(LEDGER, headers=HTMX)

    page = read(answer)
    assert (page.all("html"), words(page.by_id("live").text)) == ([], "4 entries shown")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "No entries yet"),
        ("?q=zzz", "Nothing found"),
        ("?since=yesterday", "No entries yet"),
        ("?since=2026-03-15&until=2026-03-14", "The period is empty"),
        ("?cursor=1", "No more entries"),
    ],
)
def test_an_empty_page_says_why(client_as: People, project: Project, query: str, expected: str) -> None:
    page = read(client_as("auditor").get(LEDGER + query))

    assert words(page.by_class("empty")[0].text).startswith(expected)
    assert page.by_class("exports") == []


def test_each_active_filter_is_shown_and_can_be_removed(
    client_as: People, project: Project, history: dict[str, int]
) -> None:
    query = {
        "group": "g-1",
        "actor": "admin",
        "field": "route_policy.max_session",
        "outcome": "applied",
        "kind": "edit",
        "since": "2026-03-14T12:00:00Z",
        "until": "2026-03-14",
        "q": "4711",
    }

    page = read(client_as("auditor").get(LEDGER, query))

    chips = {
        words(chip.text): parse_qs(chip.attrs["href"].removeprefix(f"{LEDGER}?"))
        for chip in links_in(page.by_class("chip"))
    }
    assert numbers(page) == [history["march"]]
    assert chips == {
        f"{title} \u00d7 Remove filter": {name: [value] for name, value in query.items() if name != left_out}
        for title, left_out in (
            ("Group hr", "group"),
            ("Person admin", "actor"),
            ("Field Maximum sessions", "field"),
            ("Kind Edit", "kind"),
            ("Outcome Applied", "outcome"),
            ("From 2026-03-14T12:00:00Z", "since"),
            ("To 2026-03-14", "until"),
            ("Text 4711", "q"),
        )
    }


def test_an_invalid_filter_is_not_shown_as_active(client_as: People, project: Project) -> None:
    page = read(client_as("auditor").get(f"{LEDGER}?since=yesterday&until=9999-12-31&outcome=perhaps&kind=perhaps"))

    assert links_in(page.by_class("chip")) == []


def links_in(elements: list[Element]) -> list[Element]:
    """Keep only links: the label of the project has the same class."""
    return [element for element in elements if element.tag == "a"]


@pytest.mark.parametrize(("since", "kind"), [("2026-03-14", "date"), ("2026-03-14T12:00:00Z", "text")])
def test_the_date_field_shows_a_time_from_the_address(
    client_as: People, project: Project, since: str, kind: str
) -> None:
    page = read(client_as("auditor").get(LEDGER, {"since": since}))

    (field,) = [one.attrs for one in page.all("input") if one.attrs.get("name") == "since"]
    assert (field["type"], field["value"]) == (kind, since)


def test_the_export_links_have_the_filters(client_as: People, project: Project, history: dict[str, int]) -> None:
    page = read(client_as("auditor").get(f"{LEDGER}?q=4711&actor=admin&cursor=99", headers=HTMX))

    links = [link.attrs["href"] for link in page.all("a") if "/export." in link.attrs.get("href", "")]
    assert links == [f"{LEDGER}export.csv?actor=admin&q=4711", f"{LEDGER}export.jsonl?actor=admin&q=4711"]


@pytest.mark.parametrize(
    ("query", "pushed"),
    [("?q=4711&field=&since=", f"{LEDGER}?q=4711"), ("?q=", LEDGER), ("?q=4711&cursor=99", None)],
)
def test_the_address_of_a_partial_has_only_active_filters(
    client_as: People, project: Project, query: str, pushed: str | None
) -> None:
    answer = client_as("auditor").get(LEDGER + query, headers=HTMX)

    assert answer.headers.get("HX-Push-Url") == pushed


def test_the_number_of_queries_does_not_grow(client_as: People, project: Project, enter: Enter) -> None:
    client = client_as("auditor")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(LEDGER)
        return len(captured)

    enter()
    few = queries()
    for _ in range(48):
        enter("admin", SESSIONS, RENAME, OFF, outcomes=("unknown", "applied"))

    assert queries() == few


def test_entries_read_as_sentences(client_as: People, project: Project, history: dict[str, int]) -> None:
    answer = said(client_as("auditor").get(LEDGER))

    assert "helpdesk switched design-pool off" in answer
    assert "admin changed design-pool" in answer
    assert "Maximum sessions 4 per server 6 per server INC-4711" in answer
    assert "viewer tried to change hr" in answer
    assert "admin tried to change design-pool Name old new" in answer


# One entry


def test_an_entry_shows_person_time_reason_fields_and_outcomes(
    client_as: People, project: Project, enter: Enter
) -> None:
    entry = enter("admin", SESSIONS, OFF, outcomes=("unknown", "applied"), reason="INC-4711")

    page = read(client_as("auditor").get(f"{LEDGER}{entry.number}/"))

    assert [words(row.text) for row in page.all("tr")] == [
        "Field Before After",
        "Maximum sessions route_policy.max_session 4 per server 6 per server",
        "Status server_group_status On Off",
    ]
    facts = {words(name.text): words(value.text) for name, value in zip(page.all("dt"), page.all("dd"), strict=True)}
    assert facts == {
        "Person": "admin from 192.0.2.7",
        "Time": "14 Mar 2026, 12:00:00 UTC",
        "Reason": "INC-4711",
        "Group": "All changes of design-pool g-1",
        "Ledger number": str(entry.number),
        "Hash": entry.hash,
    }
    assert words(page.by_class("outcomes")[0].text).startswith("unknown because unknown 14 Mar 2026, 12:00:00 UTC")


def test_a_denied_entry_shows_the_requested_values_only(
    client_as: People, project: Project, history: dict[str, int]
) -> None:
    page = read(client_as("auditor").get(f"{LEDGER}{history['denied']}/"))

    assert [words(row.text) for row in page.all("tr")] == [
        "Field Requested value",
        "Status server_group_status Off",
        "Name name new",
    ]


def test_an_entry_shows_a_field_that_the_table_no_longer_has(client_as: People, project: Project, enter: Enter) -> None:
    entry = enter("admin", Change("gone.field", "Gone", 1, None))

    page = read(client_as("auditor").get(f"{LEDGER}{entry.number}/"))

    assert words(page.all("tr")[1].text) == "Gone gone.field 1 no value"


@pytest.mark.parametrize("number", ["999", "0", "9" * 30, "9" * 5000])
def test_an_unknown_entry_is_not_found(client_as: People, project: Project, number: str) -> None:
    assert client_as("auditor").get(f"{LEDGER}{number}/").status_code == 404


def test_an_entry_of_another_project_is_not_found(client_as: People, project: Project, enter: Enter) -> None:
    entry = enter(project="elsewhere")

    assert client_as("auditor").get(f"{LEDGER}{entry.number}/").status_code == 404


def test_escapes_text_from_people_and_from_the_cloud(client_as: People, project: Project, enter: Enter) -> None:
    evil = '<script>alert("x")</script>\'"><img src=x onerror=y>'
    entry = enter(
        evil[:150],
        Change("description", evil, evil, evil),
        outcomes=("rejected",),
        error_msg=evil,
        reason=evil,
        group_name=evil,
        group_id="g'\"><img src=x>",
    )
    client = client_as("auditor")

    pages = [
        read(client.get(LEDGER + tail)) for tail in (f"{entry.number}/", "", f"?group={evil}&actor={evil}&q={evil}")
    ]

    for page in pages:
        assert page.all("img") == []
        assert [script.text for script in page.all("script")] == ["", ""]
    assert evil in pages[0].by_id("entry").text


@pytest.mark.parametrize(
    ("outcomes", "age", "asks", "has_button"),
    [(("applied",), 0, False, False), (("unknown",), 0, True, True), (("unknown",), 120, False, True)],
)
def test_an_unsettled_entry_checks_by_itself_for_a_minute_and_has_a_button(
    client_as: People,
    project: Project,
    enter: Enter,
    outcomes: tuple[str, ...],
    age: int,
    asks: bool,
    has_button: bool,
) -> None:
    entry = enter(outcomes=outcomes, at=timezone.now() - timedelta(seconds=age))

    page = read(client_as("help desk").get(f"{LEDGER}{entry.number}/"))

    forms = [form.attrs for form in page.forms if "settle" in form.attrs.get("action", "")]
    assert [form.get("hx-trigger", "") for form in forms] == (["load delay:2s"] if asks else [""] if has_button else [])
    assert ("Check again" in [words(button.text) for button in page.all("button")]) is has_button


@pytest.mark.parametrize("below", ["", "1/"])
def test_people_without_permission_do_not_see_the_ledger(
    client_as: People, project: Project, enter: Enter, below: str
) -> None:
    enter()

    answer = client_as("viewer").get(LEDGER + below)

    assert answer.status_code == 403
    assert "because applied" not in answer.content.decode()
    assert ChangeIntent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("below", ["", "1/"])
def test_says_that_the_ledger_cannot_be_read(client_as: People, project: Project, below: str) -> None:
    client = client_as("auditor")

    with without_table():
        answer = client.get(LEDGER + below)

    assert answer.status_code == 503
    assert "The ledger cannot be read" in said(answer)
    assert "no such table: main.audit_ledgerrow" in said(answer)


# Searching a long ledger


def test_pages_link_in_both_directions(client_as: People, project: Project, enter: Enter) -> None:
    made = [enter().number for _ in range(120)][::-1]
    client = client_as("auditor")

    def follow(link: str, rel: str) -> list[list[int]]:
        seen: list[list[int]] = []
        while link:
            page = read(client.get(LEDGER + link))
            seen.append(numbers(page))
            link = next((found.attrs["href"] for found in page.all("a", rel=rel)), "")
        return seen

    back = follow("?cursor=newer.0", "prev")

    assert [number for page in follow("?", "next") for number in page] == made
    assert [number for page in back[::-1] for number in page] == made
    assert [len(page) for page in back] == [50, 50, 20]


@pytest.mark.parametrize(
    ("query", "expected_steps"),
    [
        ("q=needle", 5),
        ("q=needle&outcome=rejected", 5),
        ("field=name&actor=admin", 3),
        ("actor=admin&field=name", 3),
        ("q=needle&actor=admin&field=name", 3),
        ("outcome=rejected&field=name&kind=revert", 1),  # there are only three reverts
    ],
)
def test_a_search_reads_a_limited_number_of_rows_and_continues_by_a_link(
    client_as: People,
    project: Project,
    enter: Enter,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    expected_steps: int,
) -> None:
    monkeypatch.setattr("dashboard.activity.filters.SCAN_LIMIT", 7)
    for number in range(30):
        if number % 10 == 5:
            enter("admin", RENAME, reason="a needle", outcomes=("rejected",), kind=Kind.REVERT)
        elif number % 2:
            enter("admin", SESSIONS, reason="hay", outcomes=("rejected",))
        else:
            enter("helpdesk", RENAME, reason="hay", outcomes=("rejected",))
    client, link, found, steps = client_as("auditor"), f"?{query}", [], 0

    while link:
        page = read(client.get(LEDGER + link))
        found += numbers(page)
        words_of_links = ("Search older entries", "Continue the search")
        link = next((a.attrs["href"] for a in page.all("a") if words(a.text) in words_of_links), "")
        steps += 1

    assert (len(found), found, steps) == (3, sorted(found, reverse=True), expected_steps)


def test_a_search_continues_by_itself_until_it_finds_an_entry(
    client_as: People, project: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.activity.filters.SCAN_LIMIT", 3)
    enter(reason="needle")
    for _ in range(5):
        enter(reason="hay")

    page = read(client_as("auditor").get(f"{LEDGER}?q=needle"))

    (on,) = [link.attrs for link in page.all("a") if words(link.text) == "Continue the search"]
    assert (on["hx-trigger"], on["href"]) == ("load delay:20ms, click", on["hx-get"])


@pytest.mark.parametrize("group_id", ["a/b", "..", ""])
def test_an_entry_of_a_group_without_a_page_has_no_link(
    client_as: People, project: Project, enter: Enter, group_id: str
) -> None:
    entry = enter("admin", SESSIONS, outcomes=("unknown",), group_id=group_id, group_name="strange")
    client = client_as("administrator")

    answers = [client.get(LEDGER), client.get(f"{LEDGER}{entry.number}/"), client.get(f"{LEDGER}attention/")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    for answer in answers:
        assert "strange" in said(answer)
        assert [link for link in read(answer).all("a") if link.text == "strange"] == []
