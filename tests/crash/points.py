"""Where a writing process is killed: before or after a call of the write path, the n-th time it is made.

The product carries nothing for this: the process that is to die wraps the named function and kills itself there with
signal 9, which nothing in it can see coming.
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
SETTLING = "dashboard.server_groups.settling"
LEDGER = "dashboard.audit.ledger.services"
ARCHIVE = "dashboard.audit.integrity.archive"
CLIENT = "dashboard.cloud.client:Client"


@dataclass(frozen=True)
class Point:
    where: str
    """Module, and the class in it where there is one."""
    name: str
    is_after: bool = False
    time: int = 1


POINTS = {
    "before anything": Point(SERVICES, "update_server_group"),
    "key looked for": Point(SERVICES, "find_by_key", is_after=True),
    "before the first read": Point(SERVICES, "_write"),
    "after the first read": Point(SERVICES, "_check_for_conflict"),
    "alone at the ledger": Point("dashboard.audit.ledger.chain", "read_head", is_after=True),
    "intent written, not committed": Point(LEDGER, "_add", is_after=True),
    "intent committed, no checkpoint": Point(LEDGER, "write_down"),
    "intent recorded": Point(SERVICES, "record_intent", is_after=True),
    "before the PATCH": Point(CLIENT, "update_server_group"),
    "PATCH on the wire": Point("http.client:HTTPConnection", "endheaders", is_after=True),
    "PATCH sent, answer not read": Point("http.client:HTTPConnection", "getresponse"),
    "PATCH answered": Point(CLIENT, "update_server_group", is_after=True),
    "before the proof": Point(SERVICES, "_prove"),
    "proof read": Point("dashboard.server_groups.outcome_check", "judge", is_after=True),
    "before the outcome": Point(SERVICES, "record_outcome"),
    "outcome written, not committed": Point(LEDGER, "_append", is_after=True, time=2),
    "outcome committed, no checkpoint": Point(LEDGER, "write_down", time=2),
    "outcome recorded": Point(SERVICES, "record_outcome", is_after=True),
    "before the page": Point(SERVICES, "update_server_group", is_after=True),
}

WHILE_SETTLING = {
    "before the lease": Point(SETTLING, "leased"),
    "leased, not read": Point(SETTLING, "settle_change"),
    "read, not judged": Point("dashboard.server_groups.outcome_check", "judge"),
    "judged": Point("dashboard.server_groups.outcome_check", "judge", is_after=True),
    "settled, not committed": Point(LEDGER, "_append", is_after=True),
    "settled, no checkpoint": Point(LEDGER, "write_down"),
    "settled, lease not given back": Point(LEDGER, "_give_back"),
    "lease given back": Point(LEDGER, "_give_back", is_after=True),
}

WHILE_ARCHIVING = {
    "file written": Point(ARCHIVE, "_write", is_after=True),
    "file read back": Point(ARCHIVE, "_read_back", is_after=True),
    "archive marker written, nothing deleted": Point(ARCHIVE, "record_event", is_after=True),
    "rows deleted, not committed": Point(ARCHIVE, "missing_guards", time=2),
    "rows deleted, no checkpoint": Point(LEDGER, "write_down"),
}


def arm(point: Point) -> None:
    """From now on this process dies there."""
    module, _, member = point.where.partition(":")
    holder: Any = importlib.import_module(module)
    holder = getattr(holder, member) if member else holder
    setattr(holder, point.name, _deadly(getattr(holder, point.name), point))


def _deadly(function: Callable[..., Any], point: Point) -> Callable[..., Any]:
    count = 0

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        is_read = bool(args) and isinstance(args[0], HTTPConnection) and getattr(args[0], "_method", "") != "PATCH"
        count += not is_read
        is_due = count == point.time and not is_read
        if is_due and not point.is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = function(*args, **kwargs)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return wrapped
