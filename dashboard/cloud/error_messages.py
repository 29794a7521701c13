"""What went wrong in words: the cause, who can fix it, and whether trying again is safe.

The status decides first and the code second, since several codes are documented with two meanings (workspace-api.md
3.2, 3.3, 8). Codes that stand in no table are shown as they came, next to what the status says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from dashboard.cloud import errors
from dashboard.cloud.errors import CloudError
from dashboard.cloud.limits import LIMITS
from dashboard.cloud.permissions import ACTIONS


class Responsible(Enum):
    """Who can do something about it."""

    YOU = "you"
    CLOUD_ADMINISTRATOR = "the administrator of the cloud account"
    OPERATOR = "the operator of this dashboard"
    PROVIDER = "Huawei Cloud"
    TIME = "nobody needs to: it passes"


@dataclass(frozen=True)
class Explanation:
    """`is_retry_safe` is False only where the change may have happened already. `actions` are the IAM actions to grant,
    `code` and `message` the cloud's own words.
    """

    cause: str
    responsible: Responsible
    is_retry_safe: bool = True
    actions: tuple[str, ...] = ()
    code: str = ""
    message: str = ""


Words = tuple[str, Responsible]

BY_CODE: Mapping[tuple[int, str], Words] = {
    (400, "WKS.0001"): ("The request had no content.", Responsible.OPERATOR),
    (400, "WKS.00129901"): ("The cloud does not take one of the values.", Responsible.YOU),
    (403, "WKS.00121102"): (
        "The account may not use this Marketplace image.",
        Responsible.CLOUD_ADMINISTRATOR,
    ),
    (401, "APIGW.0301"): (
        "The credential is wrong, expired or locked, or the clock of this machine is more than 15 minutes off.",
        Responsible.OPERATOR,
    ),
    (401, "APIGW.0307"): ("The token has expired or was voided.", Responsible.OPERATOR),
    (404, "APIGW.0101"): (
        "There is no such API at this address: the endpoint or the region may be wrong.",
        Responsible.OPERATOR,
    ),
    (404, "APIGW.0103"): ("The region does not offer this service.", Responsible.OPERATOR),
    (403, "APIGW.0310"): (
        "The cloud project is not available; it may be frozen or in arrears.",
        Responsible.CLOUD_ADMINISTRATOR,
    ),
    (403, "APIGW.0401"): ("The cloud does not know the address of this machine.", Responsible.CLOUD_ADMINISTRATOR),
    (403, "APIGW.0402"): ("Calls from the address of this machine are forbidden.", Responsible.CLOUD_ADMINISTRATOR),
    (403, "APIGW.0802"): ("The IAM user is forbidden in this region.", Responsible.CLOUD_ADMINISTRATOR),
    (413, "APIGW.0201"): ("The request is larger than the gateway takes.", Responsible.OPERATOR),
    (502, "APIGW.0201"): ("The gateway could not reach the service behind it.", Responsible.TIME),
    (504, "APIGW.0201"): ("The service behind the gateway did not answer in time.", Responsible.TIME),
}

BY_STATUS: Mapping[int, Words] = {
    400: ("The cloud does not take one of the values.", Responsible.YOU),
    401: ("The cloud does not accept the credential of this dashboard.", Responsible.OPERATOR),
    403: ("The credential of this dashboard lacks a permission.", Responsible.CLOUD_ADMINISTRATOR),
    404: ("The cloud has no such thing (any more).", Responsible.YOU),
    405: ("The cloud does not offer this action.", Responsible.OPERATOR),
    409: ("Something else in the cloud stands in the way.", Responsible.YOU),
    429: ("The account made too many calls in a short time.", Responsible.TIME),
    500: ("The cloud failed internally.", Responsible.PROVIDER),
    503: ("The cloud is not available at the moment.", Responsible.TIME),
}

BY_ERROR: Mapping[type[CloudError], Words] = {
    errors.UnreachableError: (
        "No connection to the cloud could be made: the network, the endpoint or the certificate may be at fault.",
        Responsible.OPERATOR,
    ),
    errors.CircuitOpenError: (
        "The cloud failed several times in a row and is left alone for a moment.",
        Responsible.TIME,
    ),
    errors.SlowCloudError: ("The cloud answers slowly; try again in a moment.", Responsible.TIME),
    errors.SignInError: ("This dashboard could not sign in to the cloud.", Responsible.OPERATOR),
    errors.SendAgainError: ("The gateway stopped the request.", Responsible.TIME),
    errors.RejectedError: ("The cloud refused the request.", Responsible.YOU),
    errors.UnavailableError: ("The cloud did not answer.", Responsible.TIME),
    errors.ListTooLargeError: (
        f"The list has more than {LIMITS.list_rows:,} rows or {LIMITS.list_bytes // 10**6} MB; no more are read.",
        Responsible.OPERATOR,
    ),
    errors.IncompleteListError: ("The cloud sent fewer rows than it counts.", Responsible.PROVIDER),
    errors.BadResponseError: ("Something answered, but not as the cloud does.", Responsible.OPERATOR),
    errors.OutcomeUnknownError: (
        "The change was sent, and the cloud did not say whether it took effect.",
        Responsible.TIME,
    ),
}


def describe_response(error: CloudError) -> str:
    """What came back instead of a clear outcome, as a sentence."""
    status = error.http_status
    if status is None:
        return "No response arrived."
    if 200 <= status < 300:
        return f"The response (HTTP {status}) is not one that the cloud sends for a change."
    if 300 <= status < 400:
        return f"The response was a redirect (HTTP {status}), which the cloud does not send."
    if status == 429:
        return "The cloud reported too many calls (HTTP 429)."
    if status < 500:
        return f"The response (HTTP {status}) does not say whether the change was applied."
    return f"The cloud reported an error (HTTP {status})."


def explain(error: CloudError) -> Explanation:
    """The error in words."""
    cause, responsible = _words(error)
    return Explanation(
        cause=cause,
        responsible=responsible,
        is_retry_safe=not isinstance(error, errors.OutcomeUnknownError),
        actions=ACTIONS.get(error.call, ()) if isinstance(error, errors.ForbiddenError) else (),
        code=error.error_code,
        message=error.error_msg,
    )


def _words(error: CloudError) -> Words:
    """For an unknown outcome, a failed sign-in and a bad answer the kind of the failure says more than its status."""
    by_error = next(words for kind, words in BY_ERROR.items() if isinstance(error, kind))
    if isinstance(error, errors.OutcomeUnknownError | errors.SignInError | errors.BadResponseError):
        return by_error
    status = error.http_status or 0
    code = error.error_code.replace("APIG.", "APIGW.", 1)  # the prefix of older gateways
    return BY_CODE.get((status, code)) or BY_STATUS.get(status) or by_error
