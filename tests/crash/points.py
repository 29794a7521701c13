"""Points at which a process stops: before or after the n-th call of a function of the write path.

The product contains no code for these tests. The process wraps the named function and sends itself a signal there. It
cannot catch signal 9 (SIGKILL).
"""

import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from http.client import HTTPConnection
from typing import Any

SERVICES = "dashboard.server_groups.services"
SENDING = "dashboard.server_groups.sending"
EDITING = "dashboard.server_groups.editing"
SETTLING = "dashboard.server_groups.settling"
LEDGER = "dashboard.audit.ledger.services"
ARCHIVE = "dashboard.audit.integrity.archive"
OUTSIDE = "dashboard.server_groups.outside"
CLIENT = "dashboard.cloud.client:Client"


@dataclass(frozen=True)
class Point:
    where: str
    """The module, and optionally a class in it."""
    name: str
    is_after: bool = False
    time: int = 1
    imported_by: str = ""
    """A module that imports the function directly."""


POINTS = {
    "before the update": Point(SERVICES, "update_server_group", imported_by=EDITING),
    "key looked up": Point(SERVICES, "find_by_key", is_after=True),
    "before the first read": Point(SERVICES, "_write"),
    "after the first read": Point(SERVICES, "_check_for_conflict"),
    "write lock held": Point("dashboard.audit.ledger.chain", "read_head", is_after=True),
    "intent written, not committed": Point(LEDGER, "_append_change", is_after=True),
    "intent committed, no checkpoint": Point(LEDGER, "write_checkpoint"),
    "intent recorded": Point(SERVICES, "record_intent", is_after=True),
    "before the PATCH": Point(CLIENT, "update_server_group"),
    "PATCH being sent": Point("http.client:HTTPConnection", "endheaders", is_after=True),
    "PATCH sent, response not read": Point("http.client:HTTPConnection", "getresponse"),
    "response read": Point(CLIENT, "update_server_group", is_after=True),
    "before the verification": Point(SENDING, "_verify"),
    "verification read": Point("dashboard.server_groups.outcome_check", "check_read", is_after=True),
    "before the outcome": Point(SENDING, "record_outcome"),
    "outcome written, not committed": Point(LEDGER, "append_row", is_after=True, time=2),
    "outcome committed, no checkpoint": Point(LEDGER, "write_checkpoint", time=2),
    "outcome recorded": Point(SENDING, "record_outcome", is_after=True),
    "before the page": Point(SERVICES, "update_server_group", is_after=True, imported_by=EDITING),
}

WHILE_SETTLING = {
    "before the lease": Point(SETTLING, "leased"),
    "lease held, not read": Point(SETTLING, "settle_change"),
    "read, not checked": Point("dashboard.server_groups.outcome_check", "check_read"),
    "checked": Point("dashboard.server_groups.outcome_check", "check_read", is_after=True),
    "settled, not committed": Point(LEDGER, "append_row", is_after=True),
    "settled, no checkpoint": Point(LEDGER, "write_checkpoint"),
    "settled, lease not released": Point(LEDGER, "_release_lease"),
    "lease released": Point(LEDGER, "_release_lease", is_after=True),
}

WHILE_ARCHIVING = {
    "file written": Point(ARCHIVE, "_write", is_after=True),
    "file read back": Point(ARCHIVE, "_read_back", is_after=True),
    "archive marker written, nothing deleted": Point(ARCHIVE, "record_event", is_after=True),
    "rows deleted, not committed": Point(ARCHIVE, "missing_guards", time=2),
    "rows deleted, no checkpoint": Point(LEDGER, "write_checkpoint"),
}

WHILE_RECORDING_OUTSIDE = {
    "nothing written": Point(OUTSIDE, "_own_changes", is_after=True),
    "entry written, not committed": Point(OUTSIDE, "record_outside", is_after=True),
    "differences deleted, not committed": Point(OUTSIDE, "_decide", is_after=True),
    "committed, no checkpoint": Point(LEDGER, "write_checkpoint"),
    "before the next group": Point(OUTSIDE, "_decide", time=2),
}


def arm(point: Point, number: signal.Signals = signal.SIGKILL) -> None:
    """Make this process send itself the signal at the point."""
    module, _, member = point.where.partition(":")
    holder: Any = importlib.import_module(module)
    holder = getattr(holder, member) if member else holder
    wrapped = _signalling(getattr(holder, point.name), point, number)
    setattr(holder, point.name, wrapped)
    if point.imported_by:
        setattr(importlib.import_module(point.imported_by), point.name, wrapped)


def _signalling(function: Callable[..., Any], point: Point, number: signal.Signals) -> Callable[..., Any]:
    count = 0

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        is_read = bool(args) and isinstance(args[0], HTTPConnection) and getattr(args[0], "_method", "") != "PATCH"
        count += not is_read
        is_due = count == point.time and not is_read
        if is_due and not point.is_after:
            os.kill(os.getpid(), number)
        result = function(*args, **kwargs)
        if is_due and point.is_after:
            os.kill(os.getpid(), number)
        return result

    return wrapped
