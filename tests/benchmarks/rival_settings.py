"""Beside the product, for the benchmark of the ledger alone: Django's admin over django-auditlog's entries."""

from tests.benchmarks.page_settings import *  # noqa: F403 (settings are a star)

INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.admin", "auditlog"]  # noqa: F405 (from the settings' star)
ROOT_URLCONF = "tests.benchmarks.rival_urls"
