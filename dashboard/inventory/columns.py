"""Put a group of the cloud into the columns of its copy."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any

from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.search import search_text

DETAILS = ("project_name", "route_policy", "image_type", "image_product_id")
"""The members that only ShowServerGroup returns (workspace-api.md 2.2)."""
LONGEST_KEY = 200
"""Characters of a value in an index. PostgreSQL accepts no entry of more than 2,704 bytes."""
LISTED = tuple(part.name for part in fields(ServerGroup) if part.name not in DETAILS)


def columns_of(group: ServerGroup) -> dict[str, object]:
    """The values of the columns that the list returns, with `data`."""
    return {
        "name": group.name or "",
        "name_key": (group.name or group.id).casefold()[:LONGEST_KEY],
        "description": group.description or "",
        "status": group.server_group_status,
        "app_type": (group.app_type or "")[:LONGEST_KEY],
        "role": role(group),
        "image_name": (group.image_name or "")[:LONGEST_KEY],
        "disk_size": group.system_disk_size,
        "app_groups": group.app_group_count,
        "update_time": group.update_time,
        "search_text": search_text(group),
        "data": data_of(group),
    }


def detail_columns_of(group: ServerGroup) -> dict[str, object]:
    """The values of the columns that only ShowServerGroup returns."""
    policy = group.route_policy
    return {
        "details": _members(group, DETAILS),
        "details_update_time": group.update_time,
        "max_session": policy.max_session if policy else None,
    }


def data_of(group: ServerGroup) -> dict[str, Any]:
    """The members of a list item as JSON, with the names of the API. Members without a value are left out."""
    return _members(group, LISTED)


def completed(group: ServerGroup, known: Mapping[str, Any]) -> ServerGroup:
    """The group, with the values of an earlier `data` that the response lacks. An absent list is empty."""
    return ServerGroup.from_api({**known, **_members(group, (*LISTED, *DETAILS))}) or group


def role(group: ServerGroup) -> str:
    """`standby` if a group names its primary, `primary` if it names a standby, else empty."""
    if group.primary_server_group_ids:
        return "standby"
    return "primary" if group.secondary_server_group_ids else ""


def _members(value: object, names: tuple[str, ...]) -> dict[str, Any]:
    values = ((name, getattr(value, name)) for name in names)
    return {name: _as_json(member) for name, member in values if member is not None}


def _as_json(value: Any) -> Any:
    if isinstance(value, str | int):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_as_json(item) for item in value]
    resource: type = type(value)
    return _members(value, _names_of(resource))


@cache
def _names_of(resource: type) -> tuple[str, ...]:
    return tuple(part.name for part in fields(resource))
