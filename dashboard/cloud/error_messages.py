"""Messages for errors of the cloud: the cause, who can solve the problem, and whether it is safe to try again.

The status decides, because several codes have two documented meanings (workspace-api.md 3.2, 3.3, 8). A code in the
table adds detail. Pages show an unknown code as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from dashboard.cloud import errors
from dashboard.cloud.errors import CloudError
from dashboard.cloud.limits import LIMITS
from dashboard.cloud.permissions import ACTIONS

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


class Responsible(Enum):
    """Who can solve a problem. TIME: the problem ends by itself."""

    YOU = "you"
    CLOUD_ADMINISTRATOR = "cloud administrator"
    OPERATOR = "operator"
    PROVIDER = "provider"
    TIME = "time"


ADVICE: Mapping[Responsible, "StrPromise"] = {
    Responsible.CLOUD_ADMINISTRATOR: _("Ask an administrator of the cloud account."),
    Responsible.OPERATOR: _("Ask the operator of this dashboard."),
    Responsible.PROVIDER: _("Ask Huawei Cloud."),
    Responsible.TIME: _("Wait a moment, then try again."),
}


@dataclass(frozen=True)
class Explanation:
    """A cloud error in words, in the language that is active when it is made.

    `is_retry_safe` is False only if the change may have been applied. `actions` are the IAM actions to grant. `code`
    and `message` come from the cloud.
    """

    cause: str
    responsible: Responsible
    is_retry_safe: bool = True
    actions: tuple[str, ...] = ()
    code: str = ""
    message: str = ""

    @property
    def advice(self) -> str:
        """The next step as a sentence; empty if the cause already names it."""
        return str(ADVICE.get(self.responsible, ""))


CauseAndResponsible = tuple["StrPromise", Responsible]

BY_CODE: Mapping[tuple[int, str], CauseAndResponsible] = {
    (400, "WKS.0001"): (_("The request had no content."), Responsible.OPERATOR),
    (400, "WKS.00129901"): (_("The cloud does not accept one of the values."), Responsible.YOU),
    (403, "WKS.00121102"): (
        _("The cloud account has no permission to use this Marketplace image."),
        Responsible.CLOUD_ADMINISTRATOR,
    ),
    (401, "APIGW.0301"): (
        _(
            "The credential is wrong, expired or locked, or the clock of this server differs from the cloud's clock by "
            "more than 15 minutes."
        ),
        Responsible.OPERATOR,
    ),
    (401, "APIGW.0307"): (_("The token has expired or was revoked."), Responsible.OPERATOR),
    (404, "APIGW.0101"): (
        _("The API does not exist at this address. The endpoint or the region may be wrong."),
        Responsible.OPERATOR,
    ),
    (404, "APIGW.0103"): (_("The region does not offer this service."), Responsible.OPERATOR),
    (403, "APIGW.0310"): (
        _("The cloud project is not available. It may be frozen or in arrears."),
        Responsible.CLOUD_ADMINISTRATOR,
    ),
    (403, "APIGW.0401"): (
        _("The cloud does not accept calls from the address of this server."),
        Responsible.CLOUD_ADMINISTRATOR,
    ),
    (403, "APIGW.0402"): (
        _("The cloud forbids calls from the address of this server."),
        Responsible.CLOUD_ADMINISTRATOR,
    ),
    (403, "APIGW.0802"): (
        _("The IAM user has no access to this region."),
        Responsible.CLOUD_ADMINISTRATOR,
    ),
    (413, "APIGW.0201"): (_("The request is larger than the gateway accepts."), Responsible.OPERATOR),
    (502, "APIGW.0201"): (_("The gateway of the cloud could not reach the service."), Responsible.TIME),
    (504, "APIGW.0201"): (_("The gateway of the cloud got no response from the service in time."), Responsible.TIME),
}

BY_STATUS: Mapping[int, CauseAndResponsible] = {
    400: (_("The cloud does not accept one of the values."), Responsible.YOU),
    401: (_("The cloud does not accept the credential of this dashboard."), Responsible.OPERATOR),
    403: (_("The credential of this dashboard lacks a permission."), Responsible.CLOUD_ADMINISTRATOR),
    404: (_("The cloud does not have this object. It may have been deleted."), Responsible.YOU),
    405: (_("The cloud does not offer this action."), Responsible.OPERATOR),
    409: (_("The state of the group in the cloud does not allow this action."), Responsible.YOU),
    429: (_("The account made too many calls in a short time."), Responsible.TIME),
    500: (_("The cloud reported an internal error."), Responsible.PROVIDER),
    503: (_("The cloud is not available at the moment."), Responsible.TIME),
}

BY_ERROR: Mapping[type[CloudError], CauseAndResponsible] = {
    errors.UnreachableError: (
        _(
            "This dashboard could not connect to the cloud. Possible causes are the network, the endpoint and the "
            "certificate."
        ),
        Responsible.OPERATOR,
    ),
    errors.CircuitOpenError: (
        _("The cloud failed several times in a row. This dashboard sends no calls for a few seconds."),
        Responsible.TIME,
    ),
    errors.SlowCloudError: (_("The cloud responds slowly. Try again in a moment."), Responsible.TIME),
    errors.SignInError: (_("This dashboard could not sign in to the cloud."), Responsible.OPERATOR),
    errors.SendAgainError: (_("The gateway of the cloud stopped the request."), Responsible.TIME),
    errors.RejectedError: (_("The cloud rejected the request."), Responsible.YOU),
    errors.UnavailableError: (_("The cloud did not respond."), Responsible.TIME),
    errors.ListTooLargeError: (
        format_lazy(
            _("The list has more than {rows} rows or {megabytes} MB. This dashboard reads no longer lists."),
            rows=f"{LIMITS.list_rows:,}",
            megabytes=LIMITS.list_bytes // 10**6,
        ),
        Responsible.OPERATOR,
    ),
    errors.IncompleteListError: (_("The cloud sent fewer rows than it counts."), Responsible.PROVIDER),
    errors.BadResponseError: (_("The response does not have the form that the cloud uses."), Responsible.OPERATOR),
    errors.OutcomeUnknownError: (
        _("The change was sent, but the response does not say whether it was applied."),
        Responsible.TIME,
    ),
}


def describe_response(error: CloudError) -> str:
    """The response of a change with an unknown outcome, as an English sentence for the ledger."""
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
    cause, responsible = _cause_and_responsible(error)
    return Explanation(
        cause=str(cause),
        responsible=responsible,
        is_retry_safe=not isinstance(error, errors.OutcomeUnknownError),
        actions=ACTIONS.get(error.call, ()) if isinstance(error, errors.ForbiddenError) else (),
        code=error.error_code,
        message=error.error_msg,
    )


def _cause_and_responsible(error: CloudError) -> CauseAndResponsible:
    """The type decides for an unknown outcome, a failed sign-in and a bad response; else the status and the code."""
    by_error = next(words for kind, words in BY_ERROR.items() if isinstance(error, kind))
    if isinstance(error, errors.OutcomeUnknownError | errors.SignInError | errors.BadResponseError):
        return by_error
    status = error.http_status or 0
    code = error.error_code.replace("APIG.", "APIGW.", 1)  # the prefix of older gateways
    return BY_CODE.get((status, code)) or BY_STATUS.get(status) or by_error
