"""A lost response: the page shows an unknown outcome, reads the group again, and sends nothing twice."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from tests.browser.browsing import ACTIVITY, LIST, Site, switch_area, switch_of
from tests.conftest import DESIGN_POOL, address

READS_IN_REQUEST = 2 * 3
"""Two reads during the request, with three attempts each."""


def test_a_switch_with_a_lost_response_shows_checking_until_a_read_succeeds(
    site: Site, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context("help desk").new_page()
    page.goto(f"{LIST}?q=design-pool")
    switch_of(page).click()
    page.get_by_label("Reason").fill("INC-4711")
    # The first check by the page fails to read the group. The second check succeeds.
    site.inject_unknown_outcome(unreadable=READS_IN_REQUEST + 3)

    page.get_by_role("button", name="Switch off").click()

    area = switch_area(page)
    expect(area).to_have_text("Checking")
    expect(switch_of(page)).to_have_count(0)
    expect(page.locator("#live")).to_contain_text("It is not known yet whether design-pool is off.")
    expect(page.locator("#problem")).to_be_empty()
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    expect(page.locator("#live")).to_have_text("design-pool is off.")
    expect(page.locator(".counts")).to_contain_text(re.compile(r"38 on\s+4 off"))
    assert site.cloud.patches == [{"server_group_status": False}]


def test_an_edit_with_a_lost_response_shows_unknown_until_a_read_succeeds(
    site: Site, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context("administrator").new_page()
    page.goto(address("edit/"))
    page.get_by_label("Description").fill("CAD users, Building 8")
    page.get_by_role("button", name="Review changes").click()
    send = page.get_by_role("button", name="Send 1 change")
    expect(send).to_be_visible()
    site.inject_unknown_outcome(unreadable=READS_IN_REQUEST + 3)

    send.click()

    badge = page.locator(".page-head .outcome")
    expect(badge).to_have_text("unknown, checking")
    expect(page.get_by_role("heading", level=1)).to_contain_text("tried to change")
    expect(page.get_by_text("It is not known yet whether the cloud applied this change.")).to_be_visible()
    expect(badge).to_have_text("applied")
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("tried to")
    expect(page.get_by_text("It is not known yet")).to_have_count(0)
    assert site.cloud.patches == [{"description": "CAD users, Building 8"}]


def test_every_page_shows_an_unsettled_change(site: Site, open_context: Callable[..., BrowserContext]) -> None:
    page = open_context("administrator").new_page()
    site.cloud.inject({"match": {"method": "PATCH"}, "times": 1, "fault": "ignored"})
    page.goto(address("edit/"))
    page.get_by_label("Description").fill("CAD users, Building 8")

    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Send 1 change").click()

    expect(page.locator(".page-head .outcome")).to_have_text("unknown, checking")
    page.goto(ACTIVITY)
    expect(page.locator(".entries .outcome")).to_have_text("unknown, checking")
    page.goto(address())
    expect(switch_area(page)).to_have_text("Checking")
    page.goto(f"{LIST}?q=design-pool")
    expect(switch_area(page)).to_have_text("Checking")
    site.cloud.change(description="CAD users, Building 8")
    expect(switch_of(page)).to_have_attribute("aria-checked", "true")
    assert len(site.cloud.patches) == 1
    assert page.locator(f"#server-group-{DESIGN_POOL}").is_visible()
