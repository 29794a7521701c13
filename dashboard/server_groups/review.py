"""The review before a change is sent: old and new values, the time it takes effect, its consequences, the request."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext, ngettext

from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import Server, ServerGroup
from dashboard.server_groups.fields import BY_PATH, IMAGE_PATHS, MAX_SESSION, STATUS, EditableField, Effect, payload
from dashboard.server_groups.inputs import Value
from dashboard.server_groups.snippets import Snippet, snippets

NAMED_SERVERS = 5
"""The maximum number of servers that a consequence names."""


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
    """A replaced image needs a separate confirmation, as in the provider's console."""
    snippets: tuple[Snippet, ...]


def read_review(project: Project, group: ServerGroup, changes: Mapping[str, Value]) -> Review:
    """Make the review of a change. It reads the group's servers only if the change concerns them."""
    is_image_replaced = any(path in changes for path in IMAGE_PATHS)
    servers = _servers(project, group) if is_image_replaced or MAX_SESSION in changes else None
    return Review(
        changes=tuple(_reviewed(BY_PATH[path], group, value) for path, value in changes.items()),
        consequences=(
            *_effects(changes),
            *(_image_consequences(group, servers) if is_image_replaced else ()),
            *(_session_consequences(changes[MAX_SESSION], servers) if MAX_SESSION in changes else ()),
            *_cascades(project, group, changes),
        ),
        is_image_replaced=is_image_replaced,
        snippets=snippets(project, group.id, payload(changes, group)),
    )


def _reviewed(field: EditableField, group: ServerGroup, value: Value) -> ReviewedChange:
    return ReviewedChange(field, field.display(group.value(field.path)), field.display(value))


def _servers(project: Project, group: ServerGroup) -> tuple[Server, ...] | None:
    try:
        return client_for(project).list_servers(group.id)
    except CloudError:
        return None


def _effects(changes: Mapping[str, Value]) -> list[str]:
    """The notes of the API page about the changed fields."""
    effects = {BY_PATH[path].effect for path in changes}
    notes = []
    if changes.get(STATUS.path) is False:
        notes.append(
            gettext("The cloud refuses new sign-ins. The documentation does not say whether open sessions stay open.")
        )
    if Effect.NEW_SERVERS in effects:
        notes.append(
            gettext("Existing servers keep their image, disk and organisational unit. New servers get the new ones.")
        )
    if Effect.ROUTING in effects:
        notes.append(gettext("The cloud recalculates the routing when users next access the group."))
    return notes


def _image_consequences(group: ServerGroup, servers: Collection[Server] | None) -> list[str]:
    warning = gettext("If the image is replaced, old applications may fail to connect.")
    if servers is None:
        return [warning, gettext("The servers could not be read. It is not known how many use the present image.")]
    message = ngettext(
        "%(same)d of %(count)d server uses the present image and keeps it.",
        "%(same)d of %(count)d servers use the present image and keep it.",
        len(servers),
    )
    same = sum(server.image_id == group.image_id for server in servers)
    return [warning, message % {"same": same, "count": len(servers)}]


def _session_consequences(maximum: Value, servers: Collection[Server] | None) -> list[str]:
    """Name the servers that would refuse new sessions at the new maximum, because of the sessions they have now."""
    if servers is None:
        return [gettext("The servers could not be read. It is not known which of them would refuse new sessions.")]
    full = [server for server in servers if (server.session_count or 0) >= int(maximum or 0)]
    values = {"full": len(full), "count": len(servers), "maximum": maximum, "names": _names(full)}
    if not full:
        message = ngettext(
            "The server has fewer than %(maximum)s sessions now, so it would not refuse new ones.",
            "None of %(count)d servers has %(maximum)s sessions now, so none would refuse new ones.",
            len(servers),
        )
    elif len(full) <= NAMED_SERVERS:
        message = gettext("%(full)d of %(count)d servers would refuse new sessions now: %(names)s.")
    else:
        values["more"] = len(full) - NAMED_SERVERS
        message = gettext("%(full)d of %(count)d servers would refuse new sessions now: %(names)s and %(more)d more.")
    return [message % values]


def _names(servers: list[Server]) -> str:
    return ", ".join(f"{server.name or server.id} ({server.session_count})" for server in servers[:NAMED_SERVERS])


def _cascades(project: Project, group: ServerGroup, changes: Mapping[str, Value]) -> list[str]:
    labels = [str(BY_PATH[path].label) for path in changes if BY_PATH[path].cascades]
    if not labels or not group.secondary_server_group_ids:
        return []
    names = ", ".join(_name(project, group_id) for group_id in group.secondary_server_group_ids)
    message = ngettext(
        "The cloud also changes this field of the standby %(names)s: %(fields)s.",
        "The cloud also changes these fields of the standby %(names)s: %(fields)s.",
        len(labels),
    )
    return [message % {"names": names, "fields": ", ".join(labels)}]


def _name(project: Project, group_id: str) -> str:
    try:
        return client_for(project).show_server_group(group_id).name or group_id
    except CloudError:
        return group_id
