"""A dashboard in a process of its own: makes one change and may die of it, or starts again and settles.

Its order comes as JSON on standard input, its findings go as JSON to standard output.
"""

import json
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.contrib.auth.models import Group  # noqa: E402 (Django is set up above)
from django.core.management import call_command  # noqa: E402 (Django is set up above)
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from dashboard.accounts.models import User  # noqa: E402
from dashboard.audit.export import all_rows  # noqa: E402
from dashboard.audit.verification import verify  # noqa: E402
from dashboard.server_groups import proof  # noqa: E402
from tests.crash.points import POINTS, arm  # noqa: E402

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def client() -> Client:
    signed_in = Client()
    signed_in.force_login(User.objects.get(username="admin"), backend=BACKEND)
    return signed_in


def prepare(_order: dict[str, Any]) -> dict[str, Any]:
    call_command("migrate", verbosity=0)
    User.objects.create_user("admin").groups.add(Group.objects.get(name="administrator"))
    return {}


def post(order: dict[str, Any]) -> dict[str, Any]:
    """Sends the form as a browser would, and says what the page said."""
    answer = client().post(order["address"], order["fields"], follow=True)
    return {"status": answer.status_code, "page": answer.content.decode()}


def change(order: dict[str, Any]) -> dict[str, Any]:
    browser = client()  # signing in writes to the ledger too; the change is what is to be cut short
    if order["point"]:
        arm(POINTS[order["point"]])  # before the first request, with which the views are loaded
    answer = browser.post(order["address"], order["fields"], follow=True)
    return {"status": answer.status_code, "page": answer.content.decode()}


def settle(order: dict[str, Any]) -> dict[str, Any]:
    """After the restart: settles once there was time enough, posts the same form again, and reads the ledger."""
    real = timezone.now
    timezone.now = lambda: real() + timedelta(minutes=1)
    for _ in range(2):
        with suppress(SystemExit):
            call_command("settle", stdout=sys.stderr)
    timezone.now = real
    again = post(order)
    return {"again": again, "rows": [json.loads(row.json) for row in all_rows()], "verified": verify().count}


def main() -> None:
    proof.WAITS_IN_REQUEST = (0.02, 0.05)
    order = json.load(sys.stdin)
    json.dump({"prepare": prepare, "change": change, "settle": settle}[order["do"]](order), sys.stdout)


if __name__ == "__main__":
    main()
