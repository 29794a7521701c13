"""Helpers of the browser tests: the site, its users, and a collector of browser errors."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response, WebError, expect

from tests.conftest import DESIGN_POOL, Simulated, address

PASSWORD = "correct-horse-battery-7"
ACTIVITY = "/projects/default/audit/"
LIST = address(group_id=None)
GROUP_PATH = "*/app-server-groups/????????-????-????-????-????????????"
"""Matches the path of a group, but not the path of its state."""

BOOTSTRAP_ARROW = "d='m2 5 6 6 6-6'"
"""The arrow of a list, which Bootstrap draws as a data: image.

The browser blocks this image if a page computes its styles before our own stylesheet arrives.
`test_lists_use_the_arrow_of_the_browser` checks that no list keeps it.
"""


@dataclass
class BrowserErrors:
    """Collects problems that a user of the page may not notice. The fixture fails the test for each of them.

    Problems are errors on the console (including violations of the content security policy), errors in scripts,
    requests to another host, and responses with an error status that the test does not expect.
    """

    host: str
    expected: set[int] = field(default_factory=set)
    ignored: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def expect_status(self, *statuses: int) -> None:
        self.expected.update(statuses)

    def ignore(self, words: str) -> None:
        """Ignore console errors that contain these words."""
        self.ignored.append(words)

    def listen_to(self, context: BrowserContext) -> None:
        context.on("console", self._on_console)
        context.on("weberror", self._on_script_error)
        context.on("request", self._on_request)
        context.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        ignored = (*self.ignored, BOOTSTRAP_ARROW)
        if message.type not in {"error", "assert"} or any(words in message.text for words in ignored):
            return
        # The browser and htmx also log the status of a response; `_on_response` checks it.
        is_status = re.match(r"Failed to load resource: the server|Response Status Error Code", message.text)
        if not is_status:
            self.problems.append(f"console: {message.text}")

    def _on_script_error(self, error: WebError) -> None:
        self.problems.append(f"script: {error.error.message}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(self.host):
            self.problems.append(f"left the host: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.problems.append(f"{response.status}: {response.request.method} {response.url}")


@dataclass(frozen=True)
class Site:
    """The dashboard on a local port. Its cloud is the simulator."""

    url: str
    cloud: Simulated
    client_as: Callable[[str], Client]
    errors: BrowserErrors

    def sign_in(self, context: BrowserContext, role: str) -> None:
        cookies = self.client_as(role).cookies.values()
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.url} for cookie in cookies])

    def inject_unknown_outcome(self, *, unreadable: int) -> None:
        """Apply the next PATCH, lose its response, and fail the next `unreadable` reads.

        The read before the PATCH still succeeds.
        """
        read = {"method": "GET", "path": GROUP_PATH}
        self.cloud.inject(
            {"match": {"method": "PATCH"}, "times": 1, "fault": "drop_after_applying"},
            {"match": read, "times": 1, "fault": "delay"},
            {"match": read, "times": unreadable, "fault": "unavailable"},
        )


def switch_of(page: Page, group_id: str = DESIGN_POOL) -> Locator:
    return page.locator(f"#switch-{group_id}").get_by_role("switch")


def switch_area(page: Page, group_id: str = DESIGN_POOL) -> Locator:
    """The area that shows the switch of a group, or a text instead."""
    return page.locator(f"#switch-{group_id}")


def switch_off(page: Page, reason: str, group_id: str = DESIGN_POOL) -> None:
    switch_of(page, group_id).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name="Switch off").click()


def overflowing_elements(page: Page) -> list[str]:
    """Elements beyond the right edge of the page; empty if the page does not scroll sideways."""
    found: list[str] = page.evaluate(
        """() => {
          const root = document.documentElement;
          if (root.scrollWidth <= root.clientWidth) return [];
          return [...document.querySelectorAll("body *")]
            .filter((element) => element.getBoundingClientRect().right > root.clientWidth + 0.5)
            .map((element) => `${element.tagName}.${element.className}`).slice(0, 8);
        }"""
    )
    return found


def focused(page: Page) -> dict[str, Any]:
    """The focused element: its tag, its id, and its label or text."""
    seen: dict[str, Any] = page.evaluate(
        """() => {
          const element = document.activeElement;
          const label = element.getAttribute("aria-label") || element.labels?.[0]?.textContent;
          const words = (label || element.textContent).trim().replace(/\\s+/g, " ").slice(0, 60);
          return {tag: element.tagName.toLowerCase(), id: element.id, words};
        }"""
    )
    return seen


@dataclass(frozen=True)
class State:
    """A page in a state: the role of its user, and the steps that open it."""

    name: str
    role: str
    prepare: Callable[[Site, Page], None]

    def __str__(self) -> str:
        return self.name


def page_at(path: str, status: int | None = None) -> Callable[[Site, Page], None]:
    def prepare(site: Site, page: Page) -> None:
        if status:
            site.errors.expect_status(status)
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()

    return prepare
