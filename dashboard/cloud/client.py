"""The cloud's API: one client for each project, one method for each call. Every call goes through `_request()`.

All threads share a client, with its credential, connections and circuit breakers.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
)
from dashboard.cloud.limits import LIMITS, Deadline, Limits
from dashboard.cloud.paging import ROWS, HasId, ListSize, Page, read_all
from dashboard.cloud.projects import Project
from dashboard.cloud.request_limits import waiting_for_cloud
from dashboard.cloud.resilience import CircuitBreaker, RetryBudget
from dashboard.cloud.resources import Server, ServerGroup, ServerGroupState, Session
from dashboard.cloud.rules import REJECTIONS, RULES, CallKind, Retry, Rule
from dashboard.cloud.transport import CallResponse, Transport

Row = TypeVar("Row", bound=HasId)

MOST_IMAGES = 10_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListResult(Generic[Row]):
    """The rows of a list, read from the cloud at `as_of` (aware, UTC). `total` is the cloud's count of rows."""

    value: tuple[Row, ...]
    as_of: datetime
    total: int
    is_complete: bool = True

    @property
    def unreadable(self) -> int:
        """Number of rows that the cloud counts and that are not in `value`."""
        return self.total - len(self.value)


@dataclass(frozen=True)
class UpdateResponse:
    """The cloud accepted a change. Only a read shows whether it was applied."""

    http_status: int
    request_id: str
    duration_ms: int


class Client:
    """Client of one project. All methods raise CloudError on failure."""

    def __init__(self, project: Project, limits: Limits = LIMITS) -> None:
        self.project = project
        self._limits = limits
        self._calls = Calls(project)
        self._transport = Transport(project, limits)
        self._auth = auth_for(project, self._transport)
        self._budget = RetryBudget()
        self._breakers = {
            endpoint: CircuitBreaker(endpoint) for endpoint in (project.workspace_endpoint, project.ims_endpoint)
        }

    @property
    def is_circuit_open(self) -> bool:
        """Whether the circuit breaker of an endpoint is open. Sends no request."""
        return any(breaker.is_open for breaker in self._breakers.values())

    def close(self) -> None:
        """Close the idle connections. The client can still be used."""
        self._transport.close()

    # Server groups

    def list_server_groups(self) -> ListResult[ServerGroup]:
        """All groups, primary and standby, in one read."""
        page = self._all_pages(self._calls.list_server_groups(), ServerGroup.from_api)
        return ListResult(page.items, page.as_of, page.total, page.is_complete)

    def server_group_page(self, offset: int) -> Page[ServerGroup]:
        """The page of all groups at an offset, with one request at most."""
        return self._one_page(self._calls.list_server_groups(), offset, ServerGroup.from_api, self._limits)

    def show_server_group(self, group_id: str, *, is_repeatable: bool = True) -> ServerGroup:
        """The current state of the group, never a copy. With one request at most, unless it is repeatable."""
        call = replace(self._calls.show_server_group(group_id), is_repeatable=is_repeatable)
        response, duration_ms = self._request(call)
        group = ServerGroup.from_api(response.body)
        if group is None or group.id.casefold() != group_id.casefold():
            raise _bad_response(call, response, duration_ms, "is not the requested server group")
        return group

    def find_in_list(self, group_id: str) -> ServerGroup | None:
        """The group in the list, which can have fields that ShowServerGroup lacks. None if it is not in the list."""
        page = self._all_pages(self._calls.list_server_groups(group_id), ServerGroup.from_api)
        return next((group for group in page.items if group.id.casefold() == group_id.casefold()), None)

    def update_server_group(
        self, group_id: str, payload: Mapping[str, object], *, send_within: float | None = None
    ) -> UpdateResponse:
        """Send one PATCH with the members of `payload`, within `send_within` seconds or not at all.

        After OutcomeUnknownError, read and do not send again. After SendAgainError, read, then call this once more.
        """
        send_by = Deadline(self._limits.send if send_within is None else send_within)
        response, duration_ms = self._request(self._calls.update_server_group(group_id, payload, send_by))
        return UpdateResponse(response.http_status or 0, response.request_id, duration_ms)

    def show_server_group_state(self, group_id: str) -> ServerGroupState:
        """Number of the group's servers in each status."""
        return ServerGroupState.from_api(self._body(self._calls.show_server_group_state(group_id)))

    def show_restrict(self) -> Restrict:
        """The limits of the tenant."""
        return Restrict.from_api(self._body(self._calls.show_restrict()))

    def validate_name(self, name: str) -> NameCheck:
        """Whether the cloud allows the name for a group."""
        return NameCheck.from_api(self._body(self._calls.validate_name(name)))

    # Servers and sessions of a group, and the choices for its fields

    def list_servers(self, group_id: str | None = None) -> tuple[Server, ...]:
        """All servers of a group, or of the project. Raises IncompleteListError if some are missing."""
        return self._every_row(self._calls.list_servers(group_id), Server.from_api)

    def server_page(self, offset: int) -> Page[Server]:
        """The page of all servers at an offset, with one request at most."""
        limits = replace(self._limits, list_rows=self._limits.server_rows)
        return self._one_page(self._calls.list_servers(None), offset, Server.from_api, limits)

    def list_sessions(self, group_id: str, states: tuple[str, ...] = OPEN_SESSIONS) -> tuple[Session, ...]:
        """All sessions of the group in one of the states that began within the last year.

        Raises IncompleteListError if some are missing.
        """
        return self._every_row(self._calls.list_sessions(group_id, states), Session.from_api)

    def list_volume_types(self) -> tuple[VolumeType, ...]:
        """The disk types that the cloud offers."""
        return parsing.each(self._body(self._calls.list_volume_types()), "volume_types", VolumeType.from_api)

    def list_images(self, image_type: str) -> tuple[Image, ...]:
        """The usable images for an `image_type` of the PATCH (gold, public, private, shared).

        IMS returns neither a total nor a next page. The id of the last image is the marker of the next page
        (workspace-api.md 5.1).
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

    # Every call

    def _request(self, call: Call, deadline: Deadline | None = None) -> tuple[CallResponse, int]:
        """The response of a successful call, and its duration in milliseconds. Raises the error of the rule."""
        with (
            waiting_for_cloud(call, deadline or Deadline(self._limits.whole)) as deadline,
            self._breakers[call.endpoint].guarded() as health,
        ):
            begun = time.monotonic()
            response, rule = self._send(call, deadline)
            health.is_outage = rule.is_outage
        duration_ms = round((time.monotonic() - begun) * 1000)
        if rule.error is not None:
            error = self._error(rule.error, call, response, duration_ms)
            logger.warning("%s in %d ms, request id %s", error, duration_ms, error.request_id or "unknown")
            raise error
        logger.debug("%s took %d ms, request id %s", call.name, duration_ms, response.request_id or "unknown")
        self._budget.add()
        return response, duration_ms

    def _send(self, call: Call, deadline: Deadline) -> tuple[CallResponse, Rule]:
        """Send the request, and again as often as its rule allows."""
        retries, has_new_token = 0, False
        while True:
            self._auth.get_ready(deadline)
            response = self._transport.exchange(call, self._auth, deadline)
            rule = RULES[call.kind][response.result]
            if (
                rule.retry is Retry.AFTER_SIGN_IN
                and not has_new_token
                and self._renew_credential(call, response, deadline)
            ):
                if call.kind is CallKind.WRITE:
                    return response, replace(rule, error=SendAgainError)
                has_new_token = True
            elif (
                rule.retry is Retry.AFTER_PAUSE
                and call.is_repeatable
                and self._wait_before_retry(
                    retries, response.retry_after, min(deadline, call.send_by or deadline, key=Deadline.left)
                )
            ):
                retries += 1
            else:
                return response, rule

    def _renew_credential(self, call: Call, response: CallResponse, deadline: Deadline) -> bool:
        """Whether there is a newer credential to try. After a write, a failed sign-in is not raised: it was sent."""
        try:
            return self._auth.renew(response.request, deadline)
        except SignInError:
            if call.kind is CallKind.WRITE:
                return False
            raise

    def _wait_before_retry(self, retries: int, retry_after: float, deadline: Deadline) -> bool:
        """Wait before another attempt: full jitter, and at least `Retry-After`.

        False, without a wait, if no attempt, no token of the retry budget or not enough time is left.
        """
        jitter = random.uniform(0, self._limits.backoff * 2**retries)  # noqa: S311 (spreads load, protects no secret)
        wait = max(jitter, retry_after)
        if retries + 1 >= self._limits.attempts or wait >= deadline.left() or not self._budget.spend():
            return False
        time.sleep(wait)
        return True

    def _error(self, kind: type[CloudError], call: Call, response: CallResponse, duration_ms: int) -> CloudError:
        if kind is RejectedError:
            kind = REJECTIONS.get(response.http_status or 0, RejectedError)
        code, message = response.error
        cause = f" [{response.cause}]" if response.cause else ""
        error = kind(
            f"{call.name} {response.result.value}{cause}",
            http_status=response.http_status,
            error_code=code,
            error_msg=message,
            request_id=response.request_id,
            duration_ms=duration_ms,
            call=call.name,
            encoded_reason=parsing.text(parsing.members(response.body), "encoded_authorization_message") or "",
        )
        if isinstance(error, SendAgainError):
            error.retry_after = max(response.retry_after, random.uniform(0, self._limits.backoff))  # noqa: S311 (as above)
        return error

    def _body(self, call: Call, deadline: Deadline | None = None) -> parsing.Members:
        return parsing.members(self._request(call, deadline)[0].body)

    def _every_row(self, call: Call, read: Callable[[object], Row | None]) -> tuple[Row, ...]:
        page = self._all_pages(call, read)
        if len(page.items) < page.total:
            message = f"{len(page.items)} of {page.total} rows of {call.name} could be read"
            raise IncompleteListError(message, call=call.name)
        return page.items

    def _all_pages(self, call: Call, read: Callable[[object], Row | None]) -> Page[Row]:
        """The whole list, within one deadline."""
        deadline = Deadline(self._limits.whole)

        def fetch(offset: int, size: ListSize) -> Page[Row]:
            return self._page(call, offset, size, read, deadline)

        return read_all(fetch, self._limits)

    def _one_page(self, call: Call, offset: int, read: Callable[[object], Row | None], limits: Limits) -> Page[Row]:
        return self._page(replace(call, is_repeatable=False), offset, ListSize(limits), read)

    def _page(
        self,
        call: Call,
        offset: int,
        size: ListSize,
        read: Callable[[object], Row | None],
        deadline: Deadline | None = None,
    ) -> Page[Row]:
        """The page at an offset. Raises ListTooLargeError if it makes the list too large."""
        _check_list_size(call, size)
        page_call = replace(call, query={**call.query, "offset": str(offset), "limit": str(ROWS)})
        response, duration_ms = self._request(page_call, deadline)
        body = parsing.members(response.body)
        items, total = body.get("items"), parsing.integer(body, "count")
        if not isinstance(items, list) or total is None or total < 0:
            raise _bad_response(call, response, duration_ms, "is not a list with its count")
        size.add(total, len(items), response.size)
        _check_list_size(call, size)
        rows = parsing.each(body, "items", read)
        return Page(rows, total, len(items) - len(rows), response.received_at, response.size)


def _check_list_size(call: Call, size: ListSize) -> None:
    if size.excess:
        raise ListTooLargeError(f"the list of {call.name} has {size.excess}", call=call.name)


def _bad_response(call: Call, response: CallResponse, duration_ms: int, problem: str) -> BadResponseError:
    return BadResponseError(
        f"the response to {call.name} {problem}",
        http_status=response.http_status,
        request_id=response.request_id,
        duration_ms=duration_ms,
        call=call.name,
    )


_clients: dict[Project, Client] = {}
_clients_lock = threading.Lock()


def client_for(project: Project) -> Client:
    """The only client of the project in this process."""
    with _clients_lock:
        if project not in _clients:
            _clients[project] = Client(project)
        return _clients[project]
