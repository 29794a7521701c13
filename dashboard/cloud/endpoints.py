"""The calls of the API: one method for each (workspace-api.md 1, 2 and 5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from dashboard.cloud import parsing
from dashboard.cloud.errors import NotFoundError
from dashboard.cloud.limits import Deadline
from dashboard.cloud.projects import Project
from dashboard.cloud.rules import CallKind

OPEN_SESSIONS = ("Active", "Disconnected", "AppcInit")
SESSION_AGE = timedelta(days=365)  # the documents give no limit; an open session is not older
CLOCK_SKEW = timedelta(minutes=15)  # the largest difference that the cloud accepts in a signature
IMAGES_A_PAGE = 500

# The IMS query for each `image_type` of the PATCH. The names differ: "gold" is a Marketplace image in the PATCH,
# and a public image in IMS (workspace-api.md 5.3).
IMAGE_QUERIES = {
    "gold": {"__imagetype": "market"},
    "public": {"__imagetype": "gold", "visibility": "public", "protected": "true"},
    "private": {"__imagetype": "private"},
    "shared": {"__imagetype": "shared", "visibility": "shared", "member_status": "accepted"},
}


@dataclass(frozen=True)
class Call:
    """One request to send. `name` is the name of the call in the API, for messages and IAM actions."""

    name: str
    kind: CallKind
    method: str
    endpoint: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    payload: Mapping[str, object] | None = field(default=None, repr=False)
    send_by: Deadline | None = None
    """The request must not be sent later."""
    is_repeatable: bool = True
    """Whether the client may send the request again. False if the caller counts every request."""


class Calls:
    """The calls of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def list_server_groups(self, group_id: str | None = None) -> Call:
        return self._get("ListServerGroups", "app-server-groups", {"server_group_id": group_id} if group_id else {})

    def show_server_group(self, group_id: str) -> Call:
        return self._get("ShowServerGroup", f"app-server-groups/{_segment(group_id)}")

    def update_server_group(self, group_id: str, payload: Mapping[str, object], send_by: Deadline) -> Call:
        path = f"app-server-groups/{_segment(group_id)}"
        return replace(self._send("UpdateServerGroup", CallKind.WRITE, "PATCH", path, payload), send_by=send_by)

    def show_server_group_state(self, group_id: str) -> Call:
        return self._get("ShowServerGroupState", f"app-server-groups/{_segment(group_id)}/state")

    def show_restrict(self) -> Call:
        return self._get("ShowServerGroupRestrict", "app-server-groups/resources/restrict")

    def validate_name(self, name: str) -> Call:
        """A POST that changes nothing, so its kind is READ."""
        return self._send(
            "ValidateServerGroup", CallKind.READ, "POST", "app-server-groups/rules/validate", {"name": name}
        )

    def list_servers(self, group_id: str | None) -> Call:
        return self._get("ListServers", "app-servers", {} if group_id is None else {"server_group_id": group_id})

    def list_sessions(self, group_id: str, states: tuple[str, ...]) -> Call:
        """The API requires both time bounds."""
        now = datetime.now(UTC)
        query = {
            "query_begin_time": _timestamp(now - SESSION_AGE),
            "query_end_time": _timestamp(now + CLOCK_SKEW),
            "app_server_group_id": group_id,
            "session_state": ",".join(states),
        }
        return self._get("ListSessions", "session/list-sessions", query)

    def list_volume_types(self) -> Call:
        return self._get("ListVolumeType", "volume-type")

    def list_images(self, image_type: str) -> Call:
        """The usable Windows images of IMS that belong to an `image_type` of the PATCH."""
        query = {"status": "active", "__os_type": "Windows", "limit": str(IMAGES_A_PAGE), **IMAGE_QUERIES[image_type]}
        if image_type == "private":
            query["owner"] = self._project.project_id
        return Call("ListImages", CallKind.READ, "GET", self._project.ims_endpoint, "/v2/cloudimages", query)

    def _get(self, name: str, path: str, query: Mapping[str, str] | None = None) -> Call:
        return Call(name, CallKind.READ, "GET", self._project.workspace_endpoint, self._path(path), query or {})

    def _send(self, name: str, kind: CallKind, method: str, path: str, payload: Mapping[str, object]) -> Call:
        return Call(name, kind, method, self._project.workspace_endpoint, self._path(path), payload=payload)

    def _path(self, path: str) -> str:
        return f"/v1/{self._project.project_id}/{path}"


def _segment(group_id: str) -> str:
    """The id, if it can be part of a path. Raises NotFoundError."""
    if parsing.id_problem(group_id):
        raise NotFoundError("no server group can have this id")
    return group_id


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
