from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import reswap, retarget, trigger_client_event

from dashboard.accounts.roles import EDIT, SWITCH, VIEW, VIEW_LEDGER
from dashboard.audit.ledger.services import find_change, find_recent_changes
from dashboard.audit.models import ChangeIntent, Outcome
from dashboard.cloud.checks import check_project, policy_to_grant
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.fields import FIELDS
from dashboard.server_groups.forms import KeyedForm, SwitchOffForm
from dashboard.server_groups.listing import PENDING_FOR, Row
from dashboard.server_groups.load_chart import read_load_chart
from dashboard.server_groups.messages import Notice, settled_notice, switch_notice
from dashboard.server_groups.overview import read_overview, read_overview_or_copy
from dashboard.server_groups.permissions import changes_group, refuse_post
from dashboard.server_groups.sending import WriteResult
from dashboard.server_groups.services import switch_server_group
from dashboard.server_groups.settling import settle_now
from dashboard.web.requests import SignedInRequest, actor, requires

HISTORY_LENGTH = 10


@require_safe
@requires(EDIT)
def cloud_check(request: SignedInRequest, project: Project) -> HttpResponse:
    checks = check_project(project)
    return render(request, "server_groups/cloud_check.html", {"checks": checks, "policy": policy_to_grant(checks)})


@require_safe
@requires(VIEW)
def server_group_detail(request: SignedInRequest, project: Project, group_id: str) -> HttpResponse:
    overview = read_overview_or_copy(project, group_id)
    history = HISTORY_LENGTH if request.user.has_perm(VIEW_LEDGER) else 0
    recent = find_recent_changes(project.slug, [group_id], pending_since=timezone.now() - PENDING_FOR, history=history)
    is_locked = overview.copied_at is not None
    row = Row(overview.group, None, recent.pending.get(group_id), is_locked)
    context = {"overview": overview, "group": overview.group, "row": row, "fields": FIELDS, "recent": recent}
    context |= {"chart": read_load_chart(project.slug, group_id, request.GET.get("load")), "group_id": group_id}
    return render(request, "server_groups/detail.html", context)


@require_http_methods(["GET", "POST"])
@changes_group(SWITCH, "No permission to switch.")
def server_group_switch(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
    if request.method == "GET":
        return _switch_off_dialog(request, project, group_id, SwitchOffForm(), status=200)
    if set(request.POST) - {"status", "reason", "key", "csrfmiddlewaretoken"}:
        refuse_post(request, project, group_id, because="Only `status` and `reason` are accepted here.")
    return _switch(request, project, group_id)


def _switch(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
    wanted = request.POST.getlist("status")
    if wanted not in (["on"], ["off"]):
        problem = gettext("Send status=on or status=off, once.")
        return render(request, "400.html", {"problem": problem}, status=400)
    on = wanted == ["on"]
    form = KeyedForm(request.POST) if on else SwitchOffForm(request.POST)
    if not form.is_valid() and on:  # only a script can send this, and the dialog is for "off"
        problem = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return render(
            request,
            "400.html",
            {"problem": gettext("Nothing was sent. %(problem)s") % {"problem": problem}},
            status=400,
        )
    if not form.is_valid():
        return _switch_off_dialog(request, project, group_id, form)
    written = switch_server_group(
        project=project,
        group_id=group_id,
        on=on,
        reason=form.cleaned_data["reason"],
        key=form.cleaned_data["key"],
        by=actor(request),
    )
    return _switch_response(request, project, group_id, written, on=on)


def _switch_response(
    request: SignedInRequest, project: Project, group_id: str, written: WriteResult, *, on: bool
) -> HttpResponseBase:
    group = _group_after(project, group_id, written)
    notice = switch_notice(written, group, on=on)
    if not request.htmx:
        level = {"ok": messages.SUCCESS, "wait": messages.WARNING, "bad": messages.ERROR}[notice.level]
        messages.add_message(request, level, notice.text)
        return _to_group(project, group_id)
    return _switch_partial(request, group, written.intent, notice)


def _to_group(project: Project, group_id: str) -> HttpResponseBase:
    return redirect("server-groups:detail", project, group_id)


def _group_after(project: Project, group_id: str, written: WriteResult) -> ServerGroup:
    """The group after a write; only its id and name if it cannot be read.

    A page about an unavailable cloud would not show the outcome of the change.
    """
    if written.group or written.intent is None:
        return written.group or client_for(project).show_server_group(group_id)
    unread = ServerGroup(id=group_id, name=written.intent.group_name)
    if written.intent.is_pending:
        return unread
    try:
        return client_for(project).show_server_group(group_id)
    except CloudError:
        return unread


def _switch_partial(
    request: SignedInRequest, group: ServerGroup, intent: ChangeIntent | None, notice: Notice
) -> HttpResponse:
    pending = intent if intent and intent.is_pending else None
    applied = intent if intent and intent.last_outcome and intent.last_outcome.outcome == Outcome.APPLIED else None
    row = Row(group, applied, pending)
    response = render(request, "server_groups/_switched.html", {"row": row, "group": group, "notice": notice})
    return trigger_client_event(response, "server-group-switched") if applied else response


def _switch_off_dialog(
    request: SignedInRequest, project: Project, group_id: str, form: KeyedForm, status: int = 422
) -> HttpResponse:
    overview = read_overview(project, group_id)
    template = "server_groups/_switch_dialog.html" if request.htmx else "server_groups/switch.html"
    context = {"overview": overview, "group": overview.group, "form": form}
    response = render(request, template, context, status=status)
    return reswap(retarget(response, "#dialog"), "innerHTML") if request.htmx else response


@require_POST
@requires(VIEW)
def change_settle(request: SignedInRequest, project: Project, group_id: str, number: int) -> HttpResponseBase:
    """Read the group again to settle a change. A page with a pending change does this by itself."""
    if find_change(project.slug, group_id, str(number)) is None:
        raise Http404
    intent = settle_now(number)
    may_read_ledger = request.user.has_perm(VIEW_LEDGER)
    if not request.htmx:
        return redirect(intent) if may_read_ledger else _to_group(project, group_id)
    if request.GET.get("as") != "switch" and may_read_ledger:
        return render(request, "server_groups/_entry.html", {"entry": intent})
    group = _group_after(project, group_id, WriteResult(intent))
    return _switch_partial(request, group, intent, settled_notice(intent, group))
