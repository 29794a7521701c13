"""Permission checks of the views that change a group. A refused post is recorded in the ledger."""

from collections.abc import Callable, Mapping
from functools import wraps

from django.core.exceptions import PermissionDenied
from django.http.response import HttpResponseBase

from dashboard.accounts.roles import VIEW
from dashboard.cloud.projects import Project
from dashboard.server_groups.fields import FIELDS, STATUS
from dashboard.server_groups.refusals import Refusal, record_refusal, refuse
from dashboard.server_groups.submission import texts
from dashboard.web.requests import SignedInRequest, actor

GroupView = Callable[[SignedInRequest, Project, str], HttpResponseBase]


def changes_group(permission: str, because: str) -> Callable[[GroupView], GroupView]:
    """Decorate a view that changes a group: record and refuse a post by a person without `permission`."""

    def decorate(view: GroupView) -> GroupView:
        @wraps(view)
        def guarded(request: SignedInRequest, project: Project, group_id: str) -> HttpResponseBase:
            if not request.user.has_perms([VIEW, permission]):
                if request.method == "POST":
                    refuse_post(request, project, group_id, because=because)
                raise PermissionDenied(because)
            return view(request, project, group_id)

        return guarded

    return decorate


def record_stale_form(request: SignedInRequest, project: Project, group_id: str, typed: Mapping[str, str]) -> None:
    """Record the values of a form that is too old or altered. They are not sent."""
    because = "The form was too old or was altered."
    record_refusal(Refusal(project, group_id, because, actor(request)), _attempted(typed))


def refuse_post(request: SignedInRequest, project: Project, group_id: str, *, because: str) -> None:
    """Record the posted values and raise PermissionDenied."""
    refuse(Refusal(project, group_id, because, actor(request)), _attempted(texts(request.POST)))


def _attempted(texts: Mapping[str, str]) -> dict[str, str | bool]:
    """The posted values by path, without NUL characters, because PostgreSQL refuses them."""
    posted = {name: text.replace("\x00", "") for name, text in texts.items()}
    attempted: dict[str, str | bool] = {f.path: posted[f.name] for f in FIELDS if f.name in posted}
    if wanted := posted.get("status"):
        attempted[STATUS.path] = {"on": True, "off": False}.get(wanted, wanted)
    return attempted
