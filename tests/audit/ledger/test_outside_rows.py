"""Rows of changes outside the dashboard: verified, exported and archived like all others."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from dashboard.audit.integrity.archive import archive
from dashboard.audit.integrity.export import all_rows, csv_lines, json_lines
from dashboard.audit.integrity.verification import Span, verify
from dashboard.audit.integrity.verify_export import check
from dashboard.audit.ledger.chain import GENESIS
from dashboard.audit.ledger.group_history import find_group_history
from dashboard.audit.ledger.services import OutsideChange, find_later, record_outside
from dashboard.audit.models import ChangeIntent, OpenChange
from tests.audit.conftest import NOON, SESSIONS, Enter

pytestmark = pytest.mark.django_db

FOUND = OutsideChange("default", "g-1", "design-pool", (SESSIONS,), "Two reads show the new value.")


def test_the_row_names_no_person() -> None:
    entry = record_outside(FOUND)

    assert json.loads(next(all_rows()).json) == {
        "number": entry.number,
        "at": f"{entry.at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "project": "default",
        "group_id": "g-1",
        "group_name": "design-pool",
        "actor": "",
        "actor_id": None,
        "from_address": "",
        "kind": "outside",
        "reason": "",
        "changes": [{"field": "route_policy.max_session", "label": "Maximum sessions", "before": 4, "after": 6}],
        "outcome": "applied",
        "proof": "Two reads show the new value.",
        "http_status": None,
        "error_code": "",
        "error_msg": "",
        "request_id": "",
        "duration_ms": None,
        "intent": None,
        "key": None,
        "previous_hash": GENESIS,
        "hash": entry.hash,
        "mac": next(all_rows()).mac,
    }
    assert OpenChange.objects.count() == 0


def test_the_ledger_and_its_exports_verify(enter: Enter) -> None:
    enter()
    record_outside(FOUND)

    assert verify() == Span(1, 2)
    assert check(json_lines(all_rows()), settings.AUDIT_KEY.encode(), {}, is_filtered=False) == (2, 2)
    table = list(csv.DictReader(io.StringIO("".join(csv_lines(all_rows())))))
    assert [(row["kind"], row["actor"], row["actor_id"]) for row in table][1:] == [("outside", "", "")]


def test_the_row_can_be_archived(enter: Enter, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_outside(FOUND)
    archive(timezone.now() + timedelta(seconds=1), tmp_path / "old.jsonl", by="OS user ops")

    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", "--archive", str(tmp_path / "old.jsonl"))

    assert ended.value.code in {0, None}
    assert list(ChangeIntent.objects.all()) == []


def test_it_counts_as_a_change_of_the_group() -> None:
    entry = record_outside(FOUND)

    history = find_group_history("design-pool", since=None, until=None)

    assert (history.changes, history.attempts) == ((entry,), ())


def test_it_belongs_to_the_transaction_of_the_caller() -> None:
    with transaction.atomic():
        record_outside(FOUND)
        transaction.set_rollback(True)

    assert list(all_rows()) == []


def test_it_does_not_make_the_outcome_of_an_earlier_change_unknown(enter: Enter) -> None:
    unknown = enter("administrator", SESSIONS, outcomes=("unknown",), at=NOON)
    record_outside(FOUND)

    assert find_later(unknown) is None
