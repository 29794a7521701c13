"""Garbage is collected between two requests, so that none waits for it.

What a page of the ledger leaves behind refers to itself: each entry to its fields and outcomes, and these to it. Left
to Python, that of thirty pages is collected in the middle of one, which then takes twice as long.
"""

import gc
from typing import Any

from django.core.signals import request_finished


def collect_between_requests() -> None:
    """For a process that serves, once it is ready: what it made so far stays, and is not looked through again."""
    gc.freeze()
    request_finished.connect(collect_young)


def collect_young(**_kwargs: Any) -> None:
    """What the last requests made; a millisecond, after the answer was sent."""
    gc.collect(1)
