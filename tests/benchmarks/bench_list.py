"""Measure the list of groups at several sizes, beside the change list of Django's admin over the same rows.

Each size has a process and a database of its own. In each round, each page is loaded once, so that a busy moment of the
machine affects all pages. `BENCH_GROUPS` sets other sizes, separated by commas.
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SIZES = [int(size) for size in os.environ.get("BENCH_GROUPS", "1000,10000,100000").split(",")]
ROUNDS = 40
AT_ONCE = 8
REQUESTS = 160
PAGES = {
    "plain": ("", ""),
    "filtered": ("?status=off", "?status__exact=0"),
    "sorted": ("?sort=-sessions", "?o=-9"),
    "searched": ("?q=sales-lima-0", "?q=sales-lima-0"),
    "last page": ("?page={last}", "?p={last}"),
}
"""The query of each page of the list, and of the same page of the admin."""
GOALS = {"of admin's median": 0.5, "of admin's requests/s": 2.5, "of the median at 1,000": 1.5}


def main() -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            environ = os.environ | {
                "STREAMWARDEN_ENV": "development",
                "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3",
                "DJANGO_SETTINGS_MODULE": "tests.benchmarks.comparison_settings",
            }
            command = [sys.executable, "-m", "tests.benchmarks.bench_list", str(size)]
            done = subprocess.run(command, check=True, env=environ, capture_output=True, text=True)  # noqa: S603 (our own module)
            figures[str(size)] = json.loads(done.stdout.splitlines()[-1])
    sys.stdout.write("\n".join(_table(figures)) + "\n")
    return figures


def _table(figures: dict[str, Any]) -> list[str]:
    lines = ["", "The list of 50 groups, beside Django's admin over the same rows (medians of one run)"]
    smallest = figures[str(SIZES[0])]
    for size, pages in figures.items():
        lines.append(f"  {int(size):,} groups, {pages['calls']} calls to the cloud")
        for name in PAGES:
            ours, admin = pages["ms"][name]
            grown = ours / smallest["ms"][name][0]
            text = f"{ours:6.1f} ms, {ours / admin:4.2f} of admin's {admin:6.1f} ms, {grown:4.2f} of the smallest size"
            lines.append(f"    {name:<10} {text}")
        ours, admin = pages["requests/s"]
        lines.append(f"    {AT_ONCE} at once: {ours:5.1f} requests/s, {ours / admin:4.2f} of admin's {admin:5.1f}")
    return lines


def measure(size: int) -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from dashboard.cloud.projects import load_projects
    from dashboard.simulator.server import SimulatorServer
    from tests.benchmarks.list_rows import fill, register_in_admin

    call_command("migrate", verbosity=0)
    fill(size)
    register_in_admin()
    with SimulatorServer(groups=1) as server:
        settings.CLOUD_PROJECTS = load_projects(
            {
                "HUAWEICLOUD_SDK_PROJECT_ID": "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e",
                "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
                "WORKSPACE_ENDPOINT": server.url,
                "WORKSPACE_AUTH_TOKEN": "simulator-token",
            }
        )
        figures = _figures(size)
        figures["calls"] = _count_calls(server.url)
    sys.stdout.write(json.dumps(figures))


def _figures(size: int) -> dict[str, Any]:
    from tests.benchmarks.list_rows import sign_in

    last = max(1, size // 50)
    ours, admin = "/projects/default/server-groups/", "/admin/inventory/groupcopy/"
    links = {
        name: (ours + queries[0].format(last=last), admin + queries[1].format(last=last))
        for name, queries in PAGES.items()
    }
    gc.freeze()  # as a web process does
    times = _interleave([link for pair in links.values() for link in pair], sign_in)
    medians = {link: statistics.median(values) for link, values in times.items()}
    return {
        "ms": {name: [medians[link] for link in pair] for name, pair in links.items()},
        "requests/s": [_requests_per_second(link, sign_in) for link in links["plain"]],
    }


def _interleave(links: list[str], sign_in: Callable[[], Any]) -> dict[str, list[float]]:
    browser = sign_in()
    times: dict[str, list[float]] = {link: [] for link in links}
    for number in range(ROUNDS + 1):
        for link in links:
            begun = time.perf_counter()
            response = browser.get(link)
            elapsed = (time.perf_counter() - begun) * 1000
            assert (response.status_code, len(response.content) > 0) == (200, True), link
            if number:  # the first round fills caches
                times[link].append(elapsed)
    return times


def _requests_per_second(link: str, sign_in: Callable[[], Any]) -> float:
    browsers = [sign_in() for _ in range(AT_ONCE)]

    def load(browser: Any) -> None:
        for _ in range(REQUESTS // AT_ONCE):
            assert browser.get(link).status_code == 200

    begun = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(load, browsers))
    return REQUESTS / (time.perf_counter() - begun)


def _count_calls(url: str) -> int:
    import urllib.request

    with urllib.request.urlopen(f"{url}/_simulator/requests", timeout=10) as response:  # noqa: S310 (loopback)
        return len(json.load(response)["requests"])


if __name__ == "__main__":
    measure(int(sys.argv[1]))
