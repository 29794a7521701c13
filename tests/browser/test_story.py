"""The main workflow from end to end, as in issue 2."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from dashboard.accounts.models import User
from tests.browser.browsing import ACTIVITY, LIST, PASSWORD, Site, switch_area, switch_of
from tests.conftest import DESIGN_POOL, address


def _sign_in(page: Page, user: User) -> None:
    user.set_password(PASSWORD)
    user.save()
    page.goto("/")
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def _sign_out(page: Page) -> None:
    page.get_by_text("account and appearance").locator("..").click()
    page.get_by_role("button", name="Sign out").click()


def test_the_help_desk_switches_a_group_off_and_an_administrator_edits_it(
    site: Site, page: Page, person: Callable[[str], User]
) -> None:
    _sign_in(page, person("help desk"))
    page.get_by_role("searchbox").press_sequentially("design-p")
    expect(page.get_by_text("1 to 2 of 2")).to_be_visible()
    expect(page.locator(".counts")).to_contain_text(re.compile(r"42 groups\s+39 on\s+3 off"))

    switch_of(page).click()
    dialog = page.get_by_role("dialog", name="Switch off design-pool?")
    expect(dialog).to_contain_text("active sessions")
    dialog.get_by_label("Reason").fill("INC-4711, image update")
    dialog.get_by_role("button", name="Switch off").click()

    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    expect(switch_area(page)).to_contain_text("Off")
    expect(page.locator(".counts")).to_contain_text(re.compile(r"42 groups\s+38 on\s+4 off"))
    expect(page.locator(f"#server-group-{DESIGN_POOL}")).to_contain_text("just now by help-desk")
    expect(page.locator("#live")).to_have_text("design-pool is off.")
    page.get_by_role("link", name="Activity").click()
    entry = page.locator(".entries li")
    expect(entry).to_have_count(1)
    expect(entry).to_contain_text(re.compile(r"help-desk\s+switched\s+design-pool\s+off"))
    expect(entry).to_contain_text("INC-4711, image update")
    expect(entry).to_contain_text("applied")
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)
    _sign_out(page)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    _sign_in(page, person("administrator"))
    page.goto(address())
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Name").fill("design-pool-7")
    page.get_by_label("CPU threshold").fill("70")
    page.get_by_label("Memory threshold").fill("90")
    expect(page.locator("[data-change-count]")).to_have_text("3 changes")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_label("Reason").fill("CHG-12")
    page.get_by_role("button", name="Send 3 changes").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"administrator\s+changed\s+design-pool"))
    for row, words in enumerate(
        (r"Name.*design-pool\s+design-pool-7", r"CPU threshold.*80 %\s+70 %", r"Memory threshold.*85 %\s+90 %")
    ):
        expect(page.locator(".diff tbody tr").nth(row)).to_have_text(re.compile(words, re.DOTALL))
    expect(page.locator(".outcomes")).to_contain_text("shows the new values")
    expect(page.locator(".outcomes")).to_contain_text("HTTP 200")
    expect(page.get_by_text("CHG-12")).to_be_visible()

    page.goto(address("edit/"))
    page.get_by_label("Name").fill("TEST")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Send 1 change").click()
    expect(page.locator(".entry .diff tbody tr")).to_have_text(re.compile(r"Name.*design-pool-7\s+TEST", re.DOTALL))
    page.goto(ACTIVITY)
    expect(page.locator(".entries li")).to_have_count(3)
    page.goto(f"{LIST}?q=TEST")
    expect(page.get_by_role("link", name="TEST", exact=True)).to_be_visible()
    before = site.cloud.group()["route_policy"]
    assert site.cloud.patches == [
        {"server_group_status": False},
        {
            "name": "design-pool-7",
            "route_policy": {
                "max_session": before["max_session"],
                "cpu_threshold": 70,
                "gpu_threshold": 75,
                "mem_threshold": 90,
            },
        },
        {"name": "TEST"},
    ]
