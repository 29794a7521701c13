"""Pages that belong to no other app: home, health, theme, server error."""

import sys

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from dashboard.web.frame import THEMES
from dashboard.web.requests import shown_cause


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    if not settings.CLOUD_PROJECTS:
        return render(request, "no_project.html", status=503)
    return redirect(settings.NAVIGATION[0]["view"], settings.CLOUD_PROJECTS[0])


@require_safe
@login_not_required
def healthz(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


def server_error(request: HttpRequest) -> HttpResponse:
    """The page for an unexpected error, or for an unavailable database. It needs no database.

    Django calls the view while it handles the exception.
    """
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError | InterfaceError | ProgrammingError):
        return render(request, "database_unavailable.html", {"problem": shown_cause(request, error)}, status=503)
    return render(request, "500.html", status=500)


@require_POST
@login_not_required
def choose_theme(request: HttpRequest) -> HttpResponseBase:
    theme, back = request.POST.get("theme", ""), request.POST.get("next", "/")
    # redirect() would treat an address without a slash as the name of a view.
    response = HttpResponseRedirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "/")
    if theme in THEMES:
        response.set_cookie(
            "theme", theme, max_age=60 * 60 * 24 * 365, samesite="Lax", secure=request.is_secure(), httponly=True
        )
    return response
