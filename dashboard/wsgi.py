import gc
import os

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
application = get_wsgi_application()
# A dashboard whose ledger lost its guards does not start.
call_command("check", databases=["default"])

from dashboard.server_groups.worker import Worker  # noqa: E402 (only now models can be loaded)

# What start-up made stays as long as the process; looking through it for garbage would hold up one page in thirty.
gc.freeze()
# Here and not with every management command: who serves also settles.
Worker().start()
