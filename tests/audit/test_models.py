"""The models are read-only: no method changes or deletes a row of the ledger."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError
from pytest_django import DjangoAssertNumQueries

from dashboard.accounts.models import User
from dashboard.audit.models import AppendOnlyError, ChangeIntent, ChangeOutcome, FieldChange
from tests.audit.conftest import NOON, SESSIONS, Enter

pytestmark = pytest.mark.django_db
MODELS: tuple[type[models.Model], ...] = (ChangeIntent, FieldChange, ChangeOutcome)


def contents() -> list[list[Any]]:
    return [list(model._default_manager.order_by("pk").values()) for model in MODELS]


METHODS: dict[str, Callable[[models.Model], object]] = {
    "save": lambda row: row.save(),
    "save some fields": lambda row: row.save(update_fields=["pk"]),
    "save forced": lambda row: row.save(force_update=True),
    "delete": lambda row: row.delete(),
    "update": lambda row: type(row)._default_manager.update(pk=99),
    "update filtered": lambda row: type(row)._default_manager.filter(pk=row.pk).update(pk=99),
    "update through the base manager": lambda row: type(row)._base_manager.all().update(pk=99),
    "bulk update": lambda row: type(row)._default_manager.bulk_update([row], [_text_field(row)]),
    "delete all": lambda row: type(row)._default_manager.all().delete(),
    "delete filtered": lambda row: type(row)._default_manager.filter(pk=row.pk).delete(),
    "update or create": lambda row: type(row)._default_manager.update_or_create({_text_field(row): "x"}, pk=row.pk),
    "upsert": lambda row: type(row)._default_manager.bulk_create(
        [row], update_conflicts=True, unique_fields=["pk"], update_fields=[_text_field(row)]
    ),
    "insert or ignore": lambda row: type(row)._default_manager.bulk_create([row], ignore_conflicts=True),
}


def _text_field(row: models.Model) -> str:
    return {ChangeIntent: "reason", FieldChange: "label", ChangeOutcome: "proof"}[type(row)]  # type: ignore[index]  # one of the three


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_no_row_is_changed_or_deleted(enter: Enter, model: type[models.Model], method: str) -> None:
    enter(outcomes=("unknown", "applied"))
    row, before = model._default_manager.first(), contents()
    assert row is not None

    with pytest.raises(AppendOnlyError), transaction.atomic():
        METHODS[method](row)

    assert contents() == before


@pytest.mark.parametrize("model", MODELS)
def test_a_row_marked_as_new_does_not_replace_the_stored_one(enter: Enter, model: type[models.Model]) -> None:
    enter()
    row, before = model._default_manager.first(), contents()
    assert row is not None
    row._state.adding = True

    with pytest.raises(AppendOnlyError), transaction.atomic():
        row.save()

    assert contents() == before


def test_rows_are_not_moved_to_another_entry(enter: Enter) -> None:
    first, second = enter(), enter()

    with pytest.raises(AppendOnlyError):
        first.fields.add(*second.fields.all())
    with pytest.raises(AppendOnlyError):
        first.outcomes.all().delete()


def test_entries_stay_after_an_account_is_deleted(enter: Enter) -> None:
    entry = enter("someone")

    User.objects.get(username="someone").delete()

    kept = ChangeIntent.objects.get(pk=entry.pk)
    assert (kept.actor, kept.actor_id) == ("someone", entry.actor_id)


def test_no_relation_deletes_entries() -> None:
    relations = [field for model in MODELS for field in model._meta.fields if isinstance(field, models.ForeignKey)]

    assert {field.remote_field.on_delete for field in relations} == {models.PROTECT}
    assert issubclass(ProtectedError, IntegrityError)


# Reading


def test_the_newest_outcome_counts(enter: Enter) -> None:
    settled, unknown = enter(outcomes=("unknown", "applied")), enter(outcomes=("unknown",))

    ended = {
        outcome: list(ChangeIntent.objects.with_outcome(outcome)) for outcome in ("applied", "unknown", "rejected")
    }

    assert ended == {"applied": [settled], "unknown": [unknown], "rejected": []}
    assert list(ChangeIntent.objects.unsettled()) == [unknown]


@pytest.mark.parametrize(
    ("outcomes", "age", "is_settled", "is_pending"),
    [
        (("applied",), 0, True, False),
        (("rejected",), 0, True, False),
        (("unknown",), 0, False, True),
        (("unknown",), 59, False, True),
        (("unknown",), 61, False, False),
        (("unknown", "not_applied"), 0, True, False),
    ],
)
def test_an_unsettled_change_is_pending_for_a_minute(
    enter: Enter,
    at: Callable[[datetime], None],
    outcomes: tuple[str, ...],
    age: int,
    is_settled: bool,
    is_pending: bool,
) -> None:
    entry = enter(outcomes=outcomes)

    at(NOON + timedelta(seconds=age))

    assert (entry.is_settled, entry.is_pending) == (is_settled, is_pending)


def test_the_newest_change_of_each_group_was_applied(
    enter: Enter, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    enter(group_id="g-1")
    newest = enter(group_id="g-1", outcomes=("unknown", "applied"))
    enter(group_id="g-1", outcomes=("rejected",))
    other = enter(group_id="g-2")
    enter(group_id="g-1", project="elsewhere")

    with django_assert_num_queries(1):
        found, _ = ChangeIntent.objects.recent_per_group("default", ["g-1", "g-2", "g-3"], since=NOON)

    assert found == {"g-1": newest, "g-2": other}


def test_finds_the_pending_change_of_each_group_with_the_applied_one(
    enter: Enter, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    enter(group_id="g-1", outcomes=("unknown",), at=NOON - timedelta(minutes=5))
    applied = enter(group_id="g-1")
    pending = enter(group_id="g-1", outcomes=("unknown",))
    other = enter(group_id="g-2")
    enter(group_id="g-1", project="elsewhere", outcomes=("unknown",))

    with django_assert_num_queries(2):
        found = ChangeIntent.objects.recent_per_group("default", ["g-1", "g-2"], since=NOON - timedelta(minutes=1))

    assert found == ({"g-1": applied, "g-2": other}, {"g-1": pending})


def test_rows_have_a_readable_text(enter: Enter) -> None:
    entry = enter("someone", SESSIONS)

    assert str(entry) == f"{entry.number}: someone, design-pool"
    assert [str(row) for row in entry.fields.all()] == ["Maximum sessions: 4 to 6"]
    assert [str(row) for row in entry.outcomes.all()] == ["applied: because applied"]
