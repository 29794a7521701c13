"""Read pages of the list of groups from the copy.

The number of rows that a page reads does not grow with the number of groups. Each order is read from its index. If few
groups match the filters, they are found by the indexes of the filters, and then sorted. If many match, the groups are
read in their order until the page is full.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connection
from django.db.models import Exists, F, IntegerField, OrderBy, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce

from dashboard.inventory.models import GroupCopy, GroupCopyQuerySet, GroupTag, ProjectCopy
from dashboard.inventory.ordering import SORTS
from dashboard.inventory.search import contains, finds

PAGE_SIZE = 50
COUNTED = 1_000
"""Groups that match filters are counted up to this number."""
NOT_SHOWN = ("data", "baseline", "suspected", "details", "servers_by_state", "search_text")
"""Columns that the list does not show. Reading them would take most of the time."""


@dataclass(frozen=True)
class GroupQuery:
    """The filters, order and page of a list of groups. An empty filter selects all groups.

    `tag` is a key, or `key=value`. `sort` is a name of SORTS, or `name`. A `-` before it reverses the order.
    """

    q: str = ""
    status: str = ""
    app_type: str = ""
    role: str = ""
    tag: str = ""
    image: str = ""
    sort: str = "name"
    page: int = 1

    @property
    def has_filters(self) -> bool:
        return any((self.q, self.status, self.app_type, self.role, self.tag, self.image))


@dataclass(frozen=True)
class GroupPage:
    """One page of the matching groups. `found` is their number, or None if it is more than COUNTED."""

    copy: ProjectCopy
    number: int
    found: int | None
    groups: Sequence[GroupCopy] = field(repr=False)
    has_next: bool = False

    @property
    def first(self) -> int:
        """The position of the first group of the page; 0 if there is none."""
        return (self.number - 1) * PAGE_SIZE + 1 if self.groups else 0

    @property
    def last(self) -> int:
        return (self.number - 1) * PAGE_SIZE + len(self.groups)


class _CountOf(Subquery):
    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def state_of(project: str) -> ProjectCopy:
    """The ages, the counts and the progress of the copy. A project that was never read has an empty one."""
    return ProjectCopy.objects.filter(slug=project).first() or ProjectCopy(slug=project)


def find_groups(project: str, query: GroupQuery) -> GroupPage:
    """Read one page of the list, in two queries. After the last page, the last page is read."""
    copy, found = _counted(project, query)
    number = query.page
    if found is not None:
        number = min(number, max(1, -(-found // PAGE_SIZE)))
    rows = _ordered(project, query, found)
    start = (number - 1) * PAGE_SIZE
    page = list(_shown(rows.values("pk")[start : start + PAGE_SIZE + 1], query.sort))
    if not page and number > 1:
        return find_groups(project, replace(query, page=_last_page(rows)))
    return GroupPage(copy, number, found, page[:PAGE_SIZE], has_next=len(page) > PAGE_SIZE)


def _counted(project: str, query: GroupQuery) -> tuple[ProjectCopy, int | None]:
    """The state of the copy, and the number of groups that match."""
    if not query.has_filters:
        copy = state_of(project)
        return copy, copy.listed
    matching = _CountOf(_matching(project, query).values("pk")[: COUNTED + 1])
    counted = ProjectCopy.objects.filter(slug=project).annotate(matching=matching).first()
    if counted is None:
        return ProjectCopy(slug=project), 0
    return counted, counted.matching if counted.matching <= COUNTED else None


def _ordered(project: str, query: GroupQuery, found: int | None) -> GroupCopyQuerySet:
    groups = GroupCopy.objects.of(project)
    order = _order(query.sort)
    if not query.has_filters:
        return groups.order_by(*order)
    if found is not None:
        return GroupCopy.objects.filter(pk__in=_matching(project, query).values("pk")[:COUNTED]).order_by(*order)
    if query.sort in {"name", "-name"}:
        return _scanned(groups, query).order_by(*order)
    # The subquery keeps SQLite from reading by the index of a filter, which has another order.
    itself = GroupCopy.objects.filter(pk=OuterRef("pk"))
    return groups.filter(Exists(_scanned(itself, query))).order_by(*order)


def _order(sort: str) -> tuple[OrderBy, ...]:
    is_descending = sort.startswith("-")
    if sort in {"name", "-name"}:
        return OrderBy(F("name_key"), descending=is_descending), OrderBy(F("id"), descending=is_descending)
    return SORTS[sort.removeprefix("-")].order(descending=is_descending)


def _shown(page: QuerySet[GroupCopy, Any], sort: str) -> GroupCopyQuerySet:
    """The rows of a page. Its subquery selects only ids, so that the rows of earlier pages are not read."""
    rows = GroupCopy.objects.filter(pk__in=page).order_by(*_order(sort))
    return rows.defer(*NOT_SHOWN).annotate(disk_type=KT("data__system_disk_type"))


def _last_page(rows: GroupCopyQuerySet) -> int:
    return max(1, -(-rows.count() // PAGE_SIZE))


def _matching(project: str, query: GroupQuery) -> GroupCopyQuerySet:
    """The groups that match, found by the indexes of the filters."""
    if not query.tag and not query.q:
        return GroupCopy.objects.of(project).filter(_columns(query))
    rows = GroupCopy.objects.of(project)
    if connection.vendor == "sqlite":
        # The function keeps SQLite from reading all groups of the project, which it takes for a few rows.
        rows = GroupCopy.objects.alias(of=Coalesce("project", "project")).filter(of=project, vanished_at=None)
    rows = rows.filter(_columns(query))
    if query.tag:
        rows = rows.filter(_tag(query.tag, "tag_rows__"), tag_rows__project=project).distinct()
    return rows.filter(finds(query.q)) if query.q else rows


def _columns(query: GroupQuery) -> Q:
    values = {"app_type": query.app_type, "role": query.role, "image_name": query.image}
    wanted = Q(**{column: value for column, value in values.items() if value})
    # Django writes an exact comparison with a boolean in a form that uses no index.
    return wanted & Q(status__in=[query.status == "on"]) if query.status else wanted


def _scanned(rows: GroupCopyQuerySet, query: GroupQuery) -> GroupCopyQuerySet:
    """The rows that match. Tags and texts are compared row by row."""
    rows = rows.filter(_columns(query))
    if query.tag:
        rows = rows.filter(Exists(GroupTag.objects.filter(_tag(query.tag), group=OuterRef("pk"))))
    return rows.filter(contains(query.q)) if query.q else rows


def _tag(tag: str, path: str = "") -> Q:
    key, is_pair, value = tag.partition("=")
    wanted = {f"{path}key": key} | ({f"{path}value": value} if is_pair else {})
    return Q(**wanted)
