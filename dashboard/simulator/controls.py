"""The controls below `/_simulator/`: the request log, faults, switches, permissions, and hands behind the curtain.

They answer loopback peers only. Tests and trainers use them; nothing in the real cloud corresponds to them.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request

from dashboard.simulator.answers import Answer, json_answer
from dashboard.simulator.auth import CREDENTIALS
from dashboard.simulator.exchange import Later
from dashboard.simulator.fault_list import FaultList, WrongFaultError
from dashboard.simulator.faults import KINDS
from dashboard.simulator.strict import NotJsonError, read_json
from dashboard.simulator.switches import SWITCHES, WrongSwitchError
from dashboard.simulator.world import World

PREFIX = "/_simulator/"

Control = Callable[[str, Any], Answer]
"""Takes the last part of the path, where one names something, and the body as JSON."""


class Controls:
    def __init__(self, world: World, faults: FaultList, later: Later) -> None:
        self._world, self._faults, self._later = world, faults, later
        self._table: tuple[tuple[str, str, Control], ...] = (
            ("GET", "", self._show_controls),
            ("GET", "requests", self._show_requests),
            ("DELETE", "requests", self._clear_requests),
            ("GET", "faults", self._show_faults),
            ("PUT", "faults", self._replace_faults),
            ("GET", "faults/kinds", self._show_kinds),
            ("GET", "groups/([^/]+)", self._show_group),
            ("PUT", "groups/([^/]+)", self._change_group),
            ("GET", "history", self._show_history),
            ("GET", "switches", self._show_switches),
            ("PUT", "switches", self._set_switches),
            ("GET", "permissions/([^/]+)", self._show_permissions),
            ("PUT", "permissions/([^/]+)", self._take_permissions),
            ("POST", "tokens/expire", self._expire_tokens),
            ("GET", "late", self._show_late),
            ("POST", "late", self._apply_late),
            ("POST", "reset", self._reset),
        )

    def answer(self, request: Request) -> Answer:
        if not ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104  an address to refuse
            return _complaint("The controls answer only this machine.", 403)
        path = request.path.removeprefix(PREFIX)
        matching = [
            (method, match, control)
            for method, pattern, control in self._table
            if (match := re.fullmatch(pattern, path))
        ]
        if not matching:
            return _complaint("There is no such control.", 404)
        for method, match, control in matching:
            if method == request.method:
                return self._run(control, match[match.lastindex or 0], request)
        return _complaint(f"Use {' or '.join(method for method, _, _ in matching)}.", 405)

    def _run(self, control: Control, name: str, request: Request) -> Answer:
        try:
            body = read_json(request.get_data()) if request.method == "PUT" else None
            return control(name, body)
        except (NotJsonError, WrongFaultError, WrongSwitchError, TypeError) as error:
            return _complaint(str(error), 400)

    def _show_controls(self, _name: str, _body: Any) -> Answer:
        return json_answer({"controls": [f"{method} {PREFIX}{pattern}" for method, pattern, _ in self._table]})

    def _show_requests(self, _name: str, _body: Any) -> Answer:
        return json_answer({"requests": self._world.log.documents()})

    def _clear_requests(self, _name: str, _body: Any) -> Answer:
        self._world.log.clear()
        return Answer(204)

    def _show_faults(self, _name: str, _body: Any) -> Answer:
        return json_answer({"faults": self._faults.documents()})

    def _replace_faults(self, name: str, body: Any) -> Answer:
        self._faults.replace(body)
        return self._show_faults(name, body)

    def _show_kinds(self, _name: str, _body: Any) -> Answer:
        return json_answer({kind.name: {"what": kind.what, "options": kind.options} for kind in KINDS.values()})

    def _show_group(self, name: str, _body: Any) -> Answer:
        project = self._world.store.project_of(name)
        if project is None:
            return _complaint(f"There is no group {name}.", 404)
        return json_answer(self._world.store.groups(project)[name])

    def _change_group(self, name: str, body: Any) -> Answer:
        """Behind the dashboard's back, and unchecked: a test may want a group no PATCH could make."""
        project = self._world.store.project_of(name)
        if project is None:
            return _complaint(f"There is no group {name}.", 404)
        return json_answer(self._world.store.change(project, name, _object(body), None))

    def _show_history(self, _name: str, _body: Any) -> Answer:
        return json_answer({"changes": [change.document() for change in self._world.store.history()]})

    def _show_switches(self, _name: str, _body: Any) -> Answer:
        values = self._world.switches.all()
        described = {
            name: {"value": values[name], "values": switch.values, "question": switch.question}
            for name, switch in SWITCHES.items()
        }
        return json_answer({"switches": described})

    def _set_switches(self, name: str, body: Any) -> Answer:
        self._world.switches.set(_object(body))
        return self._show_switches(name, body)

    def _show_permissions(self, name: str, _body: Any) -> Answer:
        if name not in CREDENTIALS:
            return _complaint(f"There is no credential {name}. There are {', '.join(CREDENTIALS)}.", 404)
        return json_answer({"taken": sorted(self._world.door.taken_actions(name))})

    def _take_permissions(self, name: str, body: Any) -> Answer:
        """Takes `{"taken": [actions]}` from the credential, instead of those taken before."""
        taken = _object(body).get("taken")
        if not isinstance(taken, list) or not all(isinstance(action, str) for action in taken):
            return _complaint('The body must be {"taken": [IAM actions]}.', 400)
        if name in CREDENTIALS:
            self._world.door.take_actions(name, taken)
        return self._show_permissions(name, body)

    def _expire_tokens(self, _name: str, _body: Any) -> Answer:
        self._world.door.expire_tokens()
        return Answer(204)

    def _show_late(self, _name: str, _body: Any) -> Answer:
        return json_answer({"waiting": len(self._later)})

    def _apply_late(self, _name: str, _body: Any) -> Answer:
        """Applies at once what waits to be applied later, so that a test need not wait."""
        return json_answer({"applied": self._later.run_all()})

    def _reset(self, _name: str, _body: Any) -> Answer:
        self._later.cancel()
        self._faults.replace([])
        self._world.reset()
        return Answer(204)


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise TypeError("The body must be a JSON object.")
    return body


def _complaint(sentence: str, status: int) -> Answer:
    return json_answer({"error": sentence}, status)
