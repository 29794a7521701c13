"""Check the endpoint, clock, credential and permissions of a project by calls that change nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.cloud import parsing
from dashboard.cloud.auth import auth_for
from dashboard.cloud.endpoints import CLOCK_SKEW, OPEN_SESSIONS, Call, Calls
from dashboard.cloud.error_messages import explain
from dashboard.cloud.errors import SignInError
from dashboard.cloud.limits import LIMITS, Deadline, Limits
from dashboard.cloud.permissions import ACTIONS, identity_policy
from dashboard.cloud.projects import Project
from dashboard.cloud.request_limits import RequestThreadPool, waiting_for_cloud
from dashboard.cloud.resources import ServerGroup
from dashboard.cloud.rules import CallResult
from dashboard.cloud.transport import CallResponse, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_stubs_ext import StrPromise

# Not about a permission: a region may lack the call, or there were too many calls.
INCONCLUSIVE = {CallResult.REJECTED, CallResult.THROTTLED, CallResult.THROTTLED_BY_GATEWAY}


RESULTS: "Mapping[CallResult, StrPromise]" = {
    CallResult.DONE: gettext_lazy("The cloud accepts the call."),
    CallResult.NOT_SENT: gettext_lazy("The connection could not be opened."),
    CallResult.NO_RESPONSE: gettext_lazy("No response arrived in time."),
    CallResult.CONNECTION_LOST: gettext_lazy("The connection was lost before the response."),
    CallResult.TRUNCATED: gettext_lazy("The response is incomplete."),
    CallResult.INVALID: gettext_lazy("The response does not have the form that the cloud uses."),
    CallResult.REDIRECTED: gettext_lazy("The response is a redirect, which the cloud does not send."),
    CallResult.UNAUTHENTICATED: gettext_lazy("The cloud does not accept the credential."),
    CallResult.THROTTLED: gettext_lazy("The cloud reports too many calls."),
    CallResult.THROTTLED_BY_GATEWAY: gettext_lazy("The gateway of the cloud reports too many calls."),
    CallResult.REJECTED: gettext_lazy("The cloud rejects the call."),
    CallResult.REJECTED_UNCLEARLY: gettext_lazy("The response does not say whether the cloud accepts the call."),
    CallResult.FAILED: gettext_lazy("The cloud reports an internal error."),
}


class Result(Enum):
    GOOD = "good"
    BAD = "bad"
    NOT_TRIED = "not tried"

    @property
    def label(self) -> str:
        """The result for a page."""
        return {Result.GOOD: _("good"), Result.BAD: _("bad"), Result.NOT_TRIED: _("not tried")}[self]


@dataclass(frozen=True)
class Check:
    """A result with its details in the active language. A check of a permission has the IAM action in `action`."""

    title: str
    result: Result
    detail: str = ""
    action: str = ""
    is_missing: bool = False


class _CheckClient:
    """Sends each call once, without retries and circuit breaker: the current response counts."""

    def __init__(self, project: Project, limits: Limits) -> None:
        self._limits = limits
        self._transport = Transport(project, limits)
        self._auth = auth_for(project, self._transport)

    def send(self, call: Call) -> CallResponse:
        """Raises SignInError and SlowCloudError."""
        with waiting_for_cloud(call, Deadline(self._limits.whole)) as deadline:
            self._auth.get_ready(deadline)
            return self._transport.exchange(call, self._auth, deadline)

    def close(self) -> None:
        self._transport.close()


def check_project(project: Project, limits: Limits = LIMITS) -> tuple[Check, ...]:
    """Check everything that the dashboard needs to serve the project, in the order of repair. Raises SlowCloudError."""
    client = _CheckClient(project, limits)
    try:
        listed = client.send(Calls(project).list_server_groups())
        basics = (_endpoint(project, listed), _clock(listed), _credential(listed))
        if any(check.result is Result.BAD for check in basics):
            return basics
        return (*basics, *_permissions(project, client, listed))
    except SignInError as error:
        return (Check(_("Credential"), Result.BAD, f"{explain(error).cause} {error}"),)
    finally:
        client.close()


def policy_to_grant(checks: tuple[Check, ...]) -> str:
    """An identity policy with the missing actions, as JSON; empty if no action is missing."""
    missing = [check.action for check in checks if check.is_missing]
    return identity_policy(missing) if missing else ""


def _describe(response: CallResponse) -> str:
    """The response as a sentence, with its technical details."""
    status = f"HTTP {response.http_status}" if response.http_status else ""
    error = ": ".join(part for part in response.error if part)
    details = ", ".join(part for part in (status, response.cause, error) if part)
    sentence = str(RESULTS[response.result])
    return f"{sentence} {details}" if details else sentence


def _endpoint(project: Project, listed: CallResponse) -> Check:
    is_cloud = listed.http_status is not None and listed.result not in {CallResult.INVALID, CallResult.REDIRECTED}
    problem = "" if is_cloud else f": {_describe(listed)}"
    return Check(_("Endpoint"), Result.GOOD if is_cloud else Result.BAD, f"{project.workspace_endpoint}{problem}")


def _clock(listed: CallResponse) -> Check:
    """Compare our clock with the Date header: the cloud rejects a signature at a difference over 15 minutes."""
    try:
        skew = abs(listed.received_at - parsedate_to_datetime(listed.headers.get("Date", "")))
    except (TypeError, ValueError):
        return Check(_("Clock"), Result.NOT_TRIED, _("The response of the cloud has no time."))
    difference = round(skew.total_seconds())
    detail = ngettext(
        "The clocks differ by %(seconds)d second.", "The clocks differ by %(seconds)d seconds.", difference
    ) % {"seconds": difference}
    return Check(_("Clock"), Result.GOOD if skew < CLOCK_SKEW else Result.BAD, detail)


def _credential(listed: CallResponse) -> Check:
    if listed.result is CallResult.UNAUTHENTICATED:
        return Check(_("Credential"), Result.BAD, _describe(listed))
    is_known = listed.result in {CallResult.DONE, CallResult.REJECTED}
    return Check(_("Credential"), Result.GOOD if is_known else Result.NOT_TRIED)


def _permissions(project: Project, client: _CheckClient, listed: CallResponse) -> tuple[Check, ...]:
    calls = list(_harmless_calls(Calls(project), listed))
    with RequestThreadPool(len(calls)) as pool:
        responses = dict(zip((call.name for call in calls), pool.map(client.send, calls), strict=True))
    responses["ListServerGroups"] = listed
    return tuple(_permission(name, responses.get(name)) for name in ACTIONS)


def _harmless_calls(calls: Calls, listed: CallResponse) -> Iterator[Call]:
    """All calls that change nothing. Some need a group."""
    listed_groups = parsing.each(parsing.members(listed.body), "items", ServerGroup.from_api)
    groups = [group for group in listed_groups if not group.id_problem]
    if groups:
        yield calls.show_server_group(groups[0].id)
        yield calls.show_server_group_state(groups[0].id)
        yield calls.list_sessions(groups[0].id, OPEN_SESSIONS)
    yield calls.show_restrict()
    yield calls.validate_name("streamwarden-check")
    yield calls.list_servers(None)
    yield calls.list_volume_types()
    yield calls.list_images("private")


def _permission(name: str, response: CallResponse | None) -> Check:
    action = ACTIONS[name][0]
    if response is None:
        is_update = name == "UpdateServerGroup"
        reason = _("The call would change a group.") if is_update else _("The call needs a server group.")
        return Check(name, Result.NOT_TRIED, reason, action)
    if response.result is CallResult.DONE:
        return Check(name, Result.GOOD, action=action)
    is_missing = response.http_status == HTTPStatus.FORBIDDEN
    is_bad = is_missing or response.result not in INCONCLUSIVE
    return Check(name, Result.BAD if is_bad else Result.NOT_TRIED, _describe(response), action, is_missing)
