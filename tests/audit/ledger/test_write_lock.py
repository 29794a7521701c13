"""Writers take turns in the order they came, in a process and between processes."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.audit.ledger.write_lock import BusyError, Queue, file_lock


def test_threads_take_turns_in_the_order_they_came() -> None:
    queue, order = Queue(), []

    def take(number: int) -> None:
        with queue.turn():
            order.append(number)

    with queue.turn():
        threads = [threading.Thread(target=take, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
            time.sleep(0.005)
    for thread in threads:
        thread.join()

    assert order == list(range(20))


def test_who_waits_too_long_is_told_and_holds_nobody_up() -> None:
    queue = Queue()

    with queue.turn(), pytest.raises(BusyError, match="too many changes"), queue.turn(0.02):
        pass

    with queue.turn(0.02):
        pass


def test_a_turn_that_fails_is_over() -> None:
    queue = Queue()

    with pytest.raises(ZeroDivisionError), queue.turn():
        1 / 0  # noqa: B018 (it fails)

    with queue.turn(0.02):
        pass


def hold(path: Path, taken: threading.Event, release: threading.Event) -> None:
    with file_lock(path):
        taken.set()
        release.wait(10)


@pytest.fixture
def other_process(tmp_path: Path) -> Callable[[], tuple[multiprocessing.Process, threading.Event]]:
    """Another process that is at the file."""
    context = multiprocessing.get_context("spawn")

    def start() -> tuple[multiprocessing.Process, threading.Event]:
        taken, release = context.Event(), context.Event()
        process = context.Process(target=hold, args=(tmp_path / "ledger", taken, release), daemon=True)
        process.start()
        assert taken.wait(20)
        return process, release  # type: ignore[return-value]  # they are alike

    return start


def test_processes_take_turns(
    tmp_path: Path, other_process: Callable[[], tuple[multiprocessing.Process, threading.Event]]
) -> None:
    process, release = other_process()

    with pytest.raises(BusyError, match="another process"), file_lock(tmp_path / "ledger", 0.05):
        pass
    release.set()

    with file_lock(tmp_path / "ledger", 5):
        pass
    process.join(10)


def test_a_process_that_dies_holds_nobody_up(
    tmp_path: Path, other_process: Callable[[], tuple[multiprocessing.Process, threading.Event]]
) -> None:
    process, _ = other_process()

    process.kill()

    with file_lock(tmp_path / "ledger", 5):
        pass


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), file_lock(tmp_path / "nowhere" / "ledger"):
        pass
