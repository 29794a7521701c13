"""Live reads of a group, in parallel, for its page, its edit form and the switch-off dialog."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.utils.translation import gettext_lazy as _

from dashboard.cloud.client import Client, client_for
from dashboard.cloud.errors import CloudError, RejectedError, ThrottledError
from dashboard.cloud.parsing import id_problem
from dashboard.cloud.projects import Project
from dashboard.cloud.request_limits import RequestThreadPool
from dashboard.cloud.resources import ServerGroup, ServerGroupState, Session
from dashboard.inventory.models import GroupCopy
from dashboard.server_groups.fields import GroupContext, ShownGroup
from dashboard.server_groups.inputs import Text

T = TypeVar("T")
READY = "REGISTERED"
"""The status of a server that accepts sessions (workspace-api.md 2.4)."""
SERVER_STATES = {
    READY: _("ready"),
    "UNREGISTER": _("not ready"),
    "MAINTAINING": _("in maintenance"),
    "FREEZE": _("frozen"),
    "STOPPED": _("stopped"),
    "NONE": _("abnormal"),
}
SESSION_STATES = {"Active": _("active"), "Disconnected": _("disconnected"), "AppcInit": _("initialising")}
"""The states of an open session (workspace-api.md 2.10)."""


@dataclass(frozen=True)
class Tally:
    """The number of servers or sessions in one state. `state` is the cloud's own word if we have none."""

    state: Text
    count: int


@dataclass(frozen=True)
class Overview:
    """A group with its servers, sessions and partners. A part that could not be read is None."""

    group: ServerGroup
    state: ServerGroupState | None
    sessions: tuple[Session, ...] | None
    partners: tuple[ServerGroup, ...] | None
    """The standby groups, or the primary of a standby. With an unusable id, only the id is known."""
    copied_at: datetime | None = None
    """The time of the local copy, if this is the copy, because the cloud does not respond."""
    problem: CloudError | None = None

    @property
    def ready(self) -> int | None:
        return self.state.counts.get(READY, 0) if self.state else None

    @property
    def servers_by_state(self) -> tuple[Tally, ...] | None:
        """The number of servers in each state, in the cloud's order. The state *ready* is always included."""
        if self.state is None:
            return None
        counts = {READY: 0, **self.state.counts}
        return tuple(
            Tally(SERVER_STATES.get(state, state), count) for state, count in counts.items() if count or state == READY
        )

    @property
    def sessions_by_state(self) -> tuple[Tally, ...] | None:
        if self.sessions is None:
            return None
        counts = Counter(session.session_state for session in self.sessions)
        return tuple(Tally(words, counts[state]) for state, words in SESSION_STATES.items())

    @property
    def active(self) -> int | None:
        return self._count("Active")

    @property
    def disconnected(self) -> int | None:
        return self._count("Disconnected")

    def _count(self, state: str) -> int | None:
        return None if self.sessions is None else sum(session.session_state == state for session in self.sessions)


def read_overview_or_copy(project: Project, group_id: str) -> Overview:
    """Read a group and its parts, or show the local copy if the cloud does not respond.

    Raises CloudError if there is no copy, or if the cloud refuses the read.
    """
    try:
        return read_overview(project, group_id)
    except CloudError as error:
        is_refusal = isinstance(error, RejectedError) and not isinstance(error, ThrottledError)
        copy = None if is_refusal else GroupCopy.objects.of(project.slug).filter(group_id=group_id).first()
        if copy is None:
            raise
        return _overview_of_copy(copy, error)


def _overview_of_copy(copy: GroupCopy, error: CloudError) -> Overview:
    group = copy.group
    ids = group.primary_server_group_ids or group.secondary_server_group_ids
    partners = GroupCopy.objects.of(copy.project).filter(group_id__in=ids)
    state = ServerGroupState(copy.servers_by_state) if copy.servers_as_of else None
    return Overview(group, state, None, tuple(row.group for row in partners), copy.read_at, error)


def read_overview(project: Project, group_id: str) -> Overview:
    """Read a group and its parts. Raises CloudError only if the group itself cannot be read."""
    client = client_for(project)
    with RequestThreadPool(max_workers=3) as pool:
        state = pool.submit(_or_none, lambda: client.show_server_group_state(group_id))
        sessions = pool.submit(_or_none, lambda: client.list_sessions(group_id))
        group = client.show_server_group(group_id)
        partners = _or_none(lambda: _read_partners(client, group))
        return Overview(group, state.result(), sessions.result(), partners)


def read_shown(project: Project, group_id: str) -> ShownGroup:
    """Read a group and its context. Raises CloudError only if the group itself cannot be read."""
    client = client_for(project)
    with RequestThreadPool(max_workers=2) as pool:
        restrict = pool.submit(_or_none, client.show_restrict)
        servers = pool.submit(_or_none, lambda: client.list_servers(group_id))
        group = client.show_server_group(group_id)
        ceiling, members = restrict.result(), servers.result()
    context = GroupContext(
        session_ceiling=ceiling.max_session if ceiling else None,
        has_directory=any(server.domain for server in members) if members else None,
    )
    return ShownGroup(group, context)


def _read_partners(client: Client, group: ServerGroup) -> tuple[ServerGroup, ...]:
    ids = group.primary_server_group_ids or group.secondary_server_group_ids
    return tuple(ServerGroup(one) if id_problem(one) else client.show_server_group(one) for one in ids)


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except CloudError:
        return None
