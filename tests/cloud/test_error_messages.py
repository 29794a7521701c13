"""Messages for cloud errors: the cause, who can solve the problem, whether it is safe to try again."""

from datetime import UTC, datetime

import pytest

from dashboard.cloud import errors
from dashboard.cloud.error_messages import BY_ERROR, Explanation, Responsible, explain
from dashboard.cloud.errors import CloudError


def test_a_forbidden_update_names_both_actions_to_grant() -> None:
    error = errors.ForbiddenError(
        "rejected", http_status=403, error_code="WKS.00081102", error_msg="no permission", call="UpdateServerGroup"
    )

    assert explain(error) == Explanation(
        cause="The credential of this dashboard lacks a permission.",
        responsible=Responsible.CLOUD_ADMINISTRATOR,
        is_retry_safe=True,
        actions=("workspace:serverGroup:update", "ims:images:list"),
        code="WKS.00081102",
        message="no permission",
    )


def test_only_a_change_with_an_unknown_outcome_is_not_safe_to_retry() -> None:
    not_sent = errors.CircuitOpenError("", retry_at=datetime.now(UTC))
    others = [kind("") for kind in BY_ERROR if kind is not errors.CircuitOpenError]

    unsafe = {type(error) for error in (not_sent, *others) if not explain(error).is_retry_safe}

    assert unsafe == {errors.OutcomeUnknownError}


@pytest.mark.parametrize(
    ("error", "cause", "responsible"),
    [
        (
            errors.UnauthenticatedError("", http_status=401, error_code="APIGW.0301"),
            "more than 15 minutes",
            Responsible.OPERATOR,
        ),
        (errors.UnauthenticatedError("", http_status=401, error_code="APIG.0307"), "has expired", Responsible.OPERATOR),
        (errors.UnauthenticatedError("", http_status=401, error_code="NEW.1"), "does not accept", Responsible.OPERATOR),
        (
            errors.UnavailableError("", http_status=504, error_code="APIGW.0201"),
            "no response from the service",
            Responsible.TIME,
        ),
        (
            errors.UnavailableError("", http_status=500, error_code="WKS.00211401"),
            "an internal error",
            Responsible.PROVIDER,
        ),
        (errors.UnavailableError(""), "did not respond", Responsible.TIME),
        (errors.InvalidError("", http_status=400, error_code="WKS.NEW"), "one of the values", Responsible.YOU),
        (errors.RejectedError("", http_status=418), "rejected the request", Responsible.YOU),
        (errors.ThrottledError("", http_status=429), "too many calls", Responsible.TIME),
        (errors.OutcomeUnknownError("", http_status=500), "whether it was applied", Responsible.TIME),
        (errors.BadResponseError("", http_status=200), "not have the form that the cloud uses", Responsible.OPERATOR),
        (errors.SignInError("", http_status=401), "could not sign in", Responsible.OPERATOR),
        (errors.UnreachableError(""), "could not connect", Responsible.OPERATOR),
    ],
)
def test_the_status_decides_the_cause_and_a_known_code_adds_detail(
    error: CloudError, cause: str, responsible: Responsible
) -> None:
    explanation = explain(error)

    assert cause in explanation.cause
    assert explanation.responsible is responsible


def test_shows_an_unknown_code_unchanged() -> None:
    explanation = explain(errors.InvalidError("", http_status=400, error_code="WKS.9", error_msg="Something new."))

    assert (explanation.code, explanation.message) == ("WKS.9", "Something new.")


def test_ignores_a_code_with_another_status() -> None:
    explanation = explain(errors.UnavailableError("", http_status=503, error_code="APIGW.0301"))

    assert explanation.cause == "The cloud is not available at the moment."


@pytest.mark.parametrize(
    ("responsible", "advice"),
    [
        (Responsible.YOU, ""),
        (Responsible.CLOUD_ADMINISTRATOR, "Ask an administrator of the cloud account."),
        (Responsible.OPERATOR, "Ask the operator of this dashboard."),
        (Responsible.PROVIDER, "Ask Huawei Cloud."),
        (Responsible.TIME, "Wait a moment, then try again."),
    ],
)
def test_the_advice_names_who_can_solve_the_problem(responsible: Responsible, advice: str) -> None:
    assert Explanation("", responsible).advice == advice


def test_the_limits_of_a_list_are_in_the_message() -> None:
    explanation = explain(errors.ListTooLargeError(""))

    assert explanation.cause == "The list has more than 100,000 rows or 160 MB. This dashboard reads no longer lists."


def test_the_docstring_lists_every_error() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CloudError)}

    assert {kind.__name__ for kind in kinds} <= set((errors.__doc__ or "").replace("─", " ").split())
