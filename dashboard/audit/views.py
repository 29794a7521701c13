from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_htmx.http import push_url

from dashboard.accounts.roles import VIEW_LEDGER
from dashboard.audit.activity import KINDS, OUTCOMES, find_activity, find_events
from dashboard.audit.export import FORMATS, rows_of
from dashboard.audit.filters import Cursor, Filters, Search
from dashboard.audit.models import ChangeIntent, ChangeOutcome
from dashboard.audit.services import find_corrected, list_observed, list_unsettled, reading_ledger
from dashboard.audit.templatetags.audit import ATTENTION_AFTER, CORRECTED_FOR
from dashboard.http import Project, SignedInRequest, requires

ATTENTION_SIZE = 100


@require_safe
@requires(VIEW_LEDGER)
def ledger_list(request: SignedInRequest, project: Project) -> HttpResponse:
    with reading_ledger():
        activity = find_activity(project.slug, Filters.from_get(request.GET), Cursor.from_get(request.GET))
    is_partial = request.htmx and not request.htmx.history_restore_request
    template = "audit/_list.html" if is_partial else "audit/list.html"
    response = render(request, template, {"activity": activity, "kinds": KINDS, "outcomes": OUTCOMES})
    # A search that goes on by itself stays where it began.
    is_new_place = is_partial and activity.cursor.number is None
    return push_url(response, f"{request.path}{activity.everything}".rstrip("?")) if is_new_place else response


@require_safe
@requires(VIEW_LEDGER)
def needs_attention(request: SignedInRequest, project: Project) -> HttpResponse:
    """Changes with an unknown outcome, late applications and changes under observation, and what to do about them."""
    now = timezone.now()
    with reading_ledger():
        corrected = find_corrected(project.slug, since=now - CORRECTED_FOR).values_list("number", flat=True)
        unsettled = list_unsettled(project=project.slug, before=now - ATTENTION_AFTER)
        numbers = [*unsettled, *corrected, *list_observed(project=project.slug)]
        entries = list(ChangeIntent.objects.filter(number__in=numbers).with_rows()[:ATTENTION_SIZE])
    return render(request, "audit/attention.html", {"entries": entries, "count": len(numbers)})


@require_safe
@requires(VIEW_LEDGER)
def system_events(request: SignedInRequest, project: Project) -> HttpResponse:  # noqa: ARG001 (of the address)
    """Sign-ins, roles, archives: what belongs to no project, the same list in each."""
    with reading_ledger():
        events = find_events(Filters.from_get(request.GET).actor, Cursor.from_get(request.GET))
    return render(request, "audit/system.html", {"events": events})


@require_safe
@requires(VIEW_LEDGER)
def ledger_export(request: SignedInRequest, project: Project, suffix: str) -> StreamingHttpResponse:
    """The filtered changes and their outcomes, to the last one; JSON Lines can be checked by `verify_export.py`."""
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
            return redirect("audit:entry", project, outcome.intent_id)
        entry = get_object_or_404(ChangeIntent.objects.filter(project=project.slug).with_rows(), pk=number)
    return render(request, "audit/entry.html", {"entry": entry})
