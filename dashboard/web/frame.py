"""The frame around every page: navigation, project, theme."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import ResolverMatch, reverse
from django.utils.module_loading import import_string

from dashboard.web.requests import Project

THEMES = ("auto", "light", "dark")


@dataclass(frozen=True)
class NavigationLink:
    label: str
    address: str
    is_current: bool
    count: int | None
    """The number beside the label, or None."""


def page_frame(request: HttpRequest) -> dict[str, object]:
    """Template context of the frame."""
    match = request.resolver_match
    project: Project | None = (match.kwargs.get("project") if match else None) or next(
        iter(settings.CLOUD_PROJECTS), None
    )
    theme = request.COOKIES.get("theme")
    return {
        "project": project,
        "projects": settings.CLOUD_PROJECTS,
        "home_view": settings.NAVIGATION[0]["view"],
        "navigation": lambda: list(_links(settings.NAVIGATION, request, project)),
        "account_navigation": lambda: list(_links(settings.ACCOUNT_NAVIGATION, request, project)),
        "theme": theme if theme in THEMES else "auto",
    }


def _links(
    pages: Iterable[Mapping[str, Any]], request: HttpRequest, project: Project | None
) -> Iterator[NavigationLink]:
    """Links to the pages that the person may open. A page with a count of 0 is left out."""
    current = _current_view(request.resolver_match)
    for page in pages:
        if project is None or not request.user.has_perm(page["permission"]):
            continue
        count = import_string(page["count"])(project.slug) if "count" in page else None
        if count != 0:
            yield NavigationLink(page["label"], reverse(page["view"], args=[project]), page["view"] == current, count)


def _current_view(match: ResolverMatch | None) -> str:
    """The navigation view of the current page. Other pages belong to the first navigation view of their app."""
    views: list[str] = [page["view"] for page in settings.NAVIGATION]
    if match is None or match.view_name in views:
        return match.view_name if match else ""
    return next((view for view in views if view.startswith(f"{match.namespace}:")), "")
