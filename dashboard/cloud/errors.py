"""Every failure of a call to the cloud, named for what the caller can do next.

CloudError
├── NotSentError                nothing reached the cloud, so nothing was changed
│   ├── UnreachableError            the connection never opened
│   ├── CircuitOpenError            the circuit breaker is open until `retry_at`
│   ├── SlowCloudError              too many requests wait for the cloud, or this one waited too long
│   └── SignInError                 the cloud accepts no credential, or sign-in is paused
├── SendAgainError              the gateway stopped a write: read the group, then send it once more
├── RejectedError               the cloud rejected the call with a 4xx in its own form: nothing was changed
│   ├── InvalidError                400
│   ├── UnauthenticatedError        401
│   ├── ForbiddenError              403
│   ├── NotFoundError               404
│   └── ThrottledError              429
├── UnavailableError            a read got a 5xx, no response in time, or lost the connection
├── BadResponseError            a read got a 2xx with an invalid body, or a redirect
│   ├── ListTooLargeError           a list exceeds the limit for rows or bytes
│   └── IncompleteListError         a list lacks rows that the cloud counts
└── OutcomeUnknownError         a write was sent, and its outcome is unknown: read, do not send

For a write, only `NotSentError` and `RejectedError` are certain.
"""

from datetime import datetime


class CloudError(Exception):
    """A call that did not succeed.

    `summary` is our sentence for the log. `error_code` and `error_msg` come from the cloud, without control characters
    and secrets; they can be empty. `duration_ms` covers all attempts of the call, and `call` is its name in the API. A
    cloud administrator can decode `encoded_reason`, which few errors have.
    """

    def __init__(
        self,
        summary: str,
        *,
        http_status: int | None = None,
        error_code: str = "",
        error_msg: str = "",
        request_id: str = "",
        duration_ms: int | None = None,
        call: str = "",
        encoded_reason: str = "",
    ) -> None:
        reported = ": ".join(part for part in (error_code, error_msg) if part)
        super().__init__(f"{summary} ({reported})" if reported else summary)
        self.summary = summary
        self.http_status = http_status
        self.error_code = error_code
        self.error_msg = error_msg
        self.request_id = request_id
        self.duration_ms = duration_ms
        self.call = call
        self.encoded_reason = encoded_reason


class NotSentError(CloudError):
    """Nothing reached the cloud, so nothing was changed."""


class UnreachableError(NotSentError):
    """The connection never opened."""


class CircuitOpenError(NotSentError):
    """The circuit breaker sends no call until `retry_at` (aware, UTC), after too many failures."""

    def __init__(self, summary: str, *, retry_at: datetime) -> None:
        super().__init__(summary)
        self.retry_at = retry_at


class SlowCloudError(NotSentError):
    """The cloud is slow: too many requests wait for it already, or this one has no time left."""


class SignInError(NotSentError):
    """The cloud accepts no credential, or sign-in is paused."""


class SendAgainError(CloudError):
    """The gateway stopped a write: too many calls (429), or an expired token (401) that was renewed since.

    Read the group first. Then the write may be sent once more, after `retry_after` seconds.
    """

    retry_after: float = 0.0


class RejectedError(CloudError):
    """The cloud rejected the call with a 4xx in its own form: nothing was changed."""


class InvalidError(RejectedError):
    """400: the cloud does not accept the values."""


class UnauthenticatedError(RejectedError):
    """401: the cloud does not accept the credential."""


class ForbiddenError(RejectedError):
    """403: the credential lacks a permission."""


class NotFoundError(RejectedError):
    """404: the cloud does not have the object."""


class ThrottledError(RejectedError):
    """429: too many calls."""


class UnavailableError(CloudError):
    """A read got a 5xx, no response in time, or lost the connection."""


class BadResponseError(CloudError):
    """A read got a redirect, or a 2xx with an invalid body (HTML, empty, truncated, an error, too large)."""


class ListTooLargeError(BadResponseError):
    """A list exceeds the limit for rows or bytes over all its pages."""


class IncompleteListError(BadResponseError):
    """A list lacks rows that the cloud counts, so totals from it would be wrong."""


class OutcomeUnknownError(CloudError):
    """A write was sent, and its outcome is unknown: read, do not send again."""
