"""Middleware of every request: probes, client address, sign-in, projects, direction marks."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import resolve
from django_htmx.http import HttpResponseClientRedirect

from dashboard.text import show_direction_marks
from dashboard.web.requests import keep_input

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails


class SignInRequired(LoginRequiredMiddleware):
    """Require a sign-in for every page except those with `login_not_required`.

    An htmx request without a session redirects the whole page to the sign-in, and later back. The sign-in form must
    not appear inside a table row.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        """Do not read `request.user` for pages without sign-in: they work without the session table."""
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(  # type: ignore[override]  # also returns a redirect for htmx
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        if getattr(view_func, "keeps_input", False):
            keep_input(request)
        htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by HtmxMiddleware
        if not htmx:
            return super().handle_no_permission(request, view_func)
        query = urlencode({self.redirect_field_name: htmx.current_url_abs_path or "/"})
        return HttpResponseClientRedirect(f"{resolve_url(settings.LOGIN_URL)}?{query}")


class KnownProject:
    """Respond with 404 to a signed-in person if the address has no known project.

    A visitor who is not signed in goes to the sign-in first, and so cannot tell which projects exist.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, _request: HttpRequest, _view: Callable[..., Any], _args: Any, view_kwargs: Mapping[str, Any]
    ) -> None:
        if "project" in view_kwargs and view_kwargs["project"] is None:
            raise Http404


class ClientAddress:
    """Set REMOTE_ADDR to the address of the client, behind proxies and behind a unix socket.

    Each proxy appends the address of its client to X-Forwarded-For. Our own proxies wrote only the last
    `settings.PROXIES` entries. The client can forge the others. The client of a unix socket is on this machine.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.META["REMOTE_ADDR"] = _forwarded_address(request) or request.META.get("REMOTE_ADDR") or "127.0.0.1"
        return self.get_response(request)


def _forwarded_address(request: HttpRequest) -> str:
    if not settings.PROXIES:
        return ""
    with suppress(ValueError, IndexError):
        return str(ip_address(request.headers.get("X-Forwarded-For", "").split(",")[-settings.PROXIES].strip()))
    return ""


class Probes:
    """Answer probes under any host name: a probe often uses the address of the machine."""

    PATHS = ("/healthz", "/livez", "/readyz")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in self.PATHS:
            return self.get_response(request)
        response: HttpResponseBase = resolve(request.path_info).func(request)
        return response


class VisibleDirectionMarks:
    """Show bidirectional control characters as text, so that a name from the cloud cannot reorder a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page and isinstance(response, HttpResponse) and not response.content.isascii():
            response.content = show_direction_marks(response.content.decode()).encode()
        return response
