"""The settings of the tests: a development deployment. The variables of the dashboard have no effect."""

import os
from pathlib import Path

for name in list(os.environ):
    if name.startswith(("STREAMWARDEN_", "HUAWEICLOUD_", "WORKSPACE_", "IMS_", "IAM_", "CLOUD_")) or name in {
        "DATABASE_URL",
        "CACHE_URL",
    }:
        del os.environ[name]
os.environ["STREAMWARDEN_ENV"] = "development"
os.environ["STREAMWARDEN_CHECKPOINTS"] = ""
if "TEST_DATABASE_URL" in os.environ:  # `python -m tests.postgres` sets it
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

from dashboard.settings import *  # noqa: E402, F403 (after the cleanup of the environment; settings use a star import)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A file, because browser tests write from threads of a server. Writers must queue as in production.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405 (from the star import)
    DATABASES["default"]["TEST"] = {"NAME": str(BASE_DIR / "var" / "test.sqlite3")}  # noqa: F405 (as above)
# Without the directory, WhiteNoise warns.
Path(STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # noqa: F405 (from the star import)
# The worker does not run in tests. Before each list, this middleware copies what the simulator holds.
MIDDLEWARE = [*MIDDLEWARE, "tests.inventory_copy.CopyBeforeLists"]  # noqa: F405 (from the star import)
