"""The cloud's API: one client for each project, one `_request()`, one method for each endpoint.

A client is shared by all threads, and with it the credential, the connections, the breakers and the last good copy.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar

from dashboard.cloud import parsing
from dashboard.cloud.auth import auth_for
from dashboard.cloud.catalogue import Image, NameCheck, Restrict, VolumeType
from dashboard.cloud.endpoints import IMAGES_A_PAGE, OPEN_SESSIONS, Call, Calls
from dashboard.cloud.errors import (
    BadResponseError,
    CloudError,
    IncompleteListError,
    ListTooLargeError,
    RejectedError,
    SendAgainError,
    SignInError,
    ThrottledError,
)
from dashboard.cloud.limits import LIMITS, Deadline, Limits
from dashboard.cloud.paging import ROWS, Identified, Page, Volume, read_all
from dashboard.cloud.projects import Project
from dashboard.cloud.request_limits import waiting_for_cloud
from dashboard.cloud.resilience import Breaker, RetryBudget
from dashboard.cloud.resources import Server, ServerGroup, ServerGroupState, Session
from dashboard.cloud.rules import REFUSALS, RULES, Again, CallKind, Rule
from dashboard.cloud.transport import Reply, Transport

Row = TypeVar("Row", bound=Identified)

MOST_IMAGES = 10_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading(Generic[Row]):
    """What a list read gave. `as_of` is when the cloud answered (aware, UTC); `total` is how many rows it counts.

    `problem` says that the cloud is unavailable now, and that this is the last reading. An incomplete reading holds the
    last complete one in `complete`, if there ever was one.
    """

    value: tuple[Row, ...]
    as_of: datetime
    total: int
    is_complete: bool = True
    problem: CloudError | None = None
    complete: "Reading[Row] | None" = field(default=None, repr=False)

    @property
    def unreadable(self) -> int:
        """How many rows the cloud counts that are not here."""
        return self.total - len(self.value)

    @property
    def older(self) -> tuple[Row, ...]:
        """The rows that only the last complete reading has."""
        if self.complete is None:
            return ()
        ids = {row.id for row in self.value}
        return tuple(row for row in self.complete.value if row.id not in ids)


@dataclass(frozen=True)
class Answer:
    """The cloud accepted a change; whether it took effect only a read can tell."""

    http_status: int
    request_id: str
    duration_ms: int


class Client:
    """All methods raise a CloudError when they cannot do what they say."""

    def __init__(self, project: Project, limits: Limits = LIMITS) -> None:
        self.project = project
        self._limits = limits
        self._calls = Calls(project)
        self._transport = Transport(project, limits)
        self._auth = auth_for(project, self._transport)
        self._budget = RetryBudget()
        self._breakers = {
            endpoint: Breaker(endpoint) for endpoint in (project.workspace_endpoint, project.ims_endpoint)
        }
        self._last_list: Reading[ServerGroup] | None = None
        self._last_list_lock = threading.Lock()

    @property
    def is_circuit_open(self) -> bool:
        """An endpoint failed so often that it is left alone for now. Asks nobody."""
        return any(breaker.is_open for breaker in self._breakers.values())

    def close(self) -> None:
        """Closes the idle connections; the client stays usable."""
        self._transport.close()

    # Server groups

    def list_server_groups(self) -> Reading[ServerGroup]:
        """All groups, primary and standby; the last reading while the cloud is unavailable."""
        known = len(self._last_list.value) if self._last_list else 0
        try:
            page = self._all_pages(self._calls.list_server_groups(), ServerGroup.from_api, known)
        except CloudError as error:
            is_refusal = isinstance(error, RejectedError) and not isinstance(error, ThrottledError)
            if self._last_list is None or is_refusal:
                raise
            return replace(self._last_list, problem=error)
        return self._remembered(page)

    def _remembered(self, page: Page[ServerGroup]) -> Reading[ServerGroup]:
        """The page as the last reading. An incomplete one keeps the last complete one beside it."""
        with self._last_list_lock:
            last, complete = self._last_list, None
            if last and not page.is_complete:
                complete = last if last.is_complete else last.complete
            self._last_list = Reading(page.items, page.as_of, page.total, page.is_complete, complete=complete)
            return self._last_list

    def show_server_group(self, group_id: str) -> ServerGroup:
        """The group as it is now, never a copy."""
        call = self._calls.show_server_group(group_id)
        reply, duration_ms = self._request(call)
        group = ServerGroup.from_api(reply.body)
        if group is None or group.id.casefold() != group_id.casefold():
            raise _bad_answer(call, reply, duration_ms, "is not the server group that was asked for")
        return group

    def find_in_list(self, group_id: str) -> ServerGroup | None:
        """The group as the list shows it, which may hold what ShowServerGroup leaves out; None if it is not there."""
        page = self._all_pages(self._calls.list_server_groups(group_id), ServerGroup.from_api)
        return next((group for group in page.items if group.id.casefold() == group_id.casefold()), None)

    def update_server_group(
        self, group_id: str, payload: Mapping[str, object], *, send_within: float | None = None
    ) -> Answer:
        """One PATCH with the members of `payload`, which leaves within `send_within` seconds or not at all.

        OutcomeUnknownError: read, do not send again. SendAgainError: read, then call this once more.
        """
        send_by = Deadline(self._limits.send if send_within is None else send_within)
        reply, duration_ms = self._request(self._calls.update_server_group(group_id, payload, send_by))
        return Answer(reply.http_status or 0, reply.request_id, duration_ms)

    def show_server_group_state(self, group_id: str) -> ServerGroupState:
        """How many of the group's servers are in which status."""
        return ServerGroupState.from_api(self._body(self._calls.show_server_group_state(group_id)))

    def show_restrict(self) -> Restrict:
        """The tenant's ceilings."""
        return Restrict.from_api(self._body(self._calls.show_restrict()))

    def validate_name(self, name: str) -> NameCheck:
        """Whether a group may be called so."""
        return NameCheck.from_api(self._body(self._calls.validate_name(name)))

    # What stands behind a group, and what it may choose from

    def list_servers(self, group_id: str | None = None) -> tuple[Server, ...]:
        """The servers of a group, or of the whole project. Raises IncompleteListError rather than a part of them."""
        return self._every_row(self._calls.list_servers(group_id), Server.from_api)

    def list_sessions(self, group_id: str, states: tuple[str, ...] = OPEN_SESSIONS) -> tuple[Session, ...]:
        """The group's sessions in one of the states, as far as they began within the last year.

        Raises IncompleteListError rather than a part of them.
        """
        return self._every_row(self._calls.list_sessions(group_id, states), Session.from_api)

    def list_volume_types(self) -> tuple[VolumeType, ...]:
        """The disk types on offer."""
        return parsing.each(self._body(self._calls.list_volume_types()), "volume_types", VolumeType.from_api)

    def list_images(self, image_type: str) -> tuple[Image, ...]:
        """The usable images for an `image_type` of the PATCH (gold, public, private, shared).

        IMS gives neither a total nor a next page: the id of the last image marks where to go on (workspace-api.md 5.1).
        """
        call, deadline = self._calls.list_images(image_type), Deadline(self._limits.whole)
        images: dict[str, Image] = {}
        while len(images) < MOST_IMAGES:
            page = parsing.each(self._body(call, deadline), "images", lambda data: Image.from_api(data, image_type))
            fresh = {image.id: image for image in page if image.id not in images}
            images |= fresh
            if len(fresh) < IMAGES_A_PAGE:
                break
            call = replace(call, query={**call.query, "marker": page[-1].id})
        return tuple(images.values())

    # The one door

    def _request(self, call: Call, deadline: Deadline | None = None) -> tuple[Reply, int]:
        """The reply of a call that succeeded and the milliseconds it took in all; else raises what the rules say."""
        with (
            waiting_for_cloud(call, deadline or Deadline(self._limits.whole)) as deadline,
            self._breakers[call.endpoint].watched() as details,
        ):
            begun = time.monotonic()
            reply, rule = self._settled(call, deadline)
            details.is_outage = rule.is_outage
        duration_ms = round((time.monotonic() - begun) * 1000)
        if rule.error is not None:
            error = self._error(rule.error, call, reply, duration_ms)
            logger.warning("%s in %d ms, request id %s", error, duration_ms, error.request_id or "unknown")
            raise error
        logger.debug("%s took %d ms, request id %s", call.name, duration_ms, reply.request_id or "unknown")
        self._budget.give()
        return reply, duration_ms

    def _settled(self, call: Call, deadline: Deadline) -> tuple[Reply, Rule]:
        """Sends the request as often as its rule allows."""
        resent, has_new_token = 0, False
        while True:
            self._auth.get_ready(deadline)
            reply = self._transport.exchange(call, self._auth, deadline)
            rule = RULES[call.kind][reply.outcome]
            if rule.again is Again.AFTER_SIGN_IN and not has_new_token and self._renewed(call, reply, deadline):
                if call.kind is CallKind.WRITE:
                    return reply, replace(rule, error=SendAgainError)
                has_new_token = True
            elif rule.again is Again.AFTER_A_PAUSE and self._waited(
                resent, reply.retry_after, min(deadline, call.send_by or deadline, key=Deadline.left)
            ):
                resent += 1
            else:
                return reply, rule

    def _renewed(self, call: Call, reply: Reply, deadline: Deadline) -> bool:
        """Whether there is a newer credential to try. A failed sign-in does not hide that a write has left."""
        try:
            return self._auth.renew(reply.request, deadline)
        except SignInError:
            if call.kind is CallKind.WRITE:
                return False
            raise

    def _waited(self, resent: int, retry_after: float, deadline: Deadline) -> bool:
        """Sleeps before another attempt: full jitter, at least what `Retry-After` asks. False without waiting when
        no attempt, no budget or no time is left for one.
        """
        jitter = random.uniform(0, self._limits.backoff * 2**resent)  # noqa: S311 - spreads load, guards no secret
        wait = max(jitter, retry_after)
        if resent + 1 >= self._limits.attempts or wait >= deadline.left() or not self._budget.take():
            return False
        time.sleep(wait)
        return True

    def _error(self, kind: type[CloudError], call: Call, reply: Reply, duration_ms: int) -> CloudError:
        if kind is RejectedError:
            kind = REFUSALS.get(reply.http_status or 0, RejectedError)
        code, message = reply.error
        cause = f" [{reply.cause}]" if reply.cause else ""
        error = kind(
            f"{call.name} {reply.outcome.value}{cause}",
            http_status=reply.http_status,
            error_code=code,
            error_msg=message,
            request_id=reply.request_id,
            duration_ms=duration_ms,
            call=call.name,
            encoded_reason=parsing.text(parsing.members(reply.body), "encoded_authorization_message") or "",
        )
        if isinstance(error, SendAgainError):
            error.retry_after = max(reply.retry_after, random.uniform(0, self._limits.backoff))  # noqa: S311 (as above)
        return error

    def _body(self, call: Call, deadline: Deadline | None = None) -> parsing.Members:
        return parsing.members(self._request(call, deadline)[0].body)

    def _every_row(self, call: Call, read: Callable[[object], Row | None]) -> tuple[Row, ...]:
        page = self._all_pages(call, read)
        if len(page.items) < page.total:
            message = f"{len(page.items)} of {page.total} rows of {call.name} could be read"
            raise IncompleteListError(message, call=call.name)
        return page.items

    def _all_pages(self, call: Call, read: Callable[[object], Row | None], expected: int = 0) -> Page[Row]:
        """The whole list, of which `expected` rows are known to exist, within one deadline."""
        deadline = Deadline(self._limits.whole)

        def fetch(offset: int, volume: Volume) -> Page[Row]:
            _stop_at_excess(call, volume)
            page_call = replace(call, query={**call.query, "offset": str(offset), "limit": str(ROWS)})
            reply, duration_ms = self._request(page_call, deadline)
            body = parsing.members(reply.body)
            items, total = body.get("items"), parsing.integer(body, "count")
            if not isinstance(items, list) or total is None or total < 0:
                raise _bad_answer(call, reply, duration_ms, "is not a list with its count")
            volume.add(total, len(items), reply.size)
            _stop_at_excess(call, volume)
            rows = parsing.each(body, "items", read)
            return Page(rows, total, len(items) - len(rows), reply.answered_at)

        return read_all(fetch, self._limits, expected)


def _stop_at_excess(call: Call, volume: Volume) -> None:
    if volume.excess:
        raise ListTooLargeError(f"the list of {call.name} has {volume.excess}", call=call.name)


def _bad_answer(call: Call, reply: Reply, duration_ms: int, complaint: str) -> BadResponseError:
    return BadResponseError(
        f"the answer to {call.name} {complaint}",
        http_status=reply.http_status,
        request_id=reply.request_id,
        duration_ms=duration_ms,
        call=call.name,
    )


_clients: dict[Project, Client] = {}
_clients_lock = threading.Lock()


def client_for(project: Project) -> Client:
    """The project's one client in this process."""
    with _clients_lock:
        if project not in _clients:
            _clients[project] = Client(project)
        return _clients[project]
