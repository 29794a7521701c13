"""What the ledger is kept in fails under a dashboard that is served as it is deployed: no PATCH leaves without its
intent, pages stay up, the cause is named, and nothing needs a restart.
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
from tests.crash.dashboards import NewDatabase, environment, run
from tests.crash.serving import Browser, Served, served
from tests.crash.test_settlers import wait_until
from tests.postgres import binaries, cluster

pytestmark = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="these start databases of their own")
EDIT, LEDGER = address("edit/"), "/projects/default/audit/"
PAGES = (address(group_id=None), address(), EDIT, LEDGER)
Happening = Callable[[Path, Served], AbstractContextManager[None]]
DISK_BYTES = 4_000_000
MOST_TRIES = 100


@contextmanager
def folder(place: Path) -> Iterator[None]:
    place.mkdir()
    yield


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Skips where nothing can be mounted; `no room for the files` needs no right to."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: S603, S607 (ours, wherever it is)


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
def no_room(_place: Path, served: Served) -> Iterator[None]:
    """As under a quota: nothing is written past the first page of a file."""
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
def gone(place: Path, _served: Served) -> Iterator[None]:
    away = place.rename(place.with_name("away"))
    yield
    away.rename(place)


@dataclass(frozen=True)
class BadDay:
    happens: Happening
    cause: str
    """What the database says."""
    at: Callable[[Path], AbstractContextManager[None]] = folder
    pages: int = 200
    """The status of pages for who is signed in: without the database nobody knows who that is."""
    ready: int = 200


BAD_DAYS = {
    "disk full": BadDay(full, "database or disk is full", at=small_disk),
    "no room for the files": BadDay(no_room, "disk I/O error"),
    "read-only": BadDay(read_only, "Permission denied"),
    "gone": BadDay(gone, "unable to open database file", pages=503, ready=503),
}


def send(browser: Browser, name: str) -> requests.Response:
    return browser.post(EDIT, {"name": name, "reason": "r" * 500})


def until_refused(attempt: Callable[[int], requests.Response]) -> requests.Response:
    """There may be room for a few more in what SQLite has taken already."""
    answers = (attempt(number) for number in range(MOST_TRIES))
    return next(answer for answer in answers if answer.status_code != 302)


def intents(found: Mapping[str, Any]) -> list[Any]:
    return [row for row in found["rows"] if row["project"] and row["intent"] is None and row["kind"] != "denied"]


def outcomes(found: Mapping[str, Any]) -> list[str]:
    return [row["outcome"] for row in found["rows"] if row["project"] and row["intent"]]


def read(environ: Mapping[str, str]) -> dict[str, Any]:
    found = run(environ, do="read")
    assert found is not None
    return found


@pytest.mark.parametrize("name", BAD_DAYS)
def test_on_a_bad_day_nothing_leaves_and_pages_stay_up(
    name: str, simulator: Simulated, new_database: NewDatabase, tmp_path: Path
) -> None:
    day, place = BAD_DAYS[name], tmp_path / "disk"
    environ = environment(f"sqlite:///{place}/db.sqlite3", simulator.url)

    with day.at(place):
        shutil.copy(new_database().removeprefix("sqlite:///"), place / "db.sqlite3")
        with served(environ, tmp_path / "log") as server:
            admin = Browser(server.address)
            good = [admin.sign_in().status_code, send(admin, "good").status_code]
            with day.happens(place, server):
                refused = until_refused(lambda number: send(admin, f"bad-{number}"))
                sent = len(simulator.patches)
                pages = [admin.get(page).status_code for page in PAGES]
                probes = [admin.get(page).status_code for page in ("/healthz", "/readyz")]
                stranger = until_refused(lambda _number: Browser(server.address).sign_in())
            after = send(admin, "after").status_code
            again = Browser(server.address).sign_in().status_code
        found = read(environ)

    assert (good, after, again) == ([302, 302], 302, 302)
    assert (refused.status_code, day.cause in refused.text) == (503, True)
    assert (pages, probes) == ([day.pages] * len(PAGES), [200, day.ready])
    assert (stranger.status_code, "The database cannot be used" in stranger.text) == (503, True)
    assert len(simulator.patches) == sent + 1 == len(intents(found))
    assert outcomes(found) == ["applied"] * len(intents(found))
    assert found["verified"] == len(found["rows"])


def while_a_change_is_on_its_way(
    environ: Mapping[str, str],
    simulator: Simulated,
    log: Path,
    happens: Callable[[Served], AbstractContextManager[None]],
) -> tuple[requests.Response, dict[str, Any]]:
    """The cloud has the PATCH and takes its time; then it happens. Returns the page, and the ledger once settled."""
    answers: list[requests.Response] = []
    with served(environ, log) as server:
        admin = Browser(server.address)
        admin.sign_in()
        simulator.inject(fault("delay", delay_ms=3000))
        sender = threading.Thread(target=lambda: answers.append(send(admin, "TEST")))
        sender.start()
        wait_until(lambda: len(simulator.patches) == 1)
        with happens(server):
            sender.join()
        wait_until(lambda: not read(environ)["unsettled"])
        assert send(admin, "after").status_code == 302
    return answers[0], read(environ)


@pytest.mark.parametrize("name", ["read-only", "gone"])
def test_an_outcome_that_could_not_be_written_is_settled_by_the_same_process(
    name: str, simulator: Simulated, new_database: NewDatabase, tmp_path: Path
) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    shutil.copy(new_database().removeprefix("sqlite:///"), place / "db.sqlite3")
    environ = environment(f"sqlite:///{place}/db.sqlite3", simulator.url)

    page, found = while_a_change_is_on_its_way(
        environ, simulator, tmp_path / "log", lambda server: BAD_DAYS[name].happens(place, server)
    )

    assert page.status_code == 503
    assert "The change was sent, but its outcome could not be recorded." in page.text
    assert (outcomes(found), len(simulator.patches)) == (["applied", "applied"], 2)
    assert found["verified"] == len(found["rows"])


def needs_postgresql() -> None:
    try:
        binaries()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_a_postgresql_that_is_stopped_and_started_again(simulator: Simulated, tmp_path: Path) -> None:
    needs_postgresql()
    with cluster() as database:
        environ = environment(database.address, simulator.url)
        run(environ, do="prepare")
        with served(environ, tmp_path / "log") as server:
            admin = Browser(server.address)
            good = [admin.sign_in().status_code, send(admin, "good").status_code]
            database.stop()
            refused = send(admin, "bad")
            pages = [admin.get(page).status_code for page in PAGES]
            probes = [admin.get(page).status_code for page in ("/healthz", "/readyz")]
            stranger = Browser(server.address).sign_in()
            database.start()
            after = send(admin, "after").status_code
        found = read(environ)

    assert (good, after) == ([302, 302], 302)
    assert (pages, probes) == ([503] * len(PAGES), [200, 503])
    for answer in (refused, stranger):
        assert (answer.status_code, "The database cannot be used" in answer.text) == (503, True)
        assert "connection to server on socket" in answer.text
    assert [row["changes"][0]["after"] for row in intents(found)] == ["good", "after"]
    assert (outcomes(found), len(simulator.patches)) == (["applied", "applied"], 2)
    assert found["verified"] == len(found["rows"])


def test_a_postgresql_that_stops_between_intent_and_outcome(simulator: Simulated, tmp_path: Path) -> None:
    needs_postgresql()
    with cluster() as database:
        environ = environment(database.address, simulator.url)
        run(environ, do="prepare")

        @contextmanager
        def stopped(_served: Served) -> Iterator[None]:
            database.stop()
            yield
            database.start()

        page, found = while_a_change_is_on_its_way(environ, simulator, tmp_path / "log", stopped)

    assert page.status_code == 503
    assert "The change was sent, but its outcome could not be recorded." in page.text
    assert (outcomes(found), len(simulator.patches)) == (["applied", "applied"], 2)
    assert found["verified"] == len(found["rows"])
