"""The possible results of a call, and what each means for a read, a write and a sign-in: one table (quality.md 1).

Only two failures of a write are certain: a connection that never opened, and a refusal in the provider's own form.
After bytes have left, anything else is unknown. A write is never repeated here: a caller that gets SendAgainError reads
the group first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from dashboard.cloud import errors


class CallKind(Enum):
    """What a call does to the cloud. ValidateServerGroup is a POST and yet a read: it changes nothing."""

    READ = "read"
    WRITE = "write"
    SIGN_IN = "sign-in"


class CallResult(Enum):
    """The result of one request, as the end of a sentence."""

    DONE = "was answered"
    NEVER_OPENED = "could not be sent: the connection never opened"
    NO_ANSWER = "got no answer in time"
    BROKE_OFF = "lost its connection before the answer"
    TRUNCATED = "got an answer that breaks off"
    NONSENSE = "got an answer that makes no sense"
    REDIRECTED = "was redirected, which the cloud never does"
    UNAUTHENTICATED = "was refused: the credential is not accepted"
    THROTTLED = "was refused: too many calls"
    THROTTLED_BY_GATEWAY = "was refused by the gateway: too many calls"
    REFUSED = "was refused"
    REFUSED_UNCLEARLY = "got a refusal that does not say whether it was applied"
    FAILED = "failed inside the cloud"


class Again(Enum):
    """Whether the request may be sent once more."""

    NEVER = "never"
    AFTER_A_PAUSE = "after a pause, within attempts, deadline and retry budget"
    AFTER_SIGN_IN = "once, with a new token"


@dataclass(frozen=True)
class Rule:
    """`error` is what the caller gets in the end; `is_outage` is what the breaker counts."""

    error: type[errors.CloudError] | None
    again: Again = Again.NEVER
    is_outage: bool = False


_READ = {
    CallResult.DONE: Rule(None),
    CallResult.NEVER_OPENED: Rule(errors.UnreachableError, Again.AFTER_A_PAUSE, is_outage=True),
    CallResult.NO_ANSWER: Rule(errors.UnavailableError, Again.AFTER_A_PAUSE, is_outage=True),
    CallResult.BROKE_OFF: Rule(errors.UnavailableError, Again.AFTER_A_PAUSE, is_outage=True),
    CallResult.TRUNCATED: Rule(errors.BadResponseError, Again.AFTER_A_PAUSE, is_outage=True),
    CallResult.NONSENSE: Rule(errors.BadResponseError, is_outage=True),
    CallResult.REDIRECTED: Rule(errors.BadResponseError, is_outage=True),
    CallResult.UNAUTHENTICATED: Rule(errors.UnauthenticatedError, Again.AFTER_SIGN_IN),
    CallResult.THROTTLED: Rule(errors.ThrottledError, Again.AFTER_A_PAUSE),
    CallResult.THROTTLED_BY_GATEWAY: Rule(errors.ThrottledError, Again.AFTER_A_PAUSE),
    CallResult.REFUSED: Rule(errors.RejectedError),
    CallResult.REFUSED_UNCLEARLY: Rule(errors.RejectedError),
    CallResult.FAILED: Rule(errors.UnavailableError, Again.AFTER_A_PAUSE, is_outage=True),
}

_WRITE = {
    CallResult.DONE: Rule(None),
    CallResult.NEVER_OPENED: Rule(errors.UnreachableError, Again.AFTER_A_PAUSE, is_outage=True),
    CallResult.NO_ANSWER: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.BROKE_OFF: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.TRUNCATED: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.NONSENSE: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.REDIRECTED: Rule(errors.OutcomeUnknownError, is_outage=True),
    CallResult.UNAUTHENTICATED: Rule(errors.UnauthenticatedError, Again.AFTER_SIGN_IN),
    CallResult.THROTTLED: Rule(errors.OutcomeUnknownError),
    CallResult.THROTTLED_BY_GATEWAY: Rule(errors.SendAgainError),
    CallResult.REFUSED: Rule(errors.RejectedError),
    CallResult.REFUSED_UNCLEARLY: Rule(errors.OutcomeUnknownError),
    CallResult.FAILED: Rule(errors.OutcomeUnknownError, is_outage=True),
}

# A sign-in is tried once: a second refusal costs an attempt before IAM locks the account.
_SIGN_IN = {outcome: Rule(errors.SignInError) for outcome in CallResult} | {CallResult.DONE: Rule(None)}

RULES: Mapping[CallKind, Mapping[CallResult, Rule]] = {
    CallKind.READ: _READ,
    CallKind.WRITE: _WRITE,
    CallKind.SIGN_IN: _SIGN_IN,
}

REFUSALS: Mapping[int, type[errors.RejectedError]] = {
    400: errors.InvalidError,
    401: errors.UnauthenticatedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    429: errors.ThrottledError,
}
