"""The start of a web process: the hooks in gunicorn.conf.py. An import has no side effects."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project_settings
from django.db import connection
from pytest_django import Settings

from dashboard import serving
from dashboard.cloud.request_limits import Slots

JOBS = {
    "settle",
    "observe",
    "write_checkpoint",
    "send_checkpoint",
    "verify",
    "clear_sessions",
    "record_counts",
    "compare_access",
    "refresh_inventory",
    "record_outside",
    "thin_out_loads",
}
IMPORT = """
import json, threading
import dashboard.wsgi
from django.db import connection
print(json.dumps({"threads": threading.active_count(), "is_connected": connection.connection is not None}))
"""
START = """
import gc, json, runpy, threading, weakref
from types import SimpleNamespace
import dashboard.wsgi
from django.core.management import call_command

class Entry:
    def __init__(self):
        self.entry = self

call_command("migrate", verbosity=0)
gc.disable()
hooks = runpy.run_path("gunicorn.conf.py")
hooks["post_worker_init"](SimpleNamespace(cfg=SimpleNamespace(threads=8)))
left = weakref.ref(Entry())
is_left = left() is not None
hooks["post_request"](None, None, None, None)
print(json.dumps({
    "jobs": [thread.name for thread in threading.enumerate() if thread.daemon],
    "are_modules_frozen": gc.get_freeze_count() > 10_000,
    "garbage": [is_left, left() is not None],
}))
"""
WRITE = """
import dashboard.wsgi
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("create_admin", "alice")
"""
MIGRATE = """
import django
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)
connection.cursor().execute("DROP TRIGGER audit_ledgerrow_refuses_update")
"""


def python(*command: str, database: str, **changed: str) -> subprocess.CompletedProcess[str]:
    environ = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "STREAMWARDEN_ENV": "development",
        "STREAMWARDEN_CHECKPOINTS": "",
        "DATABASE_URL": database,
        **changed,
    }
    return subprocess.run(  # noqa: S603 (ours)
        [sys.executable, *command],
        env=environ,
        cwd=project_settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        umask=0o022,
    )


def results_of(code: str, *, database: str, **changed: str) -> Any:
    done = python("-c", code, database=database, **changed)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_import_of_the_application_has_no_side_effects(tmp_path: Path) -> None:
    results = results_of(IMPORT, database=f"sqlite:///{tmp_path}/db.sqlite3")

    assert results == {"threads": 1, "is_connected": False}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("worker", "jobs"), [("embedded", JOBS), ("separate", set())])
def test_a_web_process_runs_the_background_work_if_embedded(worker: str, jobs: set[str], tmp_path: Path) -> None:
    results = results_of(START, database=f"sqlite:///{tmp_path}/db.sqlite3", STREAMWARDEN_WORKER=worker)

    assert set(results["jobs"]) == jobs


def test_collects_garbage_after_a_request_without_that_of_modules(tmp_path: Path) -> None:
    results = results_of(START, database=f"sqlite:///{tmp_path}/db.sqlite3")

    assert (results["garbage"], results["are_modules_frozen"]) == ([True, False], True)


@pytest.mark.parametrize(
    "commands",
    [(("manage.py", "migrate"), ("manage.py", "create_admin", "alice")), (("-c", WRITE),)],
    ids=["commands", "web"],
)
def test_other_users_cannot_read_the_files_of_the_dashboard(commands: Sequence[Sequence[str]], tmp_path: Path) -> None:
    for command in commands:
        done = python(
            *command,
            database=f"sqlite:///{tmp_path}/made/db.sqlite3",
            STREAMWARDEN_CHECKPOINTS=f"{tmp_path}/kept",
            STREAMWARDEN_ADMIN_PASSWORD="correct horse battery staple",
        )
        assert done.returncode == 0, done.stderr

    places = list(tmp_path.rglob("*"))
    assert {"made", "kept", "db.sqlite3"} <= {place.name for place in places}
    assert [*tmp_path.glob("kept/checkpoints-*.jsonl")] != []
    assert [place.name for place in places if place.stat().st_mode & 0o077] == []


def test_does_not_start_without_a_guard_of_the_ledger(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/db.sqlite3"
    assert python("-c", MIGRATE, database=database).returncode == 0

    started = python("-m", "gunicorn", "--bind", "127.0.0.1:0", database=database)
    worker = python("manage.py", "worker", database=database)

    missing = "Ledger: audit_ledgerrow_refuses_update is missing, off or altered."
    assert (started.returncode, missing in started.stderr) == (3, True)
    assert (worker.returncode, missing in worker.stderr) == (1, True)


def test_half_of_the_threads_of_a_web_process_may_wait_for_the_cloud(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots()
    monkeypatch.setattr(serving, "slots", slots)
    monkeypatch.setattr(serving, "held_open", connection.copy())
    settings.WORKER = "separate"

    try:
        serving.start_web_process(threads=4)
        serving.collect_garbage()
    finally:
        serving.held_open.close()
        gc.unfreeze()

    assert [slots.take() for _ in range(3)] == [True, True, False]
