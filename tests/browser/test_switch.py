"""Switching a group off and on, also with a slow, rejecting or unavailable cloud."""

import re
from collections.abc import Callable

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import APIResponse, BrowserContext, Page, Route, expect

from dashboard.audit.models import ChangeIntent
from tests.browser.browsing import LIST, Site, focused, switch_area, switch_of, switch_off
from tests.conftest import address, fault
from tests.inventory_copy import CopyBeforeLists

EVERY_READ = {"match": {"method": "GET"}, "fault": "unavailable"}


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    """The list of a help desk user, filtered to design-pool and its standby."""
    page = open_context("help desk").new_page()
    page.goto(f"{LIST}?q=design-pool")
    expect(page.get_by_text("2 / 3")).to_be_visible()
    return page


def _announcements(page: Page) -> Callable[[], list[str]]:
    """Start to collect the texts of the live region. The result returns them."""
    page.evaluate(
        """() => {
          window.announced = [];
          const live = document.getElementById("live");
          new MutationObserver(() => live.textContent.trim() && window.announced.push(live.textContent.trim()))
            .observe(live, {childList: true, characterData: true, subtree: true});
        }"""
    )

    def collected() -> list[str]:
        texts: list[str] = page.evaluate("window.announced")
        return texts

    return collected


def test_the_dialog_shows_sessions_and_focuses_the_safe_button(page: Page) -> None:
    switch_of(page).press("Enter")

    dialog = page.get_by_role("dialog", name="Switch off design-pool?")
    expect(dialog).to_contain_text(re.compile(r"active sessions\s+[1-9]"))
    expect(dialog).to_contain_text(re.compile(r"disconnected sessions\s+\d"))
    expect(dialog).to_contain_text(re.compile(r"servers ready\s+2"))
    expect(dialog).to_contain_text(re.compile(r"standby\s+On"))
    expect(dialog.get_by_role("button", name="Keep it on")).to_be_focused()


@pytest.mark.parametrize("control", ["Escape", "Keep it on"])
def test_closing_the_dialog_sends_nothing_and_focuses_the_switch(site: Site, page: Page, control: str) -> None:
    switch_of(page).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()

    if control == "Escape":
        page.keyboard.press("Escape")
    else:
        dialog.get_by_role("button", name=control).click()

    expect(dialog).to_be_hidden()
    expect(switch_of(page)).to_be_focused()
    assert site.cloud.patches == []
    assert not ChangeIntent.objects.exists()


def test_the_dialog_requires_a_reason_before_it_sends_a_change(site: Site, page: Page) -> None:
    switch_of(page).click()

    page.get_by_role("button", name="Switch off").click()

    assert focused(page)["id"] == "id_reason"
    expect(page.get_by_role("dialog")).to_be_visible()
    assert site.cloud.patches == []


def test_a_double_click_sends_a_single_change(site: Site, page: Page) -> None:
    switch_of(page).click()
    page.get_by_label("Reason").fill("INC-1")
    page.get_by_role("button", name="Switch off").dblclick()
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")

    switch_of(page).dblclick()

    expect(switch_of(page)).to_have_attribute("aria-checked", "true")
    expect(page.locator("#live")).to_have_text("design-pool is on.")
    assert site.cloud.patches == [{"server_group_status": False}, {"server_group_status": True}]
    assert ChangeIntent.objects.count() == 2


def test_a_change_is_announced_once_and_the_switch_keeps_the_focus(page: Page) -> None:
    announced = _announcements(page)

    switch_off(page, "INC-1")
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    expect(switch_of(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(switch_of(page)).to_have_attribute("aria-checked", "true")
    expect(switch_of(page)).to_be_focused()

    expect(page.locator(".counts")).to_contain_text(re.compile(r"39 on\s+3 off"))
    assert announced() == ["design-pool is off.", "design-pool is on."]
    assert page.locator("#live").get_attribute("role") == "status"


def test_the_toast_offers_to_switch_on_again(site: Site, page: Page) -> None:
    switch_off(page, "INC-1")

    page.get_by_role("button", name="Switch on again").click()

    expect(switch_of(page)).to_have_attribute("aria-checked", "true")
    expect(page.locator(".toast-note")).to_contain_text("design-pool is on.")
    expect(switch_of(page)).to_be_focused()
    expect(page.get_by_role("button", name="Switch on again")).to_have_count(0)
    assert site.cloud.patches == [{"server_group_status": False}, {"server_group_status": True}]
    page.get_by_role("button", name="Close this message").click()
    expect(page.locator(".toast-note")).to_have_count(0)


def test_a_rejected_change_resets_the_switch_and_shows_the_error(site: Site, page: Page) -> None:
    site.cloud.inject(fault("forbidden"))

    switch_off(page, "INC-1")

    toast = page.locator(".toast-note")
    expect(toast).to_contain_text("design-pool is still on.")
    expect(toast).to_contain_text("WKS.0008")
    expect(toast).to_contain_text("The cloud would refuse the same change again.")
    expect(switch_of(page)).to_have_attribute("aria-checked", "true")
    expect(switch_area(page)).to_contain_text("On")
    assert len(site.cloud.patches) == 1


def test_the_counts_are_correct_after_a_switch_during_the_counting(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CopyBeforeLists, "is_on", False)
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/counts/**", lambda route: held.append((route, route.fetch())), times=1)

    switch_off(page, "INC-1")
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    expect(page.locator("#summary.htmx-request")).to_have_count(1)
    switch_of(page).click()
    expect(switch_of(page)).to_have_attribute("aria-checked", "true")
    ((route, counted_before),) = held
    assert "<strong>38</strong> on" in counted_before.text()
    route.fulfill(response=counted_before)

    expect(page.locator("#summary.htmx-request")).to_have_count(0)
    expect(page.locator(".counts")).to_contain_text(re.compile(r"39 on\s+3 off"))


def test_the_switch_is_busy_and_stays_on_until_a_slow_cloud_responds(site: Site, page: Page) -> None:
    site.cloud.inject(fault("delay", delay_ms=1200))

    switch_off(page, "INC-1")

    expect(switch_of(page)).to_have_attribute("aria-busy", "true")
    expect(switch_of(page)).to_have_attribute("aria-checked", "true")
    expect(page.locator(".counts")).to_contain_text("39 on")
    switch_of(page).click()
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(switch_of(page)).not_to_have_attribute("aria-busy", "true")
    assert site.cloud.patches == [{"server_group_status": False}]


def test_a_second_group_can_be_switched_during_a_slow_change(site: Site, page: Page) -> None:
    standby = page.get_by_role("switch", name="design-pool-standby")
    announced = _announcements(page)
    site.cloud.inject(fault("delay", delay_ms=1500))
    switch_off(page, "INC-1")

    standby.click()
    page.get_by_label("Reason").fill("INC-2")
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    expect(page.get_by_label("Reason")).to_have_value("INC-2")
    page.get_by_role("button", name="Switch off").click()

    expect(standby).to_have_attribute("aria-checked", "false")
    expect(page.locator("dialog")).to_have_count(0)
    assert announced() == ["design-pool is off.", "design-pool-standby is off."]


def test_the_switch_off_page_works_like_the_dialog(site: Site, page: Page) -> None:
    page.goto(address("switch/"))
    page.get_by_label("Reason").fill("INC-1")

    page.get_by_role("button", name="Switch off").click()

    expect(page.get_by_role("status").filter(has_text="design-pool is off.")).to_be_visible()
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    assert site.cloud.patches == [{"server_group_status": False}]


def test_the_page_keeps_the_last_list_and_locks_switches_during_an_outage(site: Site, page: Page) -> None:
    site.cloud.inject(EVERY_READ)

    page.reload()

    notice = page.locator(".alert-warning")
    expect(notice).to_contain_text("The list is from just now.")
    expect(switch_of(page)).to_be_disabled()
    expect(switch_of(page)).to_have_attribute("aria-checked", "true")
    site.cloud.inject()
    page.get_by_role("button", name="Refresh").click()
    expect(notice).to_have_count(0)
    expect(switch_of(page)).to_be_enabled()


def test_a_click_after_the_session_expires_opens_the_sign_in_page(site: Site, page: Page) -> None:
    Session.objects.all().delete()

    switch_of(page).click()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert f"?next={LIST.replace('/', '%2F')}%3Fq%3Ddesign-pool" in page.url
    expect(page.locator("#groups")).to_have_count(0)


def test_a_failed_request_shows_a_message_and_resets_the_switch(site: Site, page: Page) -> None:
    site.errors.ignore("htmx:sendError")
    site.errors.ignore("htmx:afterRequest")
    site.errors.ignore("net::ERR_FAILED")
    switch_of(page).click()
    page.get_by_label("Reason").fill("INC-1")
    page.route("**/switch/", lambda route: route.abort())

    page.get_by_role("button", name="Switch off").click()

    expect(page.get_by_role("alert")).to_have_text(
        "This dashboard does not respond. Reload the page before you try again."
    )
    expect(switch_of(page)).not_to_have_attribute("aria-busy", "true")
    expect(switch_of(page)).to_have_attribute("aria-checked", "true")


def test_an_error_of_the_dashboard_appears_above_the_list(site: Site, page: Page) -> None:
    site.errors.expect_status(503)
    site.cloud.inject(EVERY_READ)

    switch_of(page).click()

    expect(page.get_by_role("alert")).to_contain_text("The dashboard cannot read the cloud")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(switch_of(page)).to_be_visible()


def test_a_switch_on_the_page_of_a_group_updates_the_page(site: Site, page: Page) -> None:
    page.goto(address())

    switch_off(page, "INC-1")

    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    expect(page.locator("#group-columns .entries li")).to_have_count(1)
    expect(page.locator("#group-columns .configuration").nth(1)).to_contain_text(re.compile(r"Status\s+Off"))
    expect(switch_of(page)).to_be_focused()
    assert site.cloud.patches == [{"server_group_status": False}]


def test_each_switch_is_at_least_44_pixels_wide_and_high(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 800})

    sizes = [box for switch in page.get_by_role("switch").all() if (box := switch.bounding_box())]

    assert len(sizes) == 2
    assert all(box["width"] >= 44 and box["height"] >= 44 for box in sizes)
