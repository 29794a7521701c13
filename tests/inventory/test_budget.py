from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from dashboard.inventory.budget import FairShares, halve, take_calls
from dashboard.inventory.models import ProjectCopy

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def most_in_a_window(taken: list[tuple[datetime, int]]) -> int:
    window: deque[tuple[datetime, int]] = deque()
    most = current = 0
    for at, calls in taken:
        window.append((at, calls))
        current += calls
        while at - window[0][0] >= MINUTE:
            current -= window.popleft()[1]
        most = max(most, current)
    return most


def taken_in(
    copy: ProjectCopy, per_minute: int, pauses: list[timedelta], wanted: int = 1000
) -> list[tuple[datetime, int]]:
    now, taken = START, []
    for pause in pauses:
        now += pause
        taken.append((now, take_calls(copy, per_minute, wanted, now)))
    return taken


@pytest.mark.parametrize("per_minute", [10, 11, 120, 997, 100_000])
def test_never_takes_more_than_three_quarters_in_any_minute(per_minute: int) -> None:
    taken = taken_in(ProjectCopy(), per_minute, [seconds(1)] * 600)

    assert most_in_a_window(taken) <= per_minute * 0.75
    assert sum(calls for _, calls in taken) >= per_minute * 0.75 * 5 / 6 * 10 * 0.75


@pytest.mark.parametrize("seed", range(20))
def test_never_takes_more_after_pauses_of_any_length(seed: int) -> None:
    random = Random(seed)  # noqa: S311 (repeatable pauses, not a secret)
    pauses = [seconds(random.choice((0, 0.1, 1, 7, 59, 60, 61, 3600)) * random.random()) for _ in range(2000)]

    assert most_in_a_window(taken_in(ProjectCopy(), 120, pauses)) <= 90


def test_starts_with_a_burst_and_refills_evenly() -> None:
    taken = taken_in(ProjectCopy(), 120, [seconds(0)] + [seconds(4)] * 4)

    assert [calls for _, calls in taken] == [15, 5, 5, 5, 5]


@pytest.mark.parametrize("per_minute", [10, 120])
def test_takes_half_for_ten_minutes_after_too_many_calls(per_minute: int) -> None:
    copy = ProjectCopy()
    taken_in(copy, per_minute, [seconds(1)])
    halve(copy, START + seconds(1))

    halved = taken_in(copy, per_minute, [seconds(2)] * 290)
    after = taken_in(copy, per_minute, [seconds(601), *[seconds(1)] * 120])

    assert most_in_a_window(halved) <= per_minute * 0.75 / 2
    assert most_in_a_window(halved) >= 2
    assert most_in_a_window(after) <= per_minute * 0.75
    assert most_in_a_window(after) > most_in_a_window(halved)


def test_refills_after_the_clock_went_back() -> None:
    copy = ProjectCopy(
        calls_left=0, calls_left_at=START + timedelta(days=400), halved_until=START + timedelta(days=400)
    )

    taken = taken_in(copy, 120, [seconds(0), seconds(12)])

    assert [calls for _, calls in taken] == [0, 15]


def test_shares_calls_by_weight_among_the_parts_that_wait() -> None:
    shares = FairShares()

    alone = [shares.choose(["details"]) for _ in range(50)]
    together = Counter(shares.choose(["groups", "servers", "details"]) for _ in range(100))
    two = Counter(shares.choose(["servers", "details"]) for _ in range(100))

    assert set(alone) == {"details"}
    assert together == pytest.approx({"groups": 60, "servers": 30, "details": 10}, abs=1)
    assert two == pytest.approx({"servers": 75, "details": 25}, abs=1)
