"""The chart of a group's load: its links swap only the chart, and its times are those of the reader."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.browser.browsing import Site, focused, switch_off
from tests.browser.loads import store_load
from tests.conftest import DESIGN_POOL, address


def test_a_link_swaps_the_chart_and_keeps_the_focus(site: Site, open_context: Callable[..., BrowserContext]) -> None:
    store_load(DESIGN_POOL)
    page = open_context("viewer", timezone_id="Asia/Shanghai").new_page()
    page.goto(address())
    expect(page.locator(".load-times")).to_have_text(re.compile(r"^(\s*\d\d:\d\d){5}\s*$"))
    calls = len(site.cloud.requests())

    page.get_by_role("link", name="30 days").press("Enter")

    expect(page.locator(".load-times")).to_have_text(re.compile(r"^(\s*\d{1,2} \w+){6}\s*$"))
    expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(re.compile(r"\?load=30d$"))
    assert focused(page)["id"] == "load-30d"
    assert len(site.cloud.requests()) == calls
    page.reload()
    expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")


def test_a_switch_keeps_the_chosen_period(site: Site, open_context: Callable[..., BrowserContext]) -> None:
    store_load(DESIGN_POOL)
    page = open_context("administrator").new_page()
    page.goto(address())
    page.get_by_role("link", name="30 days").click()
    expect(page.locator("#load-30d")).to_have_attribute("aria-current", "true")

    switch_off(page, "INC-1")

    expect(page.locator(".entries li")).to_have_count(1)
    expect(page.locator("#load-30d")).to_have_attribute("aria-current", "true")
