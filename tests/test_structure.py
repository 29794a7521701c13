"""Templates follow the direction of imports: a template uses only its own package and lower ones."""

import re
from pathlib import Path

import pytest
from django.conf import settings

LAYERS = (("account", "web"), ("server_groups",), ("activity",))
"""Folders of `templates/` and namespaces of addresses and tags, lowest first. Files in the root belong to `web`."""
LIBRARIES = {
    "dates": "web",
    "changes": "server_groups",
    "entries": "server_groups",
    "rows": "server_groups",
    "server_groups": "server_groups",
    "activity": "activity",
}
"""The package of each tag library of this project."""
TEMPLATES = Path(settings.BASE_DIR, "templates")
TAG = re.compile(r"{%-?\s*(load|include|extends|url)\s+(.*?)\s*-?%}")


def layer_of(package: str) -> int:
    return next(number for number, packages in enumerate(LAYERS) if package in packages)


def package_of(template: str) -> str:
    """The package of a template. The root folder and the overrides of crispy belong to `web`."""
    folder = template.rpartition("/")[0]
    return folder.split("/")[0] if folder and not folder.startswith("bootstrap5") else "web"


def packages_used(source: str) -> set[str]:
    """The packages in the tags of a template. Views supply the addresses and templates in variables."""
    used = set()
    for tag, rest in TAG.findall(source):
        literal = re.match(r'"([^"]+)"', rest)
        if tag == "load":
            used |= {LIBRARIES[library] for library in rest.split() if library in LIBRARIES}
        elif literal and tag == "url":
            namespace, colon, _ = literal[1].partition(":")
            used.add(namespace.replace("-", "_") if colon else "web")
        elif literal:
            used.add(package_of(literal[1]))
    return used


@pytest.mark.parametrize(
    "template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_a_template_uses_only_its_own_package_and_lower_ones(template: Path) -> None:
    package = package_of(str(template.relative_to(TEMPLATES)))

    above = {used for used in packages_used(template.read_text()) if layer_of(used) > layer_of(package)}

    assert above == set()


def test_the_check_finds_each_kind_of_tag() -> None:
    source = """{% extends "activity/list.html" %}{% load activity dates i18n %}{% include "server_groups/_row.html" %}
    {% url "activity:list" project %}{% url home_view %}{% url "theme" %}"""

    assert packages_used(source) == {"activity", "web", "server_groups"}


def test_the_table_has_each_tag_library() -> None:
    libraries = {
        path.stem: path.parts[-3] for path in Path(settings.BASE_DIR, "dashboard").rglob("templatetags/[!_]*.py")
    }

    assert libraries == LIBRARIES
