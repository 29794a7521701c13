"""Fixtures of a real browser, the served dashboard and the simulator."""

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
from tests.browser.browsing import Site, Watch
from tests.conftest import Simulated

NAMES = ("chromium", "chromium-browser", "google-chrome")
DISABLED_FEATURES = (
    # With these, each window loads pages of the browser itself, which costs more than the page under test.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "PreloadTopChromeWebUI"),
    # Playwright disables these; its list does not apply because the last argument of one name wins.
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
def _database_beside_a_loop() -> Iterator[None]:
    """Playwright runs an event loop in this thread, in which Django would refuse its database calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(scope="session")
def base_url() -> None:
    """Replace a fixture of pytest-base-url that causes a warning. Each context has its own base URL."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail("The browser tests need Chromium: install the package `chromium`, or name one in CHROMIUM.")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    return {**browser_type_launch_args, "executable_path": found, "args": [*ARGUMENTS, *sandbox]}


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
    """Serve the source files of static/, not files that a demo collected earlier."""
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
def watch(live_server: LiveServer) -> Iterator[Watch]:
    watching = Watch(live_server.url)
    yield watching
    assert not watching.problems, "\n".join(watching.problems)


@pytest.fixture
def site(
    transactional_db: None,
    live_server: LiveServer,
    project: Project,
    simulator: Simulated,
    client_as: Callable[[str], Client],
    watch: Watch,
) -> Site:
    return Site(live_server.url, simulator, client_as, watch)


@pytest.fixture
def open_context(site: Site, new_context: Callable[..., BrowserContext]) -> Callable[..., BrowserContext]:
    """Open a browser for another person or with other settings; signed in if `role` is given."""

    def opened(role: str = "", **settings: Any) -> BrowserContext:
        context = new_context(base_url=site.url, **settings)
        site.watch.follow(context)
        if role:
            site.sign_in(context, role)
        return context

    return opened


@pytest.fixture
def context(open_context: Callable[..., BrowserContext]) -> BrowserContext:
    """A browser without a signed-in person."""
    return open_context()
