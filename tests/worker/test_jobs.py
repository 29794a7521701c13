"""The jobs of the worker that have no other tests."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from dashboard.server_groups.fields import BY_PATH
from dashboard.worker import jobs
from dashboard.worker.jobs import Worker

pytestmark = pytest.mark.django_db


def make_session(key: str, *, days: int) -> None:
    Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + timedelta(days=days))


def test_deletes_expired_sessions_once_a_day() -> None:
    worker, kept = Worker(), []
    make_session("valid", days=1)

    make_session("expired before", days=-1)
    worker.clear_sessions()
    kept.append(set(Session.objects.values_list("pk", flat=True)))
    make_session("expired on the same day", days=-1)
    worker.clear_sessions()
    kept.append(set(Session.objects.values_list("pk", flat=True)))
    worker._cleared_at -= jobs.SESSIONS_EVERY_SECONDS
    worker.clear_sessions()
    kept.append(set(Session.objects.values_list("pk", flat=True)))

    assert kept == [{"valid"}, {"valid", "expired on the same day"}, {"valid"}]


def test_refreshes_the_inventory_with_all_editable_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []
    monkeypatch.setattr(jobs, "refresh_inventory", lambda **options: calls.append(options))

    Worker().refresh_inventory()

    assert calls == [{"watched": tuple(BY_PATH)}]


def test_thins_out_loads_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, runs = Worker(), []
    monkeypatch.setattr(jobs, "thin_out", lambda: runs.append(1))

    worker.thin_out_loads()
    worker.thin_out_loads()
    worker._thinned_at -= jobs.THIN_OUT_EVERY_SECONDS
    worker.thin_out_loads()

    assert len(runs) == 2


def test_a_job_has_its_own_period_and_waits_longer_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, waits = Worker(), []
    outcomes = iter([None, RuntimeError("database is full"), None])

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 4

    def job() -> None:
        if error := next(outcomes):
            raise error

    monkeypatch.setattr(worker._stopping, "wait", wait)
    monkeypatch.setattr(jobs, "close_old_connections", lambda: None)
    monkeypatch.setattr(jobs, "connections", SimpleNamespace(close_all=lambda: None))
    worker._repeat(job, 1.0)

    assert waits == [1.0, 1.0, jobs.EVERY_SECONDS, 1.0]
