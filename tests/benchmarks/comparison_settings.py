"""Settings with Django's admin and django-auditlog, for the comparison in the benchmark of the ledger."""

from tests.benchmarks.page_settings import *  # noqa: F403 (settings use a star import)

INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.admin", "auditlog"]  # noqa: F405 (from the star import)
ROOT_URLCONF = "tests.benchmarks.comparison_urls"
