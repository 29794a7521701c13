"""The edit form, its review, and the partials that the form loads."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from dashboard.accounts.roles import EDIT
from dashboard.audit.ledger.services import find_change
from dashboard.audit.models import ChangeIntent, ChangeOutcome, Outcome
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.choices import find_image, name_problem, read_disk_types, read_images
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.forms import REASON_MISSING, ServerGroupForm
from dashboard.server_groups.messages import failure_text
from dashboard.server_groups.overview import Overview, read_overview, read_shown
from dashboard.server_groups.permissions import changes_group, record_stale_form
from dashboard.server_groups.reverting import kind_and_reason, revert
from dashboard.server_groups.review import read_review
from dashboard.server_groups.sending import WriteResult
from dashboard.server_groups.services import ConflictError, switches_off, update_server_group
from dashboard.server_groups.submission import (
    Scope,
    StaleFormError,
    Submission,
    changes_by_others,
    find_conflicts,
    find_unsent,
    read_seen,
    read_submission,
    rebase,
    resolve,
    sign_submission,
    submit,
    texts,
)
from dashboard.web.requests import SignedInRequest, actor, keeps_input, requires, take_kept_input

STALE = _(
    "Nothing was sent, because this form is too old or was altered. The fields show the current values. "
    "Enter your changes again."
)


@dataclass(frozen=True)
class Problem:
    """An error message for a field; without a field's name, for the whole form."""

    field: str | None
    message: str


@require_http_methods(["GET", "POST"])
@keeps_input
@changes_group(EDIT, "No permission to edit.")
def server_group_edit(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
    """Show the form. Send a posted form to the cloud."""
    if request.method == "GET":
        return _blank_form(request, project, group_id)
    try:
        form = ServerGroupForm(_read(request, request.POST, project, group_id))
    except StaleFormError as error:
        record_stale_form(request, project, group_id, error.typed)
        return _show_stale(request, project, group_id, error.typed)
    if not _is_valid(form, project):
        return _show_form(request, form)
    if unmet := _missing_confirmations(request, form):
        return _show_review(request, project, form, status=422, unmet=unmet)
    return _send(request, project, form)


@require_http_methods(["GET", "POST"])
@keeps_input
@changes_group(EDIT, "No permission to edit.")
def server_group_review(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
    """Show the review of a posted form. `back` shows the form again, with the same input."""
    if request.method == "GET":
        return redirect("server-groups:edit", project, group_id)
    try:
        form = ServerGroupForm(_read(request, request.POST, project, group_id))
    except StaleFormError as error:
        return _show_stale(request, project, group_id, error.typed)
    if "back" in request.POST:
        return _show_form(request, form, status=200)
    if not _is_valid(form, project):
        return _show_form(request, form)
    if not form.changes:
        form.add_error(None, gettext("You have not changed anything yet, so there is nothing to send."))
        return _show_form(request, form)
    return _show_review(request, project, form)


@require_safe
@requires(EDIT)
def image_choices(request: SignedInRequest, project: Project) -> HttpResponse:
    """The images to choose from. The form loads them after it is shown."""
    context = {"choices": read_images(project), "current": request.GET.get("image_id", "")}
    return render(request, "server_groups/_images.html", context)


@require_safe
@requires(EDIT)
def disk_type_choices(request: SignedInRequest, project: Project) -> HttpResponse:
    return render(request, "server_groups/_disk_types.html", {"choices": read_disk_types(project)})


@require_safe
@requires(EDIT)
def name_check(request: SignedInRequest, project: Project, group_id: str) -> HttpResponse:
    """Check a name while the person types it. The form's own rules come first. The group's present name is allowed."""
    name, seen = request.GET.get("name", ""), read_seen(request.GET.get("seen", ""), group_id)
    is_own = seen is not None and seen.group.name == name
    problem = "" if is_own or not BY_PATH["name"].make().accepts(name) else name_problem(project, name)
    return render(request, "server_groups/_name_check.html", {"problem": problem, "name": name})


def _blank_form(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
    kept = take_kept_input(request)
    if kept is None and (number := request.GET.get("revert", "")):
        return _revert_form(request, project, group_id, number)
    if kept is None:
        return _show_form(request, ServerGroupForm(Submission(read_shown(project, group_id))), status=200)
    try:
        form = ServerGroupForm(_read(request, kept, project, group_id))
    except StaleFormError as error:
        return _show_stale(request, project, group_id, error.typed, status=200)
    messages.warning(
        request, gettext("Your session ended before the form was sent. Nothing was sent. Your input is kept.")
    )
    return _show_form(request, form, status=200)


def _revert_form(request: SignedInRequest, project: Project, group_id: str, number: str) -> HttpResponseBase:
    """Show the form with the values from before a ledger entry. The review is the same as for other changes."""
    entry = find_change(project.slug, group_id, number)
    if entry is None:
        raise Http404
    reverting = revert(entry, read_shown(project, group_id))
    if reverting.submission is None:
        message = gettext("There is nothing to revert. %(reasons)s")
        messages.warning(request, message % {"reasons": " ".join(reverting.kept)})
        return redirect(entry)
    if reverting.kept:
        messages.warning(request, " ".join(reverting.kept))
    return _show_form(request, ServerGroupForm(reverting.submission), status=200)


def _read(request: SignedInRequest, data: QueryDict, project: Project, group_id: str) -> Submission:
    """Read a post of the review, of the form, or of a script that sends only the new values.

    Raises StaleFormError.
    """
    if "submission" in data:
        return read_submission(data, _scope(request, project, group_id))
    theirs = {name.removeprefix("resolve__") for name in data if data[name] == "theirs"}
    if "seen" not in data and not theirs:
        return submit(data, read_shown(project, group_id), is_seen=False)
    shown = read_seen(data.get("seen", ""), group_id)
    if shown is None:
        raise StaleFormError(texts(data))
    return resolve(submit(data, shown, is_seen=True), theirs)


def _scope(request: SignedInRequest, project: Project, group_id: str) -> Scope:
    return Scope(project.slug, request.user.pk, group_id)


def _is_valid(form: ServerGroupForm, project: Project) -> bool:
    """Whether the input is valid, also for its image."""
    if form.is_valid() and form.wanted_image is not None:
        form.check_disk(find_image(project, *form.wanted_image))
    return form.is_valid()


def _missing_confirmations(request: SignedInRequest, form: ServerGroupForm) -> list[str]:
    """List the confirmations that the change needs and the post lacks."""
    missing = []
    if form.replaces_image and "confirm_image" not in request.POST:
        missing.append(gettext("Confirm that you want to replace the image."))
    if _is_reason_required(form) and not form.cleaned_data["reason"].strip():
        missing.append(str(REASON_MISSING))
    return missing


def _is_reason_required(form: ServerGroupForm) -> bool:
    return switches_off(form.changes) or (settings.REASON_REQUIRED and bool(form.changes))


def _send(request: SignedInRequest, project: Project, form: ServerGroupForm) -> HttpResponseBase:
    kind, reason = kind_and_reason(form, project)
    try:
        written = update_server_group(
            project=project,
            group_id=form.group.id,
            changes=form.changes,
            seen=form.group if form.submission.is_seen else None,
            reason=reason,
            key=form.cleaned_data["key"],
            by=actor(request),
            kind=kind,
        )
    except ConflictError as error:
        return _show_again(request, form.submission, error.group, status=409)
    return _show_result(request, project, form, written)


def _show_result(
    request: SignedInRequest, project: Project, form: ServerGroupForm, written: WriteResult
) -> HttpResponseBase:
    if written.intent is None:
        messages.info(request, gettext("You did not change anything, so nothing was sent."))
        return _go(request, "server-groups:detail", project, form.group.id)
    if written.is_misused:
        message = gettext("This form was already sent. This is its result. Open the form again to change more.")
        messages.warning(request, message)
        return _go(request, written.intent)
    last = written.intent.last_outcome
    if last is not None and last.outcome in {Outcome.REJECTED, Outcome.NOT_SENT}:
        return _show_failed(request, form, written.intent, last, written.group or form.group)
    if written.changed_by_others:
        labels = ", ".join(str(BY_PATH[path].label) for path in written.changed_by_others)
        message = gettext("Other people changed these fields since you opened the form: %(fields)s.")
        messages.warning(request, message % {"fields": labels})
    return _go(request, written.intent)


def _show_failed(
    request: SignedInRequest, form: ServerGroupForm, intent: ChangeIntent, outcome: ChangeOutcome, group: ServerGroup
) -> HttpResponse:
    """Show the form with the input again. The message is at the field that the cloud names, if it names one."""
    named = [path for path in form.changes if re.search(rf"\b{BY_PATH[path].member}\b", outcome.error_msg)]
    place = BY_PATH[named[0]].name if len(named) == 1 else None
    return _show_again(request, form.submission, group, entry=intent, problem=Problem(place, failure_text(intent)))


def _show_again(
    request: SignedInRequest,
    submission: Submission,
    group: ServerGroup,
    *,
    status: int = 422,
    entry: ChangeIntent | None = None,
    problem: Problem | None = None,
) -> HttpResponse:
    """Show the form with the input again, for the present state of the group, and with the changes by others."""
    form = ServerGroupForm(rebase(submission, group))
    conflicts = find_conflicts(submission, group)
    for conflict in conflicts:
        message = gettext("Someone else changed this field from %(seen)s to %(now)s.")
        form.add_error(conflict.name, message % {"seen": conflict.seen, "now": conflict.now})
    if problem:
        form.add_error(problem.field, problem.message)
    context = {"entry": entry, "conflicts": conflicts, "followed": changes_by_others(submission, group)}
    return _show_form(request, form, status=status, context=context)


def _show_stale(
    request: SignedInRequest, project: Project, group_id: str, typed: Mapping[str, str], *, status: int = 422
) -> HttpResponse:
    """Show the form with the present values, and a list of the typed values.

    The form does not fill in the typed values: a stale form does not show which of its values the person typed.
    """
    form = ServerGroupForm(Submission(read_shown(project, group_id), reason=typed.get("reason", "")))
    form.add_error(None, STALE)
    return _show_form(request, form, status=status, context={"unsent": find_unsent(typed, form.group)})


def _show_form(
    request: SignedInRequest, form: ServerGroupForm, *, status: int = 422, context: Mapping[str, object] | None = None
) -> HttpResponse:
    template = "server_groups/_edit_form.html" if request.htmx else "server_groups/edit.html"
    return render(request, template, {"form": form, "group": form.group, **(context or {})}, status=status)


def _show_review(
    request: SignedInRequest, project: Project, form: ServerGroupForm, *, status: int = 200, unmet: Sequence[str] = ()
) -> HttpResponse:
    template = "server_groups/_review.html" if request.htmx else "server_groups/review.html"
    context = {
        "form": form,
        "group": form.group,
        "signed": sign_submission(form.submission, _scope(request, project, form.group.id)),
        "review": read_review(project, form.group, form.changes),
        "unmet": unmet,
        "is_reason_required": _is_reason_required(form),
        "overview": _read_overview(project, form.group) if switches_off(form.changes) else None,
    }
    return render(request, template, context, status=status)


def _read_overview(project: Project, group: ServerGroup) -> Overview:
    """The group's open sessions and servers. Without them, if the cloud is unavailable: the review is still shown."""
    try:
        return read_overview(project, group.id)
    except CloudError:
        return Overview(group, None, None, None)


def _go(request: SignedInRequest, to: str | ChangeIntent, *arguments: Project | str) -> HttpResponseBase:
    response = redirect(to, *arguments)
    return HttpResponseClientRedirect(response.url) if request.htmx else response
