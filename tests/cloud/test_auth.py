"""Sign-in: one for all threads, before the token expires, and not so often that IAM locks the account."""

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
from dashboard.cloud.sign_in_pauses import MemoryPauses
from dashboard.cloud.transport import Transport

from .scripted import (
    GROUP_ID,
    LONG_LIMITS,
    PROJECT_ID,
    SHORT_LIMITS,
    Received,
    Responder,
    ScriptedCloud,
    closed_port,
    respond,
    scripted_cloud,
    stall,
)

OPS_BOT = PasswordCredential("example-corp", "ops-bot", "canary-password")
GROUP = respond(200, {"id": GROUP_ID, "name": "design-pool"})
EXPIRED = respond(401, {"error_code": "APIGW.0307", "error_msg": "The token must be updated."})
WRONG_PASSWORD = respond(
    401, {"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}}
)
BACKWARDS = {"token": {"issued_at": "2026-10-21T09:05:22.701000Z", "expires_at": "2026-10-20T09:05:22.701000Z"}}


def token(value: str, *, hours: float = 24) -> Responder:
    issued = "2026-10-20T09:05:22.701000Z"
    days, rest = divmod(hours, 24)
    expires = f"2026-10-{20 + int(days)}T{9 + int(rest):02}:05:22.701000Z"
    body = {"token": {"issued_at": issued, "expires_at": expires}}
    return respond(201, body, {"X-Subject-Token": value})


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def password_auth(cloud: ScriptedCloud, clock: Callable[[], float]) -> PasswordAuth:
    transport = Transport(cloud.project(), LONG_LIMITS)
    pauses = MemoryPauses()
    return PasswordAuth(OPS_BOT, cloud.project(OPS_BOT), transport, clock, pauses=pauses, wall_clock=clock)


def sign_ins(cloud: ScriptedCloud) -> int:
    return sum(request.path.startswith("/v3/auth/tokens") for request in cloud.requests)


def test_signs_in_before_the_first_call_and_keeps_the_token() -> None:
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
def test_gets_one_new_token_and_sends_again_once_after_a_401(method: str) -> None:
    done = GROUP if method == "GET" else respond(200, None)
    with scripted_cloud(token("old"), EXPIRED, token("new"), done) as cloud:
        client = cloud.client(OPS_BOT)
        ask(client, method)

    calls = [request for request in cloud.requests if request.method == method]
    assert [call.headers["X-Auth-Token"] for call in calls] == ["old", "new"]
    assert sign_ins(cloud) == 2


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_raises_after_a_second_401(method: str) -> None:
    with scripted_cloud(token("old"), EXPIRED, token("new"), EXPIRED) as cloud:
        client = cloud.client(OPS_BOT)

        with pytest.raises(errors.UnauthenticatedError) as caught:
            ask(client, method)

    assert caught.value.error_code == "APIGW.0307"
    assert (sign_ins(cloud), len(cloud.requests)) == (2, 4)


def test_gets_no_new_token_after_a_403() -> None:
    with scripted_cloud(token("old"), respond(403, {"error_code": "APIGW.0302", "error_msg": "no"})) as cloud:
        client = cloud.client(OPS_BOT)

        with pytest.raises(errors.ForbiddenError):
            client.show_server_group(GROUP_ID)

    assert (sign_ins(cloud), len(cloud.requests)) == (1, 2)


def ask(client: Client, method: str) -> None:
    """Read, or write and send again after SendAgainError."""
    if method == "GET":
        client.show_server_group(GROUP_ID)
        return
    try:
        client.update_server_group(GROUP_ID, {"name": "TEST"})
    except errors.SendAgainError:
        client.update_server_group(GROUP_ID, {"name": "TEST"})


def test_200_threads_with_a_401_sign_in_once() -> None:
    everyone = threading.Barrier(200)
    issued: list[str] = []

    def route(received: Received) -> Responder:
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


def test_threads_that_wait_for_a_sign_in_share_its_failure() -> None:
    with scripted_cloud(stall()) as cloud:
        client = cloud.client(OPS_BOT, SHORT_LIMITS)
        with ThreadPoolExecutor(20) as threads:
            failures = list(threads.map(lambda _: failure_of(client), range(20)))

    assert {type(failure) for failure in failures} == {errors.SignInError}
    assert sign_ins(cloud) == len(cloud.requests) == 1


def test_a_thread_waits_for_a_sign_in_until_its_own_deadline() -> None:
    with scripted_cloud(stall(seconds=1)) as cloud, ThreadPoolExecutor(1) as pilot:
        auth = password_auth(cloud, Clock())
        flight = pilot.submit(auth.get_ready, Deadline(5))
        while not cloud.requests:
            time.sleep(0.01)

        with pytest.raises(errors.SignInError, match="did not end in time"):
            auth.get_ready(Deadline(0.1))

    assert isinstance(flight.exception(), errors.SignInError)


def test_uses_the_newer_token_after_an_older_one_was_rejected() -> None:
    with scripted_cloud(token("t-0"), token("t-1")) as cloud:
        auth = password_auth(cloud, Clock())
        auth.get_ready(Deadline(5))
        rejected = auth(Request("GET", cloud.url).prepare())
        auth.renew(rejected, Deadline(5))

        may_send_again = auth.renew(rejected, Deadline(5))

    assert may_send_again
    assert auth(rejected).headers["X-Auth-Token"] == "t-1"
    assert sign_ins(cloud) == 2


def test_does_not_sign_in_again_right_after_a_sign_in() -> None:
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


def test_pauses_sign_in_for_15_minutes_after_two_rejections() -> None:
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


def test_a_successful_sign_in_resets_the_count_of_rejections() -> None:
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


def test_pauses_sign_in_for_5_seconds_after_an_outage_of_iam() -> None:
    clock = Clock()
    with scripted_cloud(respond(503, {}), token("t")) as cloud:
        auth = password_auth(cloud, clock)
        for _ in range(3):
            with pytest.raises(errors.SignInError):
                auth.get_ready(Deadline(5))
        assert sign_ins(cloud) == 1

        clock.now += 5
        auth.get_ready(Deadline(5))

    assert sign_ins(cloud) == 2


@pytest.mark.parametrize(("hours", "due"), [(24, 23 * 3600), (4, 3 * 3600), (1, 1800)])
def test_renews_a_token_an_hour_before_its_end_or_after_half_its_life(hours: int, due: int) -> None:
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


def test_uses_a_token_until_its_end_while_iam_is_unavailable() -> None:
    clock = Clock()
    with scripted_cloud(token("t-0"), respond(503, {})) as cloud:
        auth = password_auth(cloud, clock)
        auth.get_ready(Deadline(5))
        clock.now += 24 * 3600 - 1
        auth.get_ready(Deadline(5))

        clock.now += 1
        with pytest.raises(errors.SignInError):
            auth.get_ready(Deadline(5))


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_does_not_sign_in_for_every_call_if_every_token_is_rejected(method: str) -> None:
    def route(received: Received) -> Responder:
        return token("t") if received.path.startswith("/v3/auth/tokens") else EXPIRED

    with scripted_cloud(route=route) as cloud:
        client = cloud.client(OPS_BOT)
        for _ in range(10):
            with pytest.raises(errors.UnauthenticatedError):
                ask(client, method)

    assert sign_ins(cloud) == 2


def test_replaces_a_rejected_token_again_after_a_minute() -> None:
    clock = Clock()
    with scripted_cloud(token("t-0"), token("t-1"), token("t-2")) as cloud:
        auth = password_auth(cloud, clock)
        auth.get_ready(Deadline(5))
        replaced = [reject_current_token(auth, cloud)]
        for seconds in (59, 1):
            clock.now += seconds
            replaced.append(reject_current_token(auth, cloud))

    assert replaced == [True, False, True]
    assert sign_ins(cloud) == 3


def reject_current_token(auth: PasswordAuth, cloud: ScriptedCloud) -> bool:
    return auth.renew(auth(Request("GET", cloud.url).prepare()), Deadline(5))


@pytest.mark.parametrize(
    "lifetime", [{}, {"token": {"issued_at": "soon", "expires_at": 7}}, {"token": "none"}, BACKWARDS]
)
def test_a_token_without_a_readable_end_is_valid_for_a_day(lifetime: dict[str, object]) -> None:
    clock = Clock()
    with scripted_cloud(respond(201, lifetime, {"X-Subject-Token": "t-0"}), token("t-1")) as cloud:
        auth = password_auth(cloud, clock)
        auth.get_ready(Deadline(5))
        clock.now += 23 * 3600
        auth.get_ready(Deadline(5))

    assert sign_ins(cloud) == 2


@pytest.mark.parametrize(
    "invalid",
    [
        respond(201, {}),
        respond(201, {}, {"X-Subject-Token": "two words"}),
        respond(201, b"<html>", {"X-Subject-Token": "t"}),
        respond(200, {}, {"X-Subject-Token": "t"}),
        respond(302, {}, {"Location": "/", "X-Subject-Token": "t"}),
    ],
)
def test_a_sign_in_without_a_usable_token_fails(invalid: Responder) -> None:
    with scripted_cloud(invalid) as cloud:
        client = cloud.client(OPS_BOT)

        with pytest.raises(errors.SignInError):
            client.show_server_group(GROUP_ID)

    assert len(cloud.requests) == 1


def test_sends_nothing_to_the_cloud_while_iam_is_unreachable() -> None:
    with scripted_cloud(respond(200, None)) as cloud:
        client = Client(replace(cloud.project(OPS_BOT), iam_endpoint=closed_port()), LONG_LIMITS)

        with pytest.raises(errors.SignInError) as caught:
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert isinstance(caught.value, errors.NotSentError)
    assert cloud.requests == []


def test_removes_secrets_that_the_cloud_repeats_from_messages() -> None:
    echo = respond(
        401, {"error_code": "APIGW.0301", "error_msg": "ak canary-ak not exist, sk canary-sk, canary-session"}
    )
    with scripted_cloud(echo) as cloud:
        client = cloud.client(KeyCredential("canary-ak", "canary-sk", "canary-session"))

        with pytest.raises(errors.UnauthenticatedError) as caught:
            client.show_server_group(GROUP_ID)

    assert str(caught.value) == (
        "ShowServerGroup was rejected: the cloud does not accept the credential "
        "(APIGW.0301: ak *** not exist, sk ***, ***)"
    )


def test_removes_a_repeated_token_that_was_replaced_since() -> None:
    fail = respond(
        401, {"error_code": "APIGW.0301", "error_msg": "decrypt token fail: canary-0, canary-1, canary-password"}
    )
    with scripted_cloud(token("canary-0"), fail, token("canary-1"), fail) as cloud:
        client = cloud.client(OPS_BOT)

        with pytest.raises(errors.UnauthenticatedError) as caught:
            client.show_server_group(GROUP_ID)

    assert caught.value.error_msg == "decrypt token fail: ***, ***, ***"


def test_no_repr_or_log_contains_a_secret(caplog: pytest.LogCaptureFixture) -> None:
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
