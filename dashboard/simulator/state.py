"""The groups, servers and sessions of the simulated cloud. Documents are replaced, never changed in place."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dashboard.simulator.catalogue import PROJECTS
from dashboard.simulator.data import SeededGroup, instant, seed_groups
from dashboard.simulator.responses import Document
from dashboard.simulator.sample_servers import OPEN_STATES, GroupServers, seed_servers


@dataclass(frozen=True)
class AppliedChange:
    """An applied change of one group."""

    number: int
    project: str
    group: str
    request: int | None
    """The number of its request in the request log; None for a control or a fault."""
    before: Document
    after: Document
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    moment: float = field(default_factory=time.monotonic)

    def document(self) -> Document:
        return {
            "number": self.number,
            "time": instant(self.at),
            "project": self.project,
            "group": self.group,
            "request": self.request,
            "before": self.before,
            "after": self.after,
        }


@dataclass
class _ProjectState:
    """The state of one project."""

    seeded: Mapping[str, SeededGroup]
    groups: dict[str, Document]
    servers: dict[str, GroupServers]


class Store:
    def __init__(self, groups: int, seed: int) -> None:
        self.lock = threading.RLock()
        """Held during a change and the reads that the change depends on."""
        self._count, self._seed = groups, seed
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self._now = datetime.now(UTC)
            self._history: list[AppliedChange] = []
            self._projects = {project_id: self._seed_project(project_id) for project_id in PROJECTS}

    def _seed_project(self, project_id: str) -> _ProjectState:
        seeded = {group.id: group for group in seed_groups(PROJECTS[project_id], self._count, self._seed)}
        return _ProjectState(seeded, {group.id: group.document for group in seeded.values()}, {})

    def groups(self, project_id: str, as_of: float | None = None) -> dict[str, Document]:
        """A project's groups by id, now or at a moment of the monotonic clock."""
        with self.lock:
            groups = dict(self._projects[project_id].groups)
            for change in reversed(self._history):
                if as_of is None or change.moment <= as_of:
                    break
                if change.project == project_id:
                    groups[change.group] = change.before
            return groups

    def project_of(self, group_id: str) -> str | None:
        return next((project for project, held in self._projects.items() if group_id in held.groups), None)

    def change(self, project_id: str, group_id: str, members: Document, request: int | None) -> Document:
        with self.lock:
            groups = self._projects[project_id].groups
            before, after = groups[group_id], {**groups[group_id], **members}
            groups[group_id] = after
            self._history.append(AppliedChange(len(self._history) + 1, project_id, group_id, request, before, after))
            return after

    def history(self) -> list[AppliedChange]:
        with self.lock:
            return list(self._history)

    def group_servers(self, project_id: str, group_id: str) -> GroupServers:
        with self.lock:
            held = self._projects[project_id]
            if group_id not in held.servers:
                held.servers[group_id] = seed_servers(
                    held.seeded[group_id], PROJECTS[project_id], self._seed, self._now
                )
            return held.servers[group_id]

    def end_sessions(self, project_id: str, group_id: str, *, state: str) -> None:
        """Move the open sessions of a group to another state."""
        with self.lock:
            servers = self.group_servers(project_id, group_id)
            moved = tuple(_moved(session, state) for session in servers.sessions)
            self._projects[project_id].servers[group_id] = replace(servers, sessions=moved)


def _moved(session: Document, state: str) -> Document:
    if session["session_state"] not in OPEN_STATES:
        return session
    ended: dict[str, Any] = {} if state in OPEN_STATES else {"end_time": instant(datetime.now(UTC))[:19] + "Z"}
    return {**session, **ended, "session_state": state}
