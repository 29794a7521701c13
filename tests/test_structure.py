"""Templates obey the same direction as imports: a template names only what its own package, or one below it, offers."""

import re
from pathlib import Path

import pytest
from django.conf import settings

LAYERS = (("account", "web"), ("server_groups",), ("activity",))
"""Folders of `templates/` and namespaces of addresses and tags, lowest first. Files in the root belong to `web`."""
LIBRARIES = {"dates": "web", "changes": "server_groups", "server_groups": "server_groups", "activity": "activity"}
"""Which package a tag library of ours belongs to; the others come from Django and from libraries."""
TEMPLATES = Path(settings.BASE_DIR, "templates")
TAG = re.compile(r"{%-?\s*(load|include|extends|url)\s+(.*?)\s*-?%}")


def layer_of(package: str) -> int:
    return next(number for number, packages in enumerate(LAYERS) if package in packages)


def package_of(template: str) -> str:
    """The folder of a template; the root and the overrides of crispy's templates belong to `web`."""
    folder = template.rpartition("/")[0]
    return folder.split("/")[0] if folder and not folder.startswith("bootstrap5") else "web"


def packages_named(source: str) -> set[str]:
    """The packages that a template's tags name. An address or template in a variable is handed in by a view."""
    named = set()
    for tag, rest in TAG.findall(source):
        literal = re.match(r'"([^"]+)"', rest)
        if tag == "load":
            named |= {LIBRARIES[library] for library in rest.split() if library in LIBRARIES}
        elif literal and tag == "url":
            namespace, colon, _ = literal[1].partition(":")
            named.add(namespace.replace("-", "_") if colon else "web")
        elif literal:
            named.add(package_of(literal[1]))
    return named


@pytest.mark.parametrize(
    "template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_a_template_names_only_its_own_package_and_those_below(template: Path) -> None:
    package = package_of(str(template.relative_to(TEMPLATES)))

    above = {named for named in packages_named(template.read_text()) if layer_of(named) > layer_of(package)}

    assert above == set()


def test_the_check_finds_each_kind_of_tag() -> None:
    source = """{% extends "activity/list.html" %}{% load activity dates i18n %}{% include "server_groups/_row.html" %}
    {% url "activity:list" project %}{% url home_view %}{% url "theme" %}"""

    assert packages_named(source) == {"activity", "web", "server_groups"}


def test_each_tag_library_of_ours_is_known() -> None:
    libraries = {
        path.stem: path.parts[-3] for path in Path(settings.BASE_DIR, "dashboard").rglob("templatetags/[!_]*.py")
    }

    assert libraries == LIBRARIES
