"""What a serving process does besides: settle what is unknown, bring the newest checkpoint out, check the ledger.

Threads and no task queue: they need no second service to be there and watched, a lease in the database keeps those of
several processes apart, and whatever one misses the next one finds, because the list of work is in the database.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from dashboard.audit.chain import read_head
from dashboard.audit.checkpoints import is_written_down, send_to_hook, write_down
from dashboard.audit.watch import keep_watch
from dashboard.server_groups.settling import observe_due, settle_unsettled

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
YOUNG = timedelta(minutes=10)
"""Younger changes are tried every time, older ones only now and then: they wait for a person."""
OLD_EVERY_SECONDS = 600.0
HOOK_EVERY_SECONDS = 45.0
"""With EVERY_SECONDS on top a checkpoint leaves within the minute."""


class Worker:
    def __init__(self) -> None:
        self._is_new = True
        self._started = timezone.now()
        self._sent_number = 0
        self._sent_at = self._old_at = -OLD_EVERY_SECONDS

    def start(self) -> None:
        """Runs until the process ends; it holds nothing that would have to be put in order then.

        Each job has a thread of its own: a hook that hangs keeps no change from being settled.
        """
        for job in (self.settle, self.observe, self.write_checkpoint, self.send_checkpoint, self.verify):
            threading.Thread(target=_again_and_again, args=(job,), name=job.__name__, daemon=True).start()

    def settle(self) -> None:
        is_time_for_old_ones = time.monotonic() - self._old_at >= OLD_EVERY_SECONDS
        for tried in settle_unsettled(younger_than=None if is_time_for_old_ones else YOUNG):
            logger.info("Change %s: %s", tried.intent.number, tried.problem or tried.intent.last_outcome)
        if is_time_for_old_ones:
            self._old_at = time.monotonic()

    def observe(self) -> None:
        """Correct the outcome of changes that the cloud applied late."""
        for tried in observe_due():
            logger.info("Change %s: %s", tried.intent.number, tried.problem or tried.intent.last_outcome)

    def write_checkpoint(self) -> None:
        """Write the head down where whoever committed it could not: killed in between, or no room in the directory.

        The log cannot be asked what it has, so the first round writes there what the process before may not have.
        """
        head = read_head()
        if head.number and (self._is_new or not is_written_down(head)):
            write_down(head)
        self._is_new = False

    def send_checkpoint(self) -> None:
        """Hand a new head to the hook; one that was not taken is handed over again."""
        if not settings.CHECKPOINT_HOOK or time.monotonic() - self._sent_at < HOOK_EVERY_SECONDS:
            return
        head = read_head()
        if head.number != self._sent_number:
            self._sent_at = time.monotonic()
            if send_to_hook(head):
                self._sent_number = head.number

    def verify(self) -> None:
        keep_watch(started=self._started)


def attempt(job: Callable[[], None]) -> None:
    """One round. Whatever goes wrong is logged and tried again in the next."""
    try:
        job()
    except Exception:
        logger.exception("The background work failed and is tried again: %s", job.__name__)


def _again_and_again(job: Callable[[], None]) -> None:
    while True:
        time.sleep(EVERY_SECONDS)
        attempt(job)
        close_old_connections()
