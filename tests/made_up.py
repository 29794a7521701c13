"""Generate a ledger with common and rare changes, two projects, and system events."""

import hmac
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from dashboard.audit.ledger.chain import GENESIS, audit_key, canonical, format_time, hash_of
from dashboard.audit.ledger.services import NO_OUTCOME

Facts = dict[str, Any]
Weights = Mapping[Any, int]

NAMES = ("design-pool", "finance-eu", "研发设计组", "qa-windows")
PROJECTS: Weights = {"default": 90, "branch": 10}
ACTORS: Weights = {
    "alice": 40_000,
    "bob": 25_000,
    "helpdesk": 20_000,
    "admin": 10_000,
    "carol": 4_900,
    "dana": 95,
    "erin": 5,
}
KINDS: Weights = {"edit": 80, "switch": 17, "revert": 2, "denied": 1}
EVENTS: Weights = {"sign_in": 50, "sign_out": 40, "sign_in_failed": 9, "roles": 1}
ENDS: Weights = {
    ("applied",): 90_000,
    ("rejected",): 5_000,
    ("not_applied",): 3_000,
    ("unknown", "applied"): 1_500,
    ("conflict",): 400,
    ("not_sent",): 50,
    ("unknown",): 10,
    (): 5,
}
"""The outcomes of a change, in sequence."""
FIELDS = {
    "name": "Name",
    "description": "Description",
    "route_policy.max_session": "Maximum sessions",
    "route_policy.cpu_threshold": "CPU threshold",
    "system_disk_size": "System disk size",
    "ou_name": "Organisation name",
}
FIELD_WEIGHTS = (1_000, 2_000, 5_000, 1_500, 500, 1)
STATUS = ("server_group_status", "Status")
SYSTEM_EVENT_SHARE = 0.02
GROUPS = 300


def made_up_rows(count: int, seed: int = 1) -> Iterator[tuple[int, str, str, str]]:
    """Generate the number, facts, hash and MAC of each row of a ledger."""
    random, previous, key = Random(seed), GENESIS, audit_key()  # noqa: S311 (generated rows, not a secret)
    at = datetime(2024, 1, 1, tzinfo=UTC)
    for number, facts in zip(range(1, count + 1), _facts(random), strict=False):
        is_cut = number == count and facts["outcome"] is None  # the last change has an outcome
        end = {"outcome": "not_sent", "proof": "The cloud was unavailable."} if is_cut else {}
        at += timedelta(microseconds=random.randrange(1, 60_000_000))
        text = canonical(facts | end | {"number": number, "at": format_time(at), "previous_hash": previous})
        previous = hash_of(text)
        yield number, text, previous, hmac.digest(key, previous.encode(), "sha256").hex()


def _facts(random: Random) -> Iterator[Facts]:
    """Generate the facts of rows without end. Number, time and previous hash are missing."""
    number = 1
    while True:
        for facts in _event(random) if random.random() < SYSTEM_EVENT_SHARE else _change(random, number):
            yield facts
            number += 1


def _pick(random: Random, weights: Weights) -> Any:
    return random.choices(tuple(weights), tuple(weights.values()))[0]


def _event(random: Random) -> list[Facts]:
    kind = _pick(random, EVENTS)
    proof = "Given: auditor." if kind == "roles" else ""
    nowhere: Facts = {
        "key": None,
        "intent": None,
        "project": "",
        "group_id": "",
        "group_name": "",
        "reason": "",
        "changes": [],
    }
    outcome = "denied" if kind == "sign_in_failed" else "applied"
    return [NO_OUTCOME | nowhere | _actor(random) | {"kind": kind, "outcome": outcome, "proof": proof}]


def _change(random: Random, number: int) -> list[Facts]:
    """Generate an intent and its outcomes, or one row for a denied attempt."""
    intent = _intent(random, number)
    if intent["kind"] == "denied":
        return [intent | {"outcome": "denied", "proof": "Your role does not allow this."}]
    return [intent, *(_outcome(random, intent, number, outcome) for outcome in _pick(random, ENDS))]


def _intent(random: Random, number: int) -> Facts:
    group, kind = random.randrange(GROUPS), _pick(random, KINDS)
    why = random.choice(("more sessions for", "as agreed with", "night shift of"))
    return NO_OUTCOME | {
        "key": f"key-{number}",
        "intent": None,
        "project": _pick(random, PROJECTS),
        "group_id": f"7b1d2c52-4f0e-4c57-9a3b-{group:012d}",
        "group_name": f"{NAMES[group % len(NAMES)]}-{group}",
        **_actor(random),
        "kind": kind,
        "reason": f"INC-{number} {why} {group}" if random.random() < 0.9 else "",
        "changes": _changes(random, kind, number),
    }


def _actor(random: Random) -> Facts:
    actor = _pick(random, ACTORS)
    return {"actor": actor, "actor_id": 1 + tuple(ACTORS).index(actor), "from_address": "192.0.2.7"}


def _changes(random: Random, kind: str, number: int) -> list[Facts]:
    if kind == "switch":
        field, label = STATUS
        return [{"field": field, "label": label, "before": number % 4 < 2, "after": number % 4 > 1}]
    chosen = set(random.choices(tuple(FIELDS), FIELD_WEIGHTS, k=random.choice((1, 1, 1, 2, 3))))
    return [
        {"field": field, "label": FIELDS[field], "before": number % 90, "after": number % 91}
        for field in sorted(chosen)
    ]


def _outcome(random: Random, intent: Facts, number: int, outcome: str) -> Facts:
    return intent | {
        "key": None,
        "intent": number,
        "outcome": outcome,
        "proof": "A read at 2026-03-14 10:42:09 UTC shows the new values.",
        "http_status": 200,
        "request_id": f"{random.getrandbits(64):016x}",
        "duration_ms": random.randrange(40, 900),
    }
