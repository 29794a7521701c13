"""Every way a call to the cloud can fail, named for what the reader can do next.

CloudError
├── NotSentError                nothing reached the cloud, so nothing was changed
│   ├── UnreachableError            the connection never opened
│   ├── CircuitOpenError              the breaker is open until `retry_at`
│   ├── SlowCloudError              too many requests wait for the cloud, or this one waited too long
│   └── SignInError                 no credential the cloud accepts, or sign-in is paused
├── SendAgainError              a write was stopped before the service: read the group, then it may be sent once more
├── RejectedError               the cloud refused with a 4xx in its own form: nothing was changed
│   ├── InvalidError                400
│   ├── UnauthenticatedError        401
│   ├── ForbiddenError              403
│   ├── NotFoundError               404
│   └── ThrottledError              429
├── UnavailableError            a read got a 5xx, no answer in time, or broke off
├── BadResponseError              a read got a 2xx that cannot be what it claims, or a redirect
│   ├── ListTooLargeError           a list has more rows or bytes than are read
│   └── IncompleteListError         a list lacks rows that the cloud counts
└── OutcomeUnknownError         a write left, and its outcome is unknown: read, do not send

For a write only `NotSentError` and `RejectedError` are certain.
"""

from datetime import datetime


class CloudError(Exception):
    """A call that did not succeed.

    `summary` is our own sentence; `error_code` and `error_msg` are the cloud's words as they came (empty when it
    said nothing), free of control characters and of secrets. `duration_ms` covers all attempts of the call, and
    `call` is the API's name of it. `encoded_reason`, which seldom comes, is for the cloud's administrator to decode.
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
        said = ": ".join(part for part in (error_code, error_msg) if part)
        super().__init__(f"{summary} ({said})" if said else summary)
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
    """The breaker is open: the cloud failed so often that it is left alone until `retry_at` (aware, UTC)."""

    def __init__(self, summary: str, *, retry_at: datetime) -> None:
        super().__init__(summary)
        self.retry_at = retry_at


class SlowCloudError(NotSentError):
    """The cloud answers slowly: enough requests wait for it already, or this one has no time left."""


class SignInError(NotSentError):
    """There is no credential that the cloud accepts, or signing in is paused."""


class SendAgainError(CloudError):
    """The gateway stopped a write: too many calls (429), or an expired token (401) that is renewed by now.

    Read the group first; then the write may be sent once more, after `retry_after` seconds.
    """

    retry_after: float = 0.0


class RejectedError(CloudError):
    """The cloud refused with a 4xx in its own form: nothing was changed."""


class InvalidError(RejectedError):
    """400: the cloud does not take the values."""


class UnauthenticatedError(RejectedError):
    """401: the cloud does not know the credential (any more)."""


class ForbiddenError(RejectedError):
    """403: the credential lacks a permission."""


class NotFoundError(RejectedError):
    """404: the cloud has no such thing."""


class ThrottledError(RejectedError):
    """429: too many calls."""


class UnavailableError(CloudError):
    """A read got a 5xx, no answer in time, or broke off."""


class BadResponseError(CloudError):
    """A read got a 2xx that cannot be what it claims (HTML, empty, truncated, error body, too large), or a redirect."""


class ListTooLargeError(BadResponseError):
    """A list has more rows or bytes in all its pages than are read."""


class IncompleteListError(BadResponseError):
    """A list lacks rows that the cloud counts, so that nothing can be counted from it."""


class OutcomeUnknownError(CloudError):
    """A write left, and its outcome is unknown: read, do not send again."""
