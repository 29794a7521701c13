"""Static files: Bootstrap as it was published, and only files that pages load."""

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import bootstrap_wrapper
import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from dashboard.cloud.projects import Project
from tests.conftest import address
from tests.markup import read

OFFICIAL = "sha384-sRIl4kxILFvY47J16cr9ZwB07vP4J8+LH7qKQnuqkuIAvNWLzeN8tE5YBujZqJLB"
"""The integrity attribute of bootstrap.min.css 5.3.8 in Bootstrap's own documentation."""
MANIFEST = "whitenoise.storage.CompressedManifestStaticFilesStorage"


@pytest.fixture
def collected(settings: Settings, tmp_path: Path) -> Path:
    """The directory of collected static files, as in a deployment."""
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": MANIFEST}}
    call_command("collectstatic", verbosity=0, interactive=False)
    return tmp_path


def loaded(client: Client, path: str) -> set[str]:
    """The files below /static/ that a page loads."""
    links = [element.attrs.get("src") or element.attrs.get("href", "") for element in read(client.get(path)).elements]
    return {link.removeprefix("/static/") for link in links if link.startswith("/static/")}


def test_the_style_sheet_of_bootstrap_is_the_published_one() -> None:
    sheet = Path(bootstrap_wrapper.get_bootstrap_css_dir()) / "bootstrap.min.css"

    digest = base64.b64encode(hashlib.sha384(sheet.read_bytes()).digest()).decode()

    assert f"sha384-{digest}" == OFFICIAL


def test_collects_exactly_the_files_that_pages_load(
    client_as: Callable[[str], Client], project: Project, collected: Path
) -> None:
    client = client_as("administrator")

    links = (
        loaded(client, address(group_id=None)) | loaded(client, address("edit/")) | loaded(Client(), "/accounts/login/")
    )

    hashed = {path.relative_to(collected).as_posix() for path in collected.rglob("*") if path.is_file()}
    files = {name for name in hashed if re.search(r"\.[0-9a-f]{12}\.[a-z]+$", name)}
    in_sheets = {
        (Path(sheet).parent / link).as_posix()
        for sheet in links
        if sheet.endswith(".css")
        for link in re.findall(r"url\(\"?([^)\"]+\.svg)\"?\)", (collected / sheet).read_text())
        if not link.startswith("data:")
    }
    maps = {name for name in files if name.endswith(".map")}
    assert files - maps == links | in_sheets
    assert {re.sub(r"\.[0-9a-f]{12}", "", name) for name in maps} <= {"bootstrap/bootstrap.min.css.map"}


def test_every_file_has_its_digest_in_its_name_and_is_compressed(
    client_as: Callable[[str], Client], project: Project, collected: Path
) -> None:
    links = loaded(client_as("administrator"), address(group_id=None))

    assert {bool(re.search(r"\.[0-9a-f]{12}\.(css|js|svg)$", name)) for name in links} == {True}
    assert [name for name in links if name.endswith((".css", ".js")) and not (collected / f"{name}.gz").exists()] == []


def test_the_first_visit_of_the_list_loads_at_most_120_kib(
    client_as: Callable[[str], Client], project: Project, collected: Path
) -> None:
    client = client_as("administrator")

    page = client.get(address(group_id=None), headers={"accept-encoding": "gzip"})
    links = loaded(client, address(group_id=None))

    variants = [(collected / f"{name}.gz", collected / name) for name in links]
    weight = len(page.content) + sum((small if small.exists() else large).stat().st_size for small, large in variants)
    assert page.headers["Content-Encoding"] == "gzip"
    assert len(links) + 1 <= 10
    assert weight <= 120 * 1024
