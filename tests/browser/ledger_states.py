"""The ledger pages in each state, for the tests that check every page."""

import uuid
from collections.abc import Callable

from django.utils import timezone
from playwright.sync_api import Page, expect

from dashboard.accounts.models import Actor, User
from dashboard.activity.attention import ATTENTION_AFTER
from dashboard.activity.filters import SCAN_LIMIT
from dashboard.audit.ledger.services import Change, OutcomeDetails, record_closed
from dashboard.audit.models import ChangeIntent, Kind, OpenChange, Outcome, Verification
from tests.audit.conftest import SESSIONS, attempt
from tests.browser.browsing import ACTIVITY, Site, State, page_at
from tests.conftest import DESIGN_POOL, address
from tests.ledger import empty_ledger, grow_ledger

TEXT = Change(
    "description",
    "Description",
    "Workstations for the CAD team in building 7.\nOpens 07:00, closes 19:30; on Saturdays only with a ticket.",
    "Workstations for the CAD and simulation teams in building 8.\nOpens 06:30, closes 19:30, without a ticket.",
)
UNIT = Change("ou_name", "Organisational unit", "", "OU=Unbroken," + "DC=example," * 20)
OFF = Change("server_group_status", "Status", True, False)
UNKNOWN_BEFORE = Change("route_policy.gpu_threshold", "GPU threshold", None, 75)
REASON = "CHG-1002, as agreed in https://tickets.example/" + "unbroken-" * 30


def add_entry(*changes: Change, outcome: Outcome = Outcome.APPLIED, **options: str) -> ChangeIntent:
    user, _ = User.objects.get_or_create(username="someone-else")
    message = "The cloud answered 200, but no read has shown the new values yet."
    details = OutcomeDetails(outcome, message, 200, error_code="WKS.1" * (outcome == Outcome.REJECTED), duration_ms=12)
    entry = attempt(Actor(user, "192.0.2.7"), *changes, key=uuid.uuid4().hex, group_id=DESIGN_POOL, **options)  # type: ignore[arg-type]
    return record_closed(entry, details)


def add_entries_of_every_kind() -> None:
    add_entry(TEXT, reason=REASON)
    add_entry(SESSIONS, UNKNOWN_BEFORE, UNIT)
    add_entry(OFF, kind=Kind.SWITCH)
    add_entry(TEXT, SESSIONS, kind=Kind.DENIED, outcome=Outcome.DENIED)
    for outcome in (Outcome.REJECTED, Outcome.UNKNOWN, Outcome.CONFLICT, Outcome.NOT_APPLIED, Outcome.NOT_SENT):
        add_entry(SESSIONS, outcome=outcome, reason="INC-1")


def _page_with_every_kind(path: str) -> Callable[[Site, Page], None]:
    def prepare(site: Site, page: Page) -> None:
        add_entries_of_every_kind()
        page_at(path)(site, page)

    return prepare


def _entry_page(*changes: Change, outcome: Outcome = Outcome.APPLIED, **options: str) -> Callable[[Site, Page], None]:
    def prepare(site: Site, page: Page) -> None:
        page_at(f"{ACTIVITY}{add_entry(*changes, outcome=outcome, **options).number}/")(site, page)

    return prepare


def _second_page(site: Site, page: Page) -> None:
    for _ in range(110):
        add_entry(SESSIONS)
    page_at(ACTIVITY)(site, page)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newer")).to_be_visible()


def _incomplete_search(site: Site, page: Page) -> None:
    empty_ledger()
    grow_ledger(3 * SCAN_LIMIT)  # an intent and its outcome are two rows, and some rows belong to another project
    newest = ChangeIntent.objects.filter(project="default").exclude(reason="")[0]
    page_at(f"{ACTIVITY}?q={newest.reason.split()[0]}")(site, page)
    expect(page.get_by_text("Searched to")).to_be_visible()


def _broken_ledger(site: Site, page: Page) -> None:
    Verification.objects.create(last=12_345, at=timezone.now(), bad_number=1_007, problem="missing")
    _page_with_every_kind(ACTIVITY)(site, page)
    expect(page.get_by_role("alert").filter(has_text="Row 1007 is missing")).to_be_visible()


def _verified_entry(site: Site, page: Page) -> None:
    Verification.objects.create(last=12_345, at=timezone.now())
    _entry_page(TEXT, reason=REASON)(site, page)
    expect(page.get_by_text("Ledger rows 1 to 12,345 verified")).to_be_visible()


def _change_two_fields(page: Page) -> None:
    page.goto(address("edit/"))
    page.get_by_label("Description").fill("CAD users, Building 8")
    page.get_by_label("CPU threshold").fill("85")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Send 2 changes").click()
    expect(page.locator(".page-head .outcome")).to_have_text("applied")


def _revert_form(site: Site, page: Page) -> None:
    _change_two_fields(page)
    site.cloud.change(description="changed since")
    page.get_by_role("link", name="Revert", exact=True).click()
    expect(page.get_by_text("because they have another value now")).to_be_visible()
    expect(page.locator("[data-disk-types]")).to_be_attached()
    expect(page.locator("[data-picker]")).to_be_attached()


def _revert_review(site: Site, page: Page) -> None:
    _revert_form(site, page)
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator("section.review")).to_be_visible()


def _entry_of_a_revert(site: Site, page: Page) -> None:
    _revert_review(site, page)
    page.get_by_role("button", name="Send 1 change").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("reverted")


def _nothing_to_revert(site: Site, page: Page) -> None:
    _change_two_fields(page)
    site.cloud.change(description="changed since", route_policy={"cpu_threshold": 20})
    page.get_by_role("link", name="Revert", exact=True).click()
    expect(page.get_by_text("There is nothing to revert.")).to_be_visible()


def _needs_attention(site: Site, page: Page) -> None:
    add_entry(TEXT, outcome=Outcome.UNKNOWN)
    add_entry(SESSIONS, outcome=Outcome.UNKNOWN)
    OpenChange.objects.update(begun_at=timezone.now() - 2 * ATTENTION_AFTER)
    page_at(f"{ACTIVITY}attention/")(site, page)
    expect(page.locator(".attention-list li")).to_have_count(2)


ALL_FILTERS = (
    f"?q=INC&field=name&kind=edit&outcome=rejected&since=2026-01-01T10:00:00Z&until=2100-01-01&actor={'a' * 90}"
)
LEDGER_STATES = (
    State("activity, every kind", "administrator", _page_with_every_kind(ACTIVITY)),
    State("activity, all filters", "auditor", _page_with_every_kind(f"{ACTIVITY}{ALL_FILTERS}&group={DESIGN_POOL}")),
    State("activity of a person", "auditor", _page_with_every_kind(f"{ACTIVITY}?actor=someone-else")),
    State("activity, no changes", "auditor", page_at(ACTIVITY)),
    State("activity, empty period", "auditor", page_at(f"{ACTIVITY}?since=2026-02-02&until=2026-02-01")),
    State("activity, second page", "auditor", _second_page),
    State("activity, incomplete search", "auditor", _incomplete_search),
    State("activity, broken ledger", "auditor", _broken_ledger),
    State("entry of a text field, verified", "administrator", _verified_entry),
    State("entry of several fields", "administrator", _entry_page(SESSIONS, UNKNOWN_BEFORE, UNIT, OFF)),
    State("entry, denied", "auditor", _entry_page(TEXT, SESSIONS, kind=Kind.DENIED, outcome=Outcome.DENIED)),
    State("entry, rejected", "auditor", _entry_page(SESSIONS, outcome=Outcome.REJECTED)),
    State("revert form", "administrator", _revert_form),
    State("review of a revert", "administrator", _revert_review),
    State("entry of a revert", "administrator", _entry_of_a_revert),
    State("nothing to revert", "administrator", _nothing_to_revert),
    State("history of a group", "auditor", _page_with_every_kind(address())),
    State("sign-ins and roles", "auditor", page_at(f"{ACTIVITY}system/")),
    State("sign-ins of a person", "auditor", page_at(f"{ACTIVITY}system/?actor=auditor")),
    State("needs attention", "auditor", _needs_attention),
    State("nothing needs attention", "auditor", page_at(f"{ACTIVITY}attention/")),
)
