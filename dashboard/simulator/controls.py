"""The controls below `/_simulator/`: request log, faults, switches, permissions, life, and direct changes of groups.

They respond only to loopback peers. They are for tests and training; the real cloud has nothing like them.
"""

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request

from dashboard.simulator.auth import CREDENTIALS
from dashboard.simulator.catalogue import PROJECTS
from dashboard.simulator.data import FIRST_ID, instant
from dashboard.simulator.exchange import DelayedChanges
from dashboard.simulator.fault_list import FaultList, WrongFaultError
from dashboard.simulator.faults import KINDS
from dashboard.simulator.life import Life
from dashboard.simulator.request_checks import NotJsonError, read_json
from dashboard.simulator.responses import SimulatedResponse, json_response
from dashboard.simulator.state import GroupExistsError
from dashboard.simulator.switches import SWITCHES, WrongSwitchError
from dashboard.simulator.tenant import Tenant

PREFIX = "/_simulator/"

Control = Callable[..., SimulatedResponse]
"""Takes the JSON body of the request and, where the path has one, a `name`."""


class WrongControlError(ValueError):
    """The body of a control is not valid. The message names the mistake."""


class Controls:
    def __init__(self, tenant: Tenant, faults: FaultList, delayed: DelayedChanges) -> None:
        self._tenant, self._faults, self._delayed = tenant, faults, delayed
        table: tuple[tuple[str, str, Control], ...] = (
            ("GET", "", self._show_controls),
            ("GET", "requests", self._show_requests),
            ("DELETE", "requests", self._clear_requests),
            ("GET", "faults", self._show_faults),
            ("PUT", "faults", self._replace_faults),
            ("GET", "faults/kinds", self._show_kinds),
            ("POST", "groups", self._add_group),
            ("GET", "groups/<path:name>", self._show_group),
            ("PUT", "groups/<path:name>", self._change_group),
            ("DELETE", "groups/<path:name>", self._remove_group),
            ("GET", "life", self._show_life),
            ("PUT", "life", self._set_life),
            ("GET", "history", self._show_history),
            ("GET", "switches", self._show_switches),
            ("PUT", "switches", self._set_switches),
            ("GET", "permissions/<name>", self._show_permissions),
            ("PUT", "permissions/<name>", self._take_permissions),
            ("POST", "tokens/expire", self._expire_tokens),
            ("GET", "late", self._show_late),
            ("POST", "late", self._apply_late),
            ("POST", "reset", self._reset),
        )
        self._names = [f"{method} {PREFIX}{path}" for method, path, _ in table]
        rules = [Rule(PREFIX + path, methods=[method], endpoint=control) for method, path, control in table]
        self._routes = Map(rules, merge_slashes=False).bind("")

    def respond(self, request: Request) -> SimulatedResponse:
        if not ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104  an address to refuse
            return _error("The controls respond only to this machine.", 403)
        try:
            control, names = self._routes.match(request.path, method=request.method)
            data = request.get_data()
            body = read_json(data) if data or request.method == "PUT" else None
            response: SimulatedResponse = control(body, **names)
        except NotFound:
            return _error("There is no such control.", 404)
        except MethodNotAllowed as error:
            return _error(f"Use {' or '.join(sorted(set(error.valid_methods or ()) - {'HEAD'}))}.", 405)
        except GroupExistsError as error:
            return _error(str(error), 409)
        except (NotJsonError, WrongControlError, WrongFaultError, WrongSwitchError) as error:
            return _error(str(error), 400)
        return response

    def _show_controls(self, _body: Any) -> SimulatedResponse:
        return json_response({"controls": self._names})

    def _show_requests(self, _body: Any) -> SimulatedResponse:
        return json_response({"requests": self._tenant.log.documents()})

    def _clear_requests(self, _body: Any) -> SimulatedResponse:
        self._tenant.log.clear()
        return SimulatedResponse(204)

    def _show_faults(self, _body: Any) -> SimulatedResponse:
        return json_response({"faults": self._faults.documents()})

    def _replace_faults(self, body: Any) -> SimulatedResponse:
        self._faults.replace(body)
        return self._show_faults(body)

    def _show_kinds(self, _body: Any) -> SimulatedResponse:
        return json_response({kind.name: {"what": kind.what, "options": kind.options} for kind in KINDS.values()})

    def _show_group(self, _body: Any, name: str) -> SimulatedResponse:
        project = self._tenant.store.project_of(name)
        if project is None:
            return _error(f"There is no group {name}.", 404)
        return json_response(self._tenant.store.groups(project)[name])

    def _change_group(self, body: Any, name: str) -> SimulatedResponse:
        """Change a group without any check: a test may need a group that no PATCH can make."""
        project = self._tenant.store.project_of(name)
        if project is None:
            return _error(f"There is no group {name}.", 404)
        return json_response(self._tenant.store.change(project, name, _object(body), None))

    def _add_group(self, body: Any) -> SimulatedResponse:
        """Add a group with the members of the body. `project_id` selects its project."""
        members = {} if body is None else dict(_object(body))
        project = members.pop("project_id", FIRST_ID)
        if project not in PROJECTS:
            return _error(f"There is no project {project}. There are {', '.join(PROJECTS)}.", 404)
        if not isinstance(members.get("id", ""), str):
            raise WrongControlError("The id must be a text.")
        return json_response(self._tenant.store.add_group(project, members), 201)

    def _remove_group(self, _body: Any, name: str) -> SimulatedResponse:
        project = self._tenant.store.project_of(name)
        if project is None:
            return _error(f"There is no group {name}.", 404)
        self._tenant.store.remove_group(project, name)
        return SimulatedResponse(204)

    def _show_life(self, _body: Any) -> SimulatedResponse:
        life = self._tenant.store.life
        return json_response(
            {"is_on": life.is_on, "now": instant(life.now()), "is_clock_stopped": life.stopped_at is not None}
        )

    def _set_life(self, body: Any) -> SimulatedResponse:
        """Set `is_on`, and stop the clock at `now` or let it go on with null. An absent member stays as it is."""
        life, members = self._tenant.store.life, _object(body)
        is_on, stopped_at = members.get("is_on", life.is_on), life.stopped_at
        if not isinstance(is_on, bool):
            raise WrongControlError("is_on must be true or false.")
        if "now" in members:
            stopped_at = None if members["now"] is None else _moment(members["now"])
        self._tenant.store.set_life(Life(is_on, stopped_at))
        self._tenant.store.catch_up()
        return self._show_life(body)

    def _show_history(self, _body: Any) -> SimulatedResponse:
        return json_response({"changes": [change.document() for change in self._tenant.store.history()]})

    def _show_switches(self, _body: Any) -> SimulatedResponse:
        values = self._tenant.switches.all()
        described = {
            name: {"value": values[name], "values": switch.values, "question": switch.question}
            for name, switch in SWITCHES.items()
        }
        return json_response({"switches": described})

    def _set_switches(self, body: Any) -> SimulatedResponse:
        self._tenant.switches.set(_object(body))
        return self._show_switches(body)

    def _show_permissions(self, _body: Any, name: str) -> SimulatedResponse:
        if name not in CREDENTIALS:
            return _error(f"There is no credential {name}. There are {', '.join(CREDENTIALS)}.", 404)
        return json_response({"taken": sorted(self._tenant.access.taken_actions(name))})

    def _take_permissions(self, body: Any, name: str) -> SimulatedResponse:
        """Take `{"taken": [IAM actions]}` from a credential, and give back those taken before."""
        taken = _object(body).get("taken")
        if not isinstance(taken, list) or not all(isinstance(action, str) for action in taken):
            return _error('The body must be {"taken": [IAM actions]}.', 400)
        if name in CREDENTIALS:
            self._tenant.access.take_actions(name, taken)
        return self._show_permissions(body, name)

    def _expire_tokens(self, _body: Any) -> SimulatedResponse:
        self._tenant.access.expire_tokens()
        return SimulatedResponse(204)

    def _show_late(self, _body: Any) -> SimulatedResponse:
        return json_response({"waiting": len(self._delayed)})

    def _apply_late(self, _body: Any) -> SimulatedResponse:
        """Apply delayed changes now, so that a test need not wait for them."""
        return json_response({"applied": self._delayed.run_all()})

    def _reset(self, _body: Any) -> SimulatedResponse:
        self._delayed.cancel()
        self._faults.replace([])
        self._tenant.reset()
        return SimulatedResponse(204)


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise WrongControlError("The body must be a JSON object.")
    return body


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
        if moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise WrongControlError("now must be a time with a zone, such as 2026-10-14T10:42:07Z, or null.")


def _error(sentence: str, status: int) -> SimulatedResponse:
    return json_response({"error": sentence}, status)
