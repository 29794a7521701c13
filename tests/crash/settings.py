"""The settings of a development deployment, with a password hasher that costs no time."""

from tests.benchmarks.page_settings import *  # noqa: F403 (settings are a star)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
