"""The list of groups. It reads the local copy and makes no call to the cloud."""

import re

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import push_url, trigger_client_event

from dashboard.accounts.roles import VIEW
from dashboard.audit.ledger.services import find_recent_changes
from dashboard.cloud.projects import Project
from dashboard.inventory.requests import ask_for_refresh, note_view
from dashboard.server_groups.listing import PENDING_FOR, Query, list_groups, read_copy_state
from dashboard.web.requests import SignedInRequest, requires

MOST_POLLS = 60
"""A page asks for the progress of a refresh so many times, once a second."""


@require_safe
@requires(VIEW)
def server_group_list(request: SignedInRequest, project: Project) -> HttpResponse:
    listing = list_groups(project, Query.from_get(request.GET.dict()))
    note_view(listing.state.copy)
    if listing.state.is_first and listing.state.problem and not listing.groups:
        return render(request, "server_groups/cloud_unavailable.html", {"words": listing.state.problem}, status=503)
    ids = [group.group_id for group in listing.groups]
    recent = find_recent_changes(project.slug, ids, pending_since=timezone.now() - PENDING_FOR)
    is_partial = request.htmx and not request.htmx.history_restore_request
    template = "server_groups/_list.html" if is_partial else "server_groups/list.html"
    context = {"listing": listing, "query": listing.query, "state": listing.state, "polls": 1, "is_polling": True}
    response = render(request, template, context | {"rows": listing.rows(recent), "recent": recent})
    return push_url(response, f"{request.path}{listing.query.here}") if is_partial else response


@require_safe
@requires(VIEW)
def server_group_counts(request: SignedInRequest, project: Project) -> HttpResponse:
    """The counts above the list. The page loads them again after a switch."""
    context = {"query": Query.from_get(request.GET.dict()), "state": read_copy_state(project)}
    return render(request, "server_groups/_counts.html", context)


@require_POST
@requires(VIEW)
def server_group_refresh(request: SignedInRequest, project: Project) -> HttpResponseBase:
    """Ask the worker for a refresh. The page then asks for its progress."""
    ask_for_refresh(project.slug)
    query = Query.from_get(request.GET.dict())
    if request.htmx:
        return _copy_age(request, project, query, polls=0)
    return redirect(f"{reverse('server-groups:list', args=[project])}{query.here}")


@require_safe
@requires(VIEW)
def server_group_copy_age(request: SignedInRequest, project: Project) -> HttpResponse:
    """The age of the copy, and the progress of a refresh. The list loads again if the page has an older version."""
    polls = request.GET.get("polls", "")
    is_number = re.fullmatch("[0-9]{1,3}", polls)
    return _copy_age(request, project, Query.from_get(request.GET.dict()), int(polls) if is_number else MOST_POLLS)


def _copy_age(request: SignedInRequest, project: Project, query: Query, polls: int) -> HttpResponse:
    state = read_copy_state(project)
    context = {"query": query, "state": state, "polls": polls + 1, "is_polling": polls < MOST_POLLS}
    response = render(request, "server_groups/_copy_age.html", context)
    is_newer = state.version != request.GET.get("version", state.version)
    return trigger_client_event(response, "server-groups-refreshed") if is_newer else response
