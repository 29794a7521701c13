"""A dashboard while the cloud responds slowly: other pages stay available, and lists do not wait."""

import threading
import time
from pathlib import Path

import requests

from tests.conftest import DESIGN_POOL, Simulated, address
from tests.crash.dashboards import NewDatabase, environment
from tests.crash.serving import Browser, served
from tests.crash.test_settlers import wait_until

LIST, GROUP = address(group_id=None), address()
SLOW = {
    "match": {"method": "GET", "path": f"*/app-server-groups/{DESIGN_POOL}"},
    "times": None,
    "fault": "delay",
    "delay_ms": 8000,
}
CLIENTS, THREADS = 24, 8


SLOW_GROUPS = SLOW | {"match": {"path": "*/app-server-groups*"}, "delay_ms": 3000}
EDITS = 12


class ParallelReads:
    """Reads of a group's page in many threads. `responses` has the responses in the order of arrival."""

    def __init__(self, browser: Browser) -> None:
        self.responses: list[requests.Response] = []
        self._browser = browser
        self._threads = [threading.Thread(target=self._read) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    @property
    def live(self) -> list[requests.Response]:
        return [response for response in self.responses if not is_refused(response)]

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        self.responses.append(self._browser.get(GROUP))


def is_refused(response: requests.Response) -> bool:
    return "The cloud responds slowly. Try again in a moment." in response.text


def test_slow_reads_use_half_of_the_threads(simulator: Simulated, new_database: NewDatabase, tmp_path: Path) -> None:
    # Only pages make calls here: the background work would be counted too.
    environ = environment(new_database(), simulator.url) | {"STREAMWARDEN_WORKER": "separate"}
    with served(environ, tmp_path / "log", threads=THREADS) as server:
        viewer = Browser(server.address)
        viewer.sign_in()
        assert not is_refused(viewer.get(GROUP))
        count_before = _reads_of_the_group(simulator)
        simulator.inject(SLOW)

        reads = ParallelReads(viewer)
        wait_until(lambda: _reads_of_the_group(simulator) == count_before + THREADS // 2)
        others = [viewer.get(path) for path in ("/healthz", LIST)]
        live_before_others = reads.live
        reads.wait()
        slow_reads = _reads_of_the_group(simulator) - count_before
        simulator.inject()
        after = viewer.get(GROUP)

    refused, shown = CLIENTS - THREADS // 2, THREADS // 2
    assert ([response.status_code for response in others], live_before_others) == ([200, 200], [])
    assert [response.status_code for response in reads.responses] == [503] * refused + [200] * shown
    assert [is_refused(response) for response in reads.responses] == [True] * refused + [False] * shown
    assert slow_reads == shown
    assert (after.status_code, is_refused(after)) == (200, False)


def _reads_of_the_group(simulator: Simulated) -> int:
    return sum(entry["path"].endswith(DESIGN_POOL) for entry in simulator.requests("GET"))


def test_probes_are_answered_while_slow_edits_use_all_slots(
    simulator: Simulated, new_database: NewDatabase, tmp_path: Path
) -> None:
    environ = environment(new_database(), simulator.url)
    with served(environ, tmp_path / "log", threads=THREADS) as server:
        admin = Browser(server.address)
        admin.sign_in()
        simulator.inject(SLOW_GROUPS)

        groups = [f"00000000-0000-4000-8000-{number:012}" for number in range(EDITS)]
        edits = [
            threading.Thread(target=admin.post, args=(address("switch/", group), {"status": "on"})) for group in groups
        ]
        for edit in edits:
            edit.start()
        seconds = [_seconds_of_a_probe(server.address, path) for _ in range(10) for path in ("/healthz", "/readyz")]
        still_running = sum(edit.is_alive() for edit in edits)
        for edit in edits:
            edit.join()

    assert max(seconds) < 2
    assert still_running >= THREADS // 2


def _seconds_of_a_probe(server: str, path: str) -> float:
    begun = time.monotonic()
    assert requests.get(f"{server}{path}", timeout=30).status_code == 200
    time.sleep(0.05)
    return time.monotonic() - begun
