from django.contrib.staticfiles.apps import StaticFilesConfig


class StaticFiles(StaticFilesConfig):
    """Of the wheels that carry Bootstrap and htmx, only what a page loads is collected, hashed and compressed."""

    ignore_patterns = [
        *StaticFilesConfig.ignore_patterns,
        "bootstrap-*",
        "bootstrap.css*",
        "bootstrap.rtl*",
        "ext",
        "htmax-*",
        "htmx-2.js",
        "htmx-4*",
    ]
