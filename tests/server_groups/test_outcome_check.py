"""The outcome of a change by what a read shows."""

import pytest

from dashboard.audit.ledger.services import Change
from dashboard.audit.models import Outcome
from dashboard.cloud.resources import RoutePolicy, ServerGroup
from dashboard.server_groups.outcome_check import check_read

RENAME = Change("name", "Name", "old", "new")
OFF = Change("server_group_status", "Status", True, False)
SESSIONS = Change("route_policy.max_session", "Maximum sessions", 6, 8)


def group(name: str | None = "old", status: bool | None = True, sessions: int | None = None) -> ServerGroup:
    policy = None if sessions is None else RoutePolicy(max_session=sessions)
    return ServerGroup("g-1", name=name, server_group_status=status, route_policy=policy)


@pytest.mark.parametrize(
    ("changes", "read", "is_accepted", "is_last", "outcome", "ending"),
    [
        ((RENAME,), group("new"), True, False, Outcome.APPLIED, "shows the new values."),
        ((RENAME,), group("new"), False, False, Outcome.APPLIED, "shows the new values."),
        ((RENAME, OFF), group("new", False), False, False, Outcome.APPLIED, "shows the new values."),
        ((RENAME,), group("old"), True, False, None, ""),
        ((RENAME,), group("old"), False, False, None, ""),
        ((RENAME,), group("old"), False, True, Outcome.NOT_APPLIED, "shows the old value of Name."),
        (
            (RENAME,),
            group("old"),
            True,
            True,
            Outcome.UNKNOWN,
            "shows the old value of Name.",
        ),
        ((RENAME,), group("third"), False, False, None, ""),
        (
            (RENAME,),
            group("third"),
            False,
            True,
            Outcome.CONFLICT,
            "shows neither the old nor the new value: Name: third.",
        ),
        (
            (RENAME,),
            group("third"),
            True,
            True,
            Outcome.CONFLICT,
            "shows neither the old nor the new value: Name: third.",
        ),
        ((RENAME, OFF), group("new", True), False, False, None, ""),
        ((RENAME, OFF), group("new", True), False, True, Outcome.CONFLICT, "shows the new value of Name only."),
        ((SESSIONS,), group(), True, False, Outcome.ACCEPTED, "it does not show the new value of Maximum sessions."),
        ((SESSIONS,), group(), False, False, None, ""),
        (
            (SESSIONS,),
            group(),
            False,
            True,
            Outcome.UNKNOWN,
            "does not show Maximum sessions.",
        ),
        ((SESSIONS,), group(sessions=8), True, False, Outcome.APPLIED, "shows the new values."),
        (
            (RENAME, SESSIONS),
            group("new"),
            True,
            False,
            Outcome.ACCEPTED,
            "shows the new value of Name.",
        ),
        ((RENAME, SESSIONS), group("new"), False, False, None, ""),
        (
            (RENAME, SESSIONS),
            group("new"),
            False,
            True,
            Outcome.UNKNOWN,
            "shows the new value of Name and does not show Maximum sessions.",
        ),
        (
            (RENAME, SESSIONS),
            group("old"),
            True,
            True,
            Outcome.UNKNOWN,
            "shows the old value of Name and does not show Maximum sessions.",
        ),
        ((RENAME,), group(None), False, False, None, ""),
        ((OFF,), group(status=None), True, False, Outcome.ACCEPTED, "it does not show the new value of Status."),
    ],
)
def test_derives_the_outcome_from_a_read(
    changes: tuple[Change, ...], read: ServerGroup, is_accepted: bool, is_last: bool, outcome: str | None, ending: str
) -> None:
    details = check_read(changes, read, is_accepted=is_accepted, is_last=is_last)

    assert (details and details.outcome) == outcome
    assert (details.proof if details else "").endswith(ending)


def test_the_proof_names_the_time_of_the_read() -> None:
    details = check_read((RENAME,), group("new"), is_accepted=True, is_last=False)

    assert details is not None
    assert details.proof.startswith("A read at 20")
    assert " UTC shows" in details.proof
