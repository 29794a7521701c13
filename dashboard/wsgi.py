import os
from contextlib import suppress

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import OperationalError, connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
application = get_wsgi_application()
# A dashboard whose ledger lost its guards does not start.
call_command("check", databases=["default"])

if connection.vendor == "sqlite":
    # To open a database that nobody has open SQLite needs room on the disk: held open, pages are read on a full one.
    held_open = connection.copy()
    with suppress(OperationalError):
        held_open.ensure_connection()

from dashboard.garbage import collect_between_requests  # noqa: E402 (as below)
from dashboard.server_groups.worker import Worker  # noqa: E402 (only now models can be loaded)

# Here and not with every management command: who serves also settles.
Worker().start()
collect_between_requests()
