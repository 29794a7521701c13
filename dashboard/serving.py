"""Start-up of a web process, called by the hooks in gunicorn.conf.py."""

import gc
from contextlib import suppress

from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection

from dashboard.cloud.request_limits import slots
from dashboard.worker.jobs import Worker

held_open = connection.copy()


def start_web_process(*, threads: int) -> None:
    """Check the ledger's guards and start the background work. Raises SystemCheckError when a guard is missing."""
    call_command("check", databases=["default"])
    _hold_sqlite_open()
    slots.resize(max(1, threads // 2))
    if settings.WORKER == "embedded":
        Worker().start()
    gc.freeze()


def collect_garbage() -> None:
    """Run the garbage collector between requests instead of during them.

    The entries of an activity page refer to each other. Otherwise, Python collects the garbage of thirty pages during
    one request, which then takes twice as long. `gc.freeze()` excludes the objects of the modules.
    """
    gc.collect(1)


def _hold_sqlite_open() -> None:
    """Keep one connection open, so that pages can be read while the disk is full.

    SQLite needs free space on the disk to open a database that no process has open.
    """
    if connection.vendor == "sqlite":
        with suppress(OperationalError):
            held_open.ensure_connection()
