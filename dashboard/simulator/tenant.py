"""The state and settings of the simulated cloud, and one call to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from dashboard.simulator.auth import TOKEN_LIFETIME, AccessControl, Caller
from dashboard.simulator.contract import Operation
from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.groups import Groups
from dashboard.simulator.log import RequestLog
from dashboard.simulator.responses import Document
from dashboard.simulator.rows import Rows
from dashboard.simulator.state import Store
from dashboard.simulator.switches import Switches


@dataclass(frozen=True)
class SimulatorSettings:
    groups: int = 42
    seed: int = 1
    latency_ms: int = 0
    faults: Sequence[Document] = ()
    """Faults that are active from the start, as `PUT /_simulator/faults` takes them."""
    has_life: bool = False
    """Servers and sessions follow the time of day, and groups are changed from outside."""


class Tenant:
    def __init__(self, settings: SimulatorSettings) -> None:
        self.switches = Switches()
        self.store = Store(settings.groups, settings.seed, has_life=settings.has_life)
        self.access = AccessControl(self.switches)
        self.log = RequestLog()
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1
        self.switches.reset()
        self.store.reset()
        self.access.reset()
        self.log.reset()


@dataclass(frozen=True)
class SimulatedCall:
    """An authenticated request that fits the contract of its operation."""

    tenant: Tenant
    operation: Operation
    request: int
    """Its number in the request log."""
    caller: Caller
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Any
    as_of: float | None = None
    """A fault reads the groups as they were at this moment of the monotonic clock."""
    hidden: frozenset[str] = frozenset()
    """The groups that lists lack. A fault hides them."""
    token_lifetime: timedelta = TOKEN_LIFETIME
    """How long a token of this sign-in is valid. A fault may shorten it."""

    @property
    def project(self) -> str:
        project: str = self.path["project_id"]
        return project

    @property
    def groups(self) -> Groups:
        groups = self.tenant.store.groups(self.project, self.as_of)
        return groups.without(self.hidden) if self.hidden and "offset" in self.query else groups

    @property
    def group(self) -> Document:
        group_id: str = self.path["server_group_id"]
        return self.group_by_id(group_id)

    def group_by_id(self, group_id: str) -> Document:
        group = self.groups.get(group_id)
        if group is None:
            raise SimulatedError(Code.GROUP_NOT_FOUND)
        return group

    def switch(self, name: str) -> str:
        return self.tenant.switches[name]

    def paged(self, items: Rows, *, without: frozenset[str] = frozenset()) -> Document:
        """One page of the items, each without the named members, and the number of all items."""
        start, size = self.query["offset"], self.query["limit"]
        page = [without_members(item, without) for item in items[start : start + size]]
        return {"count": len(items), "items": page}

    def with_query(self, **values: Any) -> "SimulatedCall":
        return replace(self, query={**self.query, **values})


def without_members(document: Document, members: frozenset[str]) -> Document:
    return {name: value for name, value in document.items() if name not in members}
