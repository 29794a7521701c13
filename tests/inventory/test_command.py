"""`manage.py inventory` for operators."""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from dashboard.cloud.projects import Project
from dashboard.inventory.models import ProjectCopy
from tests.conftest import Simulated

from .conftest import Refresh

pytestmark = pytest.mark.django_db

NOW = "from 2026-11-24 09:00:00 UTC (0 minutes ago)"


def inventory(*arguments: str) -> list[str]:
    output = StringIO()
    call_command("inventory", *arguments, stdout=output)
    return output.getvalue().splitlines()


def test_status_before_the_first_read(project: Project, clock: time_machine.Traveller) -> None:
    assert inventory("status") == [
        "default: 120 calls a minute",
        "  groups: never read, 0 groups, 0 rows unreadable",
        "  servers: never read",
        "  details: of 0 groups",
    ]


def test_status_shows_the_age_of_each_part(
    simulator: Simulated, refresh: Refresh, clock: time_machine.Traveller
) -> None:
    refresh(120)
    clock.shift(180)

    assert inventory("status") == [
        "default: 120 calls a minute",
        "  groups: from 2026-11-24 09:00:00 UTC (5 minutes ago), 42 groups, 0 rows unreadable",
        "  servers: from 2026-11-24 09:00:00 UTC (5 minutes ago)",
        "  details: of 42 groups, the oldest from 2026-11-24 09:00:00 UTC (5 minutes ago)",
    ]


def test_status_shows_progress_problems_and_a_halved_budget(
    simulator: Simulated, refresh: Refresh, clock: time_machine.Traveller
) -> None:
    refresh(1)
    ProjectCopy.objects.update(
        groups_pages=100,
        groups_pages_read=37,
        servers_problem="ForbiddenError",
        halved_until=timezone.now() + timedelta(minutes=5),
    )

    assert inventory("status")[:4] == [
        "default: 120 calls a minute, halved because the cloud reported too many calls",
        f"  groups: {NOW}, 42 groups, 0 rows unreadable, reading, 37 of 100 pages",
        f"  servers: {NOW}",
        "    The credential of this dashboard lacks a permission. Ask an administrator of the cloud account.",
    ]


def test_refresh_asks_the_worker(simulator: Simulated, refresh: Refresh, clock: time_machine.Traveller) -> None:
    before = refresh(60)

    output = inventory("refresh", "--project", "default")
    clock.shift(1)
    copy = refresh(1)

    assert output == ["default: the worker was asked for a refresh."]
    assert (before.asked_at, copy.groups_as_of) == (None, timezone.now() - timedelta(seconds=1))


def test_names_an_unknown_project(project: Project) -> None:
    with pytest.raises(CommandError, match="There is no project elsewhere"):
        inventory("status", "--project", "elsewhere")
