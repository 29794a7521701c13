"""What a group looks like this second: read live, side by side, for its page and for the switch-off dialog."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dashboard.cloud.client import Client, client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.parsing import id_problem
from dashboard.cloud.projects import Project
from dashboard.cloud.request_limits import RequestThreadPool
from dashboard.cloud.resources import ServerGroup, ServerGroupState, Session
from dashboard.server_groups.fields import GroupContext, ShownGroup

T = TypeVar("T")
READY = "REGISTERED"
"""The status of a server that takes sessions (workspace-api.md 2.4)."""
SERVER_STATES = {
    READY: "ready",
    "UNREGISTER": "not ready",
    "MAINTAINING": "in maintenance",
    "FREEZE": "frozen",
    "STOPPED": "stopped",
    "NONE": "abnormal",
}
SESSION_STATES = {"Active": "active", "Disconnected": "disconnected", "AppcInit": "initialising"}
"""The states of a session that is open (workspace-api.md 2.10)."""


@dataclass(frozen=True)
class Tally:
    """How many of something are in one state; `state` in words, the cloud's own where we have none."""

    state: str
    count: int


@dataclass(frozen=True)
class Overview:
    """A group and what hangs on it. A part that could not be read is None: nothing here is guessed."""

    group: ServerGroup
    state: ServerGroupState | None
    sessions: tuple[Session, ...] | None
    partners: tuple[ServerGroup, ...] | None
    """Its standby groups, or the primary of a standby; of one whose id cannot be asked for, only the id."""

    @property
    def ready(self) -> int | None:
        return self.state.counts.get(READY, 0) if self.state else None

    @property
    def servers_by_state(self) -> tuple[Tally, ...] | None:
        """The states that servers are in, in the cloud's order; ready always, even if none is."""
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


@dataclass(frozen=True)
class Load:
    """What runs in a group: servers ready of all, and the sessions on them."""

    ready: int = 0
    servers: int = 0
    sessions: int = 0


def read_loads(project: Project) -> dict[str, Load]:
    """The load of every group that has servers, from one read of all servers of the project."""
    loads: dict[str, Load] = {}
    for server in client_for(project).list_servers():
        group_id = server.server_group_id or ""
        load = loads.get(group_id, Load())
        loads[group_id] = Load(
            ready=load.ready + (server.status == READY),
            servers=load.servers + 1,
            sessions=load.sessions + (server.session_count or 0),
        )
    return loads


def read_overview(project: Project, group_id: str) -> Overview:
    """Raises CloudError only when the group itself cannot be read."""
    client = client_for(project)
    with RequestThreadPool(max_workers=3) as pool:
        state = pool.submit(_or_none, lambda: client.show_server_group_state(group_id))
        sessions = pool.submit(_or_none, lambda: client.list_sessions(group_id))
        group = client.show_server_group(group_id)
        partners = _or_none(lambda: _read_partners(client, group))
        return Overview(group, state.result(), sessions.result(), partners)


def read_shown(project: Project, group_id: str) -> ShownGroup:
    """The group with what decides which of its fields apply. Only the group itself must be readable."""
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
