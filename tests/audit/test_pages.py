"""The activity list and an entry's page, as an auditor reads them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.accounts.models import Actor
from dashboard.audit.models import ChangeIntent, Kind, Outcome, Value
from dashboard.audit.services import Attempt, Change, Verdict, record_closed
from dashboard.cloud.projects import Project
from tests.markup import read, said, words

ACTIVITY = "/projects/default/audit/"
ROWS: tuple[tuple[str, str, str, Value, Value, Outcome, str, int], ...] = (
    # group, person, field, before, after, outcome, reason, day of March
    ("design-pool", "administrator", "name", "a", "<b>x</b>", Outcome.APPLIED, "INC-1 names", 1),
    ("design-pool", "help desk", "server_group_status", True, False, Outcome.APPLIED, "INC-2 off", 2),
    ("finance-eu", "administrator", "route_policy.max_session", 6, 8, Outcome.REJECTED, "CHG-3", 3),
    ("finance-eu", "viewer", "description", None, "hello", Outcome.DENIED, "", 4),
)
LABELS = {
    "name": "Name",
    "server_group_status": "Status",
    "route_policy.max_session": "Maximum sessions",
    "description": "Description",
}


@pytest.fixture
def entries(acting: Callable[[str], Actor], project: Project) -> None:
    for number, (group, who, field, before, after, outcome, reason, day) in enumerate(ROWS):
        kind = {"server_group_status": Kind.SWITCH, "description": Kind.DENIED}.get(field, Kind.EDIT)
        change = Change(field, LABELS[field], before, after)
        with time_machine.travel(datetime(2026, 3, day, 12, tzinfo=UTC), tick=False):
            record_closed(
                Attempt("default", f"id-{group}", group, (change,), kind, reason, acting(who), f"k-{number}"),
                Verdict(outcome, "seen", error_msg="<script>alert(1)</script>"),
            )


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("", [4, 3, 2, 1]),
        ("group=design-pool", [2, 1]),
        ("group=id-finance-eu", [4, 3]),
        ("actor=help-desk", [2]),
        ("field=route_policy.max_session", [3]),
        ("outcome=applied", [2, 1]),
        ("outcome=denied", [4]),
        ("outcome=nonsense", [4, 3, 2, 1]),
        ("since=2026-03-03", [4, 3]),
        ("until=2026-03-02", [2, 1]),
        ("since=2026-03-02T12:00:00Z&until=2026-03-03", [3, 2]),
        ("since=yesterday&until=9999-12-31", [4, 3, 2, 1]),
        ("q=inc-", [2, 1]),
        ("q=FINANCE", [4, 3]),
        ("actor=administrator&outcome=rejected&q=chg", [3]),
        ("q=%00", [4, 3, 2, 1]),
        ("cursor=nonsense", [4, 3, 2, 1]),
        ("q=no-such-thing", []),
    ],
)
def test_filters_stand_in_the_address(
    client_as: Callable[[str], Client], entries: None, query: str, days: list[int]
) -> None:
    page = client_as("auditor").get(f"{ACTIVITY}?{query}")

    assert [entry.at.day for entry in page.context["entries"]] == days
    assert ("No entry matches." in said(page)) is (not days)


def test_the_sentence_says_who_did_what(client_as: Callable[[str], Client], entries: None) -> None:
    page = read(client_as("auditor").get(ACTIVITY))

    assert [words(sentence.text) for sentence in page.by_class("entry-sentence")] == [
        "viewer tried to change finance-eu",
        "administrator tried to change finance-eu",
        "help-desk switched design-pool off",
        "administrator changed design-pool",
    ]


def test_pages_follow_a_cursor(
    client_as: Callable[[str], Client], acting: Callable[[str], Actor], project: Project
) -> None:
    for number in range(55):
        attempt = Attempt("default", "g", "g", (), Kind.EDIT, "", acting("administrator"), f"k-{number}")
        record_closed(attempt, Verdict(Outcome.CONFLICT, "seen"))
    client = client_as("auditor")

    first = client.get(ACTIVITY)
    second = client.get(f"{ACTIVITY}{first.context['older']}")

    numbers = [entry.number for page in (first, second) for entry in page.context["entries"]]
    assert numbers == sorted(ChangeIntent.objects.values_list("number", flat=True), reverse=True)
    assert (first.context["newest"], second.context["older"], second.context["newest"]) == ("", "", "?")


def test_the_list_asks_the_database_as_often_however_long_it_is(
    client_as: Callable[[str], Client], acting: Callable[[str], Actor], entries: None
) -> None:
    client = client_as("auditor")
    client.get(ACTIVITY)

    with CaptureQueriesContext(connection) as few:
        client.get(ACTIVITY)
    for number in range(30):
        attempt = Attempt("default", "g", "g", (), Kind.EDIT, "", acting("administrator"), f"more-{number}")
        record_closed(attempt, Verdict(Outcome.CONFLICT, "seen"))
    with CaptureQueriesContext(connection) as many:
        client.get(ACTIVITY)

    assert len(few) == len(many)


def test_an_entry_shows_the_difference_and_treats_texts_as_texts(
    client_as: Callable[[str], Client], entries: None
) -> None:
    first = ChangeIntent.objects.order_by("number")[0]

    page = client_as("auditor").get(f"{ACTIVITY}{first.number}/")

    assert "Name name a <b>x</b>" in said(page)
    html = page.content.decode()
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html


def test_values_read_in_the_words_of_the_form(client_as: Callable[[str], Client], entries: None) -> None:
    page = said(client_as("auditor").get(ACTIVITY))

    assert "Status On Off" in page
    assert "Maximum sessions 6 per server 8 per server" in page


@pytest.mark.parametrize("address", [f"{ACTIVITY}999/", "/projects/elsewhere/audit/1/", "/projects/elsewhere/audit/"])
def test_what_is_not_there_is_not_found(client_as: Callable[[str], Client], entries: None, address: str) -> None:
    assert client_as("auditor").get(address).status_code == 404


def test_an_entry_of_another_project_is_not_found(
    client_as: Callable[[str], Client], acting: Callable[[str], Actor], project: Project
) -> None:
    other = Attempt("other", "g", "g", (), Kind.EDIT, "", acting("administrator"), "k")
    number = record_closed(other, Verdict(Outcome.CONFLICT, "seen")).number

    assert client_as("auditor").get(f"{ACTIVITY}{number}/").status_code == 404
