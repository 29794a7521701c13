"""Run every benchmark in this folder. `BENCH_JSON=file` also writes the figures to a file."""

import importlib
import json
import os
from pathlib import Path


def main() -> None:
    scripts = sorted(Path(__file__).parent.glob("bench_*.py"))
    results = {script.stem: importlib.import_module(f"tests.benchmarks.{script.stem}").main() for script in scripts}
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
