from django.contrib.staticfiles.apps import StaticFilesConfig


class StaticFiles(StaticFilesConfig):
    """Collects only the files that pages load, and not the other files of Bootstrap, htmx and allauth."""

    ignore_patterns = [
        *StaticFilesConfig.ignore_patterns,
        "account",
        "bootstrap-*",
        "bootstrap.css*",
        "bootstrap.rtl*",
        "django-htmx.js",
        "ext",
        "htmax-*",
        "htmx-2.js",
        "htmx-4*",
    ]
