"""The background work: refresh the inventory, settle unknown changes, publish checkpoints, verify the ledger.

Each job runs in its own thread, in every web process or in `manage.py worker`. Threads need no second service such as
a task queue. Leases in the database prevent that several processes do the same work. The list of work is in the
database, so another process finds the work that a process did not finish.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.core.management import call_command
from django.db import close_old_connections, connections
from django.utils import timezone

from dashboard.audit.access import record_access_changes
from dashboard.audit.integrity.background_check import run_background_check
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.checkpoints import has_checkpoint, send_to_hook, write_checkpoint
from dashboard.audit.ledger.folding import record_counts
from dashboard.inventory.loads import thin_out
from dashboard.inventory.refresher import refresh_inventory
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.outside import record_outside_changes
from dashboard.server_groups.settling import observe_due, settle_unsettled

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
"""The period of a job that has none of its own, and the wait after an error."""
REFRESH_EVERY_SECONDS = 1.0
THIN_OUT_EVERY_SECONDS = 3600.0
YOUNG = timedelta(minutes=10)
"""Every round tries to settle changes younger than this. Older ones follow every `OLD_EVERY_SECONDS`."""
OLD_EVERY_SECONDS = 600.0
HOOK_EVERY_SECONDS = 45.0
"""With EVERY_SECONDS added, the hook gets a checkpoint within a minute."""
ACCESS_EVERY_SECONDS = 45.0
"""With EVERY_SECONDS added, accounts and roles are compared once a minute."""
SESSIONS_EVERY_SECONDS = 24 * 3600.0
STOP_SECONDS = 20.0
"""Longer than one call to the cloud may take."""


class Worker:
    def __init__(self) -> None:
        self._is_new = True
        self._started = timezone.now()
        self._sent_number = 0
        self._sent_at = self._old_at = -OLD_EVERY_SECONDS
        self._compared_at = -ACCESS_EVERY_SECONDS
        self._cleared_at = -SESSIONS_EVERY_SECONDS
        self._thinned_at = -THIN_OUT_EVERY_SECONDS
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start a daemon thread for each job. A hook that hangs does not delay the settling of changes.

        A process may end at any time without `stop()`: every job survives a kill.
        """
        jobs = (
            *(self.settle, self.observe, self.record_outside, self.verify, self.record_counts),
            *(self.write_checkpoint, self.send_checkpoint, self.clear_sessions, self.thin_out_loads),
            self.compare_access,
        )
        for job, seconds in (*((job, EVERY_SECONDS) for job in jobs), (self.refresh_inventory, REFRESH_EVERY_SECONDS)):
            thread = threading.Thread(target=self._repeat, args=(job, seconds), name=job.__name__, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Wait until the current round of each job has ended, for at most `STOP_SECONDS` in all."""
        self._stopping.set()
        give_up = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, give_up - time.monotonic()))

    def settle(self) -> None:
        includes_old = time.monotonic() - self._old_at >= OLD_EVERY_SECONDS
        for tried in settle_unsettled(younger_than=None if includes_old else YOUNG):
            logger.info("Change %s: %s", tried.intent.number, tried.problem or tried.intent.last_outcome)
        if includes_old:
            self._old_at = time.monotonic()

    def observe(self) -> None:
        """Correct the outcome of changes that the cloud applied late."""
        for tried in observe_due():
            logger.info("Change %s: %s", tried.intent.number, tried.problem or tried.intent.last_outcome)

    def write_checkpoint(self) -> None:
        """Write the head to the checkpoint file if the process that committed it could not.

        The log cannot be asked for its checkpoints, so the first round always writes one.
        """
        head = read_head()
        if head.number and (self._is_new or not has_checkpoint(head)):
            write_checkpoint(head)
        self._is_new = False

    def send_checkpoint(self) -> None:
        """Send a new head to the hook, and again while the hook does not accept it."""
        if not settings.CHECKPOINT_HOOK or time.monotonic() - self._sent_at < HOOK_EVERY_SECONDS:
            return
        head = read_head()
        if head.number != self._sent_number:
            self._sent_at = time.monotonic()
            if send_to_hook(head):
                self._sent_number = head.number

    def verify(self) -> None:
        run_background_check(started=self._started)

    def record_counts(self) -> None:
        """Record how often refused attempts were repeated."""
        record_counts()

    def compare_access(self) -> None:
        """Record changes of accounts, roles and permissions that were made outside the dashboard's pages."""
        if time.monotonic() - self._compared_at >= ACCESS_EVERY_SECONDS:
            record_access_changes()
            self._compared_at = time.monotonic()

    def clear_sessions(self) -> None:
        """Delete expired sessions once a day."""
        if time.monotonic() - self._cleared_at >= SESSIONS_EVERY_SECONDS:
            call_command("clearsessions")
            self._cleared_at = time.monotonic()

    def refresh_inventory(self) -> None:
        """Make the calls that are due, for about a second."""
        refresh_inventory(watched=tuple(BY_PATH))

    def record_outside(self) -> None:
        """Record the changes that the refresh found and that no change of ours explains."""
        record_outside_changes()

    def thin_out_loads(self) -> None:
        """Thin out the history of loads once an hour."""
        if time.monotonic() - self._thinned_at >= THIN_OUT_EVERY_SECONDS:
            thin_out()
            self._thinned_at = time.monotonic()

    def _repeat(self, job: Callable[[], None], seconds: float) -> None:
        """Run a job every so many seconds, and less often after an error."""
        pause = seconds
        while not self._stopping.wait(pause):
            pause = seconds if attempt(job) else max(seconds, EVERY_SECONDS)
            close_old_connections()
        connections.close_all()


def attempt(job: Callable[[], None]) -> bool:
    """Run one round of a job. Return False after an error, which is logged. The next round tries again."""
    try:
        job()
    except Exception:
        logger.exception("The background work failed and is tried again: %s", job.__name__)
        return False
    return True
