"""The disk or the database fails while a dashboard runs.

No PATCH is sent without its intent, pages stay available, the message names the cause, and no restart is needed.
"""

import os
import resource
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Simulated, address, fault
from tests.crash.conftest import databases_on
from tests.crash.dashboards import NewDatabase, environment, run
from tests.crash.serving import Browser, Served, served
from tests.crash.test_settlers import wait_until
from tests.postgres import Cluster, binaries, cluster

pytestmark = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="these tests start separate databases")
EDIT, LEDGER = address("edit/"), "/projects/default/audit/"
PAGES = (address(group_id=None), address(), EDIT, LEDGER)
Failure = Callable[[Path, Served], AbstractContextManager[None]]
DISK_BYTES = 4_000_000
MAX_ATTEMPTS = 100


@contextmanager
def folder(place: Path) -> Iterator[None]:
    place.mkdir()
    yield


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Mount a small disk, or skip the test. The fault `file size limit` needs no permission to mount."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)  # noqa: S603 (fixed command)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: S603, S607 (fixed command, found in the path)


@contextmanager
def full(place: Path, _served: Served) -> Iterator[None]:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    filler.unlink()


@contextmanager
def size_limit(_place: Path, served: Served) -> Iterator[None]:
    """Limit every file to one page, as a quota does."""
    for pid in served.workers:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    yield
    for pid in served.workers:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def read_only(place: Path, _served: Served) -> Iterator[None]:
    everything = [place, *place.iterdir()]
    modes = [path.stat().st_mode for path in everything]
    for path, mode in zip(everything, modes, strict=True):
        path.chmod(mode & ~0o222)
    yield
    for path, mode in zip(everything, modes, strict=True):
        path.chmod(mode)


@contextmanager
def removed(place: Path, _served: Served) -> Iterator[None]:
    moved = place.rename(place.with_name("moved"))
    yield
    moved.rename(place)


@dataclass(frozen=True)
class Fault:
    failure: Failure
    cause: str
    """The message of the database."""
    place: Callable[[Path], AbstractContextManager[None]] = folder
    pages: int = 200
    """The status of pages for a signed-in person. Without the database, sessions are not available."""
    ready: int = 200


FAULTS = {
    "disk full": Fault(full, "database or disk is full", place=small_disk),
    "file size limit": Fault(size_limit, "disk I/O error"),
    "read-only": Fault(read_only, "Permission denied"),
    "removed": Fault(removed, "unable to open database file", pages=503, ready=503),
}


def send(browser: Browser, name: str) -> requests.Response:
    return browser.post(EDIT, {"name": name, "reason": "r" * 500})


def until_refused(attempt: Callable[[int], requests.Response]) -> requests.Response:
    """Repeat until the response is not a redirect. SQLite may have reserved space for some more rows."""
    responses = (attempt(number) for number in range(MAX_ATTEMPTS))
    return next(response for response in responses if response.status_code != 302)


def intents(found: Mapping[str, Any]) -> list[Any]:
    return [row for row in found["rows"] if row["project"] and row["intent"] is None and row["kind"] != "denied"]


def outcomes(found: Mapping[str, Any]) -> list[str]:
    return [row["outcome"] for row in found["rows"] if row["project"] and row["intent"]]


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    found = run(environ, do="read")
    assert found is not None
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_no_change_is_sent_and_pages_stay_available(
    name: str, simulator: Simulated, new_database: NewDatabase, tmp_path: Path
) -> None:
    given, place = FAULTS[name], tmp_path / "disk"
    environ = environment(f"sqlite:///{place}/db.sqlite3", simulator.url)

    with given.place(place):
        shutil.copy(new_database().removeprefix("sqlite:///"), place / "db.sqlite3")
        with served(environ, tmp_path / "log") as server:
            admin = Browser(server.address)
            good = [admin.sign_in().status_code, send(admin, "good").status_code]
            with given.failure(place, server):
                refused = until_refused(lambda number: send(admin, f"bad-{number}"))
                sent = len(simulator.patches)
                pages = [admin.get(page).status_code for page in PAGES]
                probes = [admin.get(page).status_code for page in ("/healthz", "/readyz")]
                stranger = until_refused(lambda _number: Browser(server.address).sign_in())
            after = send(admin, "after").status_code
            again = Browser(server.address).sign_in().status_code
        found = read(environ)

    assert (good, after, again) == ([302, 302], 302, 302)
    assert (refused.status_code, given.cause in refused.text) == (503, True)
    assert (pages, probes) == ([given.pages] * len(PAGES), [200, given.ready])
    assert (stranger.status_code, "The database is unavailable" in stranger.text) == (503, True)
    assert len(simulator.patches) == sent + 1 == len(intents(found))
    assert outcomes(found) == ["applied"] * len(intents(found))
    assert found["verified"] == len(found["rows"])


def fail_while_a_change_is_sent(
    environ: Mapping[str, str],
    simulator: Simulated,
    log: Path,
    failure: Callable[[Served], AbstractContextManager[None]],
) -> tuple[requests.Response, dict[str, Any]]:
    """Fail between the PATCH and its response. Return the page, and the ledger after settling."""
    responses: list[requests.Response] = []
    with served(environ, log) as server:
        admin = Browser(server.address)
        admin.sign_in()
        simulator.inject(fault("delay", delay_ms=3000))
        sender = threading.Thread(target=lambda: responses.append(send(admin, "TEST")))
        sender.start()
        wait_until(lambda: len(simulator.patches) == 1)
        with failure(server):
            sender.join()
        wait_until(lambda: not read(environ)["unsettled"])
        assert send(admin, "after").status_code == 302
    return responses[0], read(environ)


@pytest.mark.parametrize("name", ["read-only", "removed"])
def test_the_same_process_settles_an_outcome_that_it_could_not_record(
    name: str, simulator: Simulated, new_database: NewDatabase, tmp_path: Path
) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    shutil.copy(new_database().removeprefix("sqlite:///"), place / "db.sqlite3")
    environ = environment(f"sqlite:///{place}/db.sqlite3", simulator.url)

    page, found = fail_while_a_change_is_sent(
        environ, simulator, tmp_path / "log", lambda server: FAULTS[name].failure(place, server)
    )

    assert page.status_code == 503
    assert "The change was sent, but its outcome could not be recorded." in page.text
    assert (outcomes(found), len(simulator.patches)) == (["applied", "applied"], 2)
    assert found["verified"] == len(found["rows"])


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Cluster]:
    try:
        binaries()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def new_postgresql_database(postgresql: Cluster) -> NewDatabase:
    return databases_on(postgresql.address)


def test_no_restart_is_needed_after_postgresql_stops_and_starts_again(
    simulator: Simulated, postgresql: Cluster, new_postgresql_database: NewDatabase, tmp_path: Path
) -> None:
    environ = environment(new_postgresql_database(), simulator.url)

    with served(environ, tmp_path / "log") as server:
        admin = Browser(server.address)
        good = [admin.sign_in().status_code, send(admin, "good").status_code]
        postgresql.stop()
        refused = send(admin, "bad")
        pages = [admin.get(page).status_code for page in PAGES]
        probes = [admin.get(page).status_code for page in ("/healthz", "/readyz")]
        stranger = Browser(server.address).sign_in()
        postgresql.start()
        after = send(admin, "after").status_code
    found = read(environ)

    assert (good, after) == ([302, 302], 302)
    assert (pages, probes) == ([503] * len(PAGES), [200, 503])
    for page in (refused, stranger):
        assert (page.status_code, "The database is unavailable" in page.text) == (503, True)
        assert ("connection to server" in page.text, "reports" in page.text) == (False, False)
    assert "connection to server on socket" in (tmp_path / "log").read_text()
    assert [row["changes"][0]["after"] for row in intents(found)] == ["good", "after"]
    assert (outcomes(found), len(simulator.patches)) == (["applied", "applied"], 2)
    assert found["verified"] == len(found["rows"])


def test_a_change_is_settled_after_postgresql_stops_before_its_outcome(
    simulator: Simulated, postgresql: Cluster, new_postgresql_database: NewDatabase, tmp_path: Path
) -> None:
    environ = environment(new_postgresql_database(), simulator.url)

    @contextmanager
    def stopped(_served: Served) -> Iterator[None]:
        postgresql.stop()
        yield
        postgresql.start()

    page, found = fail_while_a_change_is_sent(environ, simulator, tmp_path / "log", stopped)

    assert page.status_code == 503
    assert "The change was sent, but its outcome could not be recorded." in page.text
    assert (outcomes(found), len(simulator.patches)) == (["applied", "applied"], 2)
    assert found["verified"] == len(found["rows"])
