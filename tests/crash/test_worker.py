"""`manage.py worker` settles changes without a web process, and stops on a signal."""

import os
import signal

import pytest

from tests.conftest import Simulated
from tests.crash.dashboards import NewDatabase, begin, end, environment, run
from tests.crash.test_settlers import leave_unsettled_change, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_the_worker_settles_a_change_and_stops_on_a_signal(
    number: signal.Signals, simulator: Simulated, new_database: NewDatabase
) -> None:
    environ = environment(new_database(), simulator.url) | {"STREAMWARDEN_WORKER": "separate"}
    leave_unsettled_change(environ, simulator)

    worker = begin(environ, do="work")
    wait_until(lambda: (run(environ, do="read") or {})["unsettled"] == [])
    os.kill(worker.pid, number)
    found = end(worker)

    assert found is not None
    assert found["output"] == ["The worker runs. Ctrl-C stops it.", "The worker has stopped."]
    assert "Traceback" not in found["log"]
