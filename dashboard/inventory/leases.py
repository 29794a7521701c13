"""The lease of a project: only one process on all hosts reads it and stores what it read."""

import os
import secrets
import socket
from datetime import datetime, timedelta
from functools import cache

from django.utils import timezone

from dashboard.inventory.models import ProjectCopy

LEASE = timedelta(seconds=30)
"""Longer than a call may take. After a kill, another process takes over at the end of the lease."""


class LeaseLostError(Exception):
    """Another process reads the project now."""


def holder() -> str:
    """The name of this process. A process that was forked has another one."""
    return _holder_of(os.getpid())


@cache
def _holder_of(process: int) -> str:
    return f"{socket.gethostname()[:30]}:{process}:{secrets.token_hex(4)}"


def may_take(copy: ProjectCopy, now: datetime) -> bool:
    """Whether this process may take or renew the lease. A lease that ends too late is from a clock that was ahead."""
    until = copy.leased_until
    is_held = until is not None and now < until <= now + LEASE
    return not is_held or copy.lease_holder == holder()


def needs_renewal(copy: ProjectCopy, now: datetime) -> bool:
    until = copy.leased_until
    return copy.lease_holder != holder() or until is None or not LEASE / 2 < until - now <= LEASE


def take(copy: ProjectCopy, now: datetime) -> None:
    """Take or renew the lease. The caller saves the copy."""
    copy.lease_holder, copy.leased_until = holder(), now + LEASE


def lock_copy(slug: str) -> ProjectCopy:
    """Lock the copy of the project until the end of the transaction. Raises LeaseLostError.

    Lock rows of groups first: all writers use this order.
    """
    copy = ProjectCopy.objects.select_for_update().get(slug=slug)
    if copy.lease_holder != holder() or not may_take(copy, timezone.now()):
        raise LeaseLostError(slug)
    return copy
