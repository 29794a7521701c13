"""One request on its way: found, let in, held against the contract, and performed."""

import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from werkzeug.wrappers import Request

from dashboard.simulator import fleets, iam, ims, tags, workspace
from dashboard.simulator.answers import Answer
from dashboard.simulator.auth import Caller
from dashboard.simulator.catalogue import PROJECTS
from dashboard.simulator.contract import NoBodyError, Operation, Place, UnfitError, load_contract
from dashboard.simulator.errors import CloudError, Code, error_answer
from dashboard.simulator.rules import IMAGE_MEMBERS
from dashboard.simulator.world import Call, World

LARGEST_BODY = 12 * 1024 * 1024
"""The gateway's limit (API reference, 3.3)."""

HANDLERS: dict[str, Callable[[Call], Answer]] = {
    "ListServerGroups": workspace.list_server_groups,
    "ShowServerGroup": workspace.show_server_group,
    "UpdateServerGroup": workspace.update_server_group,
    "ListTenantServerGroups": workspace.list_tenant_server_groups,
    "ShowServerGroupState": workspace.show_server_group_state,
    "ShowServerGroupRestrict": workspace.show_server_group_restrict,
    "ValidateServerGroup": workspace.validate_server_group,
    "ListVolumeType": workspace.list_volume_type,
    "ListServers": fleets.list_servers,
    "ListSessions": fleets.list_sessions,
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


class Later:
    """Requests that are applied after their answer, unless the simulator is reset or stopped first."""

    def __init__(self) -> None:
        self._waiting: dict[threading.Timer, Callable[[], object]] = {}
        self._lock = threading.Lock()
        """Held while a request is applied, so that none is applied once `cancel` has returned."""

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
        """Apply everything that waits, without waiting for its time."""
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
    """What a fault has in its hands: it may ask for the answer, alter the call, or do without either."""

    def __init__(self, request: Request, body: bytes, number: int, world: World, later: Later) -> None:
        self.request, self.body, self.number, self.world, self.later = request, body, number, world, later
        self.request_id = secrets.token_hex(16)

    def answer(self, alter: Callable[[Call], Call] = lambda call: call) -> Answer:
        """The faithful answer, or that to the call as altered."""
        try:
            return self.perform(alter(self.call()))
        except CloudError as error:
            return self.refusal(error)

    def perform(self, call: Call) -> Answer:
        return HANDLERS[call.operation.name](call)

    def perform_later(self, call: Call, seconds: float) -> None:
        """Perform the call that many seconds after its answer, or now. Nobody hears of an error."""

        def perform() -> None:
            with suppress(CloudError):
                self.perform(call)

        if seconds:
            self.later.do(seconds, perform)
        else:
            perform()

    def refusal(self, error: CloudError) -> Answer:
        return error_answer(error, self.request_id)

    def call(self) -> Call:
        """Raises CloudError in the order of a gateway: path, method, size, credential, project, action, contract."""
        place, texts = self._place()
        operation = self._operation(place)
        if len(self.body) > LARGEST_BODY:
            raise CloudError(Code.TOO_LARGE)
        caller = self._caller(operation)
        _require_project(caller, texts.get("project_id"), self.world)
        self.world.door.require(caller, operation, ())
        call = self._read(operation, texts, caller)
        self.world.door.require(caller, operation, _needs(call))
        return call

    def _place(self) -> tuple[Place, dict[str, str]]:
        found = load_contract().find(self.request.path)
        if found is None:
            raise CloudError(Code.NO_SUCH_API)
        return found

    def _operation(self, place: Place) -> Operation:
        if operation := place.operations.get(self.request.method):
            return operation
        code = Code.METHOD_NOT_ALLOWED if self.world.switches["wrong_method"] == "405" else Code.NO_SUCH_METHOD
        raise CloudError(code, Allow=", ".join(sorted(place.operations)))

    def _caller(self, operation: Operation) -> Caller:
        if operation.is_open:
            return Caller("")
        try:
            return self.world.door.recognise(self.request, self.body)
        except CloudError:
            if operation.service == "iam":
                raise CloudError(Code.IAM_NOT_AUTHENTICATED) from None
            raise

    def _read(self, operation: Operation, texts: dict[str, str], caller: Caller) -> Call:
        refuse_unknown = self.world.switches["unknown_members"] == "refuse"
        try:
            path = operation.read_parameters("path", texts)
            query = operation.read_parameters("query", self.request.args)
            body = operation.read_body(self.body, refuse_unknown=refuse_unknown)
        except UnfitError as error:
            is_empty = isinstance(error, NoBodyError) and self.world.switches["no_body"] == Code.EMPTY.value.code
            raise CloudError(Code.EMPTY if is_empty else operation.invalid, str(error)) from None
        return Call(self.world, operation, self.number, self._narrowed(caller), path, query, body)

    def _narrowed(self, caller: Caller) -> Caller:
        """A signed request may name its project in a header, as the SDK does where the path has none."""
        named = self.request.headers.get("X-Project-Id")
        return replace(caller, projects=(named,)) if named in caller.projects else caller


def _require_project(caller: Caller, project: str | None, world: World) -> None:
    if project is None or (project in caller.projects and project in PROJECTS):
        return
    match world.switches["project_mismatch"]:
        case "401":
            raise CloudError(Code.PROJECT_REFUSED, "the token is not for this project")
        case "404":
            raise CloudError(Code.PROJECT_NOT_FOUND)
        case _:
            raise CloudError(Code.PROJECT_UNAVAILABLE)


def _needs(call: Call) -> tuple[str, ...]:
    """No document says whether a PATCH that leaves the image alone needs the right to list images."""
    if call.switch("image_permission") == "always" or (call.body and IMAGE_MEMBERS & set(call.body)):
        return call.operation.needs
    return ()
