"""The possible results of a request, with a rule for each kind of call: read, write and sign-in (quality.md 1).

Only two failures of a write are certain: a connection that never opened, and a rejection in the provider's own form.
Any other failure after the first byte was sent leaves the outcome unknown. The client never repeats a write: a caller
that gets SendAgainError reads the group first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from dashboard.cloud import errors


class CallKind(Enum):
    """The effect of a call. ValidateServerGroup is a POST, but a read: it changes nothing."""

    READ = "read"
    WRITE = "write"
    SIGN_IN = "sign-in"


class CallResult(Enum):
    """The result of one request. In a log line the value follows the name of the call."""

    DONE = "succeeded"
    NOT_SENT = "was not sent: the connection never opened"
    NO_RESPONSE = "got no response in time"
    CONNECTION_LOST = "lost the connection before the response"
    TRUNCATED = "got an incomplete response"
    INVALID = "got an invalid response"
    REDIRECTED = "got a redirect, which the cloud never sends"
    UNAUTHENTICATED = "was rejected: the cloud does not accept the credential"
    THROTTLED = "was rejected: too many calls"
    THROTTLED_BY_GATEWAY = "was rejected by the gateway: too many calls"
    REJECTED = "was rejected"
    REJECTED_UNCLEARLY = "got an error that does not say whether the change was applied"
    FAILED = "failed with a server error"


class Retry(Enum):
    """When the client may send the request again."""

    NEVER = "never"
    AFTER_PAUSE = "after a pause, within attempts, deadline and retry budget"
    AFTER_SIGN_IN = "once, with a new token"


@dataclass(frozen=True)
class Rule:
    """`error` is raised if no further attempt succeeds. The circuit breaker counts results with `is_outage`."""

    error: type[errors.CloudError] | None
    retry: Retry = Retry.NEVER
    is_outage: bool = False


_READ = {
    CallResult.DONE: Rule(None),
    CallResult.NOT_SENT: Rule(errors.UnreachableError, Retry.AFTER_PAUSE, is_outage=True),
    CallResult.NO_RESPONSE: Rule(errors.UnavailableError, Retry.AFTER_PAUSE, is_outage=True),
    CallResult.CONNECTION_LOST: Rule(errors.UnavailableError, Retry.AFTER_PAUSE, is_outage=True),
    CallResult.TRUNCATED: Rule(errors.BadResponseError, Retry.AFTER_PAUSE, is_outage=True),
    CallResult.INVALID: Rule(errors.BadResponseError, is_outage=True),
    CallResult.REDIRECTED: Rule(errors.BadResponseError, is_outage=True),
    CallResult.UNAUTHENTICATED: Rule(errors.UnauthenticatedError, Retry.AFTER_SIGN_IN),
    CallResult.THROTTLED: Rule(errors.ThrottledError, Retry.AFTER_PAUSE),
    CallResult.THROTTLED_BY_GATEWAY: Rule(errors.ThrottledError, Retry.AFTER_PAUSE),
    CallResult.REJECTED: Rule(errors.RejectedError),
    CallResult.REJECTED_UNCLEARLY: Rule(errors.RejectedError),
    CallResult.FAILED: Rule(errors.UnavailableError, Retry.AFTER_PAUSE, is_outage=True),
}

_WRITE = {
    CallResult.DONE: Rule(None),
    CallResult.NOT_SENT: Rule(errors.UnreachableError, Retry.AFTER_PAUSE, is_outage=True),
    CallResult.NO_RESPONSE: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.CONNECTION_LOST: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.TRUNCATED: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.INVALID: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.REDIRECTED: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.UNAUTHENTICATED: Rule(errors.UnauthenticatedError, Retry.AFTER_SIGN_IN),
    CallResult.THROTTLED: Rule(errors.OutcomeUnknownError),
    CallResult.THROTTLED_BY_GATEWAY: Rule(errors.SendAgainError),
    CallResult.REJECTED: Rule(errors.RejectedError),
    CallResult.REJECTED_UNCLEARLY: Rule(errors.OutcomeUnknownError),
    CallResult.FAILED: Rule(errors.OutcomeUnknownError, is_outage=True),
}

# A sign-in is sent once: IAM locks the account after a few rejected attempts.
_SIGN_IN = {result: Rule(errors.SignInError) for result in CallResult} | {CallResult.DONE: Rule(None)}

RULES: Mapping[CallKind, Mapping[CallResult, Rule]] = {
    CallKind.READ: _READ,
    CallKind.WRITE: _WRITE,
    CallKind.SIGN_IN: _SIGN_IN,
}

REJECTIONS: Mapping[int, type[errors.RejectedError]] = {
    400: errors.InvalidError,
    401: errors.UnauthenticatedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    429: errors.ThrottledError,
}
