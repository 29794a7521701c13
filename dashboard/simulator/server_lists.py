"""Lists of servers and sessions."""

from collections import Counter
from datetime import UTC, datetime

from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.responses import Document, SimulatedResponse, json_response
from dashboard.simulator.sample_servers import OPEN_STATES, GroupServers
from dashboard.simulator.tenant import SimulatedCall

SESSION_STATES = ("Active", "Disconnected", "AppcInit", "SignedOut", "InitFail")


def list_servers(call: SimulatedCall) -> SimulatedResponse:
    groups, wanted = call.groups, call.query.get("server_group_id")
    chosen = [group for group_id, group in groups.items() if wanted in (None, group_id)]
    servers = [server for group in chosen for server in _servers(call, group) if _server_matches(call, server)]
    return json_response(call.paged(servers))


def _servers(call: SimulatedCall, group: Document) -> list[Document]:
    servers = call.tenant.store.group_servers(call.project, group["id"])
    sessions = _open_sessions(servers)
    return [
        {**server, "server_group_name": group["name"], "session_count": sessions[server["machine_name"]]}
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
    groups, wanted = call.groups, call.query.get("app_server_group_id")
    begin, end = (_moment(call.query[name]) for name in ("query_begin_time", "query_end_time"))
    chosen = [group for group_id, group in groups.items() if wanted in (None, "", group_id)]
    sessions = [
        {**session, "app_server_group_name": group["name"]}
        for group in chosen
        for session in call.tenant.store.group_servers(call.project, group["id"]).sessions
        if _is_between(call, session, begin, end) and _session_matches(call, session)
    ]
    return json_response(call.paged(sessions))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise SimulatedError(Code.INVALID_SESSIONS, f"{text} is not a time") from None


def _is_between(call: SimulatedCall, session: Document, begin: datetime, end: datetime) -> bool:
    """A session that is still open counts as one that ends now."""
    start = _moment(session["start_time"])
    if call.switch("query_end_time") == "start":
        return begin <= start <= end
    ended = _moment(session["end_time"]) if "end_time" in session else datetime.now(UTC)
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
