"""The jobs of the worker that have no other tests."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

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
