"""Editing with a review: conditions, choices, conflicts, and an expired session."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dashboard.accounts.models import User
from tests.browser.browsing import PASSWORD, Site
from tests.conftest import DESIGN_POOL, address


@pytest.fixture
def page(site: Site, open_context: Callable[..., BrowserContext]) -> Page:
    """The edit form of an administrator, with its choices loaded."""
    page = open_context("administrator", permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto(address("edit/"))
    expect(page.locator("[data-disk-types], [data-picker]").first).to_be_visible()
    return page


def open_review(page: Page) -> None:
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator("section.review")).to_be_focused()


def test_choosing_an_image_sets_its_type_its_product_and_the_minimum_disk_size(site: Site, page: Page) -> None:
    page.get_by_text("Choose from").click()
    page.get_by_placeholder("Name, type, operating system or minimum disk").fill("gpu 100 GB")
    page.get_by_role("button", name="ws2019-gpu-2026-01").click()

    expect(page.get_by_label("Image ID")).to_have_value("1fab59cf-8760-5669-8300-cc619268e6ad")
    expect(page.get_by_label("Image product ID")).to_have_value("00301-902377-0--0")
    expect(page.get_by_label("Image type")).to_have_value("gold")
    expect(page.locator("[data-change-count]")).to_have_text("2 changes")
    expect(page.locator("[data-error-count]")).to_have_text("1 field to correct")
    page.get_by_label("System disk size").fill("100")
    expect(page.locator("[data-change-count]")).to_have_text("3 changes")
    expect(page.locator("[data-error-count]")).to_be_empty()
    open_review(page)
    page.get_by_role("button", name="Send 3 changes").click()
    expect(page.locator("section.review")).to_be_visible()
    assert site.cloud.patches == []
    page.get_by_label("Replace the image of this group").check()
    page.get_by_role("button", name="Send 3 changes").click()
    expect(page.locator(".page-head .outcome")).to_have_text("applied")
    assert site.cloud.patches == [
        {
            "image_id": "1fab59cf-8760-5669-8300-cc619268e6ad",
            "image_product_id": "00301-902377-0--0",
            "system_disk_size": 100,
        }
    ]


def test_a_private_image_has_no_product(page: Page) -> None:
    page.get_by_text("Choose from").click()
    page.locator("[data-image-type=private]").first.click()

    expect(page.get_by_label("Image product ID")).to_have_value("")
    expect(page.get_by_label("Image product ID")).to_be_enabled()
    expect(page.get_by_label("Image type")).to_have_value("private")


def test_unavailable_disk_types_show_the_reason(page: Page) -> None:
    options = page.get_by_label("System disk type").locator("option")

    expect(options.nth(1)).to_have_text("SSD, Ultra-high I/O (sold out in ap-southeast-3b)")
    expect(options.nth(4)).to_have_text("SATA, Common I/O (not offered here)")


def test_lists_use_the_arrow_of_the_browser(page: Page) -> None:
    arrows = page.evaluate(
        "[...document.querySelectorAll('select')].map((element) => getComputedStyle(element).backgroundImage)"
    )

    assert set(arrows) == {"none"}


def test_fields_are_editable_when_the_choices_cannot_be_read(
    site: Site, open_context: Callable[..., BrowserContext]
) -> None:
    site.cloud.inject(
        {"match": {"path": "/v2/cloudimages"}, "fault": "forbidden"},
        {"match": {"path": "*/volume-type"}, "fault": "forbidden"},
    )
    page = open_context("administrator").new_page()

    page.goto(address("edit/"))

    expect(page.get_by_text("The dashboard cannot list the images. Enter the three values yourself.")).to_contain_text(
        "ims:images:list"
    )
    expect(page.get_by_text("The dashboard cannot read which disk types the cloud offers.")).to_contain_text(
        "workspace:baseResource:list"
    )
    expect(page.get_by_label("Image ID")).to_be_editable()


def test_the_form_reports_a_duplicate_name_while_the_user_types(page: Page) -> None:
    page.get_by_label("Name").fill("finance-eu")

    expect(page.locator("#name-check")).to_have_text("finance-eu: Another group has this name.")
    page.get_by_label("Name").fill("finance-eu-2")
    expect(page.locator("#name-check")).to_be_empty()


@pytest.mark.parametrize(
    ("members", "label", "reason"),
    [
        ({"is_vdi": True}, "CPU threshold", "Only for multi-session groups"),
        ({"primary_server_group_ids": ["x"]}, "Application type", "A standby takes this value from its primary group"),
        ({"image_type": "private", "image_product_id": ""}, "Image product ID", "A Marketplace image needs it"),
    ],
)
def test_a_field_that_does_not_apply_is_disabled_and_shows_the_reason(
    site: Site, open_context: Callable[..., BrowserContext], members: dict[str, object], label: str, reason: str
) -> None:
    site.cloud.control("PUT", f"groups/{DESIGN_POOL}", members)
    page = open_context("administrator").new_page()

    page.goto(address("edit/"))

    expect(page.get_by_label(label)).to_be_disabled()
    expect(page.locator(".mb-3", has=page.get_by_label(label))).to_contain_text(reason)


def test_the_review_shows_the_consequences_and_the_request_to_copy(site: Site, page: Page) -> None:
    page.get_by_label("Maximum sessions").fill("5")
    page.get_by_label("Application type").select_option("SESSION_DESKTOP_APP")
    open_review(page)

    expect(page.locator(".consequences")).to_contain_text("would refuse new sessions now")
    expect(page.locator(".consequences")).to_contain_text("design-pool-standby")
    for title in ("URI and JSON body", "curl", "Python SDK", "KooCLI", "Terraform"):
        snippet = page.locator(".snippet", has=page.locator("summary", has_text=title))
        if snippet.get_attribute("open") is None:
            snippet.locator("summary").click()
        snippet.get_by_role("button", name="Copy").click()
        expect(page.locator("#live")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == snippet.locator("code").inner_text()
    assert site.cloud.patches == []


def test_going_back_to_the_form_keeps_the_input(page: Page) -> None:
    page.get_by_label("Description").fill("first line\nsecond line")
    open_review(page)

    page.get_by_role("button", name="Back to the form").click()

    expect(page.get_by_label("Description")).to_have_value("first line\nsecond line")
    expect(page.locator("[data-change-count]")).to_have_text("1 change")


@pytest.mark.parametrize(("choice", "patches"), [("theirs", []), ("mine", [{"name": "mine"}])])
def test_a_conflict_asks_for_a_choice_and_applies_it(
    site: Site, page: Page, choice: str, patches: list[object]
) -> None:
    site.errors.expect_status(409, 422)
    page.get_by_label("Name").fill("mine")
    open_review(page)
    site.cloud.change(name="theirs", description="by them")

    page.get_by_role("button", name="Send 1 change").click()

    expect(page.get_by_text("Someone else changed the same fields.")).to_be_visible()
    expect(page.get_by_text("The form shows the new values: Description is now by them.")).to_be_visible()
    page.get_by_role("radio", name=choice).check()
    page.get_by_role("button", name="Review changes").click()
    if patches:
        page.get_by_role("button", name="Send 1 change").click()
        expect(page.locator(".page-head .outcome")).to_have_text("applied")
    else:
        expect(page.get_by_text("You have not changed anything yet, so there is nothing to send.")).to_be_visible()
    assert site.cloud.patches == patches


def test_the_form_keeps_its_input_after_the_session_expires(site: Site, page: Page) -> None:
    user = site.client_as("administrator").session["_auth_user_id"]
    _set_password(user)
    page.get_by_label("Description").fill("typed before")
    page.context.clear_cookies(name="sessionid")

    page.get_by_role("button", name="Review changes").click()
    page.get_by_label("Username").fill("administrator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_text("Nothing was sent. Your input is kept.")).to_be_visible()
    expect(page.get_by_label("Description")).to_have_value("typed before")
    expect(page.locator("[data-change-count]")).to_have_text("1 change")
    assert site.cloud.patches == []


def _set_password(user_id: str) -> None:
    user = User.objects.get(pk=user_id)
    user.set_password(PASSWORD)
    user.save()
