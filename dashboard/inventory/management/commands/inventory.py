"""`manage.py inventory`: show the age and size of the local copy, or ask the worker for a refresh."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.timesince import timesince

from dashboard.cloud.projects import Project
from dashboard.inventory.budget import is_halved
from dashboard.inventory.models import GroupCopy, ProjectCopy
from dashboard.inventory.problems import explain_problem


class Command(BaseCommand):
    help = "Shows the age and size of the inventory, or asks the worker for a refresh."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("status", "refresh"))
        parser.add_argument("--project", metavar="SLUG", help="only this project (default: every project)")

    def handle(self, *_args: Any, action: str, project: str | None, **_options: Any) -> None:
        projects = [one for one in settings.CLOUD_PROJECTS if project in (None, one.slug)]
        if not projects:
            raise CommandError(f"There is no project {project}." if project else "No project is configured.")
        for one in projects:
            copy, _ = ProjectCopy.objects.get_or_create(slug=one.slug)
            if action == "refresh":
                self._ask(copy)
            else:
                self.stdout.write("\n".join(_status(one, copy)))

    def _ask(self, copy: ProjectCopy) -> None:
        copy.asked_at = timezone.now()
        copy.save(update_fields=("asked_at",))
        self.stdout.write(f"{copy.slug}: the worker was asked for a refresh.")


def _status(project: Project, copy: ProjectCopy) -> Iterator[str]:
    now = timezone.now()
    halved = ", halved because the cloud reported too many calls" if is_halved(copy, now) else ""
    yield f"{copy.slug}: {project.calls_per_minute} calls a minute{halved}"
    rows = GroupCopy.objects.of(copy.slug)
    size = f"{rows.count():,} groups, {copy.unreadable:,} rows unreadable"
    yield from _part("groups", copy, size, now)
    yield from _part("servers", copy, "", now)
    known, oldest = rows.exclude(details_as_of=None), rows.order_by("details_as_of").exclude(details_as_of=None).first()
    age = f", the oldest from {_age(oldest.details_as_of, now)}" if oldest else ""
    yield f"  details: of {known.count():,} groups{age}"


def _part(name: str, copy: ProjectCopy, size: str, now: datetime) -> Iterator[str]:
    as_of: datetime | None = getattr(copy, f"{name}_as_of")
    pages, read = getattr(copy, f"{name}_pages"), getattr(copy, f"{name}_pages_read")
    progress = f"reading, {read:,} of {pages:,} pages" if pages else ""
    facts = (f"from {_age(as_of, now)}" if as_of else "never read", size, progress)
    yield f"  {name}: {', '.join(filter(None, facts))}"
    if problem := explain_problem(name, getattr(copy, f"{name}_problem")):
        yield f"    {problem.cause} {problem.advice}".rstrip()


def _age(moment: datetime | None, now: datetime) -> str:
    """The time, and how long ago it was."""
    if moment is None:
        return "never"
    ago = timesince(moment, now).replace("\N{NO-BREAK SPACE}", " ")
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({ago} ago)"
