"""Server groups: list, show, state, restrict, validate and update."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from dashboard.simulator.catalogue import IMAGES_BY_ID, PROJECTS, volume_types
from dashboard.simulator.contract import load_contract
from dashboard.simulator.data import ONLY_IN_FULL_LIST, ONLY_IN_SHOW, instant
from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.request_checks import Schema
from dashboard.simulator.responses import Document, SimulatedResponse, json_response
from dashboard.simulator.rules import CASCADING, Proposal, check
from dashboard.simulator.tenant import SimulatedCall, without_members

SERVER_STATES = ("UNREGISTER", "REGISTERED", "MAINTAINING", "FREEZE", "STOPPED", "NONE")
NEWEST_MEMBERS = frozenset(("route_policy", "image_type", "image_product_id", "ip_virtual"))
"""Members in the SDK since January 2025. Older regions do not return them."""
MOST_GROUPS = 50
"""The quota in the example of the API page. A tenant with more initial groups has a larger one."""


def list_server_groups(call: SimulatedCall) -> SimulatedResponse:
    found = _filtered(call, name=call.query.get("server_group_name", ""))
    if group_id := call.query.get("server_group_id"):
        found = [group for group in found if group["id"] == group_id]
    if tags := call.query.get("tags"):
        found = [group for group in found if _read_tags(tags) <= _tags(group)]
    if "enterprise_project_id" in call.query:
        wanted = call.query["enterprise_project_id"] or "0"
        found = [group for group in found if group["enterprise_project_id"] == wanted]
    return json_response(call.paged(found, without=ONLY_IN_SHOW))


def list_tenant_server_groups(call: SimulatedCall) -> SimulatedResponse:
    found = _filtered(call, name=call.query.get("sever_group_name", ""))
    if call.switch("app_group_count") == "text":
        found = [{**group, "app_group_count": str(group["app_group_count"])} for group in found]
    return json_response(call.paged(found, without=ONLY_IN_SHOW | ONLY_IN_FULL_LIST))


def _filtered(call: SimulatedCall, *, name: str) -> list[Document]:
    """The groups that match the filters of both lists, in the order of lists."""
    found = [group for group in _ordered(call) if _name_matches(call, group["name"], name)]
    if app_type := call.query.get("app_type"):
        found = [group for group in found if group["app_type"] == app_type]
    by_default = {"all": None, "primary": "false"}[call.switch("secondary_default")]
    match call.query.get("is_secondary_server_group", by_default):
        case "true":
            return [group for group in found if group["primary_server_group_ids"]]
        case "false":
            return [group for group in found if not group["primary_server_group_ids"]]
        case _:
            return found


def _ordered(call: SimulatedCall) -> Iterable[Document]:
    groups = call.groups.values()
    match call.switch("list_order"):
        case "name":
            return sorted(groups, key=lambda group: str(group["name"]))
        case "newest":
            return sorted(groups, key=lambda group: str(group["create_time"]), reverse=True)
        case _:
            return groups


def _name_matches(call: SimulatedCall, name: str, wanted: str) -> bool:
    return not wanted or (wanted == name if call.switch("name_match") == "exact" else wanted in name)


def _read_tags(text: str) -> set[tuple[str, str]]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(separator for _, separator, _ in pairs):
        raise SimulatedError(Code.INVALID_LIST, "tags must be key1=value1,key2=value2")
    return {(key, value) for key, _, value in pairs}


def _tags(group: Document) -> set[tuple[str, str]]:
    return {(tag["key"], tag.get("value", "")) for tag in group["tags"]}


def show_server_group(call: SimulatedCall) -> SimulatedResponse:
    group = dict(call.group)
    if call.switch("image_min_disk") == "zero":
        group["image_min_disk"] = 0
    if call.switch("newest_members") == "omit":
        group = dict(without_members(group, NEWEST_MEMBERS))
    link = {"rel": "self", call.switch("flavor_link"): f"/v1/{call.project}/flavors"}
    group["flavors"] = [{**flavor, "links": [link]} for flavor in group.get("flavors", [])]
    return json_response(group)


def show_server_group_state(call: SimulatedCall) -> SimulatedResponse:
    servers = call.tenant.store.group_servers(call.project, call.group["id"])
    counts = Counter(server["status"] for server in servers.servers)
    listed = SERVER_STATES if call.switch("zero_counts") == "list" else sorted(counts)
    return json_response({"aps_status": {state: counts[state] for state in listed}})


def show_server_group_restrict(call: SimulatedCall) -> SimulatedResponse:
    most = max(MOST_GROUPS, len(call.groups))
    return json_response({"max_session": int(call.switch("max_session_quota")), "max_group_count": most})


def validate_server_group(call: SimulatedCall) -> SimulatedResponse:
    name = call.body["name"]
    if _name_schema().complaint(name, "name"):
        return json_response({"result": False, "validate_rule": "naming"})
    if any(group["name"] == name for group in call.groups.values()):
        return json_response({"result": False, "validate_rule": "duplicate"})
    return json_response({"result": True})


@cache
def _name_schema() -> Schema:
    return Schema(load_contract().operation("UpdateServerGroup").members["name"])


def list_volume_type(call: SimulatedCall) -> SimulatedResponse:
    return json_response({"volume_types": volume_types(PROJECTS[call.project].name)})


def update_server_group(call: SimulatedCall) -> SimulatedResponse:
    """Check and apply under one lock, so that two changes cannot both pass a check that only one may pass."""
    store = call.tenant.store
    with store.lock:
        before, groups = call.group, call.groups
        members = _members(call, before)
        proposal = Proposal(call.body, {**before, **members}, groups, PROJECTS[call.project], call.tenant.switches)
        check(proposal)
        store.change(call.project, before["id"], members, call.request)
        _cascade(call, before, groups)
        if before["server_group_status"] and call.body.get("server_group_status") is False:
            _switch_off(call, before["id"])
    return json_response(None)


def _members(call: SimulatedCall, before: Document) -> Document:
    """The members that the PATCH changes, without those that no document names."""
    members = _known(call.body, call.operation.members)
    if "route_policy" in members:
        given = _known(members["route_policy"], call.operation.members["route_policy"]["properties"])
        stored = before.get("route_policy", {}) if call.switch("route_policy") == "merge" else {}
        members["route_policy"] = {**stored, **given}
    if "image_id" in members:
        image = IMAGES_BY_ID.get(members["image_id"])
        members |= {"image_name": image.name if image else "", "image_min_disk": image.min_disk if image else 0}
    if call.switch("update_time") == "moves":
        members["update_time"] = instant(datetime.now(UTC))
    return members


def _known(given: Document, schemas: Document) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in schemas}


def _cascade(call: SimulatedCall, group: Document, groups: dict[str, Document]) -> None:
    inherited = {member: call.body[member] for member in CASCADING if member in call.body}
    for standby_id in group["secondary_server_group_ids"]:
        if inherited and standby_id in groups:
            call.tenant.store.change(call.project, standby_id, inherited, call.request)


def _switch_off(call: SimulatedCall, group_id: str) -> None:
    states = {"disconnect": "Disconnected", "sign_out": "SignedOut"}
    if state := states.get(call.switch("sessions_when_off")):
        call.tenant.store.end_sessions(call.project, group_id, state=state)
