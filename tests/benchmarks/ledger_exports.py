"""Measure the memory and the speed of an export of all rows, by the command and by the page.

Each export runs in a separate process. The peak resident size of the process is read before and after.
"""

import re
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path

from django.core.management import call_command

from tests.benchmarks.bench_ledger import ROWS, set_up
from tests.benchmarks.ledger_pages import LEDGER, sign_in

METHODS = ("command", "page")
FORMATS = ("jsonl", "csv")


def measure(folder: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    for method, suffix in ((method, suffix) for method in METHODS for suffix in FORMATS):
        with ProcessPoolExecutor(1, get_context("spawn"), initializer=set_up) as pool:
            megabytes, seconds = pool.submit(export, method, suffix, folder / "export").result()
        figures |= {f"{method}, {suffix}, memory growth, MB": megabytes, f"{method}, {suffix}, rows/s": ROWS / seconds}
        (folder / "export").unlink()
    return figures


def export(method: str, suffix: str, target: Path) -> tuple[float, float]:
    """Return the memory growth in megabytes and the seconds. The first page is not included."""
    browser = sign_in()
    browser.get(f"{LEDGER}system/")
    before, begun = _peak_megabytes(), time.perf_counter()
    if method == "command":
        with target.open("w", encoding="utf-8") as file, redirect_stdout(file):
            call_command("audit_export", "--format", suffix)
    else:
        with target.open("wb") as received:
            received.writelines(browser.get(f"{LEDGER}export.{suffix}"))
    seconds = time.perf_counter() - begun
    return _peak_megabytes() - before, seconds


def _peak_megabytes() -> float:
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(kilobytes) / 1000
