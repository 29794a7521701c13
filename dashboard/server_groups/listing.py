"""The list of groups: the filters and the order in its address, and its rows from the local copy."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.utils import timezone

from dashboard.audit.ledger.services import RecentChanges
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.client import client_for
from dashboard.cloud.error_messages import Explanation
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.loads import capacity_of
from dashboard.inventory.models import GroupCopy, ProjectCopy
from dashboard.inventory.ordering import SORTS
from dashboard.inventory.problems import explain_problem, is_outage
from dashboard.inventory.queries import GroupPage, GroupQuery, find_groups, state_of

MARKED_FOR = timedelta(days=1)
"""How long the list marks a group that someone changed outside the dashboard."""
NEARLY_FULL = 0.85
"""The share of the capacity from which the list marks a group as nearly full."""
PENDING_FOR = timedelta(minutes=1)
"""How long a page asks about an unsettled change by itself. After that the person presses a button."""


@dataclass(frozen=True)
class Query(GroupQuery):
    """The filters, sorting and page in an address. An invalid value is ignored, so that each pasted link works."""

    @classmethod
    def from_get(cls, get: Mapping[str, str]) -> "Query":
        # PostgreSQL refuses a parameter with NUL.
        names = ("q", "app_type", "tag", "image")
        texts = {name: get.get(name, "").replace("\x00", "").strip()[:200] for name in names}
        sort = get.get("sort", "name")
        page = get.get("page", "1")
        return cls(
            **texts,
            status=get.get("status", "") if get.get("status") in {"on", "off"} else "",
            role=get.get("role", "") if get.get("role") in {"primary", "standby"} else "",
            sort=sort if sort.removeprefix("-") in {"name", *SORTS} else "name",
            page=max(1, int(page)) if page.isascii() and page.isdigit() and 0 < len(page) < 6 else 1,
        )

    def link(self, **changed: str | int) -> str:
        """The query string of this view with some values changed.

        Unlike `{% querystring %}`, it leaves out default and invalid values, so that a view has one address.
        """
        wanted = replace(self, **{"page": 1, **changed})  # type: ignore[arg-type]  # names and types are Query's own
        default = Query()
        parts = {name: value for name, value in vars(wanted).items() if value != getattr(default, name)}
        return f"?{urlencode(parts)}"

    @property
    def here(self) -> str:
        """The query string of this view."""
        return self.link(page=self.page)

    @property
    def is_filtered(self) -> bool:
        """Whether a filter other than the text is set."""
        return replace(self, q="").has_filters


@dataclass(frozen=True)
class CopyState:
    """The local copy of a project as a page shows it. A problem is the error of a newer read, in words."""

    copy: ProjectCopy
    problem: Explanation | None
    servers_problem: Explanation | None
    is_locked: bool
    """Whether switching is off, because the cloud does not respond."""

    @property
    def version(self) -> str:
        """Another text for each state of the copy that has other rows."""
        return self.copy.groups_as_of.isoformat() if self.copy.groups_as_of else str(self.copy.groups_pages_read)

    @property
    def is_first(self) -> bool:
        """Whether the first read has not ended yet."""
        return self.copy.groups_as_of is None

    @property
    def is_refreshing(self) -> bool:
        """Whether a refresh that someone waits for has not ended."""
        return self.copy.is_asked_for or (self.is_first and self.problem is None)


def read_copy_state(project: Project, copy: ProjectCopy | None = None) -> CopyState:
    copy = copy or state_of(project.slug)
    return CopyState(
        copy,
        problem=explain_problem("groups", copy.groups_problem),
        servers_problem=explain_problem("servers", copy.servers_problem),
        is_locked=is_outage(copy.groups_problem) or client_for(project).is_circuit_open,
    )


@dataclass(frozen=True)
class RowLoad:
    """Servers and sessions of a group. None: not read yet, or not known."""

    ready: int | None
    servers: int | None
    sessions: int | None
    capacity: int | None
    """The number of sessions that the ready servers accept."""

    @classmethod
    def of(cls, copy: GroupCopy) -> "RowLoad":
        return cls(copy.ready, copy.servers, copy.sessions, capacity_of(copy.max_session, copy.ready))

    @property
    def nearly_full(self) -> int:
        """The number of sessions from which the group is nearly full."""
        return round((self.capacity or 0) * NEARLY_FULL)


@dataclass(frozen=True)
class Row:
    """A group with its switch. `key` makes a double click on the switch one change.

    `older_as_of` is the time of this copy, if the latest complete list lacks the group.
    """

    group: ServerGroup
    last_change: ChangeIntent | None
    pending: ChangeIntent | None
    is_locked: bool = False
    older_as_of: datetime | None = None
    load: RowLoad | None = None
    is_changed_outside: bool = False
    """Whether someone changed the group outside the dashboard within the last day."""
    key: str = field(default_factory=lambda: uuid.uuid4().hex, compare=False)


@dataclass(frozen=True)
class Listing:
    """One page of the matching groups, and the state of the copy."""

    query: Query
    page: GroupPage
    state: CopyState = field(repr=False)

    @property
    def groups(self) -> Sequence[GroupCopy]:
        return self.page.groups

    @property
    def found(self) -> int | None:
        return self.page.found

    @property
    def previous(self) -> str:
        return self.query.link(page=self.page.number - 1) if self.page.number > 1 else ""

    @property
    def next(self) -> str:
        return self.query.link(page=self.page.number + 1) if self.page.has_next else ""

    def rows(self, recent: RecentChanges) -> list[Row]:
        return [
            Row(
                _as_group(copy),
                recent.last.get(copy.group_id),
                recent.pending.get(copy.group_id),
                is_locked=self.state.is_locked or self._is_older(copy),
                older_as_of=copy.read_at if self._is_older(copy) else None,
                load=RowLoad.of(copy),
                is_changed_outside=_is_recent(copy.changed_outside_at),
            )
            for copy in self.groups
        ]

    def _is_older(self, copy: GroupCopy) -> bool:
        """Whether the latest complete read did not return the group."""
        as_of = self.state.copy.groups_as_of
        return copy.missing_since is not None or (as_of is not None and copy.read_at < as_of)


def _is_recent(moment: datetime | None) -> bool:
    return moment is not None and moment > timezone.now() - MARKED_FOR


def list_groups(project: Project, query: Query) -> Listing:
    page = find_groups(project.slug, query)
    return Listing(replace(query, page=page.number), page, read_copy_state(project, page.copy))


def _as_group(copy: GroupCopy) -> ServerGroup:
    """The group with the values that the list shows."""
    return ServerGroup(
        id=copy.group_id,
        name=copy.name or None,
        description=copy.description,
        server_group_status=copy.status,
        app_type=copy.app_type or None,
        image_name=copy.image_name or None,
        system_disk_type=getattr(copy, "disk_type", None),
        system_disk_size=copy.disk_size,
        app_group_count=copy.app_groups,
        update_time=copy.update_time,
        primary_server_group_ids=("",) if copy.role == "standby" else (),
        secondary_server_group_ids=("",) if copy.role == "primary" else (),
    )
