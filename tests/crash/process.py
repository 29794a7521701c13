"""A dashboard in a process of its own: makes one change and may die of it, or starts again and settles; or archives.

Its order comes as JSON on standard input, its findings go as JSON to standard output.
"""

import json
import sys
import time
from contextlib import suppress
from io import StringIO
from typing import Any

import django

django.setup()

from django.contrib.auth.models import Group  # noqa: E402 (Django is set up above)
from django.core.management import call_command  # noqa: E402 (Django is set up above)
from django.test import Client  # noqa: E402

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

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
SETTLED_WITHIN = 30.0
"""Far more than all of these: what is not settled by then never will be."""


def prepare(_order: dict[str, Any]) -> dict[str, Any]:
    call_command("migrate", verbosity=0)
    User.objects.create_user("admin", password=PASSWORD).groups.add(Group.objects.get(name="administrator"))
    return {}


def client() -> Client:
    signed_in = Client()
    signed_in.force_login(User.objects.get(username="admin"), backend=BACKEND)
    return signed_in


def change(order: dict[str, Any]) -> dict[str, Any]:
    """Sends the form as a browser would, and says what the page said."""
    browser = client()  # signing in writes to the ledger too; the change is what is to be cut short
    if order["point"]:
        arm(POINTS[order["point"]])  # before the first request, with which the views are loaded
    answer = browser.post(order["address"], order["fields"], follow=True)
    return {"status": answer.status_code, "page": answer.content.decode()}


def settle(order: dict[str, Any]) -> dict[str, Any]:
    """Starts at once, as after any restart, and goes on until nothing is left; `once` makes one round."""
    if order.get("point"):
        arm(WHILE_SETTLING[order["point"]])
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
    """Settles, posts the same form again, and reads the ledger."""
    settle(order)
    return {"again": change({**order, "point": None}), **read(order)}


def read(_order: dict[str, Any]) -> dict[str, Any]:
    rows = [json.loads(row.json) for row in all_rows()]
    return {"rows": rows, "verified": verify().count, "unsettled": list_unsettled()}


def archive(order: dict[str, Any]) -> dict[str, Any]:
    """Ten rows, and then all of them into a file."""
    for number in range(10):
        record_event(Event(EventKind.SIGN_IN, f"person {number}"))
    arm(WHILE_ARCHIVING[order["point"]])
    call_command("audit_archive", "--before", "2100-01-01", order["file"], stdout=sys.stderr)
    return {}


def look(_order: dict[str, Any]) -> dict[str, Any]:
    numbers = [json.loads(row.json)["number"] for row in all_rows()]
    return {"numbers": numbers, "verified": verify().count, "unguarded": missing_guards()}


def main() -> None:
    order = json.load(sys.stdin)
    shorten(order.get("lease", LEASE_SECONDS))
    jobs = {"prepare": prepare, "change": change, "settle": settle, "restart": restart, "read": read}
    jobs |= {"archive": archive, "look": look}
    json.dump(jobs[order["do"]](order), sys.stdout)


if __name__ == "__main__":
    main()
