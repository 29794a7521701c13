"""A served dashboard while the cloud responds slowly: other pages respond, and lists show the last copy."""

import threading
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
PEOPLE, THREADS = 24, 8


class Crowd:
    """Asks for the list in many threads; `answered` holds the answers in the order in which they came."""

    def __init__(self, browser: Browser) -> None:
        self.answered: list[requests.Response] = []
        self._browser = browser
        self._threads = [threading.Thread(target=self._ask) for _ in range(PEOPLE)]
        for thread in self._threads:
            thread.start()

    @property
    def live(self) -> list[requests.Response]:
        return [answer for answer in self.answered if not is_copy(answer)]

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        self.answered.append(self._browser.get(LIST))


def is_copy(answer: requests.Response) -> bool:
    return "The cloud responds slowly. Try again in a moment." in answer.text


def test_slow_reads_hold_half_of_the_threads(simulator: Simulated, new_database: NewDatabase, tmp_path: Path) -> None:
    environ = environment(new_database(), simulator.url)
    with served(environ, tmp_path / "log", threads=THREADS) as server:
        viewer = Browser(server.address)
        viewer.sign_in()
        assert not is_copy(viewer.get(LIST))
        known = len(simulator.requests("GET"))
        simulator.inject(SLOW)

        crowd = Crowd(viewer)
        wait_until(lambda: len(simulator.requests("GET")) == known + THREADS // 2)
        health = viewer.get("/healthz")
        live_before_health = crowd.live
        crowd.wait()
        slow_reads = len(simulator.requests("GET")) - known
        simulator.inject()
        after = viewer.get(LIST)

    assert (health.status_code, live_before_health) == (200, [])
    assert [answer.status_code for answer in crowd.answered] == [200] * PEOPLE
    assert [is_copy(answer) for answer in crowd.answered] == [True] * (PEOPLE - THREADS // 2) + [False] * (THREADS // 2)
    assert slow_reads == THREADS // 2
    assert (after.status_code, is_copy(after)) == (200, False)
