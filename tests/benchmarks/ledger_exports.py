"""Memory and speed of an export of the whole ledger: by the command, and through a page.

Each in a process of its own, whose greatest resident size is read before and after.
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

WAYS = ("command", "page")
FORMATS = ("jsonl", "csv")


def measure(folder: Path) -> dict[str, float]:
    figures: dict[str, float] = {}
    for way, suffix in ((way, suffix) for way in WAYS for suffix in FORMATS):
        with ProcessPoolExecutor(1, get_context("spawn"), initializer=set_up) as pool:
            megabytes, seconds = pool.submit(export, way, suffix, folder / "export").result()
        figures |= {f"{way}, {suffix}, grew by, MB": megabytes, f"{way}, {suffix}, rows/s": ROWS / seconds}
        (folder / "export").unlink()
    return figures


def export(way: str, suffix: str, target: Path) -> tuple[float, float]:
    """Megabytes and seconds. What every page needs is there before."""
    browser = sign_in()
    browser.get(f"{LEDGER}system/")
    before, begun = _peak_megabytes(), time.perf_counter()
    if way == "command":
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
