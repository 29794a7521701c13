"""The settings of a development deployment, with uncollected static files."""

from dashboard.settings import *  # noqa: F403 (settings are a star)

ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
CHECKPOINT_DIRECTORY = ""
