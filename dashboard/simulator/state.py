"""The groups, servers and sessions of the simulated cloud. Documents are replaced, never changed in place."""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile

from dashboard.simulator.catalogue import PROJECTS
from dashboard.simulator.data import SeededGroup, instant, seed_groups
from dashboard.simulator.groups import Groups
from dashboard.simulator.history import AppliedChange, undo
from dashboard.simulator.life import Life, ScheduledChange, edit, rng_of, scheduled_changes
from dashboard.simulator.load_curve import whole_minute
from dashboard.simulator.project_state import ProjectState
from dashboard.simulator.responses import Document
from dashboard.simulator.sample_servers import GroupServers


class GroupExistsError(ValueError):
    """Another group has this id."""


class Store:
    def __init__(self, groups: int, seed: int, *, has_life: bool = False) -> None:
        self.lock = threading.RLock()
        """Held during a change and the reads that the change depends on."""
        self._seed, self._has_life = seed, has_life
        self._seeded = {project.id: seed_groups(project, groups, seed) for project in PROJECTS.values()}
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.life = Life(self._has_life)
            self._caught_up = begin = self.life.now()
            self._history: list[AppliedChange] = []
            self._projects = {
                project_id: ProjectState(PROJECTS[project_id], seeded, self._seed, begin)
                for project_id, seeded in self._seeded.items()
            }

    def groups(self, project_id: str, as_of: float | None = None) -> Groups:
        """A project's groups, now or at a moment of the monotonic clock."""
        with self.lock:
            groups = self._projects[project_id].groups()
            if as_of is None:
                return groups
            later = takewhile(lambda change: change.moment > as_of, reversed(self._history))
            return undo(groups, [change for change in later if change.project == project_id])

    def project_of(self, group_id: str) -> str | None:
        return next((project_id for project_id, held in self._projects.items() if group_id in held), None)

    def change(
        self, project_id: str, group_id: str, members: Document, request: int | None, at: datetime | None = None
    ) -> Document:
        with self.lock:
            held, at = self._projects[project_id], at or self.life.now()
            before = held[group_id]
            after = {**before, **members}
            held.put(group_id, after, at)
            self._note(project_id, group_id, request, before, after, at)
            return after

    def _note(
        self,
        project_id: str,
        group_id: str,
        request: int | None,
        before: Document | None,
        after: Document | None,
        at: datetime,
        place: int = 0,
    ) -> None:
        number = len(self._history) + 1
        self._history.append(AppliedChange(number, project_id, group_id, request, before, after, at, place))

    def add_group(self, project_id: str, members: Document, place: int | None = None) -> Document:
        """Add a made-up group with these members, by default at the end of the list. Raises GroupExistsError."""
        with self.lock:
            held, at = self._projects[project_id], self.life.now()
            made = held.make_group(at)
            group = SeededGroup(made.sample, {**made.document, **members})
            if self.project_of(group.id):
                raise GroupExistsError(f"There is a group {group.id} already.")
            place = len(held.ids) if place is None else place
            held.add(group, place)
            self._note(project_id, group.id, None, None, group.document, at, place)
            return group.document

    def remove_group(self, project_id: str, group_id: str) -> None:
        with self.lock:
            held = self._projects[project_id]
            before = held[group_id]
            place = held.remove(group_id)
            self._note(project_id, group_id, None, before, None, self.life.now(), place)

    def history(self) -> list[AppliedChange]:
        with self.lock:
            return list(self._history)

    def minute(self) -> datetime | None:
        """The minute whose servers and sessions are shown; None if they never change."""
        return whole_minute(self.life.now()) if self.life.is_on else None

    def group_servers(self, project_id: str, group_id: str, minute: datetime | None = None) -> GroupServers:
        with self.lock:
            return self._projects[project_id].servers(group_id, minute or self.minute())

    def server_count(self, project_id: str, group_id: str) -> int:
        with self.lock:
            return self._projects[project_id].server_count(group_id, self.minute())

    def server_ends(self, project_id: str, ids: Sequence[str], minute: datetime | None) -> Sequence[int]:
        """The number of servers up to and including each group."""
        with self.lock:
            return self._projects[project_id].server_ends(ids, minute)

    def move_sessions(self, project_id: str, group_id: str, *, state: str) -> None:
        """Move the open sessions of a group that was switched off to another state."""
        with self.lock:
            self._projects[project_id].move_sessions(group_id, state)

    def set_life(self, life: Life) -> None:
        """Scheduled changes begin now if life was off or its clock goes back, otherwise they continue."""
        with self.lock:
            self.catch_up()
            if not self.life.is_on or life.now() < self._caught_up:
                self._caught_up = life.now()
            self.life = life

    def catch_up(self) -> None:
        """Make the scheduled changes that are due."""
        with self.lock:
            since, now = self._caught_up, self.life.now()
            if self.life.is_on and since < now:
                self._caught_up = now
                for change in scheduled_changes(self._seed, since, now):
                    self._make(change)

    def _make(self, change: ScheduledChange) -> None:
        rng = rng_of(self._seed, change)
        groups: Mapping[str, int] = {project_id: len(held.ids) for project_id, held in self._projects.items()}
        if not any(groups.values()):
            return
        [project_id] = rng.choices(list(groups), list(groups.values()))
        held = self._projects[project_id]
        group_id = rng.choice(held.ids)
        members = {**edit(change, held[group_id], rng), "update_time": instant(change.at)}
        self.change(project_id, group_id, members, None, change.at)
