"""`manage.py check_cloud`: check everything that the dashboard needs of the cloud, read-only."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard.cloud.checks import Result, check_project, policy_to_grant
from dashboard.cloud.projects import Project, UnknownProjectError, get_project


class Command(BaseCommand):
    help = "Checks endpoint, clock, credential and each permission, read-only. Exit status 0: no problem, 1: a problem."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", metavar="SLUG", help="only this project")

    def handle(self, *_args: Any, project: str | None, **_options: Any) -> None:
        results = [self._check(one) for one in _chosen(project)]
        if not all(results):
            sys.exit(1)

    def _check(self, project: Project) -> bool:
        checks = check_project(project)
        self.stdout.write(f"{project.slug}: {project.title}, {project.region}")
        for check in checks:
            action = f" [{check.action}]" if check.action else ""
            self.stdout.write(f"  {check.result.value:<9}  {check.title}{action}  {check.detail}".rstrip())
        if policy := policy_to_grant(checks):
            self.stdout.write(f"Grant this to the credential:\n{policy}")
        return all(check.result is not Result.BAD for check in checks)


def _chosen(slug: str | None) -> tuple[Project, ...]:
    projects: tuple[Project, ...] = settings.CLOUD_PROJECTS
    if not projects:
        raise CommandError("No cloud project is configured.")
    if slug is None:
        return projects
    try:
        return (get_project(slug),)
    except UnknownProjectError as error:
        known = ", ".join(project.slug for project in projects)
        raise CommandError(f"There is no project {slug}. The configured projects are: {known}.") from error
