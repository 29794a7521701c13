"""Garbage is collected when an answer has been sent, and what start-up made is not looked through."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from django.core.signals import request_finished

from dashboard.garbage import collect_between_requests, collect_young


class Entry:
    """Refers to itself, as an entry with its fields does."""

    def __init__(self) -> None:
        self.entry = self


@pytest.fixture
def serving() -> Iterator[None]:
    """Nothing but what is tested collects."""
    gc.disable()
    collect_between_requests()
    yield
    request_finished.disconnect(collect_young)
    gc.unfreeze()
    gc.enable()


def test_what_a_request_left_behind_is_gone_when_it_is_finished(serving: None) -> None:
    left = weakref.ref(Entry())
    assert left() is not None

    request_finished.send(sender=None)

    assert left() is None


def test_what_start_up_made_is_not_looked_through(serving: None) -> None:
    assert gc.get_freeze_count() > 10_000
