"""Shorter times for a call, its verification and a lease. The rules and the clock do not change."""

from datetime import timedelta

from dashboard.server_groups import outcome_check, settling
from dashboard.worker import jobs

LEASE_SECONDS = 1.5


def shorten(lease: float = LEASE_SECONDS) -> None:
    outcome_check.CALL_SECONDS = 0.5  # type: ignore[assignment]  # a fraction of a second
    outcome_check.WAITS, outcome_check.WAITS_IN_REQUEST = (0.1, 0.2, 0.4, 0.8), (0.02, 0.05)
    settling.LEASE = timedelta(seconds=lease)
    jobs.EVERY_SECONDS = 0.5
