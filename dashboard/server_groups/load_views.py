"""The load of a group over time: the chart for its page, and a file of its figures. Both read the local copy."""

import csv

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.accounts.roles import VIEW
from dashboard.cloud.parsing import id_problem
from dashboard.cloud.projects import Project
from dashboard.inventory.history import LargestLoad
from dashboard.server_groups.load_chart import read_load_chart
from dashboard.web.requests import SignedInRequest, requires

COLUMNS = ("time", "sessions", "ready_servers", "servers", "capacity", "made_up")


@require_safe
@requires(VIEW)
def server_group_load(request: SignedInRequest, project: Project, group_id: str) -> HttpResponse:
    chart = read_load_chart(project.slug, _usable(group_id), request.GET.get("load"))
    return render(request, "server_groups/_load.html", {"chart": chart, "group_id": group_id})


@require_safe
@requires(VIEW)
def load_export(request: SignedInRequest, project: Project, group_id: str) -> HttpResponse:
    """The steps of a chart as CSV. A step without a reading has only its time. No text comes from the cloud."""
    chart = read_load_chart(project.slug, _usable(group_id), request.GET.get("load"))
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="load-{group_id}-{chart.period.name}.csv"'
    writer = csv.writer(response)
    writer.writerow(COLUMNS)
    for point in chart.history.points:
        writer.writerow([f"{point.at:%Y-%m-%dT%H:%M:%SZ}", *_figures(point.load)])
    return response


def _figures(load: LargestLoad | None) -> list[object]:
    if load is None:
        return [""] * (len(COLUMNS) - 1)
    return [load.sessions, load.ready, load.servers, load.capacity, str(load.is_made_up).lower()]


def _usable(group_id: str) -> str:
    if id_problem(group_id):
        raise Http404
    return group_id
