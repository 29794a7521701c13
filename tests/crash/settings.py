"""The settings of a development deployment, with a fast password hasher."""

from tests.benchmarks.page_settings import *  # noqa: F403 (settings use a star import)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
