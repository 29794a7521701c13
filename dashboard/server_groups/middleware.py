"""Error pages for an unavailable cloud or ledger, and limits for requests that wait for the cloud."""

from collections.abc import Callable
from typing import cast

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import ResolverMatch
from django_htmx.http import reselect, reswap, retarget

from dashboard.audit.ledger.services import ChangeUnderWayError, LedgerError, OutcomeNotRecordedError
from dashboard.cloud.error_messages import explain
from dashboard.cloud.errors import CloudError, NotFoundError
from dashboard.cloud.request_limits import limited_request
from dashboard.server_groups.refusals import record_unknown_group
from dashboard.web.requests import SignedInRequest, actor


class CloudLimits:
    """Limit how long a request waits for the cloud, and how many requests of this process wait at a time."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with limited_request():
            return self.get_response(request)


class ProblemPages:
    """Show errors of the cloud and of the ledger as pages that say what to do."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        match exception:
            case NotFoundError() if request.resolver_match and "group_id" in request.resolver_match.kwargs:
                return _unknown_group(request, request.resolver_match)
            case CloudError():
                context = {"problem": exception, "words": explain(exception)}
                return render(request, "server_groups/cloud_unavailable.html", context, status=503)
            case LedgerError():
                return _ledger_unavailable(request, exception)
            case ChangeUnderWayError():
                response = render(request, "server_groups/change_under_way.html", status=409)
                # htmx swaps a 409 into the form's target. This response is a whole page, so select only its message.
                return reselect(reswap(retarget(response, "#problem"), "innerHTML"), ".problem")
            case _:
                return None


def _ledger_unavailable(request: HttpRequest, error: LedgerError) -> HttpResponse:
    context = {"problem": error, "is_sent": isinstance(error, OutcomeNotRecordedError)}
    try:
        return render(request, "server_groups/ledger_unavailable.html", context, status=503)
    except (DatabaseError, InterfaceError):  # the page frame reads the person and the roles from the database
        return render(request, "database_unavailable.html", context, status=503)


def _unknown_group(request: HttpRequest, match: ResolverMatch) -> HttpResponse:
    if request.method == "POST":
        record_unknown_group(match.kwargs["project"], match.kwargs["group_id"], actor(cast("SignedInRequest", request)))
    return render(request, "404.html", status=404)
