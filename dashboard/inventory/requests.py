"""What a page tells the worker: that someone looks at a copy, or asks for a refresh."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from dashboard.inventory.models import ProjectCopy

logger = logging.getLogger(__name__)

NOTE_EVERY = timedelta(seconds=10)


def note_view(copy: ProjectCopy) -> None:
    """Note that someone looks at a page with this copy. Never fails and never waits: the page is more important."""
    now = timezone.now()
    if copy.viewed_at and now - NOTE_EVERY < copy.viewed_at <= now:
        return
    rows = ProjectCopy.objects.filter(slug=copy.slug)
    try:
        with _without_waiting(), transaction.atomic():
            if rows.select_for_update(skip_locked=True).first():
                rows.update(viewed_at=now)
            elif copy.is_new:
                ProjectCopy.objects.bulk_create([ProjectCopy(slug=copy.slug, viewed_at=now)], ignore_conflicts=True)
    except DatabaseError as error:
        logger.warning("The view of a page was not noted: %s", error)


def ask_for_refresh(project: str) -> None:
    """Let the worker read the groups again as soon as the call budget allows."""
    ProjectCopy.objects.update_or_create(slug=project, defaults={"asked_at": timezone.now()})


@contextmanager
def _without_waiting() -> Iterator[None]:
    """On SQLite, do not wait while another process writes, for example while it stores a read of all groups."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        (timeout,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(timeout)}")
