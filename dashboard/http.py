"""What every page needs to know of a request, and what every answer carries."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from ipaddress import ip_address
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import MiddlewareNotUsed, PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from dashboard.accounts.models import Actor, User
from dashboard.text import show_direction_marks

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)
THEMES = ("auto", "light", "dark")


class SignedInRequest(HttpRequest):
    """A request as views get it: signed in, and knowing whether htmx made it."""

    user: User
    htmx: HtmxDetails


class Project(Protocol):
    """What pages show of the cloud project in their address."""

    slug: str
    title: str
    region: str

    @property
    def is_simulated(self) -> bool: ...


def requires(
    permission: str,
) -> Callable[[Callable[Concatenate[SignedInRequest, P], R]], Callable[Concatenate[SignedInRequest, P], R]]:
    """Decorate a view that answers 403 to everyone without `permission`."""

    def decorate(
        view: Callable[Concatenate[SignedInRequest, P], R],
    ) -> Callable[Concatenate[SignedInRequest, P], R]:
        @wraps(view)
        def guarded(request: SignedInRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if not request.user.has_perm(permission):
                raise PermissionDenied(permission)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def actor(request: SignedInRequest) -> Actor:
    return Actor(user=request.user, address=request.META.get("REMOTE_ADDR", ""))


KEPT_INPUT = "kept_input"
MAX_KEPT = 20_000
"""Characters of a form that a session keeps."""


def keeps_input(view: Callable[P, R]) -> Callable[P, R]:
    """Decorate a view whose posted form must outlive a sign-in that has run out."""
    view.keeps_input = True  # type: ignore[attr-defined]  # read by SignInRequired
    return view


def take_kept_input(request: HttpRequest) -> QueryDict | None:
    """The form that was posted to this page, or below it, when the sign-in had run out; it is handed out once."""
    path, data = request.session.get(KEPT_INPUT, ("", ""))
    if not path.startswith(request.path):
        return None
    del request.session[KEPT_INPUT]
    return QueryDict(data)


class SignInRequired(LoginRequiredMiddleware):
    """Every page is behind the sign-in unless it says otherwise.

    A partial that asks after the session has ended sends the whole browser to the sign-in and back to the page it is
    on: a sign-in form must not appear inside a table row.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        """An open page does not ask who comes: it must answer when sessions cannot be read."""
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(  # type: ignore[override]  # a redirect that htmx follows, where htmx asked
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        data = request.POST.urlencode() if getattr(view_func, "keeps_input", False) else ""
        if data and len(data) <= MAX_KEPT:
            request.session[KEPT_INPUT] = (request.path, data)
        htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by HtmxMiddleware
        if not htmx:
            return super().handle_no_permission(request, view_func)
        query = urlencode({self.redirect_field_name: htmx.current_url_abs_path or "/"})
        return HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{query}")


class BehindProxies:
    """Takes a request's address from the proxies that are known to stand in front.

    Each proxy adds the address it was called from to the end of X-Forwarded-For; what stands before the first of our
    own was written by whoever called, and could be anything.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.PROXIES:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        addresses = request.headers.get("X-Forwarded-For", "").split(",")
        with suppress(ValueError, IndexError):
            request.META["REMOTE_ADDR"] = str(ip_address(addresses[-settings.PROXIES].strip()))
        return self.get_response(request)


class PrivatePages:
    """No page is stored by a browser or proxy, or read by another site: each shows what one person may see."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


class VisibleDirectionMarks:
    """Bidirectional control characters are shown, not obeyed: a name from the cloud must not reorder a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page and isinstance(response, HttpResponse) and not response.content.isascii():
            response.content = show_direction_marks(response.content.decode()).encode()
        return response


def page_frame(request: HttpRequest) -> dict[str, object]:
    """Template context of the frame around every page: where one is, and in which light."""
    match = request.resolver_match
    project = match.kwargs.get("project") if match else None
    theme = request.COOKIES.get("theme")
    return {
        "project": project or next(iter(settings.CLOUD_PROJECTS), None),
        "projects": settings.CLOUD_PROJECTS,
        "theme": theme if theme in THEMES else "auto",
    }
