"""The WSGI application of the dashboard with the shorter times of `quick`."""

import django

django.setup()

from tests.crash.quick import shorten  # noqa: E402 (Django is set up above)

shorten()

from dashboard.wsgi import application  # noqa: E402 (Django is set up above)

__all__ = ["application"]
