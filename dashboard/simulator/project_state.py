"""The state of one project: its groups, their servers, and when groups were off."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Any

from dashboard.simulator.catalogue import SimulatedProject
from dashboard.simulator.data import SeededGroup, SeededGroups, generate, instant, random_id, seeded_rng
from dashboard.simulator.groups import Groups
from dashboard.simulator.living_servers import living_servers
from dashboard.simulator.load_curve import LoadCurve
from dashboard.simulator.responses import Document
from dashboard.simulator.sample_groups import generated_group
from dashboard.simulator.sample_servers import OPEN_STATES, GroupServers, seed_servers


@dataclass(frozen=True)
class TimeOff:
    """A time in which a group is off: no session starts, and open ones may move to another state."""

    begin: datetime
    end: datetime | None = None
    state: str = ""
    """The state to which the open sessions move; empty if they stay open."""

    def apply(self, servers: GroupServers) -> GroupServers:
        sessions = (self._moved(session) for session in servers.sessions if not self._has(session["start_time"]))
        return replace(servers, sessions=tuple(sessions))

    def _has(self, start: str) -> bool:
        return _second(self.begin) < start and (self.end is None or start < _second(self.end))

    def _moved(self, session: Document) -> Document:
        is_open = session["session_state"] in OPEN_STATES and session["start_time"] <= _second(self.begin)
        if not (self.state and is_open):
            return session
        ended: dict[str, Any] = {} if self.state in OPEN_STATES else {"end_time": _second(self.begin)}
        return {**session, **ended, "session_state": self.state}


def _second(moment: datetime) -> str:
    return instant(moment)[:19] + "Z"


class ProjectState:
    def __init__(self, project: SimulatedProject, seeded: SeededGroups, seed: int, begin: datetime) -> None:
        self._project, self._seeded, self._seed, self._begin = project, seeded, seed, begin
        self.ids: tuple[str, ...] = tuple(seeded.samples)
        self._documents: dict[str, Document | None] = {}
        self._added: dict[str, SeededGroup] = {}
        self._numbers = len(seeded)
        self._off: dict[str, TimeOff] = {}
        self._counted: tuple[Sequence[str], datetime | None, Sequence[int]] = ((), None, ())
        """The groups and the minute of the last `server_ends`, and its result."""

    def groups(self) -> Groups:
        return Groups(self._seeded, self.ids, dict(self._documents))

    def __getitem__(self, group_id: str) -> Document:
        return Groups(self._seeded, self.ids, self._documents)[group_id]

    def __contains__(self, group_id: str) -> bool:
        return group_id in Groups(self._seeded, self.ids, self._documents)

    def put(self, group_id: str, document: Document, at: datetime) -> None:
        was_on, is_on = (bool(group["server_group_status"]) for group in (self[group_id], document))
        self._documents[group_id] = document
        if was_on and not is_on:
            self._off[group_id] = TimeOff(at)
        elif is_on and not was_on and group_id in self._off:
            self._off[group_id] = replace(self._off[group_id], end=at)

    def make_group(self, at: datetime) -> SeededGroup:
        """Make a group with a new number, which is not in the list yet."""
        self._numbers += 1
        rng = seeded_rng(self._seed, self._project.id, "added", self._numbers)
        made = generate(random_id(rng), generated_group(self._numbers, rng), self._project, self._seed)
        times = {"create_time": instant(at), "update_time": instant(at)}
        return SeededGroup(made.sample, {**made.document, **times})

    def add(self, group: SeededGroup, place: int) -> None:
        self.ids = (*self.ids[:place], group.id, *self.ids[place:])
        self._documents[group.id], self._added[group.id] = group.document, group

    def remove(self, group_id: str) -> int:
        """Remove a group, and return the place that it had in the list."""
        place = self.ids.index(group_id)
        self.ids = (*self.ids[:place], *self.ids[place + 1 :])
        self._documents[group_id] = None
        self._off.pop(group_id, None)
        return place

    def move_sessions(self, group_id: str, state: str) -> None:
        """Move the sessions that were open when the group was switched off to another state."""
        self._off[group_id] = replace(self._off[group_id], state=state)

    def servers(self, group_id: str, minute: datetime | None) -> GroupServers:
        """The servers and sessions of a group: in a minute of a cloud with life, or those that never change."""
        group = self._added.get(group_id) or self._seeded[group_id]
        servers = (
            living_servers(group, self._project, self._seed, minute)
            if minute
            else seed_servers(group, self._project, self._seed, self._begin)
        )
        off = self._off.get(group_id)
        return off.apply(servers) if off else servers

    def server_count(self, group_id: str, minute: datetime | None) -> int:
        added = self._added.get(group_id)
        sample = added.sample if added else self._seeded.samples[group_id]
        return LoadCurve(self._seed, group_id, sample).servers(minute) if minute and sample.scaling else sample.servers

    def server_ends(self, ids: Sequence[str], minute: datetime | None) -> Sequence[int]:
        """The number of servers up to and including each group."""
        known_ids, known_minute, ends = self._counted
        if known_ids is not ids or known_minute != minute:
            ends = tuple(accumulate(self.server_count(group_id, minute) for group_id in ids))
            self._counted = ids, minute, ends
        return ends
