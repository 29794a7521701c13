"""Every feature works without JavaScript."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dashboard.accounts.models import User
from tests.browser.browsing import ACTIVITY, LIST, PASSWORD, Site, switch_area, switch_of
from tests.conftest import address


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    return open_context("administrator", java_script_enabled=False).new_page()


def test_a_user_signs_in_and_out(open_context: Callable[..., BrowserContext], person: Callable[[str], User]) -> None:
    user = person("help desk")
    user.set_password(PASSWORD)
    user.save()
    page = open_context(java_script_enabled=False).new_page()
    page.goto("/")

    page.get_by_label("Username").fill("help-desk")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="Server groups")).to_be_visible()
    page.locator(".me summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_list_has_filters_and_sorting(page: Page) -> None:
    page.goto(LIST)

    page.get_by_role("searchbox").fill("callcenter")
    page.get_by_label("Status").select_option("On")
    page.get_by_role("button", name="Filter").click()
    page.locator("th a", has_text="Name").click()

    expect(page.locator("tbody .cell-name a")).to_have_text(
        ["callcenter-03", "callcenter-02", "callcenter-01-b", "callcenter-01"]
    )
    expect(page.get_by_label("Status")).to_have_value("on")


def test_a_group_is_switched_off_and_on(site: Site, page: Page) -> None:
    page.goto(f"{LIST}?q=design-pool")

    switch_of(page).click()
    expect(page.get_by_role("heading", name="Switch off design-pool?")).to_be_visible()
    page.get_by_label("Reason").fill("INC-1")
    page.get_by_role("button", name="Switch off").click()

    expect(page.get_by_role("status").filter(has_text="design-pool is off.")).to_be_visible()
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    switch_of(page).click()
    expect(page.get_by_role("status").filter(has_text="design-pool is on.")).to_be_visible()
    assert site.cloud.patches == [{"server_group_status": False}, {"server_group_status": True}]


def test_keep_it_on_sends_nothing(site: Site, page: Page) -> None:
    page.goto(address("switch/"))

    page.get_by_role("link", name="Keep it on").click()

    expect(page.get_by_role("heading", name="design-pool", exact=True)).to_be_visible()
    assert site.cloud.patches == []


def test_a_corrected_form_is_sent(site: Site, page: Page) -> None:
    site.errors.expect_status(422)
    page.goto(address("edit/"))

    page.get_by_label("Description").fill("CAD users, Building 8")
    page.get_by_label("System disk size").fill("20")
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator(".error-summary")).to_contain_text("System disk size")
    page.get_by_label("System disk size").fill("100")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_label("Reason").fill("CHG-1")
    page.get_by_role("button", name="Send 2 changes").click()

    expect(page.locator(".page-head .outcome")).to_have_text("applied")
    expect(page.get_by_text("CHG-1")).to_be_visible()
    assert site.cloud.patches == [{"description": "CAD users, Building 8", "system_disk_size": 100}]


def test_check_again_settles_an_unsettled_change(site: Site, page: Page) -> None:
    site.cloud.inject({"match": {"method": "PATCH"}, "times": 1, "fault": "ignored"})
    page.goto(address("switch/"))
    page.get_by_label("Reason").fill("INC-1")
    page.get_by_role("button", name="Switch off").click()
    expect(switch_area(page)).to_contain_text("Checking")
    site.cloud.change(server_group_status=False)

    page.get_by_role("button", name="Check again").click()

    expect(page.locator(".page-head .outcome")).to_have_text("applied")
    assert len(site.cloud.patches) == 1


def test_the_activity_has_filters(site: Site, page: Page) -> None:
    page.goto(address("switch/"))
    page.get_by_label("Reason").fill("INC-1")
    page.get_by_role("button", name="Switch off").click()
    page.goto(ACTIVITY)

    page.get_by_label("Outcome").select_option("applied")
    page.get_by_role("button", name="Filter").click()

    expect(page.locator(".entries li")).to_have_text(re.compile(r"switched\s+design-pool\s+off"))
    page.get_by_label("Field", exact=True).select_option("Name")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()


def test_a_user_chooses_a_theme(page: Page) -> None:
    page.goto(LIST)

    page.locator(".me summary").click()
    page.get_by_role("button", name="Dark").click()

    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert page.url.endswith(LIST)
