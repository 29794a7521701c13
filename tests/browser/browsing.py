"""Helpers of the browser tests: the site, its people, and a check of the browser's errors."""

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
ONE_GROUP = "*/app-server-groups/????????-????-????-????-????????????"
"""The path of one group, not of its state."""


BOOTSTRAPS_ARROW = "d='m2 5 6 6 6-6'"
"""The arrow of a list, which Bootstrap draws as a data: image. A style that is read while our own sheet is still on
its way sees it, and the browser refuses it. `test_lists_have_the_browsers_own_arrow` checks that no list keeps it.
"""


@dataclass
class Watch:
    """Fail a test for errors that a person may not see on the page.

    Any error on the console (a violation of the content policy is one), an error in a script, a request that leaves
    the own host, and an answer with an error status that the test did not announce.
    """

    host: str
    expected: set[int] = field(default_factory=set)
    tolerated: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def expect_status(self, *statuses: int) -> None:
        self.expected.update(statuses)

    def tolerate(self, words: str) -> None:
        """Let an error with these words on the console pass."""
        self.tolerated.append(words)

    def follow(self, context: BrowserContext) -> None:
        context.on("console", self._heard)
        context.on("weberror", self._failed)
        context.on("request", self._asked)
        context.on("response", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        tolerated = (*self.tolerated, BOOTSTRAPS_ARROW)
        if message.type not in {"error", "assert"} or any(words in message.text for words in tolerated):
            return
        # The browser and htmx log the status of a response too; `_answered` checks it.
        is_status = re.match(r"Failed to load resource: the server|Response Status Error Code", message.text)
        if not is_status:
            self.problems.append(f"console: {message.text}")

    def _failed(self, error: WebError) -> None:
        self.problems.append(f"script: {error.error.message}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self.host):
            self.problems.append(f"left the host: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.problems.append(f"{response.status}: {response.request.method} {response.url}")


@dataclass(frozen=True)
class Site:
    """The dashboard on a port of this machine, with the simulator behind it."""

    url: str
    cloud: Simulated
    client_as: Callable[[str], Client]
    watch: Watch

    def sign_in(self, context: BrowserContext, role: str) -> None:
        cookie = self.client_as(role).cookies["sessionid"]
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.url}])

    def play_unknown_outcome(self, *, unreadable: int) -> None:
        """Apply the next PATCH but lose its response, and let this many of the following reads fail.

        The read before the PATCH still succeeds.
        """
        read = {"method": "GET", "path": ONE_GROUP}
        self.cloud.inject(
            {"match": {"method": "PATCH"}, "times": 1, "fault": "drop_after_applying"},
            {"match": read, "times": 1, "fault": "delay"},
            {"match": read, "times": unreadable, "fault": "unavailable"},
        )


def switch_of(page: Page, group_id: str = DESIGN_POOL) -> Locator:
    return page.locator(f"#switch-{group_id}").get_by_role("switch")


def place_of_switch(page: Page, group_id: str = DESIGN_POOL) -> Locator:
    """The switch, or the element in its place."""
    return page.locator(f"#switch-{group_id}")


def switch_off(page: Page, reason: str, group_id: str = DESIGN_POOL) -> None:
    switch_of(page, group_id).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name="Switch off").click()


def widest_overflow(page: Page) -> list[str]:
    """The elements that overflow the page to the right; empty without horizontal scrolling."""
    found: list[str] = page.evaluate(
        """() => {
          const root = document.documentElement;
          if (root.scrollWidth <= root.clientWidth) return [];
          return [...document.querySelectorAll("body *")]
            .filter((one) => one.getBoundingClientRect().right > root.clientWidth + 0.5)
            .map((one) => `${one.tagName}.${one.className}`).slice(0, 8);
        }"""
    )
    return found


def focused(page: Page) -> dict[str, Any]:
    """The focused element: tag, id and text."""
    seen: dict[str, Any] = page.evaluate(
        """() => {
          const one = document.activeElement;
          const words = one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent;
          return {tag: one.tagName.toLowerCase(), id: one.id, words: words.trim().replace(/\\s+/g, " ").slice(0, 60)};
        }"""
    )
    return seen


@dataclass(frozen=True)
class State:
    """A page in some state: the role of the person, and the steps to the state."""

    name: str
    role: str
    prepare: Callable[[Site, Page], None]

    def __str__(self) -> str:
        return self.name


def opened(path: str, status: int | None = None) -> Callable[[Site, Page], None]:
    def prepare(site: Site, page: Page) -> None:
        if status:
            site.watch.expect_status(status)
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()

    return prepare
