"""The edit form: checks in the browser, errors of the server, and marks on changed fields."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from dashboard.server_groups.fields import FIELDS
from dashboard.server_groups.inputs import FreeTextField, PatternField, WholeNumberField
from tests.browser.browsing import Site, focused
from tests.conftest import address, fault


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    page = open_context("administrator").new_page()
    page.goto(address("edit/"))
    expect(page.locator("[data-disk-types]")).to_be_attached()
    return page


def _field_group(page: Page, label: str) -> Locator:
    return page.locator(".mb-3", has=page.get_by_label(label))


def _submit_without_browser_checks(page: Page) -> None:
    page.evaluate("document.getElementById('edit-form').noValidate = true")
    page.get_by_role("button", name="Review changes").click()


def test_each_input_has_the_limits_of_the_field_table(page: Page) -> None:
    for field in FIELDS:
        form_field, box = field.make(), page.locator(f"#id_{field.name}")
        if isinstance(form_field, PatternField):
            expect(box).to_have_attribute("pattern", form_field.pattern.pattern)
        if isinstance(form_field, PatternField | FreeTextField):
            expect(box).to_have_attribute("maxlength", str(form_field.max_length))
        if isinstance(form_field, WholeNumberField):
            expect(box).to_have_attribute("min", str(form_field.minimum))
            expect(box).to_have_attribute("max", str(form_field.maximum))
        expect(box).to_have_js_property("validity.valid", True)  # the value in the cloud is valid


@pytest.mark.parametrize(
    ("label", "text", "message"),
    [
        ("Name", "design pool", "Spaces are not allowed"),
        ("Name", "", "fill"),
        ("CPU threshold", "0", "1"),
        ("CPU threshold", "101", "100"),
        ("CPU threshold", "1.5", "valid"),
        ("Maximum sessions", "1025", "1024"),
        ("System disk size", "9", "10"),
    ],
)
def test_an_invalid_field_shows_its_error_and_blocks_the_form(
    site: Site, page: Page, label: str, text: str, message: str
) -> None:
    page.get_by_label(label).fill(text)
    page.get_by_label(label).press("Tab")

    expect(_field_group(page, label).locator(".field-problem")).to_contain_text(message)
    expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-change-count]")).to_have_text("1 change")
    expect(page.locator("[data-error-count]")).to_have_text("1 field to correct")
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_label(label)).to_be_focused()
    expect(page.locator("section.review")).to_have_count(0)
    assert site.cloud.patches == []


def test_a_corrected_field_shows_no_error(page: Page) -> None:
    name = page.get_by_label("Name")
    name.fill("two words")
    name.press("Tab")

    name.fill("two-words")
    name.press("Tab")

    expect(page.locator(".field-problem")).to_have_count(0)
    expect(name).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-change-count]")).to_have_text("1 change")
    expect(page.locator("[data-error-count]")).to_be_empty()


def test_the_description_accepts_at_most_255_characters(page: Page) -> None:
    page.get_by_label("Description").fill("")
    page.get_by_label("Description").press_sequentially("x" * 260)

    assert len(page.get_by_label("Description").input_value()) == 255


def test_changed_fields_are_marked_and_counted(page: Page) -> None:
    count, name, status = (
        page.locator("[data-change-count]"),
        page.get_by_label("Name"),
        page.get_by_label("Status"),
    )
    expect(count).to_have_text("Nothing changed yet")

    name.fill("other")
    status.select_option("Off")

    expect(count).to_have_text("2 changes")
    assert page.locator("[data-changed]").evaluate_all("all => all.map((element) => element.id)") == [
        "id_name",
        "id_server_group_status",
    ]
    name.fill("design-pool")
    expect(count).to_have_text("1 change")
    expect(name).not_to_have_attribute("data-changed", "")


def test_server_errors_appear_in_a_focused_summary_with_links_to_the_fields(site: Site, page: Page) -> None:
    site.errors.expect_status(422)
    page.get_by_label("Name").fill("two words")
    page.get_by_label("CPU threshold").fill("101")

    _submit_without_browser_checks(page)

    summary = page.get_by_role("alert").filter(has_text="Nothing was sent")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("link")).to_have_text(["Name", "CPU threshold"])
    summary.get_by_role("link", name="CPU threshold").click()
    expect(page.get_by_label("CPU threshold")).to_be_focused()
    expect(page.get_by_label("CPU threshold")).to_have_value("101")
    expect(page.get_by_label("Name")).to_have_value("two words")
    expect(_field_group(page, "Name")).to_contain_text("Spaces are not allowed")
    expect(page.locator("[data-change-count]")).to_have_text("2 changes")
    expect(page.locator("[data-error-count]")).to_have_text("2 fields to correct")
    assert site.cloud.patches == []


def test_the_error_summary_disappears_after_the_corrected_form_is_sent(site: Site, page: Page) -> None:
    site.errors.expect_status(422)
    page.get_by_label("Name").fill("two words")
    _submit_without_browser_checks(page)
    expect(page.locator(".error-summary")).to_be_focused()

    page.get_by_label("Name").fill("two-words")
    page.get_by_role("button", name="Review changes").click()

    expect(page.locator("section.review")).to_contain_text("Review 1 change before sending")
    expect(page.get_by_text("Nothing was sent")).to_have_count(0)


def test_a_form_without_changes_shows_a_message_and_sends_nothing(site: Site, page: Page) -> None:
    site.errors.expect_status(422)

    page.get_by_role("button", name="Review changes").click()

    expect(page.get_by_text("You have not changed anything yet, so there is nothing to send.")).to_be_visible()
    assert site.cloud.patches == []


def test_a_rejected_change_shows_its_error_once_and_keeps_the_input(site: Site, page: Page) -> None:
    site.errors.expect_status(422)
    site.cloud.inject(fault("bad_request"))
    page.get_by_label("Description").fill("CAD users, Building 8")
    page.get_by_role("button", name="Review changes").click()

    page.get_by_role("button", name="Send 1 change").click()

    summary = page.locator(".error-summary")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("The change is not confirmed")
    expect(page.get_by_text("WKS.00129901")).to_have_count(1)
    expect(page.get_by_label("Description")).to_have_value("CAD users, Building 8")
    summary.get_by_role("link", name="See the entry").click()
    expect(page.locator(".page-head .outcome")).to_have_text("rejected")


def test_a_double_click_on_send_sends_a_single_change(site: Site, page: Page) -> None:
    site.cloud.inject(fault("delay", delay_ms=400))
    page.get_by_label("Description").fill("CAD users, Building 8")
    page.get_by_role("button", name="Review changes").click()

    page.get_by_role("button", name="Send 1 change").dblclick()

    expect(page.locator(".page-head .outcome")).to_have_text("applied")
    assert site.cloud.patches == [{"description": "CAD users, Building 8"}]


def test_the_save_bar_never_covers_the_focused_element(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 620})
    page.get_by_label("Name").focus()

    for _ in range(20):
        page.keyboard.press("Tab")
        hidden = page.evaluate(
            """() => {
              const element = document.activeElement;
              const bar = document.querySelector(".save-bar");
              if (bar.contains(element) || !element.closest("form")) return null;
              const isCovered = element.getBoundingClientRect().bottom > bar.getBoundingClientRect().top;
              return isCovered ? element.id : null;
            }"""
        )
        assert hidden is None, focused(page)


def test_a_click_works_while_a_message_appears_or_disappears(page: Page) -> None:
    name, picker = page.get_by_label("Name"), page.locator("[data-picker]")
    expect(picker).to_be_attached()

    name.fill("two words")
    picker.locator("summary").click()
    expect(page.get_by_text("Use letters, digits, _ and -. Spaces are not allowed.")).to_be_visible()
    expect(picker).to_have_attribute("open", "")
    name.fill("two-words")
    expect(page.get_by_text("Use letters, digits, _ and -. Spaces are not allowed.")).to_have_count(0)
    picker.locator("summary").click()

    expect(picker).not_to_have_attribute("open", "")
