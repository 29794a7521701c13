"""Jobs of a dashboard in a separate process: make a change, settle, archive, read the ledger.

A fork server loads this module once and forks a process for each job, so that no job waits for imports.
"""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stderr, suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from multiprocessing.connection import Connection
from typing import Any

import django

django.setup()

import time_machine  # noqa: E402 (Django is set up above)
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from dashboard.accounts.models import User  # noqa: E402
from dashboard.audit.integrity.export import all_rows  # noqa: E402
from dashboard.audit.integrity.verification import verify  # noqa: E402
from dashboard.audit.ledger.guards import missing_guards  # noqa: E402 (Django is set up above)
from dashboard.audit.ledger.services import Event, list_unsettled, record_event  # noqa: E402
from dashboard.audit.models import EventKind  # noqa: E402 (Django is set up above)
from dashboard.inventory.models import Difference  # noqa: E402 (Django is set up above)
from dashboard.worker.jobs import Worker  # noqa: E402
from tests.crash.dashboards import PASSWORD  # noqa: E402
from tests.crash.points import POINTS, WHILE_ARCHIVING, WHILE_RECORDING_OUTSIDE, WHILE_SETTLING, arm  # noqa: E402
from tests.crash.quick import LEASE_SECONDS, shorten  # noqa: E402

assert get_resolver().url_patterns  # load the views

BACKEND = "dashboard.accounts.backends.RoleBackend"
SETTLED_WITHIN = 30.0
"""Seconds. The sum of all waits in `quick` is far shorter."""


def prepare(_job: dict[str, Any]) -> dict[str, Any]:
    call_command("migrate", verbosity=0)
    User.objects.create_user("admin", password=PASSWORD).groups.add(Group.objects.get(name="administrator"))
    return {}


def client() -> Client:
    signed_in = Client()
    signed_in.force_login(User.objects.get(username="admin"), backend=BACKEND)
    return signed_in


def change(job: dict[str, Any]) -> dict[str, Any]:
    """Send the form as a browser does, and return the page."""
    browser = client()  # sign in first: a sign-in writes to the ledger too
    if job["point"]:
        arm(POINTS[job["point"]])
    response = browser.post(job["address"], job["fields"], follow=True)
    return {"status": response.status_code, "page": response.content.decode()}


def settle(job: dict[str, Any]) -> dict[str, Any]:
    """Settle in rounds until nothing is unsettled. With `once`, make one round."""
    if job.get("point"):
        arm(WHILE_SETTLING[job["point"]], job.get("signal", signal.SIGKILL))
    output, worker, give_up = StringIO(), Worker(), time.monotonic() + job.get("within", SETTLED_WITHIN)
    while list_unsettled() and time.monotonic() < give_up:
        if job.get("by") == "worker":
            worker.settle()
        else:
            with suppress(SystemExit):
                call_command("settle", stdout=output)
        if job.get("once"):
            break
        time.sleep(0.05)
    return {"output": output.getvalue().splitlines()}


def restart(job: dict[str, Any]) -> dict[str, Any]:
    """Settle, post the same form again, and read the ledger."""
    settle(job)
    return {"again": change({**job, "point": None}), **read(job)}


def read(_job: dict[str, Any]) -> dict[str, Any]:
    rows = [json.loads(row.json) for row in all_rows()]
    return {"rows": rows, "verified": verify().count, "unsettled": list_unsettled()}


def work(_job: dict[str, Any]) -> dict[str, Any]:
    """Run `manage.py worker` until a signal ends it."""
    output, log = StringIO(), StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(log))
    with redirect_stderr(log):
        call_command("worker", stdout=output)
    return {"output": output.getvalue().splitlines(), "log": log.getvalue()}


def archive(job: dict[str, Any]) -> dict[str, Any]:
    """Record ten events, and move all rows to a file."""
    for number in range(10):
        record_event(Event(EventKind.SIGN_IN, f"person {number}"))
    arm(WHILE_ARCHIVING[job["point"]])
    call_command("audit_archive", "--before", "2100-01-01", job["file"], stdout=sys.stderr)
    return {}


def find_outside(job: dict[str, Any]) -> dict[str, Any]:
    """Store two differences of each group, as the inventory does."""
    times = {
        "since": datetime(2026, 3, 14, 10, 42, 7, tzinfo=UTC),
        "until": datetime(2026, 3, 14, 10, 42, 22, tzinfo=UTC),
    }
    Difference.objects.bulk_create(
        Difference(project="default", group_id=f"g-{number}", path=path, before="old", after="new", **times)
        for number in range(job["groups"])
        for path in ("name", "description")
    )
    return {}


def record_outside(job: dict[str, Any]) -> dict[str, Any]:
    """Record the changes from outside, and return the number of differences that are left."""
    if job.get("point"):
        arm(WHILE_RECORDING_OUTSIDE[job["point"]])
    Worker().record_outside()
    return {"left": Difference.objects.count()}


def inspect(_job: dict[str, Any]) -> dict[str, Any]:
    numbers = [json.loads(row.json)["number"] for row in all_rows()]
    return {"numbers": numbers, "verified": verify().count, "unguarded": missing_guards()}


JOBS = {
    "prepare": prepare,
    "change": change,
    "settle": settle,
    "restart": restart,
    "read": read,
    "work": work,
    "archive": archive,
    "find_outside": find_outside,
    "record_outside": record_outside,
    "inspect": inspect,
}


def run_job(results: Connection, environ: Mapping[str, str], job: dict[str, Any]) -> None:
    """Run a job in this new process, and send its result."""
    _configure(environ)
    shorten(job.get("lease", LEASE_SECONDS))
    ahead = timedelta(seconds=job.get("ahead", 0))
    with time_machine.travel(datetime.now(UTC) + ahead) if ahead else nullcontext():
        result = JOBS[job["do"]](job)
    connections.close_all()
    results.send(result)


def _configure(environ: Mapping[str, str]) -> None:
    """Load the settings again from this environment. The database is not in use yet."""
    os.environ.clear()
    os.environ.update(environ)
    for module in ("dashboard.settings", "tests.benchmarks.page_settings", environ["DJANGO_SETTINGS_MODULE"]):
        sys.modules.pop(module, None)
    settings._setup()  # type: ignore[misc]  # not in the stubs
    connections.databases.update(connections.configure_settings(settings.DATABASES))
    del connections["default"]
