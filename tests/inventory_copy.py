"""A stand-in for the worker: before each view of the list, it copies what the simulator holds."""

from collections.abc import Callable
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.inventory import leases
from dashboard.inventory.copying import store_pass
from dashboard.inventory.loads import ServerLoad, store_servers
from dashboard.inventory.models import ProjectCopy
from dashboard.inventory.passes import ListPass
from dashboard.inventory.problems import problem_name

VIEWS = {"server-groups:list", "server-groups:counts", "server-groups:copy-age"}


def copy_everything(project: Project) -> None:
    """Read the groups and the servers, each once, and store them. A failure is stored as the worker stores it."""
    copy, _ = ProjectCopy.objects.get_or_create(slug=project.slug)
    leases.take(copy, timezone.now())
    copy.save()
    for name, read in (("groups", _copy_groups), ("servers", _copy_servers)):
        try:
            read(project, copy)
        except CloudError as error:
            ProjectCopy.objects.filter(pk=copy.pk).update(**{f"{name}_problem": problem_name(error)})


def _copy_groups(project: Project, copy: ProjectCopy) -> None:
    groups = ListPass[ServerGroup](timezone.now())
    while offsets := groups.offsets(1):
        groups.add(offsets[0], client_for(project).server_group_page(offsets[0]), timezone.now())
    store_pass(copy, groups, ())


def _copy_servers(project: Project, copy: ProjectCopy) -> None:
    servers = ListPass[ServerLoad](timezone.now())
    while offsets := servers.offsets(1):
        page = client_for(project).server_page(offsets[0])
        rows = tuple(map(ServerLoad.of, page.items))
        servers.add(offsets[0], type(page)(rows, page.total, page.without_id, page.as_of), timezone.now())  # type: ignore[arg-type]  # the page of other rows
    store_servers(copy, servers)


class CopyBeforeLists:
    """Middleware of the tests. A test without it uses `without_copying`."""

    is_on = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: object, _args: object, arguments: dict[str, Any]
    ) -> HttpResponse | None:
        match = request.resolver_match
        if self.is_on and match and match.view_name in VIEWS and request.user.is_authenticated:
            try:
                copy_everything(arguments["project"])
            except DatabaseError:
                return None
        return None
