"""A dashboard while the cloud responds slowly: other pages stay available, and lists show the last copy."""

import threading
import time
from pathlib import Path

import requests

from tests.conftest import Simulated, address
from tests.crash.dashboards import NewDatabase, environment
from tests.crash.serving import Browser, served
from tests.crash.test_settlers import wait_until

LIST = address(group_id=None)
SLOW = {
    "match": {"method": "GET", "path": "*/app-server-groups"},
    "times": None,
    "fault": "delay",
    "delay_ms": 8000,
}
CLIENTS, THREADS = 24, 8


SLOW_GROUPS = SLOW | {"match": {"path": "*/app-server-groups*"}, "delay_ms": 3000}
EDITS = 12


class ParallelReads:
    """Reads of the list in many threads. `responses` has the responses in the order of arrival."""

    def __init__(self, browser: Browser) -> None:
        self.responses: list[requests.Response] = []
        self._browser = browser
        self._threads = [threading.Thread(target=self._read) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    @property
    def live(self) -> list[requests.Response]:
        return [response for response in self.responses if not is_copy(response)]

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        self.responses.append(self._browser.get(LIST))


def is_copy(response: requests.Response) -> bool:
    return "The cloud responds slowly. Try again in a moment." in response.text


def test_slow_reads_use_half_of_the_threads(simulator: Simulated, new_database: NewDatabase, tmp_path: Path) -> None:
    # Only pages make calls here: the background work would be counted too.
    environ = environment(new_database(), simulator.url) | {"STREAMWARDEN_WORKER": "separate"}
    with served(environ, tmp_path / "log", threads=THREADS) as server:
        viewer = Browser(server.address)
        viewer.sign_in()
        assert not is_copy(viewer.get(LIST))
        count_before = len(simulator.requests("GET"))
        simulator.inject(SLOW)

        reads = ParallelReads(viewer)
        wait_until(lambda: len(simulator.requests("GET")) == count_before + THREADS // 2)
        health = viewer.get("/healthz")
        live_before_health = reads.live
        reads.wait()
        slow_reads = len(simulator.requests("GET")) - count_before
        simulator.inject()
        after = viewer.get(LIST)

    assert (health.status_code, live_before_health) == (200, [])
    assert [response.status_code for response in reads.responses] == [200] * CLIENTS
    assert [is_copy(response) for response in reads.responses] == [True] * (CLIENTS - THREADS // 2) + [False] * (
        THREADS // 2
    )
    assert slow_reads == THREADS // 2
    assert (after.status_code, is_copy(after)) == (200, False)


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
