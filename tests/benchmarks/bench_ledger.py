"""The ledger at a million rows, beside django-auditlog and Django's admin with as many: time to verify, read,
written and handed out. Fewer rows with BENCH_ROWS=...

Each part is a process of its own, so that no part's memory or settings are another's; what they read was read before by
the check, as in a dashboard that has run for a while.
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
"""The modules `ledger_*`, each with its settings, in the order they run."""


def main() -> dict[str, Any]:
    """Runs every part, prints what they found, and after them the goals."""
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
    subprocess.run([sys.executable, "-m", "tests.benchmarks.bench_ledger", part], check=True, env=environ)  # noqa: S603 (ours)
    figures: dict[str, Any] = json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))
    return figures


def set_up(gate: Any = None) -> None:
    """What a process needs before it can load models; processes that work at once begin at once."""
    import logging

    import django

    django.setup()
    logging.disable(logging.WARNING)  # a line a change is not what is looked for here
    if gate is not None:
        gate.wait()


def measure(part: str) -> None:
    set_up()
    folder = Path(os.environ["BENCH_FOLDER"])
    figures = importlib.import_module(f"tests.benchmarks.ledger_{part}").measure(folder)
    (folder / f"{part}.json").write_text(json.dumps(figures), encoding="utf-8")


def _compared(figures: dict[str, Any]) -> dict[str, float]:
    """How many times ours Django's admin takes for the same page of django-auditlog's entries, and their database."""
    filters, theirs = figures["pages"]["median / p95 in ms, of each filter"], figures["comparison"]
    pages = {
        "newest": ("no filter", "first page"),
        "text": ("text, often", "first page"),
        "person": ("actor, rare", "first page"),
        "half-way": ("no filter", "middle"),
    }
    times = {name: theirs[f"{name}, ms"] / filters[one][depth]["p50"] for name, (one, depth) in pages.items()}
    size = theirs["database, MB"] / figures["growth"]["database, MB"]
    return {f"admin's page, times ours: {name}": ratio for name, ratio in times.items()} | {
        "database, times ours": size
    }


def _goals(figures: dict[str, Any]) -> dict[str, str]:
    """Figure, goal, met or not."""
    pages = figures["pages"]
    growth = max(value for name, value in figures["exports"].items() if name.endswith("MB"))
    writers = [found for name, found in figures["writers"].items() if "without" not in name]
    return {
        "rows checked a second": _said(figures["checks"]["audit_verify again, rows/s"], 200_000, at_least=True),
        "p95 of the slowest filter's pages, ms": _said(pages["slowest filter"]["p95, ms"], 30),
        "p95 of the slowest depth's pages, ms": _said(pages["slowest depth"]["p95, ms"], 30),
        "memory an export grows by, MB": _said(growth, 64),
        "changes a second, 16 writers": _said(min(one["changes/s"] for one in writers), 60, at_least=True),
        "longest wait of a writer, s": _said(max(one["worst wait, s"] for one in writers), 1),
    }


def _said(figure: float, goal: float, *, at_least: bool = False) -> str:
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
