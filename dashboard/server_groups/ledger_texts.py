"""Texts that the write path adds to the ledger. They are in English, also if pages have another language."""

from collections.abc import Iterable

from django.utils import translation

from dashboard.audit.ledger.services import Change, OutcomeDetails
from dashboard.audit.models import Outcome, Value
from dashboard.cloud.error_messages import Responsible, describe_response, explain
from dashboard.cloud.errors import CloudError
from dashboard.server_groups.fields import BY_PATH


def field_change(path: str, before: Value, after: Value) -> Change:
    return Change(path, field_labels([path]), before, after)


def field_labels(paths: Iterable[str]) -> str:
    with translation.override("en"):
        return ", ".join(str(BY_PATH[path].label) for path in paths)


def field_value(path: str, value: Value) -> str:
    with translation.override("en"):
        return BY_PATH[path].display(value)


def unknown_outcome(error: CloudError) -> OutcomeDetails:
    with translation.override("en"):
        return _details(error, Outcome.UNKNOWN, f"{describe_response(error)} The change may have been applied.")


def known_outcome(error: CloudError, outcome: Outcome, sentence: str) -> OutcomeDetails:
    """The outcome after an error whose effect is known; the proof adds the cause and who can repair it."""
    with translation.override("en"):
        explanation = explain(error)
        actions = " and ".join(explanation.actions)
        is_for_others = explanation.responsible not in {Responsible.TIME, Responsible.YOU}
        sentences = (
            sentence,
            str(explanation.cause),
            f"It needs the permission {actions}." if actions else "",
            str(explanation.advice) if is_for_others else "",
        )
        return _details(error, outcome, " ".join(part for part in sentences if part))


def _details(error: CloudError, outcome: Outcome, proof: str) -> OutcomeDetails:
    return OutcomeDetails(
        outcome,
        proof,
        http_status=error.http_status,
        error_code=error.error_code,
        error_msg=error.error_msg,
        request_id=error.request_id,
        duration_ms=error.duration_ms,
    )
