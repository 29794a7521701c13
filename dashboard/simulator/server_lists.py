"""Lists of servers and sessions."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.groups import Groups
from dashboard.simulator.responses import Document, SimulatedResponse, json_response
from dashboard.simulator.rows import RowsByKey
from dashboard.simulator.sample_servers import OPEN_STATES, GroupServers
from dashboard.simulator.tenant import SimulatedCall

FILTERS_OF_SERVERS = frozenset(
    ("server_name", "machine_name", "ip_addr", "server_id", "maintain_status", "scaling_auto_create")
)
SESSION_STATES = ("Active", "Disconnected", "AppcInit", "SignedOut", "InitFail")


def list_servers(call: SimulatedCall) -> SimulatedResponse:
    store, groups = call.tenant.store, call.groups
    ids, minute = _chosen(groups, call.query.get("server_group_id")), store.minute()

    def servers(group_id: str) -> list[Document]:
        return _servers(store.group_servers(call.project, group_id, minute), groups.name(group_id))

    if FILTERS_OF_SERVERS & set(call.query):
        found = [server for group_id in ids for server in servers(group_id) if _server_matches(call, server)]
        return json_response(call.paged(found))
    return json_response(call.paged(RowsByKey(ids, store.server_ends(call.project, ids, minute), servers)))


def _chosen(groups: Groups, wanted: str | None) -> Sequence[str]:
    """All groups, or the one that is asked for, if there is such a group."""
    if not wanted:
        return groups.ids
    return [wanted] if wanted in groups else []


def _servers(servers: GroupServers, group_name: str) -> list[Document]:
    sessions = _open_sessions(servers)
    return [
        {**server, "server_group_name": group_name, "session_count": sessions[server["machine_name"]]}
        for server in servers.servers
    ]


def _open_sessions(servers: GroupServers) -> Counter[str]:
    return Counter(session["machine_name"] for session in servers.sessions if session["session_state"] in OPEN_STATES)


def _server_matches(call: SimulatedCall, server: Document) -> bool:
    """Name, machine name and address match in part, the id must match completely (API reference, 2.9)."""
    query = call.query
    partly = (("server_name", server["name"]), ("machine_name", server["machine_name"]))
    flags = ("maintain_status", "scaling_auto_create")
    return (
        all(query.get(name, "") in value for name, value in partly)
        and query.get("ip_addr", "") in server["host_address"][0]["addr"]
        and query.get("server_id", "") in {"", server["id"]}
        and all(query.get(flag, _word(server[flag])) == _word(server[flag]) for flag in flags)
    )


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def list_sessions(call: SimulatedCall) -> SimulatedResponse:
    store, groups, now = call.tenant.store, call.groups, call.tenant.store.life.now()
    begin, end = (_moment(call.query[name]) for name in ("query_begin_time", "query_end_time"))
    sessions = [
        {**session, "app_server_group_name": groups.name(group_id)}
        for group_id in _chosen(groups, call.query.get("app_server_group_id"))
        for session in store.group_servers(call.project, group_id).sessions
        if _is_between(call, session, begin, end, now) and _session_matches(call, session)
    ]
    return json_response(call.paged(sessions))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise SimulatedError(Code.INVALID_SESSIONS, f"{text} is not a time") from None


def _is_between(call: SimulatedCall, session: Document, begin: datetime, end: datetime, now: datetime) -> bool:
    """A session that is still open counts as one that ends now."""
    start = _moment(session["start_time"])
    if call.switch("query_end_time") == "start":
        return begin <= start <= end
    ended = _moment(session["end_time"]) if "end_time" in session else now
    return begin <= start and ended <= end


def _session_matches(call: SimulatedCall, session: Document) -> bool:
    query = call.query
    exactly = (("user_name", "login_user"), ("vm_ip", "vm_ip"), ("machine_name", "machine_name"))
    states = [state for state in query.get("session_state", "").split(",") if state] or SESSION_STATES
    success = _word(not session["failed_code"])
    return (
        all(query.get(name, "") in {"", session[member]} for name, member in exactly)
        and query.get("public_ip", "") == ""
        and session["session_state"] in states
        and query.get("is_success", success) == success
    )
