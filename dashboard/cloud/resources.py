"""Resources of the cloud as frozen dataclasses, with the names of the API (workspace-api.md 2).

`from_api()` raises no error. A member that is absent or has a wrong type is None (a list: empty). An unknown enum value
remains text. An item without an id is None, because no call can use it. Long texts are cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from dashboard.cloud import parsing

EditableValue = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Tag:
    key: str
    value: str

    @classmethod
    def from_api(cls, data: object) -> Self | None:
        tag = parsing.members(data)
        key = parsing.short_text(tag, "key")
        return cls(key, parsing.short_text(tag, "value") or "") if key else None


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """Limits from which a server gets no more sessions: a count, and three thresholds in percent."""

    max_session: int | None = None
    cpu_threshold: int | None = None
    gpu_threshold: int | None = None
    mem_threshold: int | None = None

    @classmethod
    def from_api(cls, data: object) -> Self | None:
        return cls(**parsing.plain_members(cls, data)) if isinstance(data, dict) else None


@dataclass(frozen=True, slots=True)
class Product:
    """The package of the group's servers. `memory` is in MB, `sessions` is its default number of sessions."""

    product_id: str | None = None
    flavor_id: str | None = None
    type: str | None = None
    architecture: str | None = None
    cpu: str | None = None
    memory: str | None = None
    is_gpu: bool | None = None
    gpu_desc: str | None = None
    charge_mode: str | None = None
    sessions: int | None = None
    status: str | None = None

    @classmethod
    def from_api(cls, data: object) -> Self | None:
        return cls(**parsing.plain_members(cls, data)) if isinstance(data, dict) else None


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """A server group. None means "not reported", never "off" or "empty".

    Only ShowServerGroup returns `route_policy`, `image_type` and `image_product_id`. Older regions do not return them
    (workspace-api.md 2.2).
    """

    id: str
    name: str | None = None
    description: str | None = None
    server_group_status: bool | None = None
    app_type: str | None = None
    storage_mount_policy: str | None = None
    image_id: str | None = None
    image_name: str | None = None
    image_type: str | None = None
    image_product_id: str | None = None
    os_type: str | None = None
    is_vdi: bool | None = None
    system_disk_type: str | None = None
    system_disk_size: int | None = None
    ou_name: str | None = None
    route_policy: RoutePolicy | None = None
    product_id: str | None = None
    product_info: Product | None = None
    extra_session_type: str | None = None
    extra_session_size: int | None = None
    subnet_id: str | None = None
    subnet_name: str | None = None
    project_name: str | None = None
    enterprise_project_id: str | None = None
    site_type: str | None = None
    site_id: str | None = None
    create_time: datetime | None = None
    update_time: datetime | None = None
    primary_server_group_ids: tuple[str, ...] = ()
    secondary_server_group_ids: tuple[str, ...] = ()
    app_server_count: int | None = None
    app_server_flavor_count: int | None = None
    app_group_count: int | None = None
    tags: tuple[Tag, ...] = ()

    @classmethod
    def from_api(cls, data: object) -> Self | None:
        group = parsing.members(data)
        group_id = parsing.short_text(group, "id", parsing.LONGEST_STORED_ID)
        if not group_id:
            return None
        return cls(
            id=group_id,
            route_policy=RoutePolicy.from_api(group.get("route_policy")),
            product_info=Product.from_api(group.get("product_info")),
            tags=parsing.each(group, "tags", Tag.from_api)[: parsing.MOST_ITEMS],
            **parsing.plain_members(cls, group),
        )

    @property
    def id_problem(self) -> str:
        """The reason why this group cannot have a page, as a sentence; empty if it can."""
        return parsing.id_problem(self.id)

    def value(self, path: str) -> EditableValue:
        """An editable value by its path in the API body, such as `route_policy.max_session`. None: not reported."""
        value: object = self
        for step in path.split("."):
            value = getattr(value, step) if value is not None else None
        if value is None or isinstance(value, str | int | bool):
            return value
        raise AttributeError(f"{path} is not a single value of a server group")


@dataclass(frozen=True)
class ServerGroupState:
    """Number of servers of a group in each status. The keys are the cloud's, known or not."""

    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_api(cls, data: object) -> Self:
        statuses = parsing.members(parsing.members(data).get("aps_status"))
        counts = ((status, parsing.integer(statuses, status)) for status in statuses)
        return cls({status: count for status, count in counts if count is not None})

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Server:
    """A server. Its `image_id` can be older than that of its group."""

    id: str
    name: str | None = None
    machine_name: str | None = None
    server_group_id: str | None = None
    status: str | None = None
    vm_status: str | None = None
    task_status: str | None = None
    maintain_status: bool | None = None
    session_count: int | None = None
    image_id: str | None = None
    availability_zone: str | None = None
    domain: str | None = None

    @classmethod
    def from_api(cls, data: object) -> Self | None:
        server = parsing.members(data)
        server_id = parsing.short_text(server, "id")
        return cls(id=server_id, **parsing.plain_members(cls, server)) if server_id else None


@dataclass(frozen=True, slots=True)
class Session:
    """A session on a server. `session_type` "1" is a shared desktop, "2" an application."""

    id: str
    login_user: str | None = None
    app_server_group_id: str | None = None
    session_state: str | None = None
    session_type: str | None = None
    app_name: str | None = None
    machine_name: str | None = None
    start_time: datetime | None = None

    @classmethod
    def from_api(cls, data: object) -> Self | None:
        session = parsing.members(data)
        session_id = parsing.short_text(session, "id")
        return cls(id=session_id, **parsing.plain_members(cls, session)) if session_id else None
