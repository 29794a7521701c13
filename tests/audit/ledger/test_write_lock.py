"""The write lock: one writer at a time, in the order of arrival, in a process and between processes."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.audit.ledger.write_lock import BusyError, WriteQueue, file_lock


def test_threads_get_the_lock_in_the_order_of_arrival() -> None:
    queue, order = WriteQueue(), []

    def take(number: int) -> None:
        with queue.lock():
            order.append(number)

    with queue.lock():
        threads = [threading.Thread(target=take, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
            time.sleep(0.005)
    for thread in threads:
        thread.join()

    assert order == list(range(20))


def test_a_thread_that_waits_too_long_leaves_the_queue() -> None:
    queue = WriteQueue()

    with queue.lock(), pytest.raises(BusyError, match="too many changes"), queue.lock(0.02):
        pass

    with queue.lock(0.02):
        pass


def test_a_failed_writer_releases_the_lock() -> None:
    queue = WriteQueue()

    with pytest.raises(ZeroDivisionError), queue.lock():
        1 / 0  # noqa: B018 (it fails)

    with queue.lock(0.02):
        pass


def hold(path: Path, taken: threading.Event, release: threading.Event) -> None:
    with file_lock(path):
        taken.set()
        release.wait(10)


@pytest.fixture
def other_process(tmp_path: Path) -> Callable[[], tuple[multiprocessing.Process, threading.Event]]:
    """Starts another process that holds the file lock."""
    context = multiprocessing.get_context("spawn")

    def start() -> tuple[multiprocessing.Process, threading.Event]:
        taken, release = context.Event(), context.Event()
        process = context.Process(target=hold, args=(tmp_path / "ledger", taken, release), daemon=True)
        process.start()
        assert taken.wait(20)
        return process, release  # type: ignore[return-value]  # both have the same methods

    return start


def test_one_process_has_the_lock_at_a_time(
    tmp_path: Path, other_process: Callable[[], tuple[multiprocessing.Process, threading.Event]]
) -> None:
    process, release = other_process()

    with pytest.raises(BusyError, match="another process"), file_lock(tmp_path / "ledger", 0.05):
        pass
    release.set()

    with file_lock(tmp_path / "ledger", 5):
        pass
    process.join(10)


def test_a_killed_process_releases_the_lock(
    tmp_path: Path, other_process: Callable[[], tuple[multiprocessing.Process, threading.Event]]
) -> None:
    process, _ = other_process()

    process.kill()

    with file_lock(tmp_path / "ledger", 5):
        pass


def test_reports_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), file_lock(tmp_path / "nowhere" / "ledger"):
        pass
