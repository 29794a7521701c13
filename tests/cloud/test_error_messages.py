"""An error in words: the cause, who can mend it, whether trying again is safe."""

from datetime import UTC, datetime

import pytest

from dashboard.cloud import errors
from dashboard.cloud.error_messages import BY_ERROR, Explanation, Mender, explain
from dashboard.cloud.errors import CloudError


def test_a_forbidden_update_names_both_actions_to_grant() -> None:
    error = errors.ForbiddenError(
        "refused", http_status=403, error_code="WKS.00081102", error_msg="no permission", call="UpdateServerGroup"
    )

    assert explain(error) == Explanation(
        cause="The credential of this dashboard lacks a permission.",
        mender=Mender.CLOUD_ADMINISTRATOR,
        is_retry_safe=True,
        actions=("workspace:serverGroup:update", "ims:images:list"),
        code="WKS.00081102",
        message="no permission",
    )


def test_an_unknown_outcome_is_the_only_one_that_is_not_safe_to_send_again() -> None:
    suspended = errors.SuspendedError("", retry_at=datetime.now(UTC))
    others = [kind("") for kind in BY_ERROR if kind is not errors.SuspendedError]

    unsafe = {type(error) for error in (suspended, *others) if not explain(error).is_retry_safe}

    assert unsafe == {errors.OutcomeUnknownError}


@pytest.mark.parametrize(
    ("error", "cause", "mender"),
    [
        (errors.UnauthenticatedError("", http_status=401, error_code="APIGW.0301"), "15 minutes off", Mender.OPERATOR),
        (errors.UnauthenticatedError("", http_status=401, error_code="APIG.0307"), "has expired", Mender.OPERATOR),
        (errors.UnauthenticatedError("", http_status=401, error_code="NEW.1"), "does not accept", Mender.OPERATOR),
        (errors.UnavailableError("", http_status=504, error_code="APIGW.0201"), "behind the gateway", Mender.TIME),
        (errors.UnavailableError("", http_status=500, error_code="WKS.00211401"), "internally", Mender.PROVIDER),
        (errors.UnavailableError(""), "did not answer", Mender.TIME),
        (errors.InvalidError("", http_status=400, error_code="WKS.NEW"), "one of the values", Mender.YOU),
        (errors.RejectedError("", http_status=418), "refused the request", Mender.YOU),
        (errors.ThrottledError("", http_status=429), "too many calls", Mender.TIME),
        (errors.OutcomeUnknownError("", http_status=500), "whether it took effect", Mender.TIME),
        (errors.BadAnswerError("", http_status=200), "not as the cloud does", Mender.OPERATOR),
        (errors.SignInError("", http_status=401), "could not sign in", Mender.OPERATOR),
        (errors.UnreachableError(""), "No connection", Mender.OPERATOR),
    ],
)
def test_the_status_says_what_happened_and_a_known_code_says_more(
    error: CloudError, cause: str, mender: Mender
) -> None:
    explanation = explain(error)

    assert cause in explanation.cause
    assert explanation.mender is mender


def test_a_code_that_stands_in_no_table_is_shown_as_it_came() -> None:
    explanation = explain(errors.InvalidError("", http_status=400, error_code="WKS.9", error_msg="Something new."))

    assert (explanation.code, explanation.message) == ("WKS.9", "Something new.")


def test_a_code_means_nothing_under_another_status() -> None:
    explanation = explain(errors.UnavailableError("", http_status=503, error_code="APIGW.0301"))

    assert explanation.cause == "The cloud is not available at the moment."


def test_the_tree_in_the_docstring_has_every_error() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CloudError)}

    assert {kind.__name__ for kind in kinds} <= set((errors.__doc__ or "").replace("─", " ").split())
