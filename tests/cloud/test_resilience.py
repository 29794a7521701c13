"""A cloud in trouble is left alone, and asked again when its time has come."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from dashboard.cloud import errors, resilience
from dashboard.cloud.client import Client
from dashboard.cloud.resilience import CircuitBreaker, RetryBudget

from .scripted import GROUP_ID, PATIENT, Act, Received, answer, reset, scripted_cloud

GROUP = answer(200, {"id": GROUP_ID})
BROKEN = answer(500, {"error_code": "WKS.00211401", "error_msg": "failed"})


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def meet(breaker: CircuitBreaker, *, is_outage: bool | None, times: int = 1) -> None:
    for _ in range(times):
        with breaker.guarded() as details:
            details.is_outage = is_outage


def is_open(breaker: CircuitBreaker) -> bool:
    try:
        meet(breaker, is_outage=None)
    except errors.CircuitOpenError:
        return True
    return False


def test_half_of_the_last_20_calls_opens_the_breaker() -> None:
    breaker = CircuitBreaker("Workspace", Clock())
    meet(breaker, is_outage=True, times=9)
    before = is_open(breaker)

    meet(breaker, is_outage=True)

    assert (before, is_open(breaker)) == (False, True)


def test_fewer_than_half_leaves_it_closed() -> None:
    breaker = CircuitBreaker("Workspace", Clock())
    for _ in range(50):
        meet(breaker, is_outage=True, times=9)
        meet(breaker, is_outage=False, times=11)

    assert not is_open(breaker)


def test_a_breaker_that_closed_again_has_forgotten_the_outage() -> None:
    clock = Clock()
    breaker = CircuitBreaker("Workspace", clock)
    meet(breaker, is_outage=True, times=10)
    clock.now += 15
    meet(breaker, is_outage=False)

    meet(breaker, is_outage=True, times=9)

    assert not is_open(breaker)


def test_a_success_pays_into_the_budget() -> None:
    with scripted_cloud(GROUP) as cloud:
        client = cloud.client()
        while client._budget.spend():
            pass
        for _ in range(10):
            client.show_server_group(GROUP_ID)

    assert client._budget.spend()


def test_a_call_that_was_never_sent_says_nothing() -> None:
    breaker = CircuitBreaker("Workspace", Clock())
    meet(breaker, is_outage=None, times=100)

    assert not is_open(breaker)


def test_after_15_seconds_one_probe_goes_through_and_closes_it() -> None:
    clock = Clock()
    breaker = CircuitBreaker("Workspace", clock)
    meet(breaker, is_outage=True, times=10)
    clock.now += 14.9
    still_open = is_open(breaker)

    clock.now += 0.1
    with breaker.guarded() as details:
        others_wait = is_open(breaker)
        details.is_outage = False

    assert (still_open, others_wait, is_open(breaker)) == (True, True, False)


@pytest.mark.parametrize("details", [True, None])
def test_a_probe_that_proves_nothing_opens_it_for_another_15_seconds(*, details: bool | None) -> None:
    clock = Clock()
    breaker = CircuitBreaker("Workspace", clock)
    meet(breaker, is_outage=True, times=10)
    clock.now += 15
    meet(breaker, is_outage=details)
    clock.now += 14.9
    still_open = is_open(breaker)

    clock.now += 0.1
    meet(breaker, is_outage=False)

    assert still_open
    assert not is_open(breaker)


def test_a_probe_that_fails_with_an_exception_lets_the_next_one_try() -> None:
    clock = Clock()
    breaker = CircuitBreaker("Workspace", clock)
    meet(breaker, is_outage=True, times=10)
    clock.now += 15
    with suppress(errors.SignInError), breaker.guarded():
        raise errors.SignInError("paused")
    clock.now += 15

    meet(breaker, is_outage=False)

    assert not is_open(breaker)


def test_calls_that_end_after_the_breaker_opened_do_not_keep_it_open() -> None:
    clock = Clock()
    breaker = CircuitBreaker("Workspace", clock)
    with breaker.guarded() as late:
        meet(breaker, is_outage=True, times=10)
        clock.now += 10
        late.is_outage = True
    clock.now += 5

    meet(breaker, is_outage=False)

    assert not is_open(breaker)


def test_an_outage_costs_no_more_retries_than_the_budget() -> None:
    budget = RetryBudget(retries=5)

    assert [budget.spend() for _ in range(7)] == [True] * 5 + [False] * 2


def test_ten_successes_buy_a_retry_and_never_more_than_the_budget() -> None:
    budget = RetryBudget(retries=2)
    for _ in range(2):
        budget.spend()
    for _ in range(9):
        budget.add()
    too_early = budget.spend()
    budget.add()
    in_time = budget.spend()
    for _ in range(1000):
        budget.add()

    assert (too_early, in_time) == (False, True)
    assert [budget.spend() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("outage", [BROKEN, reset])
def test_a_total_outage_of_1000_calls_makes_at_most_1050_requests(outage: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held by the retry budget alone: the breaker, which would stop nearly all of them, is kept shut."""
    monkeypatch.setattr(resilience.CircuitBreaker, "WINDOW", 10**9)
    with scripted_cloud(outage) as cloud:
        client = cloud.client(limits=replace(PATIENT, backoff=0.001))
        with ThreadPoolExecutor(8) as threads:
            failures = list(threads.map(lambda _: failure_of(client), range(1000)))

    assert set(failures) == {errors.UnavailableError}
    assert 1000 < len(cloud.requests) <= 1050


def failure_of(client: Client) -> type[errors.CloudError] | None:
    try:
        client.show_server_group(GROUP_ID)
    except errors.CloudError as error:
        return type(error)
    return None


def test_with_the_breaker_an_outage_of_1000_calls_makes_a_handful() -> None:
    with scripted_cloud(BROKEN) as cloud:
        client = cloud.client()
        failures = [failure_of(client) for _ in range(1000)]

    assert failures == [errors.UnavailableError] * 10 + [errors.CircuitOpenError] * 990
    assert len(cloud.requests) <= 30


def test_a_suspended_write_is_not_sent_and_says_when_to_try_again() -> None:
    with scripted_cloud(BROKEN) as cloud:
        client = cloud.client()
        for _ in range(10):
            failure_of(client)
        sent = len(cloud.requests)

        with pytest.raises(errors.CircuitOpenError) as caught:
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert isinstance(caught.value, errors.NotSentError)
    assert caught.value.retry_at.tzinfo is not None
    assert len(cloud.requests) == sent


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429])
def test_refusals_are_no_outage(status: int) -> None:
    with scripted_cloud(answer(status, {})) as cloud:
        client = cloud.client()
        failures = {failure_of(client) for _ in range(25)}

    assert errors.CircuitOpenError not in failures


def test_an_outage_of_ims_does_not_stop_the_server_groups() -> None:
    with scripted_cloud(BROKEN) as ims, scripted_cloud(GROUP) as cloud:
        client = Client(replace(cloud.project(), ims_endpoint=ims.url), PATIENT)
        for _ in range(12):
            with suppress(errors.CloudError):
                client.list_images("public")

        group = client.show_server_group(GROUP_ID)

    assert group.id == GROUP_ID
    assert len(ims.requests) < 36


def test_only_one_of_many_threads_probes() -> None:
    clock = Clock()
    in_flight = threading.Event()
    done = threading.Event()

    def slowly(_: Received) -> Act:
        in_flight.set()
        done.wait(5)
        return GROUP

    with scripted_cloud(route=slowly) as cloud:
        client = cloud.client(limits=PATIENT)
        breaker = client._breakers[cloud.url] = CircuitBreaker("Workspace", clock)
        meet(breaker, is_outage=True, times=10)
        clock.now += 15
        with ThreadPoolExecutor(1) as prober:
            probe = prober.submit(failure_of, client)
            in_flight.wait(5)
            others = {failure_of(client) for _ in range(20)}
            done.set()

    assert probe.result() is None
    assert others == {errors.CircuitOpenError}
    assert len(cloud.requests) == 1
