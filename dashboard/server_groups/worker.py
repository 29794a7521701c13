"""What a serving process does besides: settle what is unknown, and hand the newest checkpoint to the hook.

A thread and no task queue: it needs no second service to be there and watched, a lease in the database keeps those of
several processes apart, and whatever one misses the next one finds, because the list of work is in the database.
"""

import logging
import threading
import time
from datetime import timedelta

from django.conf import settings
from django.db import close_old_connections

from dashboard.audit.chain import read_head
from dashboard.audit.checkpoints import send_to_hook
from dashboard.server_groups.settling import settle_unsettled

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
YOUNG = timedelta(minutes=10)
"""Younger changes are tried every time, older ones only now and then: they wait for a person."""
OLD_EVERY_SECONDS = 600.0
HOOK_EVERY_SECONDS = 45.0
"""With EVERY_SECONDS on top a checkpoint leaves within the minute."""


class Worker:
    def __init__(self) -> None:
        self._sent_number = 0
        self._sent_at = self._old_at = -OLD_EVERY_SECONDS

    def start(self) -> None:
        """Runs until the process ends; it holds nothing that would have to be put in order then."""
        threading.Thread(target=self._run, name="settler", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_SECONDS)
            self.tick()
            close_old_connections()

    def tick(self) -> None:
        """One round. Whatever goes wrong is logged and tried again in the next."""
        try:
            self._settle()
            if settings.CHECKPOINT_HOOK:
                self._send_checkpoint()
        except Exception:
            logger.exception("The background work failed and is tried again")

    def _settle(self) -> None:
        is_time_for_old_ones = time.monotonic() - self._old_at >= OLD_EVERY_SECONDS
        for tried in settle_unsettled(younger_than=None if is_time_for_old_ones else YOUNG):
            logger.info("Change %s: %s", tried.intent.number, tried.problem or tried.intent.last_outcome)
        if is_time_for_old_ones:
            self._old_at = time.monotonic()

    def _send_checkpoint(self) -> None:
        head = read_head()
        if head.number != self._sent_number and time.monotonic() - self._sent_at >= HOOK_EVERY_SECONDS:
            send_to_hook(head)
            self._sent_number, self._sent_at = head.number, time.monotonic()
