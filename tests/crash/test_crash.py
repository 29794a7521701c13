"""Killed at any point of a write: afterwards the ledger is true, and nothing was sent twice.

Each case is a dashboard in a process of its own that dies by signal 9, a second one that starts after it, and the
simulator's own history, which neither can touch. `make test-crash` runs the whole matrix.
"""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest
from django.conf import settings

from tests.conftest import DESIGN_POOL, PROJECT_ID, Simulated, fault
from tests.crash.points import POINTS
from tests.markup import Page, words

SEEDS = int(os.environ.get("CRASH_SEEDS", "0"))
"""0: each point once. `make test-crash` asks for more: each point with each change, so often."""
EDIT, SWITCH = (f"/projects/default/server-groups/{DESIGN_POOL}/{page}/" for page in ("edit", "switch"))
CHANGES: dict[str, tuple[str, dict[str, str]]] = {
    "switch": (SWITCH, {"status": "off"}),
    "one field": (EDIT, {"name": "TEST"}),
    "all fields": (
        EDIT,
        {
            "name": "TEST",
            "app_type": "SESSION_DESKTOP_APP",
            "description": "new words",
            "server_group_status": "false",
            "route_policy__max_session": "9",
            "route_policy__cpu_threshold": "71",
            "route_policy__gpu_threshold": "72",
            "route_policy__mem_threshold": "73",
            "storage_mount_policy": "SHARE",
            "system_disk_type": "ESSD",
            "system_disk_size": "200",
        },
    ),
}
FAULTS: tuple[dict[str, Any] | None, ...] = (
    None,
    fault("drop_after_applying"),
    fault("drop_before_answer"),
    fault("delay", delay_ms=30),
    fault("bad_request"),
    fault("late", after_ms=150, answer="drop"),
    fault("stale_reads", "GET", times=None, seconds=0.2),
)


@dataclass(frozen=True)
class Case:
    point: str
    change: str
    seed: int

    @property
    def fault(self) -> dict[str, Any] | None:
        """The first seed has a good day."""
        return random.Random(f"{self}").choice(FAULTS) if self.seed else None  # noqa: S311 (a day, no secret)


def cases() -> list[Case]:
    if SEEDS:
        return [Case(point, change, seed) for point in POINTS for change in CHANGES for seed in range(SEEDS)]
    names = list(CHANGES)
    return [Case(point, names[place % 3], place % 4) for place, point in enumerate(POINTS)]


def start(environ: dict[str, str], **order: object) -> dict[str, Any] | None:
    """A dashboard of its own; None when it was killed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.process"],
        input=json.dumps(order),
        env=environ,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in {0, -9}, done.stderr
    found: dict[str, Any] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return found


def environment(database: str, simulator: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.page_settings",
        "STREAMWARDEN_ENV": "development",
        "DATABASE_URL": database,
        "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
        "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
        "WORKSPACE_ENDPOINT": simulator,
        "WORKSPACE_AUTH_TOKEN": "simulator-token",
    }


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes a database with the tables and one administrator; on PostgreSQL under `python -m tests.postgres`."""
    folder, server = tmp_path_factory.mktemp("crash"), os.environ.get("TEST_DATABASE_URL", "")
    made = itertools.count()
    worker = f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"

    def on_sqlite() -> str:
        name = f"{folder}/{next(made)}.sqlite3"
        shutil.copy(f"{folder}/template.sqlite3", name)
        return f"sqlite:///{name}"

    def on_postgresql(template: str = f"template_{worker}") -> str:
        name = f"crash_{worker}_{next(made)}"
        _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
        return _named(server, name)

    if not server:
        start(environment(f"sqlite:///{folder}/template.sqlite3", "http://127.0.0.1:9"), do="prepare")
        return on_sqlite
    _execute(server, f"CREATE DATABASE template_{worker}")
    start(environment(_named(server, f"template_{worker}"), "http://127.0.0.1:9"), do="prepare")
    return on_postgresql


def _named(server: str, name: str) -> str:
    return f"{server.rpartition('/')[0]}/{name}"


def _execute(server: str, statement: str) -> None:
    user, _, path = server.removeprefix("postgres://").partition("@/")
    with psycopg.connect(host=path.rpartition("/")[0], user=user, dbname="postgres", autocommit=True) as connection:
        connection.execute(statement)


def values_of(group: dict[str, Any], path: str) -> Any:
    value: Any = group
    for name in path.split("."):
        value = value[name]
    return value


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.point}, {case.change}, {case.seed}")
def test_whatever_dies_the_ledger_is_true(case: Case, simulator: Simulated, new_database: Callable[[], str]) -> None:
    environ, (address, fields) = environment(new_database(), simulator.url), CHANGES[case.change]
    form = fields | {"reason": "INC-4711", "key": "one form"}
    before = simulator.group()
    simulator.play(*([case.fault] if case.fault else []))

    said = start(environ, do="change", point=case.point, address=address, fields=form)
    simulator.play()
    time.sleep(0.3)  # what is applied late is applied by now
    at_death = len(simulator.patches)
    after = start(environ, do="settle", address=address, fields=form)

    assert after is not None
    assert said is None or case.fault is not None  # on a good day each point is reached
    intents = [row for row in after["rows"] if row["project"] and row["intent"] is None]
    outcomes = [row for row in after["rows"] if row["project"] and row["outcome"]]
    assert after["verified"] == len(after["rows"])
    _nothing_was_sent_twice(simulator, intents)
    _each_patch_has_an_earlier_intent(simulator, intents)
    _each_intent_has_one_outcome_and_it_is_true(simulator, intents, outcomes, before)
    if said is not None and _says_saved(said["page"]):
        assert at_death == 1
        assert simulator.control("GET", "history")["changes"]


def _says_saved(html: str) -> bool:
    page = Page(html)
    notices = [words(notice.text) for notice in page.by_class("notice")]
    return bool(page.by_class("outcome-applied")) or "design-pool is off." in notices


def _nothing_was_sent_twice(simulator: Simulated, intents: list[dict[str, Any]]) -> None:
    """The form was posted twice, before and after the crash: one key, one intent, one PATCH at most."""
    assert len(intents) == 1
    assert len(simulator.patches) <= 1


def _each_patch_has_an_earlier_intent(simulator: Simulated, intents: list[dict[str, Any]]) -> None:
    for patch in simulator.requests("PATCH"):
        (intent,) = intents
        assert datetime.fromisoformat(intent["at"]) <= datetime.fromisoformat(patch["time"])
        for change in intent["changes"]:
            assert values_of(patch["body"], change["field"]) == change["after"]


def _each_intent_has_one_outcome_and_it_is_true(
    simulator: Simulated, intents: list[dict[str, Any]], outcomes: list[dict[str, Any]], before: dict[str, Any]
) -> None:
    now = simulator.group()
    for intent in intents:
        known = [row["outcome"] for row in outcomes if intent["number"] in {row["intent"], row["number"]}]
        final = [outcome for outcome in known if outcome != "unknown"]
        changes = intent["changes"]
        is_new = [values_of(now, change["field"]) == change["after"] for change in changes]
        assert [values_of(before, change["field"]) for change in changes] == [change["before"] for change in changes]
        assert len(final) == 1
        assert is_new == [final == ["applied"]] * len(changes)
