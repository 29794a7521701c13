"""The problems of the ledger as sentences."""

import pickle
from collections import defaultdict
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils.translation import override

from dashboard.audit.integrity.background_check import last_verification, save_broken
from dashboard.audit.problems import BrokenError, Problem, describe
from dashboard.cloud.projects import Project
from tests.markup import said


@pytest.mark.parametrize("problem", Problem)
def test_each_sentence_names_the_row(problem: Problem) -> None:
    details: defaultdict[str, object] = defaultdict(lambda: "detail", row=7)

    sentence = str(problem.label) % details

    assert sentence.startswith(("Row 7 ", "Rows 7 to detail "))
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("problem", "details"),
    [("unheard_of", {}), ("", {}), ("wrong_columns", {}), ("wrong_columns", None), ("wrong_columns", ["actor"])],
)
def test_a_problem_that_was_stored_wrongly_has_a_general_sentence(problem: str, details: object) -> None:
    assert describe(problem, 7, details) == "Row 7 is not as it was written."  # type: ignore[arg-type]  # as stored


def test_an_error_can_be_sent_to_another_process() -> None:
    error = BrokenError(7, Problem.WRONG_COLUMNS, {"columns": "actor, reason"})

    received = pickle.loads(pickle.dumps(error))  # noqa: S301 (made here)

    assert str(received) == str(error) == "Row 7 has columns that differ from its facts: actor, reason."


@pytest.mark.django_db
def test_a_page_shows_a_stored_problem_with_its_details(client_as: Callable[[str], Client], project: Project) -> None:
    with override("zh-hans"):
        save_broken(BrokenError(7, Problem.WRONG_COLUMNS, {"columns": "actor"}))

    assert str(last_verification()) == "Row 7 has columns that differ from its facts: actor."
    assert "The ledger is broken. Row 7 has columns that differ from its facts: actor." in said(
        client_as("auditor").get("/projects/default/audit/")
    )
