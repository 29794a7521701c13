"""One HTTP exchange: finds the operation, authenticates the caller, checks the contract and performs the call."""

import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from werkzeug.wrappers import Request

from dashboard.simulator import iam, ims, server_lists, tags, workspace
from dashboard.simulator.auth import Caller
from dashboard.simulator.catalogue import PROJECTS
from dashboard.simulator.contract import InvalidRequestError, MissingBodyError, Operation, PathItem, load_contract
from dashboard.simulator.errors import Code, SimulatedError, error_response
from dashboard.simulator.responses import SimulatedResponse
from dashboard.simulator.rules import IMAGE_MEMBERS
from dashboard.simulator.tenant import SimulatedCall, Tenant

LARGEST_BODY = 12 * 1024 * 1024
"""The gateway's limit (API reference, 3.3)."""

HANDLERS: dict[str, Callable[[SimulatedCall], SimulatedResponse]] = {
    "ListServerGroups": workspace.list_server_groups,
    "ShowServerGroup": workspace.show_server_group,
    "UpdateServerGroup": workspace.update_server_group,
    "ListTenantServerGroups": workspace.list_tenant_server_groups,
    "ShowServerGroupState": workspace.show_server_group_state,
    "ShowServerGroupRestrict": workspace.show_server_group_restrict,
    "ValidateServerGroup": workspace.validate_server_group,
    "ListVolumeType": workspace.list_volume_type,
    "ListServers": server_lists.list_servers,
    "ListSessions": server_lists.list_sessions,
    "ShowServerGroupTag": tags.show_tags,
    "ListServerGroupTag": tags.list_tags,
    "CreateServerGroupTags": tags.create_tags,
    "DeleteServerGroupTags": tags.delete_tags,
    "BatchCreateServerGroupTags": tags.create_tags_of_many,
    "BatchDeleteServerGroupTags": tags.delete_tags_of_many,
    "ListImages": ims.list_images,
    "KeystoneCreateUserTokenByPassword": iam.create_token,
    "KeystoneListProjects": iam.list_projects,
    "CreateTemporaryAccessKeyByToken": iam.create_temporary_key,
}


class DelayedChanges:
    """Calls that are performed some time after their response. A reset or a stop drops them."""

    def __init__(self) -> None:
        self._waiting: dict[threading.Timer, Callable[[], object]] = {}
        self._lock = threading.Lock()
        """Held while a call is performed, so that none is performed after `cancel` has returned."""

    def do(self, seconds: float, action: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, lambda: self._run(timer))
        timer.daemon = True
        with self._lock:
            self._waiting[timer] = action
            timer.start()

    def _run(self, timer: threading.Timer) -> None:
        with self._lock:
            if action := self._waiting.pop(timer, None):
                action()

    def run_all(self) -> int:
        """Perform all of them now. Returns how many there were."""
        timers = list(self._waiting)
        for timer in timers:
            timer.cancel()
            self._run(timer)
        return len(timers)

    def cancel(self) -> None:
        with self._lock:
            timers, self._waiting = self._waiting, {}
        for timer in timers:
            timer.cancel()

    def __len__(self) -> int:
        return len(self._waiting)


class Exchange:
    """A request as a fault sees it: the fault may ask for the true response, alter the call, or do neither."""

    def __init__(self, request: Request, body: bytes, number: int, tenant: Tenant, delayed: DelayedChanges) -> None:
        self.request, self.body, self.number, self.tenant, self.delayed = request, body, number, tenant, delayed
        self.request_id = secrets.token_hex(16)

    def respond(self, alter: Callable[[SimulatedCall], SimulatedCall] = lambda call: call) -> SimulatedResponse:
        """Perform the call, altered if a fault wants it so."""
        try:
            return self.perform(alter(self.call()))
        except SimulatedError as error:
            return self.refuse(error)

    def perform(self, call: SimulatedCall) -> SimulatedResponse:
        return HANDLERS[call.operation.name](call)

    def perform_later(self, call: SimulatedCall, seconds: float) -> None:
        """Perform the call in so many seconds, or now if there are none. An error is ignored."""

        def perform() -> None:
            with suppress(SimulatedError):
                self.perform(call)

        if seconds:
            self.delayed.do(seconds, perform)
        else:
            perform()

    def refuse(self, error: SimulatedError) -> SimulatedResponse:
        return error_response(error, self.request_id)

    def call(self) -> SimulatedCall:
        """Check the request as a gateway does: path, method, size, credential, project, action, contract.

        Raises SimulatedError for the first check that fails.
        """
        item, texts = self._path_item()
        operation = self._operation(item)
        if len(self.body) > LARGEST_BODY:
            raise SimulatedError(Code.TOO_LARGE)
        caller = self._caller(operation)
        _require_project(caller, texts.get("project_id"), self.tenant)
        self.tenant.access.require(caller, operation, ())
        call = self._read(operation, texts, caller)
        self.tenant.access.require(caller, operation, _needs(call))
        return call

    def _path_item(self) -> tuple[PathItem, Mapping[str, str]]:
        found = load_contract().find(self.request.path)
        if found is None:
            raise SimulatedError(Code.NO_SUCH_API)
        return found

    def _operation(self, item: PathItem) -> Operation:
        if operation := item.get(self.request.method):
            return operation
        code = Code.METHOD_NOT_ALLOWED if self.tenant.switches["wrong_method"] == "405" else Code.NO_SUCH_METHOD
        raise SimulatedError(code, Allow=", ".join(sorted(item)))

    def _caller(self, operation: Operation) -> Caller:
        if operation.is_open:
            return Caller("")
        try:
            return self.tenant.access.authenticate(self.request, self.body)
        except SimulatedError:
            if operation.service == "iam":
                raise SimulatedError(Code.IAM_NOT_AUTHENTICATED) from None
            raise

    def _read(self, operation: Operation, texts: Mapping[str, str], caller: Caller) -> SimulatedCall:
        refuse_unknown = self.tenant.switches["unknown_members"] == "refuse"
        try:
            path = operation.read_parameters("path", texts)
            query = operation.read_parameters("query", self.request.args)
            body = operation.read_body(self.body, refuse_unknown=refuse_unknown)
        except InvalidRequestError as error:
            is_empty = isinstance(error, MissingBodyError) and self.tenant.switches["no_body"] == Code.EMPTY.value.code
            raise SimulatedError(Code.EMPTY if is_empty else operation.invalid, str(error)) from None
        return SimulatedCall(self.tenant, operation, self.number, self._narrowed(caller), path, query, body)

    def _narrowed(self, caller: Caller) -> Caller:
        """A signed request may name its project in a header. The SDK does so where the path has none."""
        named = self.request.headers.get("X-Project-Id")
        return replace(caller, projects=(named,)) if named in caller.projects else caller


def _require_project(caller: Caller, project: str | None, tenant: Tenant) -> None:
    if project is None or (project in caller.projects and project in PROJECTS):
        return
    match tenant.switches["project_mismatch"]:
        case "401":
            raise SimulatedError(Code.PROJECT_REFUSED, "the token is not for this project")
        case "404":
            raise SimulatedError(Code.PROJECT_NOT_FOUND)
        case _:
            raise SimulatedError(Code.PROJECT_UNAVAILABLE)


def _needs(call: SimulatedCall) -> tuple[str, ...]:
    """The further actions of a call. The documents do not state whether every PATCH needs `ims:images:list`."""
    if call.switch("image_permission") == "always" or (call.body and IMAGE_MEMBERS & set(call.body)):
        return call.operation.needs
    return ()
