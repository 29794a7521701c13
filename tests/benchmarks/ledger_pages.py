"""Measure the pages of a long ledger: each filter at each depth, as complete responses of Django."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from dashboard.accounts.models import User
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.services import find_recent_changes
from dashboard.audit.models import ChangeIntent, Outcome
from dashboard.cloud.projects import load_projects
from dashboard.serving import collect_garbage

LEDGER = "/projects/default/audit/"
ROUNDS = 20
"""Pages of each filter at each depth. Each page starts at another row."""
GROUP = "7b1d2c52-4f0e-4c57-9a3b-000000000004"
FILTERS: dict[str, str] = {
    "no filter": "",
    "group by id": f"group={GROUP}",
    "group by name": "group=design-pool-4",
    "group, unknown": "group=nothing",
    "actor, busy": "actor=alice",
    "actor, rare": "actor=dana",
    "actor, hardly ever": "actor=erin",
    "field, often": "field=route_policy.max_session",
    "field, rare": "field=ou_name",
    **{f"outcome {outcome}": f"outcome={outcome}" for outcome in Outcome.values},
    **{f"kind {kind}": f"kind={kind}" for kind in ("edit", "switch", "revert", "denied")},
    "since": "since=2024-06-01",
    "since, until": "since=2024-06-01&until=2024-06-30",
    "text, often": "q=night+shift",
    "text, rare": "q=INC-77777",
    "text, nowhere": "q=haystack",
    "actor, field": "actor=alice&field=name",
    "actor rare, field rare": "actor=dana&field=ou_name",
    "actor, field rare": "actor=alice&field=ou_name",
    "actor rare, field": "actor=erin&field=name",
    "actor, outcome": "actor=alice&outcome=applied",
    "actor, outcome rare": "actor=alice&outcome=not_sent",
    "actor rare, outcome": "actor=dana&outcome=rejected",
    "actor hardly ever, outcome": "actor=erin&outcome=rejected",
    "actor, outcome unknown": "actor=erin&outcome=unknown",
    "actor, kind rare": "actor=carol&kind=denied",
    "actor, group": f"actor=erin&group={GROUP}",
    "field, outcome": "field=ou_name&outcome=rejected",
    "field often, outcome": "field=route_policy.max_session&outcome=rejected",
    "field, kind": "field=server_group_status&kind=edit",
    "kind, outcome": "kind=switch&outcome=rejected",
    "kind rare, outcome applied": "kind=denied&outcome=applied",
    "kind edit, outcome applied": "kind=edit&outcome=applied",
    "text, since": "q=haystack&since=2024-06-01",
    "text, actor": "q=haystack&actor=alice",
    "text, outcome applied": "q=haystack&outcome=applied",
    "text, group": f"q=haystack&group={GROUP}",
    "text, field, kind, outcome": "q=haystack&field=name&kind=edit&outcome=applied&actor=alice",
}


K = TypeVar("K")


@dataclass
class Times:
    """Milliseconds of some pages: elapsed and processor time. Other processes affect the processor time less."""

    elapsed: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def measure(_folder: Path) -> dict[str, Any]:
    """Return milliseconds (median, p95) for each filter, each depth and the other pages, and the slowest of them."""
    browser, newest = sign_in(), read_head().number
    call_command("check", databases=["default"], stdout=StringIO())
    gc.freeze()  # as a web process does
    depths = _depths(newest)
    cells = _interleave(
        {
            (name, depth): partial(_get, browser, [f"{LEDGER}?{query}&cursor={cursor}" for cursor in cursors])
            for name, query in FILTERS.items()
            for depth, cursors in depths.items()
        }
    )
    other_pages = _interleave(
        {
            "an entry": partial(_get, browser, [f"{LEDGER}{number}/" for number in _changes_from(newest // 2)]),
            "sign-ins and roles": partial(_get, browser, [f"{LEDGER}system/?cursor={one}" for one in depths["middle"]]),
            "sign-ins and roles, rare actor": partial(_get, browser, [f"{LEDGER}system/?actor=erin"] * ROUNDS),
            "needs attention": partial(_get, browser, [f"{LEDGER}attention/"] * ROUNDS),
            "ledger's share of a group's page": _changes_of_one_group,
            "ledger's share of the list of groups": _changes_of_50_groups,
        }
    )
    return {
        "median / p95 in ms, of each filter": {
            name: {depth: _figures(cells[name, depth]) for depth in depths} for name in FILTERS
        },
        "at each depth": {depth: _figures(*(cells[name, depth] for name in FILTERS)) for depth in depths},
        "other pages of the ledger": {name: _figures(found) for name, found in other_pages.items()},
        "slowest filter": _slowest({name: [cells[name, depth] for depth in depths] for name in FILTERS}),
        "slowest depth": _slowest({depth: [cells[name, depth] for name in FILTERS] for depth in depths}),
    }


def _slowest(groups: dict[str, list[Times]]) -> dict[str, Any]:
    """Find the group with the highest p95 of all its pages. A p95 of 20 pages would be too random."""
    figures = {name: _figures(*times) for name, times in groups.items()}
    name = max(figures, key=lambda name: figures[name]["p95"])
    return {"name": name, "p95, ms": figures[name]["p95"], "processor time": figures[name]["p95 of processor time"]}


def sign_in() -> Client:
    """Return the client of a user with the permission to read the ledger."""
    settings.CLOUD_PROJECTS = load_projects(
        {
            "HUAWEICLOUD_SDK_PROJECT_ID": "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e",
            "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
            "WORKSPACE_AUTH_TOKEN": "none",
        }
    )
    user, _ = User.objects.get_or_create(username="auditor")
    user.groups.set([Group.objects.get(name="auditor")])
    browser = Client(headers={"accept-encoding": "gzip"})
    browser.force_login(user, backend="dashboard.accounts.backends.RoleBackend")
    return browser


def _depths(newest: int) -> dict[str, list[str]]:
    """Cursors of pages. Each page starts at another row."""
    steps = [place * newest // 10_000 for place in range(ROUNDS)]
    return {
        "first page": [""] * ROUNDS,
        "middle": [str(newest // 2 + step) for step in steps],
        "middle, newer": [f"newer.{newest // 2 + step}" for step in steps],
        "deepest": [str(200 + step) for step in steps],
        "deepest, newer": [f"newer.{step}" for step in steps],
    }


def _changes_from(number: int) -> list[int]:
    rows = ChangeIntent.objects.filter(project="default", number__gt=number).order_by("number")
    return list(rows.values_list("number", flat=True)[:ROUNDS])


def _changes_of_one_group(_place: int) -> None:
    find_recent_changes("default", [GROUP], pending_since=timezone.now() - timedelta(minutes=1), history=10)


def _changes_of_50_groups(_place: int) -> None:
    groups = [f"{GROUP[:-3]}{number:03d}" for number in range(50)]
    find_recent_changes("default", groups, pending_since=timezone.now() - timedelta(minutes=1))


def _get(browser: Client, links: list[str], place: int) -> None:
    response = browser.get(links[place])
    assert response.status_code == 200, links[place]
    assert response.content


def _interleave(pages: Mapping[K, Callable[[int], None]]) -> dict[K, Times]:
    """Read each page once in each round, so that a busy moment of the machine affects all pages.

    The order of the pages is random in each round, so that a periodic event does not always affect the same page.
    """
    times = {name: Times() for name in pages}
    for page in pages.values():
        page(0)
    order, random = list(pages), Random(1)  # noqa: S311 (an order, no secret)
    for place in range(ROUNDS):
        random.shuffle(order)
        for name in order:
            page = pages[name]
            begun, processor_begun = time.perf_counter(), time.process_time()
            page(place)
            times[name].elapsed.append((time.perf_counter() - begun) * 1000)
            times[name].processor.append((time.process_time() - processor_begun) * 1000)
            collect_garbage()
    return times


def _figures(*times: Times) -> dict[str, float]:
    elapsed = [value for one in times for value in one.elapsed]
    processor = [value for one in times for value in one.processor]
    return {"p50": statistics.median(elapsed), "p95": _p95(elapsed), "p95 of processor time": _p95(processor)}


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]
