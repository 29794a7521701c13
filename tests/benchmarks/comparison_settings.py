"""Settings of the ledger benchmark: Django's admin over the entries of django-auditlog."""

from tests.benchmarks.page_settings import *  # noqa: F403 (settings are a star)

INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.admin", "auditlog"]  # noqa: F405 (from the settings' star)
ROOT_URLCONF = "tests.benchmarks.comparison_urls"
