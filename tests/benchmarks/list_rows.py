"""The rows of the benchmark of the list, and their registration in Django's admin."""

import random
from datetime import datetime, timedelta

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.utils import timezone

from dashboard.accounts.models import User
from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.columns import columns_of
from dashboard.inventory.models import GroupCopy, GroupTag, ProjectCopy
from dashboard.simulator.catalogue import PROJECTS
from dashboard.simulator.data import seed_groups

BATCH = 1000
SHOWN = (
    *("status", "name", "description", "app_type", "image_name", "disk_size", "app_groups", "servers", "sessions"),
    *("ready", "max_session", "update_time"),
)
"""The columns of the admin's list: as many as the list of the dashboard shows."""


def fill(size: int) -> None:
    """Store a copy of as many groups, as a complete read does."""
    now, rng = timezone.now(), random.Random(1)  # noqa: S311 (made-up load, no secret)
    (project, *_) = PROJECTS.values()
    seeded = seed_groups(project, size, 1)
    groups = [group for one in seeded if (group := ServerGroup.from_api(one.document))]
    with transaction.atomic():
        for start in range(0, size, BATCH):
            _store([_row(group, rng, now) for group in groups[start : start + BATCH]])
        off = GroupCopy.objects.filter(status=False).count()
        rows = GroupCopy.objects.values_list
        ProjectCopy.objects.create(
            slug="default",
            groups_as_of=now - timedelta(seconds=1),
            servers_as_of=now,
            viewed_at=now,
            groups=size,
            listed=size,
            groups_on=size - off,
            groups_off=off,
            app_types=sorted(set(rows("app_type", flat=True))),
            images=sorted(set(rows("image_name", flat=True))),
            tags=sorted({str(tag) for tag in GroupTag.objects.all()}),
        )


def _row(group: ServerGroup, rng: random.Random, now: datetime) -> GroupCopy:
    servers = rng.randint(0, 5)
    return GroupCopy(
        project="default",
        group_id=group.id,
        read_at=now,
        first_seen_at=now,
        ready=rng.randint(0, servers),
        servers=servers,
        sessions=rng.randint(0, 12),
        max_session=4,
        servers_as_of=now,
        **columns_of(group),
    )


def _store(rows: list[GroupCopy]) -> None:
    GroupCopy.objects.bulk_create(rows)
    GroupTag.objects.bulk_create(
        GroupTag(group=row, project=row.project, key=tag["key"], value=tag["value"])
        for row in rows
        for tag in row.data["tags"]
    )


def register_in_admin() -> None:
    options = {
        "list_display": SHOWN,
        "list_filter": ("status", "app_type", "role"),
        "search_fields": ("name", "description", "group_id"),
        "list_per_page": 50,
        "ordering": ("name_key",),
    }
    admin.site.register(GroupCopy, type("Groups", (admin.ModelAdmin,), options))


def sign_in() -> Client:
    """The browser of an administrator with access to the admin."""
    user, _ = User.objects.get_or_create(username="administrator", is_staff=True, is_superuser=True)
    user.groups.set([Group.objects.get(name="administrator")])
    browser = Client(headers={"accept-encoding": "gzip"})
    browser.force_login(user)
    return browser
