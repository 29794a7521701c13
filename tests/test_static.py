"""What a page loads: Bootstrap as its makers published it, and nothing that is not asked for."""

import base64
import hashlib
from pathlib import Path

import bootstrap_wrapper
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from pytest_django import Settings

OFFICIAL = "sha384-sRIl4kxILFvY47J16cr9ZwB07vP4J8+LH7qKQnuqkuIAvNWLzeN8tE5YBujZqJLB"
"""The integrity attribute of bootstrap.min.css 5.3.8 in Bootstrap's own documentation."""


def test_bootstraps_style_sheet_is_the_published_one() -> None:
    sheet = Path(bootstrap_wrapper.get_bootstrap_css_dir()) / "bootstrap.min.css"

    digest = base64.b64encode(hashlib.sha384(sheet.read_bytes()).digest()).decode()

    assert f"sha384-{digest}" == OFFICIAL


def test_only_what_pages_load_is_collected(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = str(tmp_path)

    call_command("collectstatic", verbosity=0, interactive=False)

    collected = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    own = {str(path.relative_to(settings.BASE_DIR / "static")) for path in (settings.BASE_DIR / "static").iterdir()}
    assert get_finders()
    assert {path for path in collected if not path.startswith("account/")} == own | {
        "bootstrap/bootstrap.min.css",
        "bootstrap/bootstrap.min.css.map",
        "django_htmx/django-htmx.js",
        "django_htmx/htmx-2.min.js",
    }
