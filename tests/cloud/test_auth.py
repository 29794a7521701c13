"""Signing in: once for everybody, in time, and never so often that IAM locks the account."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from requests import Request

from dashboard.cloud import errors
from dashboard.cloud.auth import PasswordAuth
from dashboard.cloud.client import Client
from dashboard.cloud.credentials import KeyCredential, PasswordCredential
from dashboard.cloud.errors import CloudError
from dashboard.cloud.limits import Deadline, Limits
from dashboard.cloud.transport import Transport

from .scripted import (
    GROUP_ID,
    PATIENT,
    PROJECT_ID,
    QUICK,
    Act,
    Received,
    ScriptedCloud,
    answer,
    closed_port,
    scripted_cloud,
    stall,
)

OPS_BOT = PasswordCredential("example-corp", "ops-bot", "canary-password")
GROUP = answer(200, {"id": GROUP_ID, "name": "design-pool"})
EXPIRED = answer(401, {"error_code": "APIGW.0307", "error_msg": "The token must be updated."})
WRONG_PASSWORD = answer(
    401, {"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}}
)
BACKWARDS = {"token": {"issued_at": "2026-10-21T09:05:22.701000Z", "expires_at": "2026-10-20T09:05:22.701000Z"}}


def token(value: str, *, hours: float = 24) -> Act:
    issued = "2026-10-20T09:05:22.701000Z"
    days, rest = divmod(hours, 24)
    expires = f"2026-10-{20 + int(days)}T{9 + int(rest):02}:05:22.701000Z"
    body = {"token": {"issued_at": issued, "expires_at": expires}}
    return answer(201, body, {"X-Subject-Token": value})


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def password_auth(cloud: ScriptedCloud, clock: Callable[[], float]) -> PasswordAuth:
    return PasswordAuth(OPS_BOT, cloud.project(OPS_BOT), Transport(cloud.project(), PATIENT), clock)


def sign_ins(cloud: ScriptedCloud) -> int:
    return sum(request.path.startswith("/v3/auth/tokens") for request in cloud.requests)


def test_signs_in_for_the_project_before_the_first_call_and_keeps_the_token() -> None:
    with scripted_cloud(token("canary-1"), GROUP) as cloud:
        client = cloud.client(OPS_BOT)
        client.show_server_group(GROUP_ID)
        client.show_server_group(GROUP_ID)

    sign_in, first, second = cloud.requests
    assert (sign_in.method, sign_in.path) == ("POST", "/v3/auth/tokens?nocatalog=true")
    assert sign_in.json == {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {
                    "user": {"name": "ops-bot", "password": "canary-password", "domain": {"name": "example-corp"}}
                },
            },
            "scope": {"project": {"id": PROJECT_ID}},
        }
    }
    assert [first.headers["X-Auth-Token"], second.headers["X-Auth-Token"]] == ["canary-1", "canary-1"]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_401_brings_one_new_token_and_one_replay(method: str) -> None:
    done = GROUP if method == "GET" else answer(200, None)
    with scripted_cloud(token("old"), EXPIRED, token("new"), done) as cloud:
        client = cloud.client(OPS_BOT)
        ask(client, method)

    calls = [request for request in cloud.requests if request.method == method]
    assert [call.headers["X-Auth-Token"] for call in calls] == ["old", "new"]
    assert sign_ins(cloud) == 2


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_second_401_is_the_end_of_it(method: str) -> None:
    with scripted_cloud(token("old"), EXPIRED, token("new"), EXPIRED) as cloud:
        client = cloud.client(OPS_BOT)

        with pytest.raises(errors.UnauthenticatedError) as caught:
            ask(client, method)

    assert caught.value.error_code == "APIGW.0307"
    assert (sign_ins(cloud), len(cloud.requests)) == (2, 4)


def test_a_403_brings_no_new_token() -> None:
    with scripted_cloud(token("old"), answer(403, {"error_code": "APIGW.0302", "error_msg": "no"})) as cloud:
        client = cloud.client(OPS_BOT)

        with pytest.raises(errors.ForbiddenError):
            client.show_server_group(GROUP_ID)

    assert (sign_ins(cloud), len(cloud.requests)) == (1, 2)


def ask(client: Client, method: str) -> None:
    """A read, or a write whose caller sends it once more when it may."""
    if method == "GET":
        client.show_server_group(GROUP_ID)
        return
    try:
        client.update_server_group(GROUP_ID, {"name": "TEST"})
    except errors.SendAgainError:
        client.update_server_group(GROUP_ID, {"name": "TEST"})


def test_200_threads_that_meet_a_401_make_one_token_call() -> None:
    everyone = threading.Barrier(200)
    issued: list[str] = []

    def route(received: Received) -> Act:
        if received.path.startswith("/v3/auth/tokens"):
            issued.append(f"token-{len(issued)}")
            return token(issued[-1])
        if received.headers["X-Auth-Token"] == "token-0" and len(cloud.requests) > 2:
            everyone.wait(10)
            return EXPIRED
        return GROUP

    with scripted_cloud(route=route) as cloud:
        client = cloud.client(OPS_BOT, Limits())
        client.show_server_group(GROUP_ID)
        with ThreadPoolExecutor(200) as threads:
            groups = list(threads.map(client.show_server_group, [GROUP_ID] * 200))

    assert {group.id for group in groups} == {GROUP_ID}
    assert issued == ["token-0", "token-1"]
    assert len(cloud.requests) == 2 + 200 + 1 + 200


def test_those_who_wait_for_a_sign_in_share_its_failure() -> None:
    with scripted_cloud(stall()) as cloud:
        client = cloud.client(OPS_BOT, QUICK)
        with ThreadPoolExecutor(20) as threads:
            failures = list(threads.map(lambda _: failure_of(client), range(20)))

    assert {type(failure) for failure in failures} == {errors.SignInError}
    assert sign_ins(cloud) == len(cloud.requests) == 1


def test_a_sign_in_that_is_slower_than_the_deadline_of_who_waits_is_not_waited_for() -> None:
    with scripted_cloud(stall(seconds=1)) as cloud, ThreadPoolExecutor(1) as pilot:
        auth = password_auth(cloud, Clock())
        flight = pilot.submit(auth.get_ready, Deadline(5))
        while not cloud.requests:
            time.sleep(0.01)

        with pytest.raises(errors.SignInError, match="did not end in time"):
            auth.get_ready(Deadline(0.1))

    assert isinstance(flight.exception(), errors.SignInError)


def test_who_was_refused_with_an_older_token_takes_the_newer_one() -> None:
    with scripted_cloud(token("t-0"), token("t-1")) as cloud:
        auth = password_auth(cloud, Clock())
        auth.get_ready(Deadline(5))
        refused = auth(Request("GET", cloud.url).prepare())
        auth.renew(refused, Deadline(5))

        may_replay = auth.renew(refused, Deadline(5))

    assert may_replay
    assert auth(refused).headers["X-Auth-Token"] == "t-1"
    assert sign_ins(cloud) == 2


def test_who_comes_just_after_a_sign_in_does_not_sign_in_again() -> None:
    with scripted_cloud(token("t-0")) as cloud:
        auth = password_auth(cloud, Clock())
        auth.get_ready(Deadline(5))

        auth._sign_in(None, Deadline(5))

    assert sign_ins(cloud) == 1


def failure_of(client: Client) -> CloudError | None:
    try:
        client.show_server_group(GROUP_ID)
    except CloudError as error:
        return error
    return None


def test_two_refusals_pause_signing_in_for_15_minutes() -> None:
    clock = Clock()
    with scripted_cloud(WRONG_PASSWORD) as cloud:
        auth = password_auth(cloud, clock)
        for _ in range(5):
            with pytest.raises(errors.SignInError):
                auth.get_ready(Deadline(5))
        assert sign_ins(cloud) == 2

        clock.now += 15 * 60 - 1
        with pytest.raises(errors.SignInError, match="paused for another 1 s"):
            auth.get_ready(Deadline(5))
        assert sign_ins(cloud) == 2

        clock.now += 1
        with pytest.raises(errors.SignInError, match="username or password is wrong"):
            auth.get_ready(Deadline(5))
    assert sign_ins(cloud) == 3


def test_a_sign_in_that_succeeds_forgets_earlier_refusals() -> None:
    clock = Clock()
    with scripted_cloud(WRONG_PASSWORD, token("t-0", hours=4), WRONG_PASSWORD, token("t-1")) as cloud:
        auth = password_auth(cloud, clock)
        with pytest.raises(errors.SignInError):
            auth.get_ready(Deadline(5))
        auth.get_ready(Deadline(5))
        clock.now += 5 * 3600
        with pytest.raises(errors.SignInError):
            auth.get_ready(Deadline(5))

        auth.get_ready(Deadline(5))

    assert sign_ins(cloud) == 4


def test_an_outage_of_iam_pauses_signing_in_for_a_moment_only() -> None:
    clock = Clock()
    with scripted_cloud(answer(503, {}), token("t")) as cloud:
        auth = password_auth(cloud, clock)
        for _ in range(3):
            with pytest.raises(errors.SignInError):
                auth.get_ready(Deadline(5))
        assert sign_ins(cloud) == 1

        clock.now += 5
        auth.get_ready(Deadline(5))

    assert sign_ins(cloud) == 2


@pytest.mark.parametrize(("hours", "due"), [(24, 23 * 3600), (4, 3 * 3600), (1, 1800)])
def test_a_token_is_renewed_an_hour_before_its_end_or_at_half_of_a_short_life(hours: int, due: int) -> None:
    clock = Clock()
    with scripted_cloud(token("t-0", hours=hours), token("t-1", hours=hours)) as cloud:
        auth = password_auth(cloud, clock)
        auth.get_ready(Deadline(5))
        clock.now += due - 1
        auth.get_ready(Deadline(5))
        before = sign_ins(cloud)

        clock.now += 1
        auth.get_ready(Deadline(5))

    assert (before, sign_ins(cloud)) == (1, 2)


def test_a_token_is_used_to_its_end_when_iam_is_away() -> None:
    clock = Clock()
    with scripted_cloud(token("t-0"), answer(503, {})) as cloud:
        auth = password_auth(cloud, clock)
        auth.get_ready(Deadline(5))
        clock.now += 24 * 3600 - 1
        auth.get_ready(Deadline(5))

        clock.now += 1
        with pytest.raises(errors.SignInError):
            auth.get_ready(Deadline(5))


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_cloud_that_refuses_every_token_does_not_make_every_call_sign_in(method: str) -> None:
    def route(received: Received) -> Act:
        return token("t") if received.path.startswith("/v3/auth/tokens") else EXPIRED

    with scripted_cloud(route=route) as cloud:
        client = cloud.client(OPS_BOT)
        for _ in range(10):
            with pytest.raises(errors.UnauthenticatedError):
                ask(client, method)

    assert sign_ins(cloud) == 2


def test_a_refused_token_is_replaced_again_after_a_minute() -> None:
    clock = Clock()
    with scripted_cloud(token("t-0"), token("t-1"), token("t-2")) as cloud:
        auth = password_auth(cloud, clock)
        auth.get_ready(Deadline(5))
        replaced = [refuse_present_token(auth, cloud)]
        for seconds in (59, 1):
            clock.now += seconds
            replaced.append(refuse_present_token(auth, cloud))

    assert replaced == [True, False, True]
    assert sign_ins(cloud) == 3


def refuse_present_token(auth: PasswordAuth, cloud: ScriptedCloud) -> bool:
    return auth.renew(auth(Request("GET", cloud.url).prepare()), Deadline(5))


@pytest.mark.parametrize(
    "lifetime", [{}, {"token": {"issued_at": "soon", "expires_at": 7}}, {"token": "none"}, BACKWARDS]
)
def test_a_token_without_a_readable_end_is_taken_for_a_day(lifetime: dict[str, object]) -> None:
    clock = Clock()
    with scripted_cloud(answer(201, lifetime, {"X-Subject-Token": "t-0"}), token("t-1")) as cloud:
        auth = password_auth(cloud, clock)
        auth.get_ready(Deadline(5))
        clock.now += 23 * 3600
        auth.get_ready(Deadline(5))

    assert sign_ins(cloud) == 2


@pytest.mark.parametrize(
    "nonsense",
    [
        answer(201, {}),
        answer(201, {}, {"X-Subject-Token": "two words"}),
        answer(201, b"<html>", {"X-Subject-Token": "t"}),
        answer(200, {}, {"X-Subject-Token": "t"}),
        answer(302, {}, {"Location": "/", "X-Subject-Token": "t"}),
    ],
)
def test_a_sign_in_that_gives_no_usable_token_is_a_failed_one(nonsense: Act) -> None:
    with scripted_cloud(nonsense) as cloud:
        client = cloud.client(OPS_BOT)

        with pytest.raises(errors.SignInError):
            client.show_server_group(GROUP_ID)

    assert len(cloud.requests) == 1


def test_nothing_is_sent_to_the_cloud_while_iam_is_unreachable() -> None:
    with scripted_cloud(answer(200, None)) as cloud:
        client = Client(replace(cloud.project(OPS_BOT), iam_endpoint=closed_port()), PATIENT)

        with pytest.raises(errors.SignInError) as caught:
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert isinstance(caught.value, errors.NotSentError)
    assert cloud.requests == []


def test_no_secret_is_in_a_message_even_if_the_cloud_repeats_it() -> None:
    echo = answer(
        401, {"error_code": "APIGW.0301", "error_msg": "ak canary-ak not exist, sk canary-sk, canary-session"}
    )
    with scripted_cloud(echo) as cloud:
        client = cloud.client(KeyCredential("canary-ak", "canary-sk", "canary-session"))

        with pytest.raises(errors.UnauthenticatedError) as caught:
            client.show_server_group(GROUP_ID)

    assert str(caught.value) == (
        "ShowServerGroup was rejected: the cloud does not accept the credential (APIGW.0301: ak *** not exist, sk ***, ***)"
    )


def test_an_echoed_token_is_blotted_out_even_when_it_was_replaced_meanwhile() -> None:
    fail = answer(
        401, {"error_code": "APIGW.0301", "error_msg": "decrypt token fail: canary-0, canary-1, canary-password"}
    )
    with scripted_cloud(token("canary-0"), fail, token("canary-1"), fail) as cloud:
        client = cloud.client(OPS_BOT)

        with pytest.raises(errors.UnauthenticatedError) as caught:
            client.show_server_group(GROUP_ID)

    assert caught.value.error_msg == "decrypt token fail: ***, ***, ***"


def test_no_secret_is_in_a_repr_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_cloud(token("canary-token"), GROUP) as cloud:
        client = cloud.client(OPS_BOT)
        client.show_server_group(GROUP_ID)
        described = f"{client.project!r} {client._auth.__dict__!r}"

    assert "canary" not in described
    assert "canary" not in caplog.text


def test_an_access_key_signs_every_call() -> None:
    with scripted_cloud(GROUP) as cloud:
        cloud.client(KeyCredential("AKID", "canary-sk")).show_server_group(GROUP_ID)

    headers = cloud.requests[0].headers
    assert headers["Authorization"].startswith(
        "SDK-HMAC-SHA256 Access=AKID, SignedHeaders=host;x-project-id;x-sdk-date,"
    )
    assert headers["X-Project-Id"] == PROJECT_ID
    assert headers["Host"] == cloud.url.removeprefix("http://")
