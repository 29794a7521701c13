"""The local copy of the cloud's server groups, with its age. Lists, search, counts and charts read these tables.

The copy is no evidence and decides nothing: what decides about a write is read from the cloud at that moment.
"""

from typing import Self

from django.db import models

from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.ordering import SORTS
from dashboard.inventory.search import PartsField


class ProjectCopy(models.Model):
    """The copy of a project: when each part was read, how far a read is, and who asked for one.

    A part is `groups` (the list of groups) or `servers` (all servers, summed by group). `*_as_of` is the start of the
    last complete read, null before the first one. `*_problem` is the code of the error of a newer read, empty if there
    is none.
    """

    slug = models.CharField(max_length=64, primary_key=True)

    groups_as_of = models.DateTimeField(null=True)
    groups_problem = models.CharField(max_length=64, blank=True)
    groups_pages = models.PositiveIntegerField(default=0)
    """Pages of the read in progress; 0 if none is in progress."""
    groups_pages_read = models.PositiveIntegerField(default=0)
    servers_as_of = models.DateTimeField(null=True)
    servers_problem = models.CharField(max_length=64, blank=True)
    servers_pages = models.PositiveIntegerField(default=0)
    servers_pages_read = models.PositiveIntegerField(default=0)

    groups = models.PositiveIntegerField(default=0)
    """Number of groups in the copy that the last complete read returned."""
    listed = models.PositiveIntegerField(default=0)
    """Number of all groups that the list shows, with those that the last complete read lacks."""
    groups_on = models.PositiveIntegerField(default=0)
    groups_off = models.PositiveIntegerField(default=0)
    unreadable = models.PositiveIntegerField(default=0)
    """Number of rows of the last complete read that the dashboard cannot read."""
    app_types = models.JSONField(default=list)
    images = models.JSONField(default=list)
    tags = models.JSONField(default=list)
    """The values of the filters, sorted. Tags are `key=value`."""

    viewed_at = models.DateTimeField(null=True)
    """The last time someone looked at a page with this copy."""
    asked_at = models.DateTimeField(null=True)
    """The last time someone asked for a refresh."""
    leased_until = models.DateTimeField(null=True)
    """Until then, only one process reads the project."""
    lease_holder = models.CharField(max_length=64, blank=True)
    calls_left = models.FloatField(default=0)
    """The token bucket of the call budget, at `calls_left_at`."""
    calls_left_at = models.DateTimeField(null=True)
    halved_until = models.DateTimeField(null=True)
    """Until then, the budget is halved, because the cloud answered 429."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.slug

    @property
    def is_new(self) -> bool:
        """Whether the row is not stored yet."""
        return self._state.adding

    @property
    def total(self) -> int:
        """Number of groups that the cloud counted in the last complete read."""
        return self.groups + self.unreadable

    @property
    def is_asked_for(self) -> bool:
        """Whether someone asked for a refresh that has not ended."""
        return self.asked_at is not None and (self.groups_as_of is None or self.groups_as_of < self.asked_at)


class GroupCopyQuerySet(models.QuerySet["GroupCopy"]):
    def of(self, project: str) -> Self:
        """Select the groups of a project that have not vanished."""
        return self.filter(project=project, vanished_at=None)


class GroupCopy(models.Model):
    """A group as the list of the cloud shows it, with its details and its load where they were read.

    The columns are for filters and sorting. `data` has all members of the list's item, with the names of the API.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.CharField(max_length=64)
    group_id = models.CharField(max_length=1000)

    name = models.CharField(max_length=1000)
    name_key = models.CharField(max_length=200)
    """The name in lower case, for sorting; the id of a group without a name."""
    description = models.CharField(max_length=1000, blank=True)
    status = models.BooleanField(null=True)
    app_type = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=8, blank=True)
    """`primary`, `standby` or empty."""
    image_name = models.CharField(max_length=200, blank=True)
    disk_size = models.BigIntegerField(null=True)
    app_groups = models.BigIntegerField(null=True)
    update_time = models.DateTimeField(null=True)
    search_text = models.TextField(blank=True)
    """The texts in which a search looks for the group, in the form of `search.py`."""
    data = models.JSONField()
    baseline = models.JSONField(default=dict)
    """The value of each editable field, by its path, that two reads or a verified write agreed on."""
    suspected = models.JSONField(default=dict)
    """Values that differ from the baseline in the last read, by path. The next read confirms or drops them."""
    read_at = models.DateTimeField()
    """The start of the last read that returned the group. A read that began before it is ignored."""

    written_at = models.DateTimeField(null=True)
    """When a write of ours was last verified. Reads can be stale for seconds after it."""
    changed_outside_at = models.DateTimeField(null=True)
    """When the ledger got the newest change that someone made outside the dashboard."""

    details = models.JSONField(null=True)
    """The members that only ShowServerGroup has, with the names of the API."""
    details_as_of = models.DateTimeField(null=True)
    details_update_time = models.DateTimeField(null=True)
    """The `update_time` of the group when the details were read."""
    max_session = models.BigIntegerField(null=True)

    ready = models.PositiveIntegerField(null=True)
    servers = models.BigIntegerField(null=True)
    """All servers: counted from the servers, or the list's own number before they were read."""
    sessions = models.PositiveBigIntegerField(null=True)
    servers_by_state = models.JSONField(default=dict)
    servers_as_of = models.DateTimeField(null=True)

    first_seen_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True)
    """The start of the first complete read that did not return the group. Not yet confirmed."""
    vanished_at = models.DateTimeField(null=True)
    """When two reads agreed that the cloud no longer has the group. The row is deleted 30 days later."""

    objects = GroupCopyQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["project", "group_id"], name="inventory_one_copy_of_a_group")]
        # Each filter and each order of the list has an index. A page is read from it without sorting.
        indexes = [
            models.Index(
                fields=["project", *column, "name_key", "id"],
                name=f"inventory_by_{'_'.join((*column, 'name'))}",
                condition=models.Q(vanished_at=None),
            )
            for column in ([], ["status"], ["app_type"], ["role"], ["image_name"])
        ] + [
            models.Index(
                "project",
                *sort.order(descending=descending),
                name=f"inventory_{'down' if descending else 'up'}_{name}",
                condition=models.Q(vanished_at=None),
            )
            for name, sort in SORTS.items()
            for descending in (False, True)
        ]

    def __str__(self) -> str:
        return self.name or self.group_id

    @property
    def group(self) -> ServerGroup:
        """The group as the cloud's resource, with the details where they were read."""
        group = ServerGroup.from_api({**self.data, **(self.details or {}), "id": self.group_id})
        return group or ServerGroup(self.group_id)


class SearchRow(models.Model):
    """The row of a group in the full-text index of SQLite. Triggers fill it. PostgreSQL has an index instead."""

    group = models.OneToOneField(
        GroupCopy, models.DO_NOTHING, primary_key=True, db_column="rowid", related_name="search_row"
    )
    parts = PartsField(db_column="inventory_search")

    class Meta:
        db_table = "inventory_search"
        default_permissions = ()
        managed = False

    def __str__(self) -> str:
        return str(self.pk)


class GroupTag(models.Model):
    """A tag of a group, for the filter."""

    group = models.ForeignKey(GroupCopy, models.CASCADE, related_name="tag_rows")
    project = models.CharField(max_length=64)
    key = models.CharField(max_length=1000)
    value = models.CharField(max_length=1000, blank=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["project", "key", "value", "group"], name="inventory_by_tag")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class Difference(models.Model):
    """A difference between two states of a group that no write of ours made, as far as the inventory knows.

    Two reads agreed on the new value. `server_groups.outside` compares each one with the ledger, records it there and
    deletes it in the same transaction. For a new or vanished group, `path` is empty, and `before` or `after` is its id.
    """

    project = models.CharField(max_length=64)
    group_id = models.CharField(max_length=1000)
    group_name = models.CharField(max_length=1000)
    path = models.CharField(max_length=64, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    since = models.DateTimeField()
    """The start of the last read that returned `before`."""
    until = models.DateTimeField()
    """The start of the first read that returned `after`."""

    class Meta:
        default_permissions = ()
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.group_name} {self.path}: {self.before!r} to {self.after!r}"


class LoadSample(models.Model):
    """The load of a group at a time. `span` is the period that the row stands for: a read, an hour or a day.

    A raw row is stored only if the load differs from the row before it, or if that row is an hour old. Rows of hours
    and days hold the largest values of their period.
    """

    class Span(models.TextChoices):
        RAW = "raw"
        HOUR = "hour"
        DAY = "day"

    group = models.ForeignKey(GroupCopy, models.CASCADE, related_name="samples")
    span = models.CharField(max_length=4, choices=Span)
    at = models.DateTimeField()
    """The time of the read, or the start of the period, in UTC."""
    sessions = models.PositiveIntegerField()
    ready = models.PositiveIntegerField()
    servers = models.PositiveIntegerField()
    capacity = models.PositiveBigIntegerField(null=True)
    """The largest number of sessions of the ready servers; null if the maximum of a server is not known."""
    is_made_up = models.BooleanField(default=False)
    """Whether the demo made the row up."""

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["group", "span", "at"], name="inventory_one_sample_at_a_time")]

    def __str__(self) -> str:
        return f"{self.at}: {self.sessions} sessions"
