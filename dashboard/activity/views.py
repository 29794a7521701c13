from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe
from django_htmx.http import push_url

from dashboard.accounts.roles import VIEW_LEDGER
from dashboard.activity.attention import find_needing_attention
from dashboard.activity.filters import Cursor, Filters, Search
from dashboard.activity.results import find_activity, find_events
from dashboard.audit.integrity.export import FORMATS, rows_of
from dashboard.audit.ledger.services import reading_ledger
from dashboard.audit.models import ChangeIntent, ChangeOutcome, Kind, Outcome
from dashboard.web.requests import Project, SignedInRequest, requires


@require_safe
@requires(VIEW_LEDGER)
def ledger_list(request: SignedInRequest, project: Project) -> HttpResponse:
    with reading_ledger():
        activity = find_activity(project.slug, Filters.from_get(request.GET), Cursor.from_get(request.GET))
    is_partial = request.htmx and not request.htmx.history_restore_request
    template = "activity/_list.html" if is_partial else "activity/list.html"
    context = {"activity": activity, "kinds": Kind.choices, "outcomes": Outcome.choices}
    response = render(request, template, context)
    # A search that continues by itself keeps the address of its first page.
    has_new_address = is_partial and activity.is_newest
    address = f"{request.path}?{activity.filters.query.urlencode()}".rstrip("?")
    return push_url(response, address) if has_new_address else response


@require_safe
@requires(VIEW_LEDGER)
def needs_attention(request: SignedInRequest, project: Project) -> HttpResponse:
    attention = find_needing_attention(project.slug)
    return render(request, "activity/attention.html", {"attention": attention, "entries": attention.entries})


@require_safe
@requires(VIEW_LEDGER)
def system_events(request: SignedInRequest, project: Project) -> HttpResponse:  # noqa: ARG001 (part of the address)
    """System events belong to no project, so the list is the same in every project."""
    with reading_ledger():
        events = find_events(Filters.from_get(request.GET).actor, Cursor.from_get(request.GET))
    return render(request, "activity/system.html", {"events": events})


@require_safe
@requires(VIEW_LEDGER)
def ledger_export(request: SignedInRequest, project: Project, suffix: str) -> StreamingHttpResponse:
    """Export all changes that match the filters, with their outcomes. `verify_export.py` verifies the JSON Lines."""
    if suffix not in FORMATS:
        raise Http404
    rows = rows_of(Search(project.slug, Filters.from_get(request.GET)).batches())
    content_type = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}[suffix]
    response = StreamingHttpResponse(FORMATS[suffix](rows), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="ledger-{project.slug}.{suffix}"'
    return response


@require_safe
@requires(VIEW_LEDGER)
def ledger_entry(request: SignedInRequest, project: Project, number: int) -> HttpResponseBase:
    with reading_ledger():
        outcome = ChangeOutcome.objects.filter(project=project.slug, number=number).first()
        if outcome is not None and outcome.intent_id != number:
            return redirect(outcome.intent)
        entry = get_object_or_404(ChangeIntent.objects.filter(project=project.slug).with_rows(), pk=number)
    return render(request, "activity/entry.html", {"entry": entry})
