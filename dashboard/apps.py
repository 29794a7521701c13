from django.contrib.staticfiles.apps import StaticFilesConfig


class StaticFiles(StaticFilesConfig):
    """Of the wheels that carry Bootstrap, htmx and the sign-in, only what a page loads is collected and compressed."""

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
