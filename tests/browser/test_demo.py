"""`manage.py demo`: the size of its pages, its output, its exit, and the data that it keeps."""

import fcntl
import gzip
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.browsing import PASSWORD, BrowserErrors, switch_of
from tests.conftest import DESIGN_POOL

LIST = "/projects/production/server-groups/"
MAX_BYTES, MAX_REQUESTS = 120_000, 10
MAX_SWITCH_BYTES = 1024


@dataclass
class Demo:
    process: subprocess.Popen[str]
    port: int
    simulator_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def read_until(self, words: str) -> str:
        """Read the output up to the line with these words, or all output if the command exits first."""
        assert self.process.stdout is not None
        output = ""
        for line in self.process.stdout:
            output += line
            if words in line:
                return output
        return output

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _demo(database: Path, port: int | None = None) -> Iterator[Demo]:
    port, simulator_port = port or _free_port(), _free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("STREAMWARDEN_", "DJANGO_", "COV_"))
    } | {
        "STREAMWARDEN_ENV": "development",
        "DATABASE_URL": f"sqlite:///{database}",
        "STREAMWARDEN_PROJECTS": "dashboard/demo/projects.toml",
        "DEMO_SIMULATOR": f"http://127.0.0.1:{simulator_port}",
    }
    command = [sys.executable, "manage.py", "demo", "--port", str(port), "--simulator-port", str(simulator_port)]
    with (
        _demo_lock(),
        subprocess.Popen(  # noqa: S603  (our own command)
            [*command, "--password", PASSWORD],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            yield Demo(process, port, simulator_port)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


@contextmanager
def _demo_lock() -> Iterator[None]:
    """Wait for demos of other test processes, because all collect static files into the same directory."""
    directory = os.open(settings.BASE_DIR / "var", os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


@pytest.fixture(scope="class")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with _demo(tmp_path_factory.mktemp("demo") / "demo.sqlite3") as demo:
        assert "Ctrl-C stops both" in demo.read_until("Ctrl-C stops both")
        yield demo


@pytest.fixture
def visit(running: Demo, new_context: Callable[..., BrowserContext]) -> Iterator[Callable[[], Page]]:
    """Open a page with an empty cache. A plain request signs the user in."""
    errors = BrowserErrors(running.url)

    def open_page(person: str = "admin") -> Page:
        context = new_context(base_url=running.url)
        errors.listen_to(context)
        form = context.request.get("/accounts/login/").text()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token
        response = context.request.post(
            "/accounts/login/",
            form={"login": person, "password": PASSWORD, "csrfmiddlewaretoken": token[1]},
            headers={"Referer": running.url},
            max_redirects=0,
        )
        assert response.status == 302
        return context.new_page()

    yield open_page
    assert not errors.problems, "\n".join(errors.problems)


def _transfer_sizes(page: Page, path: str) -> dict[str, int]:
    """Transferred bytes of each response, including its headers, by URL."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    addresses: dict[str, str] = {}
    sizes: dict[str, int] = {}
    session.on("Network.requestWillBeSent", lambda sent: addresses.update({sent["requestId"]: sent["request"]["url"]}))

    def add_size(finished: dict[str, Any]) -> None:
        sizes[addresses[finished["requestId"]]] = int(finished["encodedDataLength"])

    session.on("Network.loadingFinished", add_size)
    page.goto(path)
    page.wait_for_load_state("networkidle")
    session.detach()
    return sizes


class TestVisits:
    """The tests of this class share a demo. Each visit has a separate browser context."""

    def test_the_first_visit_of_the_list_transfers_few_bytes_in_few_requests(
        self, running: Demo, visit: Callable[[], Page], record_property: Callable[[str, object], None]
    ) -> None:
        sizes = _transfer_sizes(visit(), LIST)

        record_property("bytes", sum(sizes.values()))
        record_property("requests", len(sizes))
        assert sum(sizes.values()) <= MAX_BYTES, sizes
        assert len(sizes) <= MAX_REQUESTS, sizes
        assert all(address.startswith(running.url) for address in sizes)
        assert any(address.endswith(".css") for address in sizes)

    def test_a_second_visit_of_the_list_transfers_few_bytes(self, visit: Callable[[], Page]) -> None:
        page = visit()
        page.goto(LIST)
        page.wait_for_load_state("networkidle")

        sizes = _transfer_sizes(page, LIST)

        assert sum(sizes.values()) <= 15_000, sizes

    def test_the_response_to_a_switch_is_small(
        self, visit: Callable[[], Page], record_property: Callable[[str, object], None]
    ) -> None:
        page = visit()
        page.goto(f"{LIST}?q=design-pool")
        switch_of(page).click()
        page.get_by_label("Reason").fill("INC-4711")

        with page.expect_response(f"**/{DESIGN_POOL}/switch/") as switched:
            page.get_by_role("button", name="Switch off").click()

        expect(switch_of(page)).to_have_attribute("aria-checked", "false")
        size = len(gzip.compress(switched.value.body()))
        record_property("bytes", size)
        assert switched.value.headers["content-encoding"] == "gzip"
        assert size <= MAX_SWITCH_BYTES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_prints_its_address_and_stops_both_servers(tmp_path: Path, number: int) -> None:
    with _demo(tmp_path / "demo.sqlite3") as demo:
        output = demo.read_until("Ctrl-C stops both")
        assert f"http://127.0.0.1:{demo.port}/" in output
        assert all(name in output for name in ("helpdesk", "admin", "auditor", "viewer", PASSWORD))
        assert _is_in_use(demo.port)
        assert _is_in_use(demo.simulator_port)

        status = demo.stop(number)

        assert demo.process.stdout is not None
        assert "The data is kept" in demo.process.stdout.read()
        assert status == 0
        assert not _is_in_use(demo.port)
        assert not _is_in_use(demo.simulator_port)


def test_a_second_start_keeps_the_data(tmp_path: Path, new_context: Callable[..., BrowserContext]) -> None:
    with _demo(tmp_path / "demo.sqlite3") as first:
        first.read_until("Ctrl-C stops both")
        page = _signed_in(new_context(base_url=first.url))
        page.goto(f"{LIST}?q=design-pool")
        switch_of(page).click()
        page.get_by_label("Reason").fill("INC-4711")
        page.get_by_role("button", name="Switch off").click()
        expect(switch_of(page)).to_have_attribute("aria-checked", "false")
        first.stop(signal.SIGINT)

    with _demo(tmp_path / "demo.sqlite3") as second:
        second.read_until("Ctrl-C stops both")
        page = _signed_in(new_context(base_url=second.url))
        page.goto("/projects/production/audit/")

        expect(page.locator(".entries li")).to_contain_text("INC-4711")


def test_the_demo_reports_a_port_in_use_and_stops_both_servers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with _demo(tmp_path / "demo.sqlite3", port) as demo:
            output = demo.read_until("no line contains this")
            status = demo.process.wait(timeout=40)

    assert f"If port {port} is in use, choose others: make demo PORT=9000 SIMULATOR_PORT=9001" in output
    assert status == 1
    assert not _is_in_use(demo.simulator_port)


def _signed_in(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Server groups")).to_be_visible()
    return page
