"""The retry budget and the circuit breaker."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from dashboard.cloud import errors, resilience
from dashboard.cloud.client import Client
from dashboard.cloud.resilience import CircuitBreaker, RetryBudget

from .scripted import GROUP_ID, LONG_LIMITS, Received, Responder, reset, respond, scripted_cloud

GROUP = respond(200, {"id": GROUP_ID})
BROKEN = respond(500, {"error_code": "WKS.00211401", "error_msg": "failed"})


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


def test_opens_after_outages_in_half_of_the_last_20_calls() -> None:
    breaker = CircuitBreaker("Workspace", Clock())
    meet(breaker, is_outage=True, times=9)
    before = is_open(breaker)

    meet(breaker, is_outage=True)

    assert (before, is_open(breaker)) == (False, True)


def test_stays_closed_after_fewer_outages() -> None:
    breaker = CircuitBreaker("Workspace", Clock())
    for _ in range(50):
        meet(breaker, is_outage=True, times=9)
        meet(breaker, is_outage=False, times=11)

    assert not is_open(breaker)


def test_forgets_the_outage_after_it_closed() -> None:
    clock = Clock()
    breaker = CircuitBreaker("Workspace", clock)
    meet(breaker, is_outage=True, times=10)
    clock.now += 15
    meet(breaker, is_outage=False)

    meet(breaker, is_outage=True, times=9)

    assert not is_open(breaker)


def test_a_success_adds_a_token() -> None:
    with scripted_cloud(GROUP) as cloud:
        client = cloud.client()
        while client._budget.spend():
            pass
        for _ in range(10):
            client.show_server_group(GROUP_ID)

    assert client._budget.spend()


def test_does_not_count_a_call_that_was_not_sent() -> None:
    breaker = CircuitBreaker("Workspace", Clock())
    meet(breaker, is_outage=None, times=100)

    assert not is_open(breaker)


def test_closes_after_a_successful_probe_15_seconds_later() -> None:
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
def test_opens_for_15_more_seconds_after_a_probe_without_success(*, details: bool | None) -> None:
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


def test_admits_another_probe_after_an_exception_in_the_first() -> None:
    clock = Clock()
    breaker = CircuitBreaker("Workspace", clock)
    meet(breaker, is_outage=True, times=10)
    clock.now += 15
    with suppress(errors.SignInError), breaker.guarded():
        raise errors.SignInError("paused")
    clock.now += 15

    meet(breaker, is_outage=False)

    assert not is_open(breaker)


def test_does_not_count_calls_that_end_after_it_opened() -> None:
    clock = Clock()
    breaker = CircuitBreaker("Workspace", clock)
    with breaker.guarded() as late:
        meet(breaker, is_outage=True, times=10)
        clock.now += 10
        late.is_outage = True
    clock.now += 5

    meet(breaker, is_outage=False)

    assert not is_open(breaker)


def test_an_outage_costs_at_most_the_retries_of_the_budget() -> None:
    budget = RetryBudget(retries=5)

    assert [budget.spend() for _ in range(7)] == [True] * 5 + [False] * 2


def test_ten_successes_pay_one_retry_up_to_the_capacity() -> None:
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
def test_a_total_outage_of_1000_calls_makes_at_most_1050_requests(
    outage: Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the retry budget limits the requests: the circuit breaker stays closed."""
    monkeypatch.setattr(resilience.CircuitBreaker, "WINDOW", 10**9)
    with scripted_cloud(outage) as cloud:
        client = cloud.client(limits=replace(LONG_LIMITS, backoff=0.001))
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


def test_an_outage_of_1000_calls_makes_at_most_30_requests() -> None:
    with scripted_cloud(BROKEN) as cloud:
        client = cloud.client()
        failures = [failure_of(client) for _ in range(1000)]

    assert failures == [errors.UnavailableError] * 10 + [errors.CircuitOpenError] * 990
    assert len(cloud.requests) <= 30


def test_an_open_breaker_stops_a_write_and_names_the_time_to_retry() -> None:
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
def test_rejections_are_not_outages(status: int) -> None:
    with scripted_cloud(respond(status, {})) as cloud:
        client = cloud.client()
        failures = {failure_of(client) for _ in range(25)}

    assert errors.CircuitOpenError not in failures


def test_an_outage_of_ims_does_not_stop_calls_for_server_groups() -> None:
    with scripted_cloud(BROKEN) as ims, scripted_cloud(GROUP) as cloud:
        client = Client(replace(cloud.project(), ims_endpoint=ims.url), LONG_LIMITS)
        for _ in range(12):
            with suppress(errors.CloudError):
                client.list_images("public")

        group = client.show_server_group(GROUP_ID)

    assert group.id == GROUP_ID
    assert len(ims.requests) < 36


def test_only_one_of_many_threads_sends_the_probe() -> None:
    clock = Clock()
    in_flight = threading.Event()
    done = threading.Event()

    def slowly(_: Received) -> Responder:
        in_flight.set()
        done.wait(5)
        return GROUP

    with scripted_cloud(route=slowly) as cloud:
        client = cloud.client(limits=LONG_LIMITS)
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
