"""Fixtures of the browser tests: Chromium, the live server, and the simulator as its cloud."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test import Client, override_settings, testcases
from playwright.sync_api import BrowserContext, expect
from pytest_django.live_server_helper import LiveServer

from dashboard.cloud.projects import Project
from tests.browser.browsing import BrowserErrors, Site
from tests.conftest import Simulated

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
DISABLED_FEATURES = (
    # These load internal pages of the browser in each window, which takes longer than the page under test.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "PreloadTopChromeWebUI"),
    # Playwright disables these too. Its list has no effect, because only the last --disable-features counts.
    *("AimEnabled", "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose"),
    *("HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying"),
    *("OptimizationHints", "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning"),
)
ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=" + ",".join(DISABLED_FEATURES),
)

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session", autouse=True)
def _database_with_event_loop() -> Iterator[None]:
    """Allow database calls beside the event loop of Playwright. Django refuses them by default."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(scope="session")
def base_url() -> None:
    """Replace a fixture of pytest-base-url that causes a warning. Each context sets its own base URL."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if executable is None:
        pytest.fail("The browser tests need Chromium: install the package `chromium`, or set CHROMIUM to its path.")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    return {**browser_type_launch_args, "executable_path": executable, "args": [*ARGUMENTS, *sandbox]}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_context_args,
        "viewport": {"width": 1280, "height": 800},
        "reduced_motion": "reduce",
        "locale": "en-GB",
    }


@pytest.fixture(scope="session")
def _static_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Serve the static files of the source tree, not the files that a demo collected."""
    with (
        override_settings(STATIC_ROOT=str(tmp_path_factory.mktemp("static"))),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(testcases, "_StaticFilesHandler", StaticFilesHandler)
        yield


@pytest.fixture(scope="session")
def live_server(_static_files: None, live_server: LiveServer) -> LiveServer:
    return live_server


@pytest.fixture
def browser_errors(live_server: LiveServer) -> Iterator[BrowserErrors]:
    errors = BrowserErrors(live_server.url)
    yield errors
    assert not errors.problems, "\n".join(errors.problems)


@pytest.fixture
def site(
    transactional_db: None,
    live_server: LiveServer,
    project: Project,
    simulator: Simulated,
    client_as: Callable[[str], Client],
    browser_errors: BrowserErrors,
) -> Site:
    return Site(live_server.url, simulator, client_as, browser_errors)


@pytest.fixture
def open_context(site: Site, new_context: Callable[..., BrowserContext]) -> Callable[..., BrowserContext]:
    """Create a browser context with these settings, signed in if a `role` is given."""

    def create(role: str = "", **settings: Any) -> BrowserContext:
        context = new_context(base_url=site.url, **settings)
        site.errors.listen_to(context)
        if role:
            site.sign_in(context, role)
        return context

    return create


@pytest.fixture
def context(open_context: Callable[..., BrowserContext]) -> BrowserContext:
    """A browser context without a signed-in user."""
    return open_context()
