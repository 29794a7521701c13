"""The work of a dashboard in a separate process: make a change, settle, archive, read the ledger.

A fork server loads this module once and forks a process for each order, so that an order does not wait for imports.
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
from dashboard.worker.jobs import Worker  # noqa: E402
from tests.crash.dashboards import PASSWORD  # noqa: E402
from tests.crash.points import POINTS, WHILE_ARCHIVING, WHILE_SETTLING, arm  # noqa: E402
from tests.crash.quick import LEASE_SECONDS, shorten  # noqa: E402

assert get_resolver().url_patterns  # loads the views

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
SETTLED_WITHIN = 30.0
"""Seconds. All waits of `quick` together are far shorter."""


def prepare(_order: dict[str, Any]) -> dict[str, Any]:
    call_command("migrate", verbosity=0)
    User.objects.create_user("admin", password=PASSWORD).groups.add(Group.objects.get(name="administrator"))
    return {}


def client() -> Client:
    signed_in = Client()
    signed_in.force_login(User.objects.get(username="admin"), backend=BACKEND)
    return signed_in


def change(order: dict[str, Any]) -> dict[str, Any]:
    """Send the form as a browser does, and return the page."""
    browser = client()  # signing in writes to the ledger too, and the point is in the change
    if order["point"]:
        arm(POINTS[order["point"]])
    answer = browser.post(order["address"], order["fields"], follow=True)
    return {"status": answer.status_code, "page": answer.content.decode()}


def settle(order: dict[str, Any]) -> dict[str, Any]:
    """Settle in rounds until nothing is unsettled; with `once`, make one round."""
    if order.get("point"):
        arm(WHILE_SETTLING[order["point"]], order.get("signal", signal.SIGKILL))
    said, settler, give_up = StringIO(), Worker(), time.monotonic() + order.get("within", SETTLED_WITHIN)
    while list_unsettled() and time.monotonic() < give_up:
        if order.get("by") == "worker":
            settler.settle()
        else:
            with suppress(SystemExit):
                call_command("settle", stdout=said)
        if order.get("once"):
            break
        time.sleep(0.05)
    return {"said": said.getvalue().splitlines()}


def restart(order: dict[str, Any]) -> dict[str, Any]:
    """Settle, post the same form again, and read the ledger."""
    settle(order)
    return {"again": change({**order, "point": None}), **read(order)}


def read(_order: dict[str, Any]) -> dict[str, Any]:
    rows = [json.loads(row.json) for row in all_rows()]
    return {"rows": rows, "verified": verify().count, "unsettled": list_unsettled()}


def work(_order: dict[str, Any]) -> dict[str, Any]:
    """Run `manage.py worker` until a signal ends it."""
    said, log = StringIO(), StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(log))
    with redirect_stderr(log):
        call_command("worker", stdout=said)
    return {"said": said.getvalue().splitlines(), "log": log.getvalue()}


def archive(order: dict[str, Any]) -> dict[str, Any]:
    """Record ten events, and move all rows to a file."""
    for number in range(10):
        record_event(Event(EventKind.SIGN_IN, f"person {number}"))
    arm(WHILE_ARCHIVING[order["point"]])
    call_command("audit_archive", "--before", "2100-01-01", order["file"], stdout=sys.stderr)
    return {}


def look(_order: dict[str, Any]) -> dict[str, Any]:
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
    "look": look,
}


def obey(findings: Connection, environ: Mapping[str, str], order: dict[str, Any]) -> None:
    """Do what an order says, in this new process, and send what was found."""
    _configure(environ)
    shorten(order.get("lease", LEASE_SECONDS))
    ahead = timedelta(seconds=order.get("ahead", 0))
    with time_machine.travel(datetime.now(UTC) + ahead) if ahead else nullcontext():
        found = JOBS[order["do"]](order)
    connections.close_all()
    findings.send(found)


def _configure(environ: Mapping[str, str]) -> None:
    """Read the settings again, from this environment. Nothing has used the database so far."""
    os.environ.clear()
    os.environ.update(environ)
    for module in ("dashboard.settings", "tests.benchmarks.page_settings", environ["DJANGO_SETTINGS_MODULE"]):
        sys.modules.pop(module, None)
    settings._setup()  # type: ignore[misc]  # the stubs leave it out
    connections.databases.update(connections.configure_settings(settings.DATABASES))
    del connections["default"]
