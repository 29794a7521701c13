"""The settings of a development deployment, with unprocessed static files."""

from dashboard.settings import *  # noqa: F403 (settings use a star import)

ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
CHECKPOINT_DIRECTORY = ""
