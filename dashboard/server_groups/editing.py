"""The edit form, its review, and what they ask for while someone types."""

from collections.abc import Sequence

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from dashboard.accounts.roles import EDIT
from dashboard.audit.models import ChangeIntent, Outcome
from dashboard.audit.services import find_change
from dashboard.cloud.projects import Project
from dashboard.http import SignedInRequest, actor, keeps_input, requires, take_kept_input
from dashboard.server_groups.choices import find_image, name_problem, read_disk_types, read_images
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.forms import ServerGroupForm, read_seen
from dashboard.server_groups.overview import read_shown
from dashboard.server_groups.refusals import changes_group, note_stale_form
from dashboard.server_groups.reverting import kind_and_reason, revert
from dashboard.server_groups.review import read_review
from dashboard.server_groups.services import ConflictError, Written, update_server_group
from dashboard.server_groups.wording import say_failed

STALE = "This form is too old or was altered. Your input is kept: check it and send again."


@require_http_methods(["GET", "POST"])
@keeps_input
@changes_group(EDIT, "No permission to edit.")
def server_group_edit(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
    """The form; a post of it is sent to the cloud."""
    if request.method == "GET":
        return _blank_form(request, project, group_id)
    form = _posted_form(request.POST, project, group_id)
    if form.is_stale:
        note_stale_form(request, project, group_id)
    if not _is_sound(form, project):
        return _show_form(request, form)
    if unmet := _unmet(request, form):
        return _show_review(request, project, form, status=422, unmet=unmet)
    return _send(request, project, form)


@require_http_methods(["GET", "POST"])
@keeps_input
@changes_group(EDIT, "No permission to edit.")
def server_group_review(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
    """What would be sent and what it would do. `back` leads to the form again, as it was."""
    if request.method == "GET":
        return redirect("server-groups:edit", project, group_id)
    form = _posted_form(request.POST, project, group_id)
    if "back" in request.POST:
        return _show_form(request, form, status=200)
    if not _is_sound(form, project):
        return _show_form(request, form)
    if not form.changes:
        form.add_error(None, "Nothing was changed yet, so there is nothing to send.")
        return _show_form(request, form)
    return _show_review(request, project, form)


@require_safe
@requires(EDIT)
def image_choices(request: SignedInRequest, project: Project) -> HttpResponse:
    """All images to choose from; the form asks for them after it has come."""
    context = {"choices": read_images(project), "current": request.GET.get("image_id", "")}
    return render(request, "server_groups/_images.html", context)


@require_safe
@requires(EDIT)
def disk_type_choices(request: SignedInRequest, project: Project) -> HttpResponse:
    return render(request, "server_groups/_disk_types.html", {"choices": read_disk_types(project)})


@require_safe
@requires(EDIT)
def name_check(request: SignedInRequest, project: Project, group_id: str) -> HttpResponse:
    """What the cloud says of a name while it is typed. The form's own rules come first; the own name is free."""
    name, seen = request.GET.get("name", ""), read_seen(request.GET.get("seen", ""), group_id)
    is_own = seen is not None and seen.group.name == name
    problem = "" if is_own or not BY_PATH["name"].make().takes(name) else name_problem(project, name)
    return render(request, "server_groups/_name_check.html", {"problem": problem, "name": name})


def _blank_form(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
    kept = take_kept_input(request)
    if kept is None and (number := request.GET.get("revert", "")):
        return _revert_form(request, project, group_id, number)
    if kept is None:
        return _show_form(request, ServerGroupForm(shown=read_shown(project, group_id)), status=200)
    messages.warning(request, "Your sign-in had run out. What you typed is still here; nothing was sent.")
    return _show_form(request, _posted_form(kept, project, group_id), status=200)


def _revert_form(request: SignedInRequest, project: Project, group_id: str, number: str) -> HttpResponseBase:
    """The form as it would undo an entry of the ledger; it goes through the same review as any other change."""
    entry = find_change(project.slug, group_id, number)
    if entry is None:
        raise Http404
    reverting = revert(entry, read_shown(project, group_id))
    if reverting.form is None:
        messages.warning(request, f"There is nothing to revert. {' '.join(reverting.left)}")
        return redirect("audit:entry", project, entry.number)
    if reverting.left:
        messages.warning(request, " ".join(reverting.left))
    return _show_form(request, reverting.form, status=200)


def _posted_form(data: QueryDict, project: Project, group_id: str) -> ServerGroupForm:
    seen = read_seen(data.get("seen", ""), group_id)
    form = ServerGroupForm(data, shown=seen or read_shown(project, group_id))
    form.is_over_seen = seen is not None
    if "seen" in data and seen is None:
        form = form.after_failure(STALE)
        form.is_stale = True
    return form.resolved()


def _is_sound(form: ServerGroupForm, project: Project) -> bool:
    """Whether the input is right in itself and for the image it names."""
    if form.is_valid() and form.wanted_image is not None:
        form.check_disk(find_image(project, *form.wanted_image))
    return form.is_valid()


def _unmet(request: SignedInRequest, form: ServerGroupForm) -> list[str]:
    """What a review asks for besides the change itself."""
    unmet = []
    if form.replaces_image and "confirm_image" not in request.POST:
        unmet.append("Confirm that the image is to be replaced.")
    if settings.REASON_REQUIRED and form.changes and not form.cleaned_data["reason"].strip():
        unmet.append("Say why, so that the next person knows.")
    return unmet


def _send(request: SignedInRequest, project: Project, form: ServerGroupForm) -> HttpResponseBase:
    kind, reason = kind_and_reason(form, project)
    try:
        written = update_server_group(
            project=project,
            group_id=form.group.id,
            changes=form.changes,
            seen=form.group if form.is_over_seen else None,
            reason=reason,
            key=form.cleaned_data["key"],
            by=actor(request),
            kind=kind,
        )
    except ConflictError as error:
        return _show_form(request, form.after_conflict(error.group, error.fields), status=409)
    return _answer(request, project, form, written)


def _answer(request: SignedInRequest, project: Project, form: ServerGroupForm, written: Written) -> HttpResponseBase:
    if written.intent is None:
        messages.info(request, "Nothing was changed, so nothing was sent.")
        return _go(request, "server-groups:detail", project, form.group.id)
    if written.is_misused:
        messages.warning(request, "This form was sent already, and this came of it. Open it again to change more.")
        return _go(request, "audit:entry", project, written.intent.number)
    last = written.intent.last_outcome
    if last is not None and last.outcome in {Outcome.REJECTED, Outcome.NOT_SENT}:
        failed = form.after_failure(say_failed(written.intent), cloud_words=last.error_msg)
        return _show_form(request, failed, entry=written.intent)
    if written.moved:
        messages.warning(request, f"Changed by others since you opened the form: {', '.join(written.moved)}.")
    return _go(request, "audit:entry", project, written.intent.number)


def _show_form(
    request: SignedInRequest, form: ServerGroupForm, *, status: int = 422, entry: ChangeIntent | None = None
) -> HttpResponse:
    template = "server_groups/_edit_form.html" if request.htmx else "server_groups/edit.html"
    return render(request, template, {"form": form, "group": form.group, "entry": entry}, status=status)


def _show_review(
    request: SignedInRequest, project: Project, form: ServerGroupForm, *, status: int = 200, unmet: Sequence[str] = ()
) -> HttpResponse:
    template = "server_groups/_review.html" if request.htmx else "server_groups/review.html"
    context = {
        "form": form,
        "group": form.group,
        "review": read_review(project, form.group, form.changes),
        "unmet": unmet,
        "is_reason_required": settings.REASON_REQUIRED,
    }
    return render(request, template, context, status=status)


def _go(request: SignedInRequest, view: str, project: Project, argument: str | int) -> HttpResponseBase:
    response = redirect(view, project, argument)
    return HttpResponseClientRedirect(response.url) if request.htmx else response
