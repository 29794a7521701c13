"""Reverting a change from its entry. The revert skips fields that changed later and passes the review."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.browsing import ACTIVITY, Site
from tests.conftest import address


def change_two_fields(page: Page) -> str:
    """Change two fields in the form and return the address of the entry."""
    page.goto(address("edit/"))
    page.get_by_label("Description").fill("CAD users, Building 8")
    page.get_by_label("CPU threshold").fill("85")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Send 2 changes").click()
    expect(page.locator(".page-head .outcome")).to_have_text("applied")
    return page.url


def test_a_revert_skips_fields_that_changed_later_and_works_only_once(
    site: Site, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context("administrator").new_page()
    entry = change_two_fields(page)
    site.cloud.change(description="changed since by someone else")
    site.cloud.control("DELETE", "requests")

    page.get_by_role("link", name="Revert", exact=True).click()
    expect(page.get_by_text("because they have another value now: Description.")).to_be_visible()
    expect(page.get_by_label("Description")).to_have_value("changed since by someone else")
    expect(page.get_by_label("CPU threshold")).to_have_value("80")
    expect(page.locator("[data-change-count]")).to_have_text("1 change")
    page.get_by_role("button", name="Review changes").click()
    number = entry.rstrip("/").rpartition("/")[2]
    expect(page.get_by_label("Reason")).to_have_value(f"Reverts entry {number}")
    page.get_by_role("button", name="Send 1 change").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("administrator reverted design-pool")
    reverting = page.url
    assert [patch["route_policy"]["cpu_threshold"] for patch in site.cloud.patches] == [80]

    page.go_back()
    expect(page.get_by_text("There is nothing to revert.")).to_contain_text(
        "because they have the earlier value already: CPU"
    )
    assert page.url == entry
    page.go_forward()
    expect(page.get_by_role("heading", level=1)).to_have_text("administrator reverted design-pool")
    page.get_by_role("link", name=f"Entry {number}").click()
    expect(page.get_by_role("link", name=f"Entry {reverting.rstrip('/').rpartition('/')[2]}")).to_be_visible()
    assert len(site.cloud.patches) == 1


def test_reverting_works_without_javascript(site: Site, open_context: Callable[..., BrowserContext]) -> None:
    page = open_context("administrator", java_script_enabled=False).new_page()
    change_two_fields(page)

    page.get_by_role("link", name="Revert", exact=True).click()
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Send 2 changes").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("administrator reverted design-pool")
    page.goto(f"{ACTIVITY}?kind=revert")
    expect(page.locator(".entries li")).to_have_count(1)
    assert site.cloud.group()["description"] == "CAD users, Building 7"
