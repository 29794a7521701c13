"""Measure how fast a ledger of a million rows is verified, read, written and exported.

The comparison is Django's admin with as many entries of django-auditlog. `BENCH_ROWS` sets another number of rows.

Each part runs in a separate process, with separate memory and settings. The verification runs before the parts that
read, so the files are in the cache, as they are in a dashboard that has run for some time.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
PARTS = {
    "growth": "page_settings",
    "checks": "page_settings",
    "exports": "page_settings",
    "pages": "page_settings",
    "comparison": "comparison_settings",
    "writers": "page_settings",
}
"""The modules `ledger_*` with their settings, in the order in which they run."""


def main() -> dict[str, Any]:
    """Run every part, and print the figures and the goals."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {part: _run(part, settings, Path(folder)) for part, settings in PARTS.items()}
    figures["compared"] = _compared(figures)
    for part, found in figures.items():
        _print(f"The ledger, {ROWS:,} rows: {part}", _lines(found))
    figures["goals"] = _goals(figures)
    _print("The ledger's goals", _lines(figures["goals"]))
    return figures


def _run(part: str, settings: str, folder: Path) -> dict[str, Any]:
    database = "comparison" if part == "comparison" else "ledger"
    environ = os.environ | {
        "STREAMWARDEN_ENV": "development",
        "STREAMWARDEN_CHECKPOINTS": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/{database}.sqlite3",
        "DJANGO_SETTINGS_MODULE": f"tests.benchmarks.{settings}",
        "BENCH_FOLDER": str(folder),
    }
    subprocess.run([sys.executable, "-m", "tests.benchmarks.bench_ledger", part], check=True, env=environ)  # noqa: S603 (fixed command)
    figures: dict[str, Any] = json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))
    return figures


def set_up(barrier: Any = None) -> None:
    """Prepare a process to load models. With a barrier, wait until all processes are ready."""
    import logging

    import django

    django.setup()
    logging.disable(logging.WARNING)  # one line for each change would be too much output
    if barrier is not None:
        barrier.wait()


def measure(part: str) -> None:
    set_up()
    folder = Path(os.environ["BENCH_FOLDER"])
    figures = importlib.import_module(f"tests.benchmarks.ledger_{part}").measure(folder)
    (folder / f"{part}.json").write_text(json.dumps(figures), encoding="utf-8")


def _compared(figures: dict[str, Any]) -> dict[str, float]:
    """Divide the page times and the database size of django-auditlog by those of the dashboard."""
    filters, auditlog = figures["pages"]["median / p95 in ms, of each filter"], figures["comparison"]
    pages = {
        "newest": ("no filter", "first page"),
        "text": ("text, often", "first page"),
        "person": ("actor, rare", "first page"),
        "middle": ("no filter", "middle"),
    }
    times = {name: auditlog[f"{name}, ms"] / filters[one][depth]["p50"] for name, (one, depth) in pages.items()}
    size = auditlog["database, MB"] / figures["growth"]["database, MB"]
    return {f"page time of Django's admin / dashboard: {name}": ratio for name, ratio in times.items()} | {
        "database size of django-auditlog / dashboard": size
    }


def _goals(figures: dict[str, Any]) -> dict[str, str]:
    """Compare the figures with the goals."""
    pages = figures["pages"]
    growth = max(value for name, value in figures["exports"].items() if name.endswith("MB"))
    writers = [found for name, found in figures["writers"].items() if "without" not in name]
    return {
        "rows verified per second": _result(figures["checks"]["audit_verify again, rows/s"], 200_000, at_least=True),
        "p95 of the slowest filter, ms": _result(pages["slowest filter"]["p95, ms"], 30),
        "p95 of the slowest depth, ms": _result(pages["slowest depth"]["p95, ms"], 30),
        "memory growth of an export, MB": _result(growth, 64),
        "changes per second, 16 writers": _result(min(one["changes/s"] for one in writers), 60, at_least=True),
        "longest wait of a writer, s": _result(max(one["worst wait, s"] for one in writers), 1),
    }


def _result(figure: float, goal: float, *, at_least: bool = False) -> str:
    is_met = figure >= goal if at_least else figure <= goal
    return f"{figure:>12,.1f}   goal {goal:>9,}   {'met' if is_met else 'NOT MET'}"


def _lines(found: dict[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in found.items():
        if isinstance(value, dict) and "p50" not in value and not indent:
            yield name
            yield from _lines(value, "  ")
        else:
            yield f"{indent}{name:<50} {_text(value)}"


def _text(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{value:>12,.2f}" if isinstance(value, float) else str(value)
    if "p50" in value:
        return f"{value['p50']:.1f} / {value['p95']:.1f}"
    return "   ".join(f"{name}: {_text(one).strip()}" for name, one in value.items())


def _print(heading: str, lines: Iterable[str]) -> None:
    sys.stdout.write("\n".join(["", heading, *(f"  {line}" for line in lines), ""]))


if __name__ == "__main__":
    measure(sys.argv[1]) if sys.argv[1:] else main()
