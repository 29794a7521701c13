"""Tags: calls are idempotent, refuse repeated keys, and overwrite existing keys (API reference, 2.7)."""

from collections.abc import Callable, Iterable

from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.responses import Document, SimulatedResponse, json_response
from dashboard.simulator.tenant import SimulatedCall

MOST_TAGS = 20
DONE = SimulatedResponse(204)

TagChange = Callable[[Iterable[Document], list[Document]], list[Document]]


def show_tags(call: SimulatedCall) -> SimulatedResponse:
    return json_response({"tags": call.group["tags"]})


def list_tags(call: SimulatedCall) -> SimulatedResponse:
    values: dict[str, list[str]] = {}
    for group in call.groups.values():
        for tag in group["tags"]:
            known = values.setdefault(tag["key"], [])
            if tag.get("value", "") not in known:
                known.append(tag.get("value", ""))
    return json_response({"tags": [{"key": key, "values": known} for key, known in values.items()]})


def create_tags(call: SimulatedCall) -> SimulatedResponse:
    return _apply(call, [(call.path["server_group_id"], call.body["tags"])], _created)


def delete_tags(call: SimulatedCall) -> SimulatedResponse:
    return _apply(call, [(call.path["server_group_id"], call.body["tags"])], _deleted)


def create_tags_of_many(call: SimulatedCall) -> SimulatedResponse:
    return _apply(call, [(item["server_group_id"], item["tags"]) for item in call.body["items"]], _created)


def delete_tags_of_many(call: SimulatedCall) -> SimulatedResponse:
    return _apply(call, [(item["server_group_id"], item["tags"]) for item in call.body["items"]], _deleted)


def _created(tags: Iterable[Document], given: list[Document]) -> list[Document]:
    merged = {tag["key"]: tag for tag in tags} | {tag["key"]: tag for tag in given}
    if len(merged) > MOST_TAGS:
        raise SimulatedError(Code.TOO_MANY_TAGS)
    return [{"key": key, "value": tag.get("value", "")} for key, tag in merged.items()]


def _deleted(tags: Iterable[Document], given: list[Document]) -> list[Document]:
    keys = {tag["key"] for tag in given}
    return [tag for tag in tags if tag["key"] not in keys]


def _apply(call: SimulatedCall, items: list[tuple[str, list[Document]]], change: TagChange) -> SimulatedResponse:
    """Apply a batch completely or not at all. The documents do not describe a partly wrong batch."""
    store = call.tenant.store
    with store.lock:
        changed: dict[str, list[Document]] = {}
        for group_id, given in items:
            _refuse_repeated(given)
            stored: list[Document] = call.group_by_id(group_id)["tags"]
            changed[group_id] = change(changed.get(group_id, stored), given)
        for group_id, tags in changed.items():
            store.change(call.project, group_id, {"tags": tags}, call.request)
    return DONE


def _refuse_repeated(given: list[Document]) -> None:
    if len({tag["key"] for tag in given}) < len(given):
        raise SimulatedError(Code.TAGS_REPEATED)
