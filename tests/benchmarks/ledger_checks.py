"""Measure how fast the ledger is verified: by `audit_verify`, twice, and as an export by the separate verifier.

Each command runs as an operator or an auditor runs it. The time includes the start of the process.
"""

import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings

from dashboard.audit.integrity import verify_export
from dashboard.audit.integrity.export import all_rows, json_lines
from tests.benchmarks.bench_ledger import ROWS


def measure(folder: Path) -> dict[str, float]:
    export, key = folder / "ledger.jsonl", folder / "key"
    with export.open("w", encoding="ascii") as file:
        file.writelines(json_lines(all_rows()))
    key.write_text(settings.AUDIT_KEY, encoding="utf-8")
    verify = ["manage.py", "audit_verify"]
    figures = {
        "audit_verify, rows/s": _rows_per_second(verify),
        "audit_verify again, rows/s": _rows_per_second(verify),
        "verify_export.py with the key, rows/s": _rows_per_second(
            ["-I", "-S", str(verify_export.__file__), "--key-file", str(key), str(export)]
        ),
    }
    export.unlink()
    return figures


def _rows_per_second(command: list[str]) -> float:
    """Measure a verification that finds no problem."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)  # noqa: S603 (fixed command)
    seconds = time.perf_counter() - begun
    assert (done.returncode, f"{ROWS} rows" in done.stdout) == (0, True), done.stdout + done.stderr
    return ROWS / seconds
