"""Filters of the group list and of the activity: typing, links, back and forward."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.browsing import ACTIVITY, LIST, Site, switch_off


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    page = open_context("help desk").new_page()
    page.goto(LIST)
    return page


def test_typing_filters_the_table_and_announces_the_number_of_groups(page: Page) -> None:
    page.get_by_role("searchbox").press_sequentially("finance")

    expect(page.locator("#live")).to_have_text("5 groups found")
    expect(page.locator("tbody tr")).to_have_count(5)
    expect(page.get_by_role("searchbox")).to_be_focused()
    assert page.url.endswith(f"{LIST}?q=finance")


def test_back_and_forward_restore_filters_fields_and_table(site: Site, page: Page) -> None:
    page.get_by_label("Status").select_option("Off")
    expect(page.locator("#live")).to_have_text("3 groups found")
    page.get_by_role("searchbox").fill("legal")
    expect(page.locator("#live")).to_have_text("1 group found")

    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.get_by_label("Status")).to_have_value("off")
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.go_back()
    expect(page.get_by_label("Status")).to_have_value("")
    expect(page.locator("tbody tr")).to_have_count(42)
    page.go_forward()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.go_forward()

    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("legal")
    assert page.url == f"{site.url}{LIST}?q=legal&status=off"


def test_a_pasted_link_restores_the_view(page: Page) -> None:
    page.goto(f"{LIST}?status=on&app_type=SESSION_DESKTOP_APP&sort=-ready")

    expect(page.get_by_label("Status")).to_have_value("on")
    expect(page.get_by_label("Application type")).to_have_value("SESSION_DESKTOP_APP")
    expect(page.locator("tbody .cell-name a")).to_have_text(["browser-isolation", "exam-room"])
    expect(page.get_by_role("columnheader", name="Servers ready")).to_have_attribute("aria-sort", "descending")


def test_a_count_above_the_list_filters_the_list(page: Page) -> None:
    page.get_by_role("link", name="3 off").click()

    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.get_by_label("Status")).to_have_value("off")


def test_sorting_keeps_the_filter_and_filtering_keeps_the_sort(page: Page) -> None:
    page.get_by_role("searchbox").fill("finance-")
    expect(page.locator("#live")).to_have_text("4 groups found")

    page.get_by_role("link", name="Name", exact=False).and_(page.locator("th a")).click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("tbody .cell-name a")).to_have_text(
        ["trading-floor", "finance-eu-standby", "finance-eu", "finance-apac"]
    )
    page.get_by_role("searchbox").fill("finance-eu")

    expect(page.locator("tbody .cell-name a")).to_have_text(["finance-eu-standby", "finance-eu"])
    assert page.url.endswith("?q=finance-eu&sort=-name")


@pytest.mark.parametrize(
    ("label", "option", "found"),
    [
        ("Status", "Off", 3),
        ("Application type", "Session desktop app", 3),
        ("Role", "Standby", 5),
        ("Image", "partner-erp-2026-03", 3),
        ("Tag", "team=finance", 3),
    ],
)
def test_each_option_filters_the_list_immediately(page: Page, label: str, option: str, found: int) -> None:
    page.get_by_label(label, exact=True).and_(page.locator("select")).select_option(option)

    expect(page.locator("#live")).to_have_text(f"{found} groups found")


def test_an_empty_result_offers_a_link_to_all_groups(page: Page) -> None:
    page.get_by_role("searchbox").fill("zzz")

    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    expect(page.locator("#live")).to_have_text("0 groups found")
    page.get_by_role("link", name="Show all groups").click()
    expect(page.locator("tbody tr")).to_have_count(42)


def test_the_filters_of_the_activity_work_like_those_of_the_list(page: Page) -> None:
    page.goto(f"{LIST}?q=design-pool")
    switch_off(page, "INC-4711")
    page.get_by_role("button", name="Switch on again").click()
    expect(page.locator(".toast-note")).to_contain_text("is on.")
    page.goto(ACTIVITY)
    expect(page.locator(".entries li")).to_have_count(2)

    page.get_by_role("searchbox").fill("4711")
    expect(page.locator("#live")).to_have_text("1 entry shown")
    page.get_by_label("Outcome").select_option("rejected")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()

    page.go_back()
    expect(page.locator(".entries li")).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("4711")
    expect(page.get_by_label("Outcome")).to_have_value("")
    page.get_by_label("To", exact=True).fill("2020-01-01")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
