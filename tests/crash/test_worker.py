"""`manage.py worker`: it settles changes without a web process, and ends cleanly."""

import signal
import subprocess
import sys

import pytest
from django.conf import settings

from tests.conftest import Simulated
from tests.crash.dashboards import NewDatabase, environment, run
from tests.crash.test_settlers import leave_behind, wait_until

WORKER = """
import django
django.setup()
from django.core.management import call_command
from tests.crash.quick import shorten
shorten()
call_command("worker")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_the_worker_settles_a_change_and_stops_at_a_signal(
    number: signal.Signals, simulator: Simulated, new_database: NewDatabase
) -> None:
    environ = environment(new_database(), simulator.url) | {"STREAMWARDEN_WORKER": "separate"}
    leave_behind(environ, simulator)

    with subprocess.Popen(  # noqa: S603 (ours)
        [sys.executable, "-c", WORKER],
        env=environ,
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        wait_until(lambda: (run(environ, do="read") or {})["unsettled"] == [])
        worker.send_signal(number)
        out, err = worker.communicate(timeout=60)

    assert (worker.returncode, out.splitlines()) == (
        0,
        ["The worker runs. Ctrl-C stops it.", "The worker has stopped."],
    )
    assert "Traceback" not in err
