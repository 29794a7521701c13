"""Server groups: list, show, state, restrict, validate and update."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from dashboard.simulator.catalogue import IMAGES_BY_ID, PROJECTS, volume_types
from dashboard.simulator.contract import load_contract
from dashboard.simulator.data import ONLY_IN_FULL_LIST, ONLY_IN_SHOW, instant
from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.groups import Groups
from dashboard.simulator.request_checks import Schema
from dashboard.simulator.responses import Document, SimulatedResponse, json_response
from dashboard.simulator.rows import MadeRows
from dashboard.simulator.rules import CASCADING, Proposal, check
from dashboard.simulator.tenant import SimulatedCall, without_members

SERVER_STATES = ("UNREGISTER", "REGISTERED", "MAINTAINING", "FREEZE", "STOPPED", "NONE")
NEWEST_MEMBERS = frozenset(("route_policy", "image_type", "image_product_id", "ip_virtual"))
"""Members in the SDK since January 2025. Older regions do not return them."""
MOST_GROUPS = 50
"""The quota in the example of the API page. A tenant with more initial groups has a larger one."""

Filter = Callable[[Document], bool]


def list_server_groups(call: SimulatedCall) -> SimulatedResponse:
    groups, filters = call.groups, _filters_of_both_lists(call)
    if tags := call.query.get("tags"):
        filters.append(lambda group: _read_tags(tags) <= _tags(group))
    if "enterprise_project_id" in call.query:
        wanted_project = call.query["enterprise_project_id"] or "0"
        filters.append(lambda group: group["enterprise_project_id"] == wanted_project)
    ids = _by_name(call, groups, call.query.get("server_group_name", ""))
    if group_id := call.query.get("server_group_id"):
        ids = [found for found in ids if found == group_id]
    rows = MadeRows(_matching(groups, ids, filters), lambda group_id: _current(call, groups[group_id]))
    return json_response(call.paged(rows, without=ONLY_IN_SHOW))


def list_tenant_server_groups(call: SimulatedCall) -> SimulatedResponse:
    groups = call.groups
    ids = _by_name(call, groups, call.query.get("sever_group_name", ""))
    count: Callable[[int], int | str] = str if call.switch("app_group_count") == "text" else int

    def row(group_id: str) -> Document:
        return {**groups[group_id], "app_group_count": count(groups[group_id]["app_group_count"])}

    rows = MadeRows(_matching(groups, ids, _filters_of_both_lists(call)), row)
    return json_response(call.paged(rows, without=ONLY_IN_SHOW | ONLY_IN_FULL_LIST))


def _current(call: SimulatedCall, group: Document) -> Document:
    """The group with its present number of servers, if that changes."""
    store = call.tenant.store
    return {**group, "app_server_count": store.server_count(call.project, group["id"])} if store.life.is_on else group


def _filters_of_both_lists(call: SimulatedCall) -> list[Filter]:
    filters: list[Filter] = []
    if app_type := call.query.get("app_type"):
        filters.append(lambda group: group["app_type"] == app_type)
    by_default = {"all": "", "primary": "false"}[call.switch("secondary_default")]
    if secondary := call.query.get("is_secondary_server_group", by_default):
        filters.append(lambda group: bool(group["primary_server_group_ids"]) == (secondary == "true"))
    return filters


def _matching(groups: Groups, ids: Sequence[str], filters: Sequence[Filter]) -> Sequence[str]:
    """The groups that match all filters. Without filters, no document is made."""
    if not filters:
        return ids
    return [group_id for group_id in ids if all(matches(groups[group_id]) for matches in filters)]


def _by_name(call: SimulatedCall, groups: Groups, wanted: str) -> Sequence[str]:
    """The groups whose name matches, in the order of lists."""
    ids = _ordered(call, groups)
    if not wanted:
        return ids
    matches = wanted.__eq__ if call.switch("name_match") == "exact" else lambda name: wanted in name
    return [group_id for group_id in ids if matches(groups.name(group_id))]


def _ordered(call: SimulatedCall, groups: Groups) -> Sequence[str]:
    match call.switch("list_order"):
        case "name":
            return sorted(groups.ids, key=lambda group_id: str(groups.name(group_id)))
        case "newest":
            return sorted(groups.ids, key=lambda group_id: str(groups[group_id]["create_time"]), reverse=True)
        case _:
            return groups.ids


def _read_tags(text: str) -> set[tuple[str, str]]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(separator for _, separator, _ in pairs):
        raise SimulatedError(Code.INVALID_LIST, "tags must be key1=value1,key2=value2")
    return {(key, value) for key, _, value in pairs}


def _tags(group: Document) -> set[tuple[str, str]]:
    return {(tag["key"], tag.get("value", "")) for tag in group["tags"]}


def show_server_group(call: SimulatedCall) -> SimulatedResponse:
    group = dict(_current(call, call.group))
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
    if call.groups.named(name):
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
        members["update_time"] = instant(call.tenant.store.life.now())
    return members


def _known(given: Document, schemas: Document) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in schemas}


def _cascade(call: SimulatedCall, group: Document, groups: Groups) -> None:
    inherited = {member: call.body[member] for member in CASCADING if member in call.body}
    for standby_id in group["secondary_server_group_ids"]:
        if inherited and standby_id in groups:
            call.tenant.store.change(call.project, standby_id, inherited, call.request)


def _switch_off(call: SimulatedCall, group_id: str) -> None:
    states = {"disconnect": "Disconnected", "sign_out": "SignedOut"}
    if state := states.get(call.switch("sessions_when_off")):
        call.tenant.store.move_sessions(call.project, group_id, state=state)
