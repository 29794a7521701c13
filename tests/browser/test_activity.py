"""The activity pages: local times, filters, paging and export."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.audit.conftest import NOON, Enter, enter
from tests.browser.browsing import ACTIVITY, Site, focused
from tests.conftest import DESIGN_POOL, address
from tests.ledger import empty_ledger

__all__ = ["enter"]  # a fixture
KATHMANDU = "Asia/Kathmandu"  # 5 h 45 min ahead, all year
LOCAL, UTC = "14 Mar 2026, 17:45:00", "14 Mar 2026, 12:00:00 UTC"


@pytest.fixture
def page(site: Site, open_context: Callable[..., BrowserContext]) -> Page:
    """An auditor in a time zone far from UTC, with an empty ledger.

    Creating the auditor adds entries. They are removed, because a test may add entries with earlier times.
    """
    page = open_context("auditor", timezone_id=KATHMANDU).new_page()
    empty_ledger()
    return page


# Times


def test_an_entry_shows_local_time_and_utc_on_hover(page: Page, enter: Enter) -> None:
    page.goto(f"{ACTIVITY}{enter().number}/")

    times = page.locator(".entry time")
    expect(times).to_have_text([LOCAL, LOCAL])
    assert {time.get_attribute("title") for time in times.all()} == {UTC}


def test_a_list_shows_local_time_on_hover_also_after_filtering_and_going_back(page: Page, enter: Enter) -> None:
    enter(reason="needle")
    enter(reason="hay")
    times, title = page.locator(".entries time"), f"{LOCAL} (2026-03-14 12:00:00 UTC)"

    page.goto(ACTIVITY)
    expect(times).to_have_count(2)
    expect(times.first).to_have_attribute("title", title)
    page.get_by_role("searchbox").fill("needle")
    expect(times).to_have_count(1)
    expect(times).to_have_attribute("title", title)
    page.go_back()
    expect(times).to_have_count(2)
    expect(times.first).to_have_attribute("title", title)


def test_the_attention_page_shows_local_time_on_hover(page: Page, enter: Enter) -> None:
    enter(outcomes=("unknown",))

    page.goto(f"{ACTIVITY}attention/")

    expect(page.locator(".attention-list time")).to_have_attribute("title", f"{LOCAL} (2026-03-14 12:00:00 UTC)")


def test_the_history_of_a_group_shows_local_time_on_hover(page: Page, enter: Enter) -> None:
    enter(group_id=DESIGN_POOL)

    page.goto(address())

    expect(page.locator(".entries time")).to_have_attribute("title", f"{LOCAL} (2026-03-14 12:00:00 UTC)")


def test_times_without_javascript_are_marked_as_utc(open_context: Callable[..., BrowserContext], enter: Enter) -> None:
    page = open_context("auditor", timezone_id=KATHMANDU, java_script_enabled=False).new_page()
    empty_ledger()

    page.goto(f"{ACTIVITY}{enter().number}/")

    expect(page.locator(".entry time")).to_have_text([UTC, UTC])


def test_the_filter_uses_days_in_utc_and_shows_that(page: Page, enter: Enter) -> None:
    """19:00 UTC on the 14th is 00:45 on the 15th in Kathmandu. The filter uses the 14th."""
    enter(at=NOON + timedelta(hours=7))
    page.goto(ACTIVITY)

    days = page.get_by_role("group", name="Days, in UTC")
    days.get_by_label("From").fill("2026-03-15")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    days.get_by_label("From").fill("2026-03-14")
    expect(page.locator(".entries li")).to_have_count(1)
    expect(days).to_contain_text("UTC")


# Filters


def test_filters_update_the_address_the_export_and_the_announcement(page: Page, enter: Enter, tmp_path: Path) -> None:
    enter("alice", reason="INC-1")
    wanted = enter("bob", reason="INC-1", outcomes=("rejected",))
    enter("bob", reason="INC-2")
    live, chips, rows = page.locator("#live"), page.locator("a.chip"), page.locator(".entries li")

    page.goto(f"{ACTIVITY}?actor=bob")
    expect(chips).to_have_text(["Person bob × Remove filter"])
    page.get_by_role("searchbox").fill("INC-1")
    expect(live).to_have_text("1 entry shown")
    page.get_by_label("Outcome").select_option("Rejected")
    expect(chips).to_have_count(3)
    assert page.url.endswith(f"{ACTIVITY}?actor=bob&outcome=rejected&q=INC-1")
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON Lines").click()
    download.value.save_as(tmp_path / "export.jsonl")
    exported = [json.loads(line)["number"] for line in (tmp_path / "export.jsonl").read_text().splitlines()]
    assert exported == [wanted.number]

    page.get_by_role("link", name="Person bob").click()
    expect(chips).to_have_count(2)
    page.get_by_role("link", name="Outcome Rejected").click()
    expect(rows).to_have_count(2)
    expect(page.get_by_label("Outcome")).to_have_value("")
    page.go_back()
    expect(page.get_by_label("Outcome")).to_have_value("rejected")
    page.go_back()
    expect(chips).to_have_count(3)
    page.go_forward()
    expect(chips).to_have_count(2)


def test_going_back_and_forward_restores_filters_and_entries(page: Page, enter: Enter) -> None:
    enter("alice", reason="INC-1")
    enter("bob", reason="INC-2", outcomes=("rejected",))
    rows, kind, outcome = page.locator(".entries li"), page.get_by_label("Kind"), page.get_by_label("Outcome")
    page.goto(ACTIVITY)

    outcome.select_option("Rejected")
    expect(rows).to_have_count(1)
    kind.select_option("Edit")
    expect(page.locator("a.chip")).to_have_count(2)
    page.go_back()
    expect(kind).to_have_value("")
    expect(outcome).to_have_value("rejected")
    expect(rows).to_have_count(1)
    page.go_back()
    expect(outcome).to_have_value("")
    expect(rows).to_have_count(2)
    page.go_forward()
    page.go_forward()
    expect(kind).to_have_value("edit")
    expect(page.locator("a.chip")).to_have_count(2)


def test_going_forward_again_cancels_the_pending_request(page: Page, enter: Enter) -> None:
    enter(outcomes=("rejected",))
    kind = page.get_by_label("Kind")
    page.goto(ACTIVITY)
    page.get_by_label("Outcome").select_option("Rejected")
    expect(page.locator("a.chip")).to_have_count(1)
    kind.select_option("Edit")
    expect(page.locator("a.chip")).to_have_count(2)
    page.go_back()
    expect(kind).to_have_value("")
    page.go_back()
    expect(page.locator("a.chip")).to_have_count(0)
    page.route("**/?outcome=rejected", lambda _route: None)  # sends no response

    with page.expect_request("**/?outcome=rejected") as pending:
        page.go_forward()
    with page.expect_event("requestfailed", lambda request: request == pending.value):
        page.go_forward()

    expect(kind).to_have_value("edit")
    expect(page.locator("a.chip")).to_have_count(2)


def test_paging_works_both_ways_and_a_filter_shows_the_newest_entries(page: Page, enter: Enter) -> None:
    numbers = [enter("bob" if index % 2 else "alice").number for index in range(120)][::-1]
    shown = page.locator(".entry-time a")

    def first_shown() -> str:
        return (shown.first.get_attribute("href") or "").rstrip("/").rpartition("/")[2]

    page.goto(ACTIVITY)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newer")).to_be_visible()
    assert first_shown() == str(numbers[50])
    page.get_by_role("link", name="Older").click()
    expect(shown).to_have_count(20)
    page.get_by_role("link", name="Newer").click()
    expect(shown).to_have_count(50)
    assert first_shown() == str(numbers[50])
    page.go_back()
    expect(shown).to_have_count(20)
    page.get_by_role("searchbox").fill("bob")
    expect(page.locator("#live")).to_have_text("50 entries shown")
    assert (first_shown(), page.url.partition("?")[2]) == (str(numbers[0]), "q=bob")


def test_a_search_continues_automatically_until_it_finds_an_entry(
    page: Page, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.activity.filters.SCAN_LIMIT", 3)
    enter(reason="needle")
    for _ in range(12):
        enter(reason="hay")
    page.goto(ACTIVITY)

    page.get_by_role("searchbox").fill("needle")

    expect(page.locator("#live")).to_have_text("1 entry shown")
    expect(page.locator(".entries li")).to_contain_text("needle")
    assert page.url.endswith("?q=needle")


# Screen readers and keyboard


def test_old_and_new_values_differ_without_colours(page: Page, enter: Enter) -> None:
    enter()
    page.goto(ACTIVITY)

    tree = page.locator(".entries").aria_snapshot()

    assert "from 4 per server" in tree
    assert "to 6 per server" in tree


def test_the_tab_order_of_the_activity_is_its_reading_order(page: Page, enter: Enter) -> None:
    entry = enter("alice")
    page.goto(f"{ACTIVITY}?actor=alice")
    page.locator("#main").focus()

    stops: list[str] = []
    while stops[-1:] != ["design-pool"] and len(stops) < 30:
        page.keyboard.press("Tab")
        stops.append(focused(page)["words"])

    dates = ["From"] * 4 + ["To"] * 4  # each has a day, a month, a year and a calendar button
    assert stops == [
        *("System events", "Group, person or reason", "Field", "Kind", "Outcome"),
        *dates,
        *("Person alice × Remove filter", "System events of alice", "CSV", "JSON Lines"),
        stops[-2],
        "design-pool",
    ]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("alice changed design-pool")
    assert page.url.endswith(f"{ACTIVITY}{entry.number}/")
