"""Fill the database that the other parts read and write."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command
from django.db import connection, transaction

from tests.benchmarks.bench_ledger import ROWS
from tests.ledger import grow_ledger


def measure(folder: Path) -> dict[str, float]:
    call_command("migrate", verbosity=0)
    begun = time.perf_counter()
    with without_durability():
        grow_ledger(ROWS)
    seconds = time.perf_counter() - begun
    return {"rows generated and sealed, s": seconds, "database, MB": (folder / "ledger.sqlite3").stat().st_size / 1e6}


@contextmanager
def without_durability() -> Iterator[None]:
    """Write many rows in one transaction, without protection from a crash. The next process uses WAL again."""
    with connection.cursor() as cursor:
        for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
            cursor.execute(f"PRAGMA {setting}")
    with transaction.atomic():
        yield
