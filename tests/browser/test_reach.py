"""Accessibility: axe on every page and state, narrow windows, zoom and keyboard."""

import itertools
import os
import re
from collections.abc import Callable
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from dashboard.accounts.models import User
from tests.browser.browsing import (
    ACTIVITY,
    LIST,
    PASSWORD,
    Site,
    State,
    focused,
    overflowing_elements,
    page_at,
    switch_of,
    switch_off,
)
from tests.browser.ledger_states import LEDGER_STATES
from tests.browser.loads import store_load
from tests.conftest import DESIGN_POOL, address, fault

AXE = Axe()
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (320, 768, 1280)


def _failed_sign_in(_site: Site, page: Page) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").filter(has_text="not correct")).to_be_visible()


def _list(_site: Site, page: Page) -> None:
    page.goto(LIST)
    expect(page.get_by_text("2 / 3").first).to_be_visible()


def _short_list(_site: Site, page: Page) -> None:
    page.goto(f"{LIST}?q=design")
    expect(page.get_by_text("2 / 3").first).to_be_visible()


def _list_with_a_toast(site: Site, page: Page) -> None:
    _short_list(site, page)
    switch_off(page, "INC-1")
    expect(page.locator(".toast-note")).to_be_visible()


def _list_with_unavailable_cloud(site: Site, page: Page) -> None:
    _short_list(site, page)
    site.cloud.inject({"match": {"method": "GET"}, "fault": "unavailable"})
    page.reload()
    expect(page.locator(".alert-warning")).to_be_visible()


def _dialog(_site: Site, page: Page) -> None:
    page.goto(f"{LIST}?q=design-pool")
    switch_of(page).click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _group_with_history(_site: Site, page: Page) -> None:
    page.goto(address())
    switch_off(page, "INC-1")
    expect(page.locator(".entries li")).to_have_count(1)


def _group_with_load(_site: Site, page: Page) -> None:
    store_load(DESIGN_POOL)
    page.goto(address("?load=30d"))
    page.get_by_text("Show as a table").click()
    expect(page.get_by_role("columnheader", name="Servers ready")).to_be_visible()


def _edit(_site: Site, page: Page) -> None:
    page.goto(address("edit/"))
    expect(page.locator("[data-disk-types]")).to_be_attached()
    expect(page.locator("[data-picker]")).to_be_attached()


def _picker_open(site: Site, page: Page) -> None:
    _edit(site, page)
    page.locator("[data-picker] summary").click()
    expect(page.locator("[data-image-id]").first).to_be_visible()


def _choices_unavailable(site: Site, page: Page) -> None:
    site.cloud.inject(
        {"match": {"path": "/v2/cloudimages"}, "fault": "forbidden"},
        {"match": {"path": "*/volume-type"}, "fault": "forbidden"},
    )
    page.goto(address("edit/"))
    expect(page.get_by_text("The dashboard cannot list the images")).to_be_visible()
    expect(page.get_by_text("The dashboard cannot read which disk types the cloud offers.")).to_be_visible()


def _fields_that_do_not_apply(site: Site, page: Page) -> None:
    site.cloud.change(is_vdi=True, primary_server_group_ids=["another"], image_type="private", image_product_id="")
    _edit(site, page)
    expect(page.get_by_label("Image product ID")).to_be_disabled()


def _review_of_an_image(site: Site, page: Page) -> None:
    _picker_open(site, page)
    page.locator("[data-image-type=private]").first.click()
    page.get_by_label("System disk size").fill("500")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_label("Replace the image of this group")).to_be_visible()


def _input_kept_after_sign_in(site: Site, page: Page) -> None:
    _edit(site, page)
    page.get_by_label("Description").fill("typed before")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    user = User.objects.get(username="administrator")
    user.set_password(PASSWORD)
    user.save()
    page.get_by_label("Username").fill("administrator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Nothing was sent. Your input is kept.")).to_be_visible()


def _edit_with_errors(site: Site, page: Page) -> None:
    site.errors.expect_status(422)
    _edit(site, page)
    page.get_by_label("Name").fill("two words")
    page.get_by_label("Name").press("Tab")
    page.evaluate("document.getElementById('edit-form').noValidate = true")
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator(".error-summary")).to_be_visible()


def _review(site: Site, page: Page) -> None:
    _edit(site, page)
    page.get_by_label("CPU threshold").fill("70")
    page.get_by_label("Application type").select_option("SESSION_DESKTOP_APP")
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator("section.review")).to_be_visible()


def _rejected_by_the_cloud(site: Site, page: Page) -> None:
    site.errors.expect_status(422)
    site.cloud.inject(fault("bad_request"))
    _review(site, page)
    page.get_by_role("button", name="Send 2 changes").click()
    expect(page.locator(".error-summary")).to_be_visible()


def _conflict(site: Site, page: Page) -> None:
    site.errors.expect_status(409)
    _edit(site, page)
    page.get_by_label("Description").fill("mine")
    page.get_by_role("button", name="Review changes").click()
    send = page.get_by_role("button", name="Send 1 change")
    expect(send).to_be_visible()
    site.cloud.change(description="theirs")
    send.click()
    expect(page.get_by_text("Someone else changed the same fields.")).to_be_visible()


def _entry(site: Site, page: Page) -> None:
    _review(site, page)
    page.get_by_label("Reason").fill("CHG-1")
    page.get_by_role("button", name="Send 2 changes").click()
    expect(page.locator(".page-head .outcome")).to_have_text("applied")


def _unsettled_entry(site: Site, page: Page) -> None:
    site.cloud.inject(fault("ignored"))
    _review(site, page)
    page.get_by_role("button", name="Send 2 changes").click()
    expect(page.locator(".page-head .outcome")).to_have_text("unknown, checking")


def _activity(site: Site, page: Page) -> None:
    _entry(site, page)
    page.goto(ACTIVITY)


def _cloud_unavailable(site: Site, page: Page) -> None:
    site.cloud.inject({"match": {"method": "GET"}, "fault": "unavailable"})
    page_at(address(), 503)(site, page)


def _account_menu(site: Site, page: Page) -> None:
    _short_list(site, page)
    page.locator(".me summary").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


STATES = (
    State("sign-in", "", page_at("/accounts/login/")),
    State("failed sign-in", "", _failed_sign_in),
    State("list", "help desk", _list),
    State("list of a viewer", "viewer", _short_list),
    State("list with a toast", "help desk", _list_with_a_toast),
    State("nothing found", "help desk", page_at(f"{LIST}?q=zzz")),
    State("list, cloud unavailable", "help desk", _list_with_unavailable_cloud),
    State("switch-off dialog", "help desk", _dialog),
    State("switch-off page", "help desk", page_at(address("switch/"))),
    State("group", "administrator", _group_with_history),
    State("group with load", "administrator", _group_with_load),
    State("edit", "administrator", _edit),
    State("edit with errors", "administrator", _edit_with_errors),
    State("edit, picker open", "administrator", _picker_open),
    State("edit, choices unavailable", "administrator", _choices_unavailable),
    State("edit, fields that do not apply", "administrator", _fields_that_do_not_apply),
    State("edit, input kept after a sign-in", "administrator", _input_kept_after_sign_in),
    State("review of an image", "administrator", _review_of_an_image),
    State("review", "administrator", _review),
    State("rejected by the cloud", "administrator", _rejected_by_the_cloud),
    State("conflict", "administrator", _conflict),
    State("activity", "administrator", _activity),
    State("entry", "administrator", _entry),
    State("entry, unsettled", "administrator", _unsettled_entry),
    State("not allowed", "viewer", page_at(ACTIVITY, 403)),
    State("not found", "viewer", page_at("/nowhere/", 404)),
    State("cloud unavailable", "administrator", _cloud_unavailable),
    State("cloud check", "administrator", page_at("/projects/default/server-groups/cloud-check/")),
    State("account menu open", "administrator", _account_menu),
    State("password", "administrator", page_at("/accounts/password/change/")),
    *LEDGER_STATES,
)


IN_FORCED_COLOURS = [
    state for state in STATES if state.name in {"list", "edit with errors", "group with load"} or state in LEDGER_STATES
]


def _violations(page: Page) -> list[str]:
    """Run axe and return its violations. Load its script if the page does not have it."""
    page.evaluate(f"if (!window.axe) {{ {AXE.axe_script} }}")
    found = page.evaluate("(options) => axe.run(options).then((results) => results.violations)", RULES)
    return [f"{violation['id']}: {node['html'][:160]}" for violation in found for node in violation["nodes"]]


def themes_and_widths(state: State) -> list[tuple[Literal["light", "dark"], int]]:
    """Each theme at each width with ALL_CASES (`make test-crash`); otherwise each width with alternating themes."""
    if os.environ.get("ALL_CASES"):
        return list(itertools.product(THEMES, WIDTHS))
    offset = STATES.index(state)
    return [(THEMES[(offset + index) % 2], width) for index, width in enumerate(WIDTHS)]


@pytest.mark.parametrize("state", STATES, ids=str)
def test_each_page_has_no_axe_violation_and_no_overflow(
    site: Site, open_context: Callable[..., BrowserContext], state: State
) -> None:
    page = open_context(state.role).new_page()
    state.prepare(site, page)
    found: dict[str, list[str]] = {}
    """The themes and widths of each problem."""

    for theme, width in themes_and_widths(state):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 800})
        for problem in _violations(page) + overflowing_elements(page):
            found.setdefault(problem, []).append(f"{theme} {width}")
    for width in (390, 1024):
        page.set_viewport_size({"width": width, "height": 800})
        found |= {problem: [str(width)] for problem in overflowing_elements(page)}
    if state in IN_FORCED_COLOURS:
        page.set_viewport_size({"width": 1280, "height": 800})
        page.emulate_media(color_scheme="light", forced_colors="active")
        found |= {problem: ["forced colours"] for problem in _violations(page)}

    assert not found, "\n".join(f"{problem} {screens}" for problem, screens in found.items())


def test_each_page_works_at_400_percent_zoom(open_context: Callable[..., BrowserContext]) -> None:
    """At 400 % zoom, a screen of 1280 x 1024 pixels has 320 x 256 CSS pixels."""
    page = open_context("administrator", device_scale_factor=4).new_page()
    page.set_viewport_size({"width": 320, "height": 256})

    for path in (LIST, address(), address("edit/"), address("switch/"), ACTIVITY):
        page.goto(path)
        assert overflowing_elements(page) == [], path

    page.goto(f"{LIST}?q=design-pool")
    switch_of(page).click()
    page.get_by_label("Reason").fill("INC-1")
    page.get_by_role("button", name="Switch off").click()
    expect(switch_of(page)).to_have_attribute("aria-checked", "false")


def _tab_stops(page: Page, count: int) -> list[str]:
    stops = []
    for _ in range(count):
        page.keyboard.press("Tab")
        stops.append(focused(page)["words"])
    return stops


def test_the_skip_link_is_first_and_moves_the_focus_to_the_content(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context("help desk").new_page()
    page.goto(LIST)

    page.keyboard.press("Tab")
    assert focused(page)["words"] == "Skip to the content"
    expect(page.locator(".skip-link")).to_be_in_viewport()
    page.keyboard.press("Enter")

    assert focused(page)["id"] == "main"
    assert _tab_stops(page, 1) == ["42 groups"]


def test_the_tab_order_of_the_list_is_its_reading_order(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context("help desk").new_page()
    page.goto(f"{LIST}?q=design-pool")

    stops = _tab_stops(page, 29)

    assert stops[:5] == ["Skip to the content", "Streamwarden", "Server groups", "Activity", stops[4]]
    assert "help-desk: account" in stops[4]
    assert stops[5:] == [
        *("42 groups", "39 on", "3 off", "Refresh"),
        *("Name, description or ID", "Status", "Application type", "Role", "Image", "Tag"),
        *("Status", "Name", "Application type", "Image", "System disk", "Servers ready", "Sessions"),
        "App groups",
        *("design-pool", "design-pool", "design-pool-standby", "design-pool-standby"),
        *stops[27:],
    ]


def test_the_tab_order_of_the_form_is_its_reading_order(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context("administrator").new_page()
    page.goto(address("edit/"))
    expect(page.locator("[data-picker]")).to_be_attached()
    page.locator("#id_name").focus()

    stops = [focused(page)["id"]]
    for _ in range(17):
        page.keyboard.press("Tab")
        stops.append(focused(page)["id"] or focused(page)["tag"])

    assert stops == [
        *("id_name", "id_app_type", "id_description", "id_server_group_status"),
        *(f"id_route_policy__{name}" for name in ("max_session", "cpu_threshold", "gpu_threshold", "mem_threshold")),
        *("id_storage_mount_policy", "summary", "id_image_type", "id_image_id", "id_image_product_id"),
        *("id_system_disk_type", "id_system_disk_size", "id_ou_name", "a", "button"),
    ]


def test_a_user_finds_and_switches_off_a_group_with_the_keyboard(
    site: Site, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context("help desk").new_page()
    page.goto(LIST)
    page.get_by_role("searchbox").focus()
    page.keyboard.type("design-pool")
    expect(page.locator("#live")).to_have_text("2 groups found")

    while focused(page)["id"] != "switch-button-7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Keep it on")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    assert focused(page)["id"] == "id_reason"
    page.keyboard.type("INC-1")
    page.keyboard.press("Enter")

    expect(switch_of(page)).to_have_attribute("aria-checked", "false")
    expect(switch_of(page)).to_be_focused()
    assert site.cloud.patches == [{"server_group_status": False}]


def test_a_menu_closes_with_escape_and_with_a_click_elsewhere(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context("help desk").new_page()
    page.goto(LIST)
    summary, sign_out = page.locator(".me summary"), page.get_by_role("button", name="Sign out")

    summary.press("Enter")
    expect(sign_out).to_be_visible()
    sign_out.focus()
    page.keyboard.press("Escape")
    expect(sign_out).to_be_hidden()
    expect(summary).to_be_focused()
    summary.click()
    expect(sign_out).to_be_visible()
    page.get_by_role("heading", name="Server groups").click()
    expect(sign_out).to_be_hidden()


def test_the_name_of_each_switch_is_its_group_and_not_its_state(
    open_context: Callable[..., BrowserContext],
) -> None:
    page = open_context("help desk").new_page()
    page.goto(LIST)

    names = page.get_by_role("switch").evaluate_all("all => all.map((element) => element.ariaLabel)")

    assert len(set(names)) == 42
    assert not [name for name in names if re.fullmatch(r"(?i)on|off", name)]
