"""Trying a project's endpoint, clock, credential and permissions without changing anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus

from dashboard.cloud import parsing
from dashboard.cloud.auth import auth_for
from dashboard.cloud.endpoints import CLOCK_SKEW, OPEN_SESSIONS, Call, Calls
from dashboard.cloud.errors import SignInError
from dashboard.cloud.limits import LIMITS, Deadline, Limits
from dashboard.cloud.permissions import ACTIONS, identity_policy
from dashboard.cloud.projects import Project
from dashboard.cloud.request_limits import RequestThreadPool, waiting_for_cloud
from dashboard.cloud.resources import ServerGroup
from dashboard.cloud.rules import CallResult
from dashboard.cloud.transport import Reply, Transport

# Other refusals say nothing about a permission: a region may lack the call, or have been called too often.
INCONCLUSIVE = {CallResult.REFUSED, CallResult.THROTTLED, CallResult.THROTTLED_BY_GATEWAY}


class Result(Enum):
    GOOD = "good"
    BAD = "bad"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Check:
    """One thing that was tried; when it is a permission, `action` is the IAM action behind it, missing or not."""

    title: str
    result: Result
    detail: str = ""
    action: str = ""
    is_missing: bool = False


class _Trial:
    """Asks once, without retries, breaker or copies: what counts is how the cloud answers now."""

    def __init__(self, project: Project, limits: Limits) -> None:
        self._limits = limits
        self._transport = Transport(project, limits)
        self._auth = auth_for(project, self._transport)

    def ask(self, call: Call) -> Reply:
        """Raises SignInError and SlowCloudError."""
        with waiting_for_cloud(call, Deadline(self._limits.whole)) as deadline:
            self._auth.get_ready(deadline)
            return self._transport.exchange(call, self._auth, deadline)

    def words(self, reply: Reply) -> str:
        """How the cloud answered."""
        status = f"(HTTP {reply.http_status})" if reply.http_status else ""
        return " ".join(part for part in (reply.outcome.value, status, reply.cause, *reply.error) if part)

    def close(self) -> None:
        self._transport.close()


def check_project(project: Project, limits: Limits = LIMITS) -> tuple[Check, ...]:
    """Everything that must hold before the dashboard can serve the project, in the order in which to fix it."""
    trial = _Trial(project, limits)
    try:
        listed = trial.ask(Calls(project).list_server_groups())
        basics = (_endpoint(project, trial, listed), _clock(listed), _credential(trial, listed))
        if any(check.result is Result.BAD for check in basics):
            return basics
        return (*basics, *_permissions(project, trial, listed))
    except SignInError as error:
        return (Check("Credential", Result.BAD, str(error)),)
    finally:
        trial.close()


def policy_to_grant(checks: tuple[Check, ...]) -> str:
    """The identity policy with the actions that are missing, as JSON to paste; empty when none is."""
    missing = [check.action for check in checks if check.is_missing]
    return identity_policy(missing) if missing else ""


def _endpoint(project: Project, trial: _Trial, listed: Reply) -> Check:
    has_answered = listed.http_status is not None and listed.outcome not in {CallResult.NONSENSE, CallResult.REDIRECTED}
    detail = "" if has_answered else f": {trial.words(listed)}"
    return Check("Endpoint", Result.GOOD if has_answered else Result.BAD, f"{project.workspace_endpoint}{detail}")


def _clock(listed: Reply) -> Check:
    """Our clock beside the cloud's Date header: a signature is refused when they differ by more than 15 minutes."""
    try:
        skew = abs(listed.answered_at - parsedate_to_datetime(listed.headers.get("Date", "")))
    except (TypeError, ValueError):
        return Check("Clock", Result.NOT_TRIED, "the cloud did not say what time it is")
    return Check("Clock", Result.GOOD if skew < CLOCK_SKEW else Result.BAD, f"{skew.total_seconds():.0f} s off")


def _credential(trial: _Trial, listed: Reply) -> Check:
    if listed.outcome is CallResult.UNAUTHENTICATED:
        return Check("Credential", Result.BAD, trial.words(listed))
    is_known = listed.outcome in {CallResult.DONE, CallResult.REFUSED}
    return Check("Credential", Result.GOOD if is_known else Result.NOT_TRIED)


def _permissions(project: Project, trial: _Trial, listed: Reply) -> tuple[Check, ...]:
    calls = list(_harmless_calls(Calls(project), listed))
    with RequestThreadPool(len(calls)) as pool:
        replies = dict(zip((call.name for call in calls), pool.map(trial.ask, calls), strict=True))
    replies["ListServerGroups"] = listed
    return tuple(_permission(name, trial, replies.get(name)) for name in ACTIONS)


def _harmless_calls(calls: Calls, listed: Reply) -> Iterator[Call]:
    """All the calls that change nothing; those about a group need one to ask about."""
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


def _permission(name: str, trial: _Trial, reply: Reply | None) -> Check:
    action = ACTIONS[name][0]
    if reply is None:
        why = "it would change a group" if name == "UpdateServerGroup" else "there is no server group to try it on"
        return Check(name, Result.NOT_TRIED, why, action)
    if reply.outcome is CallResult.DONE:
        return Check(name, Result.GOOD, action=action)
    is_missing = reply.http_status == HTTPStatus.FORBIDDEN
    is_bad = is_missing or reply.outcome not in INCONCLUSIVE
    return Check(name, Result.BAD if is_bad else Result.NOT_TRIED, trial.words(reply), action, is_missing)
