"""Two dashboards on one database: one of them reads the cloud, and both show the same copy."""

import time
from pathlib import Path

from tests.conftest import DESIGN_POOL, Simulated, address
from tests.crash.dashboards import SWITCH, NewDatabase, environment
from tests.crash.serving import Browser, served
from tests.crash.test_settlers import wait_until
from tests.markup import Page

LIST = f"{address(group_id=None)}?q=design-pool"
SECONDS = 16.0
MOST_READS = 4
"""One dashboard reads a list of one page every 15 seconds while someone looks: at the start, and once or twice more."""


def test_one_dashboard_reads_the_cloud_and_both_show_the_same_copy(
    simulator: Simulated, new_database: NewDatabase, tmp_path: Path
) -> None:
    environ = environment(new_database(), simulator.url)
    with served(environ, tmp_path / "one") as one, served(environ, tmp_path / "two") as two:
        first, second = Browser(one.address), Browser(two.address)
        for browser in (first, second):
            browser.sign_in()
            browser.get(LIST)
        wait_until(lambda: all("design-pool-standby" in browser.get(LIST).text for browser in (first, second)))
        simulator.control("DELETE", "requests")
        give_up = time.monotonic() + SECONDS
        while time.monotonic() < give_up:
            for browser in (first, second):
                browser.get(LIST)
            time.sleep(0.5)
        reads = [entry for entry in simulator.requests("GET") if entry["path"].endswith("/app-server-groups")]

        written = first.post(SWITCH, {"status": "off", "reason": "INC-1", "key": "k" * 32})
        begun = time.monotonic()
        wait_until(lambda: _is_off(first) and _is_off(second))
        seconds = time.monotonic() - begun

    assert 1 <= len(reads) <= MOST_READS
    assert written.status_code == 302
    assert seconds < 1


def _is_off(browser: Browser) -> bool:
    page = Page(browser.get(LIST).text)
    return page.by_id(f"switch-button-{DESIGN_POOL}").attrs["aria-checked"] == "false"
