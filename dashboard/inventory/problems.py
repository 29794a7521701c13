"""The problems of a refresh: stored as the name of the error, shown as its explanation."""

from django.utils import timezone

from dashboard.cloud import errors
from dashboard.cloud.error_messages import Explanation, explain
from dashboard.cloud.errors import CircuitOpenError, CloudError
from dashboard.cloud.rules import REJECTIONS

CALLS = {"groups": "ListServerGroups", "servers": "ListServers"}
STATUSES: dict[type[CloudError], int] = {error: status for status, error in REJECTIONS.items()}


def problem_name(error: CloudError) -> str:
    return type(error).__name__


def explain_problem(part: str, name: str) -> Explanation | None:
    """The problem of a part (`groups` or `servers`) in words; None without a problem."""
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, CloudError)):
        return None
    if kind is CircuitOpenError:
        return explain(CircuitOpenError("", retry_at=timezone.now()))
    return explain(kind("", http_status=STATUSES.get(kind), call=CALLS[part]))
