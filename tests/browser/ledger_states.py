"""The pages of the ledger in all their states, for tests of every page."""

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
from tests.browser.browsing import ACTIVITY, Site, State, opened
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


def enter(*changes: Change, outcome: Outcome = Outcome.APPLIED, **options: str) -> ChangeIntent:
    by, _ = User.objects.get_or_create(username="someone-else")
    told = "The cloud answered 200, but no read has shown the new values yet."
    details = OutcomeDetails(outcome, told, 200, error_code="WKS.1" * (outcome == Outcome.REJECTED), duration_ms=12)
    entry = attempt(Actor(by, "192.0.2.7"), *changes, key=uuid.uuid4().hex, group_id=DESIGN_POOL, **options)  # type: ignore[arg-type]
    return record_closed(entry, details)


def of_every_kind() -> None:
    enter(TEXT, reason=REASON)
    enter(SESSIONS, UNKNOWN_BEFORE, UNIT)
    enter(OFF, kind=Kind.SWITCH)
    enter(TEXT, SESSIONS, kind=Kind.DENIED, outcome=Outcome.DENIED)
    for outcome in (Outcome.REJECTED, Outcome.UNKNOWN, Outcome.CONFLICT, Outcome.NOT_APPLIED, Outcome.NOT_SENT):
        enter(SESSIONS, outcome=outcome, reason="INC-1")


def _all_kinds(path: str) -> Callable[[Site, Page], None]:
    def prepare(site: Site, page: Page) -> None:
        of_every_kind()
        opened(path)(site, page)

    return prepare


def _entry(*changes: Change, outcome: Outcome = Outcome.APPLIED, **options: str) -> Callable[[Site, Page], None]:
    def prepare(site: Site, page: Page) -> None:
        opened(f"{ACTIVITY}{enter(*changes, outcome=outcome, **options).number}/")(site, page)

    return prepare


def _deep(site: Site, page: Page) -> None:
    for _ in range(110):
        enter(SESSIONS)
    opened(ACTIVITY)(site, page)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newer")).to_be_visible()


def _stopped_early(site: Site, page: Page) -> None:
    empty_ledger()
    grow_ledger(3 * SCAN_LIMIT)  # as an intent and its outcome are two rows, and some are of another project
    newest = ChangeIntent.objects.filter(project="default").exclude(reason="")[0]
    opened(f"{ACTIVITY}?q={newest.reason.split()[0]}")(site, page)
    expect(page.get_by_text("Searched to")).to_be_visible()


def _broken(site: Site, page: Page) -> None:
    Verification.objects.create(last=12_345, at=timezone.now(), bad_number=1_007, problem="missing")
    _all_kinds(ACTIVITY)(site, page)
    expect(page.get_by_role("alert").filter(has_text="Row 1007 is missing")).to_be_visible()


def _verified(site: Site, page: Page) -> None:
    Verification.objects.create(last=12_345, at=timezone.now())
    _entry(TEXT, reason=REASON)(site, page)
    expect(page.get_by_text("Ledger rows 1 to 12,345 verified")).to_be_visible()


def _changed_through_the_form(page: Page) -> None:
    page.goto(address("edit/"))
    page.get_by_label("Description").fill("CAD users, Building 8")
    page.get_by_label("CPU threshold").fill("85")
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Send 2 changes").click()
    expect(page.locator(".page-head .outcome")).to_have_text("applied")


def _revert_form(site: Site, page: Page) -> None:
    _changed_through_the_form(page)
    site.cloud.change(description="changed since")
    page.get_by_role("link", name="Revert", exact=True).click()
    expect(page.get_by_text("because they have another value now")).to_be_visible()
    expect(page.locator("[data-disk-types]")).to_be_attached()
    expect(page.locator("[data-picker]")).to_be_attached()


def _revert_review(site: Site, page: Page) -> None:
    _revert_form(site, page)
    page.get_by_role("button", name="Review changes").click()
    expect(page.locator("section.review")).to_be_visible()


def _reverted(site: Site, page: Page) -> None:
    _revert_review(site, page)
    page.get_by_role("button", name="Send 1 change").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("reverted")


def _nothing_to_revert(site: Site, page: Page) -> None:
    _changed_through_the_form(page)
    site.cloud.change(description="changed since", route_policy={"cpu_threshold": 20})
    page.get_by_role("link", name="Revert", exact=True).click()
    expect(page.get_by_text("There is nothing to revert.")).to_be_visible()


def _needs_attention(site: Site, page: Page) -> None:
    enter(TEXT, outcome=Outcome.UNKNOWN)
    enter(SESSIONS, outcome=Outcome.UNKNOWN)
    OpenChange.objects.update(begun_at=timezone.now() - 2 * ATTENTION_AFTER)
    opened(f"{ACTIVITY}attention/")(site, page)
    expect(page.locator(".attention-list li")).to_have_count(2)


ALL_FILTERS = (
    f"?q=INC&field=name&kind=edit&outcome=rejected&since=2026-01-01T10:00:00Z&until=2100-01-01&actor={'a' * 90}"
)
LEDGER_STATES = (
    State("activity of every kind", "administrator", _all_kinds(ACTIVITY)),
    State("activity, all filters", "auditor", _all_kinds(f"{ACTIVITY}{ALL_FILTERS}&group={DESIGN_POOL}")),
    State("activity of a person", "auditor", _all_kinds(f"{ACTIVITY}?actor=someone-else")),
    State("activity, nothing changed yet", "auditor", opened(ACTIVITY)),
    State("activity, nothing in between", "auditor", opened(f"{ACTIVITY}?since=2026-02-02&until=2026-02-01")),
    State("activity, deep", "auditor", _deep),
    State("activity, stopped early", "auditor", _stopped_early),
    State("activity, broken ledger", "auditor", _broken),
    State("entry of a text, verified", "administrator", _verified),
    State("entry of values", "administrator", _entry(SESSIONS, UNKNOWN_BEFORE, UNIT, OFF)),
    State("entry, denied", "auditor", _entry(TEXT, SESSIONS, kind=Kind.DENIED, outcome=Outcome.DENIED)),
    State("entry, rejected", "auditor", _entry(SESSIONS, outcome=Outcome.REJECTED)),
    State("revert", "administrator", _revert_form),
    State("review of a revert", "administrator", _revert_review),
    State("entry, reverted", "administrator", _reverted),
    State("nothing to revert", "administrator", _nothing_to_revert),
    State("history of a group", "auditor", _all_kinds(address())),
    State("sign-ins and roles", "auditor", opened(f"{ACTIVITY}system/")),
    State("sign-ins of a person", "auditor", opened(f"{ACTIVITY}system/?actor=auditor")),
    State("needs attention", "auditor", _needs_attention),
    State("nothing needs attention", "auditor", opened(f"{ACTIVITY}attention/")),
)
