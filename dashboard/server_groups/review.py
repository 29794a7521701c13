"""What a change will do, shown before it is sent: old and new values, when it takes effect, and its consequences."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import Server, ServerGroup
from dashboard.server_groups.fields import BY_PATH, IMAGE_PATHS, MAX_SESSION, STATUS, EditableField, Effect, payload
from dashboard.server_groups.inputs import Value
from dashboard.server_groups.snippets import Snippet, snippets


@dataclass(frozen=True)
class ReviewedChange:
    field: EditableField
    before: str
    after: str


@dataclass(frozen=True)
class Review:
    changes: tuple[ReviewedChange, ...]
    consequences: tuple[str, ...]
    is_image_replaced: bool
    """A replaced image needs a confirmation of its own, as in the provider's console."""
    snippets: tuple[Snippet, ...]


def read_review(project: Project, group: ServerGroup, changes: Mapping[str, Value]) -> Review:
    """Read the group's servers only if a change concerns them; what cannot be read is shown as unknown."""
    touches_servers = any(path in changes for path in (MAX_SESSION, *IMAGE_PATHS))
    servers = _servers(project, group) if touches_servers else None
    return Review(
        changes=tuple(_reviewed(BY_PATH[path], group, value) for path, value in changes.items()),
        consequences=(
            *_effects(changes),
            *(_image_consequences(group, servers) if _replaces_image(changes) else ()),
            *(_what_if(changes[MAX_SESSION], servers) if MAX_SESSION in changes else ()),
            *_cascades(project, group, changes),
        ),
        is_image_replaced=_replaces_image(changes),
        snippets=snippets(project, group.id, payload(changes, group)),
    )


def _reviewed(field: EditableField, group: ServerGroup, value: Value) -> ReviewedChange:
    return ReviewedChange(field, field.display(group.value(field.path)), field.display(value))


def _replaces_image(changes: Mapping[str, Value]) -> bool:
    return any(path in changes for path in IMAGE_PATHS)


def _servers(project: Project, group: ServerGroup) -> tuple[Server, ...] | None:
    try:
        return client_for(project).list_servers(group.id)
    except CloudError:
        return None


def _effects(changes: Mapping[str, Value]) -> list[str]:
    """The notes of the API page, for the fields they are about."""
    effects = {BY_PATH[path].effect for path in changes}
    notes = []
    if changes.get(STATUS.path) is False:
        notes.append("New sign-ins are refused. What happens to open sessions is not documented.")
    if Effect.NEW_SERVERS in effects:
        notes.append("Existing servers keep their image, disk and organisational unit. New servers get the new ones.")
    if Effect.ROUTING in effects:
        notes.append("Routing is recalculated when users next access the group.")
    return notes


def _image_consequences(group: ServerGroup, servers: tuple[Server, ...] | None) -> list[str]:
    warning = "If the image is replaced, old applications may fail to connect."
    if servers is None:
        return [warning, "The servers could not be read, so how many use the present image is not known."]
    same = sum(server.image_id == group.image_id for server in servers)
    return [warning, f"{same} of {len(servers)} servers use the present image and keep it."]


def _what_if(wanted: Value, servers: tuple[Server, ...] | None) -> list[str]:
    """Name the servers that would take no new session at the wanted maximum, by the sessions they have now."""
    if servers is None:
        return ["The servers could not be read, so which of them have more sessions than that is not known."]
    full = [server for server in servers if (server.session_count or 0) >= int(wanted or 0)]
    if not full:
        return [f"None of {len(servers)} servers has {wanted} sessions now, so none would refuse new ones."]
    names = ", ".join(f"{server.name or server.id} ({server.session_count})" for server in full[:5])
    more = f" and {len(full) - 5} more" if len(full) > 5 else ""
    return [f"{len(full)} of {len(servers)} servers would refuse new sessions now: {names}{more}."]


def _cascades(project: Project, group: ServerGroup, changes: Mapping[str, Value]) -> list[str]:
    fields = [BY_PATH[path].label for path in changes if BY_PATH[path].cascades]
    if not fields or not group.secondary_server_group_ids:
        return []
    names = ", ".join(_name(project, group_id) for group_id in group.secondary_server_group_ids)
    return [f"{' and '.join(fields)} will also change on the standby: {names}."]


def _name(project: Project, group_id: str) -> str:
    try:
        return client_for(project).show_server_group(group_id).name or group_id
    except CloudError:
        return group_id
