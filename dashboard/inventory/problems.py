"""The problems of a refresh: stored as the name of the error, shown as its explanation."""

from django.utils import timezone

from dashboard.cloud import errors
from dashboard.cloud.error_messages import Explanation, explain
from dashboard.cloud.errors import CircuitOpenError, CloudError, IncompleteListError, ListTooLargeError, RejectedError
from dashboard.cloud.rules import REJECTIONS

CALLS = {"groups": "ListServerGroups", "servers": "ListServers"}
STATUSES: dict[type[CloudError], int] = {error: status for status, error in REJECTIONS.items()}


def problem_name(error: CloudError) -> str:
    return type(error).__name__


def is_outage(name: str) -> bool:
    """Whether the problem is that the cloud does not respond. A refusal or a faulty list is a response."""
    kind = _error_class(name)
    return kind is not None and not issubclass(kind, RejectedError | ListTooLargeError | IncompleteListError)


def explain_problem(part: str, name: str) -> Explanation | None:
    """The problem of a part (`groups` or `servers`) in words; None without a problem."""
    kind = _error_class(name)
    if kind is None:
        return None
    if kind is CircuitOpenError:
        return explain(CircuitOpenError("", retry_at=timezone.now()))
    return explain(kind("", http_status=STATUSES.get(kind), call=CALLS[part]))


def _error_class(name: str) -> type[CloudError] | None:
    kind = getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, CloudError) else None
