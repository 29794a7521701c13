"""Time, size and trust on the wire: the traps of `requests` that quality.md 1 lists, each walked into on purpose."""

import gzip
import json
import logging
import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.cloud import errors
from dashboard.cloud.client import Client
from dashboard.cloud.endpoints import Call
from dashboard.cloud.errors import CloudError
from dashboard.cloud.limits import Deadline
from dashboard.cloud.rules import CallKind, CallResult
from dashboard.cloud.transport import CallResponse, Transport

from .scripted import (
    GROUP_ID,
    PATIENT,
    QUICK,
    Act,
    ScriptedCloud,
    answer,
    closed_port,
    drip,
    half_close,
    raw,
    reset,
    scripted_cloud,
    stall,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MARGIN = 0.5
SLOW: dict[str, Act] = {
    "drip of the head": drip(b"HTTP/1.1 200 OK\r\nX-Padding: "),
    "drip of the body": drip(HEAD + b"Content-Length: 900\r\n\r\n"),
    "drip of chunks": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 200),
    "drip of interim answers": drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "drip of an error": drip(b"HTTP/1.1 500 No\r\nContent-Length: 900\r\n\r\n"),
    "stall before the answer": stall(),
    "stall in the head": stall(b"HTTP/1.1 200 OK\r\nX-"),
    "stall in the body": stall(HEAD + b"Content-Length: 900\r\n\r\n{"),
    "half-closed": half_close,
}


def exchange(cloud: ScriptedCloud) -> CallResponse:
    transport = Transport(cloud.project(), PATIENT)
    call = Call("Probe", CallKind.READ, "GET", cloud.url, "/probe")
    return transport.exchange(call, None, Deadline(PATIENT.whole))


@pytest.mark.parametrize("name", SLOW)
def test_a_read_ends_with_its_deadline_however_slowly_the_cloud_answers(name: str) -> None:
    with scripted_cloud(SLOW[name]) as cloud:
        client = cloud.client(limits=QUICK)
        begun = time.monotonic()

        with pytest.raises(CloudError):
            client.show_server_group(GROUP_ID)

    assert time.monotonic() - begun < QUICK.whole + MARGIN


@pytest.mark.parametrize("name", SLOW)
def test_a_write_that_ends_with_its_deadline_is_unknown_and_sent_once(name: str) -> None:
    with scripted_cloud(SLOW[name]) as cloud:
        client = cloud.client(limits=QUICK)
        begun = time.monotonic()

        with pytest.raises(errors.OutcomeUnknownError):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert time.monotonic() - begun < QUICK.whole + MARGIN
    assert [request.method for request in cloud.requests] == ["PATCH"]


def test_a_list_of_many_pages_has_one_deadline() -> None:
    full = answer(200, {"count": 5000, "items": [{"id": f"group-{number}"} for number in range(100)]})
    with scripted_cloud(full, stall()) as cloud:
        client = cloud.client(limits=QUICK)
        begun = time.monotonic()

        with pytest.raises(errors.CloudError):
            client.list_server_groups()

    assert time.monotonic() - begun < QUICK.whole + MARGIN


def test_a_body_over_the_limit_is_refused() -> None:
    with scripted_cloud(answer(200, b" " * (PATIENT.body + 1))) as cloud:
        response = exchange(cloud)

    assert (response.result, response.cause) == (CallResult.INVALID, f"more than {PATIENT.body} bytes")


def test_a_compressed_body_is_measured_after_decompression() -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    with scripted_cloud(answer(200, bomb, {"Content-Encoding": "gzip"})) as cloud:
        response = exchange(cloud)

    assert len(bomb) < PATIENT.body
    assert (response.result, response.cause) == (CallResult.INVALID, f"more than {PATIENT.body} bytes")


def test_an_endless_body_of_a_redirect_is_not_read_to_its_end() -> None:
    endless = raw(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n" + b" " * 50_000_000)
    with scripted_cloud(endless) as cloud:
        response = exchange(cloud)

    assert response.result is CallResult.REDIRECTED
    assert len(cloud.requests) == 1


def test_a_compressed_answer_is_read() -> None:
    body = gzip.compress(json.dumps({"id": GROUP_ID, "name": "design-pool"}).encode())
    with scripted_cloud(answer(200, body, {"Content-Encoding": "gzip"})) as cloud:
        response = exchange(cloud)

    assert response.body == {"id": GROUP_ID, "name": "design-pool"}
    assert cloud.requests[0].headers["Accept-Encoding"] == "gzip"


def test_a_body_that_cannot_be_decompressed_makes_no_sense() -> None:
    with scripted_cloud(answer(200, b"not gzip at all", {"Content-Encoding": "gzip"})) as cloud:
        response = exchange(cloud)

    assert (response.result, response.cause) == (CallResult.INVALID, "cannot be decompressed")


def test_the_token_does_not_follow_a_redirect_to_another_host() -> None:
    with scripted_cloud(answer(200, {})) as thief, scripted_cloud() as cloud:
        cloud.acts.append(answer(307, b"", {"Location": f"{thief.url}/v1/steal"}))
        client = cloud.client()

        with pytest.raises(errors.OutcomeUnknownError, match="redirect"):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert thief.requests == []


def test_the_process_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password thief")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with scripted_cloud(answer(200, {"id": GROUP_ID})) as cloud:
        cloud.client().show_server_group(GROUP_ID)

    assert "Authorization" not in cloud.requests[0].headers


def test_cookies_are_not_kept() -> None:
    with scripted_cloud(answer(200, {"id": GROUP_ID}, {"Set-Cookie": "who=me"})) as cloud:
        client = cloud.client()
        client.show_server_group(GROUP_ID)
        client.show_server_group(GROUP_ID)

    assert all("Cookie" not in request.headers for request in cloud.requests)


def test_a_connection_is_used_again() -> None:
    with scripted_cloud(answer(200, {"id": GROUP_ID}), answer(200, {"id": GROUP_ID})) as cloud:
        client = cloud.client()
        client.show_server_group(GROUP_ID)
        client.show_server_group(GROUP_ID)
        ports = {request.port for request in cloud.requests}

    assert len(ports) == 1


def test_a_proxy_is_the_way_out_to_the_real_cloud_but_not_to_a_simulator() -> None:
    with scripted_cloud(answer(407, b"")) as proxy, scripted_cloud(answer(200, {"id": GROUP_ID})) as cloud:
        simulated = replace(cloud.project(), proxy=proxy.url)
        real = replace(simulated, workspace_endpoint="https://workspace.example.com")

        Client(simulated, PATIENT).show_server_group(GROUP_ID)
        with pytest.raises(errors.UnreachableError):
            Client(real, PATIENT).show_server_group(GROUP_ID)

    assert {request.method for request in proxy.requests} == {"CONNECT"}
    assert "X-Auth-Token" not in proxy.requests[0].headers


def test_a_host_without_a_name_is_unreachable() -> None:
    with scripted_cloud(reset) as cloud:
        nowhere = replace(cloud.project(), workspace_endpoint="https://workspace.invalid")

    with pytest.raises(errors.UnreachableError) as caught:
        Client(nowhere, QUICK).show_server_group(GROUP_ID)

    assert caught.value.http_status is None
    assert caught.value.duration_ms is not None


def test_a_server_that_does_not_speak_tls_was_never_told_anything() -> None:
    with scripted_cloud(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as cloud:
        tls = replace(cloud.project(), workspace_endpoint=cloud.url.replace("http:", "https:"))

        with pytest.raises(errors.UnreachableError):
            Client(tls, QUICK).update_server_group(GROUP_ID, {"name": "TEST"})


def test_a_stalled_handshake_ends_with_the_deadline() -> None:
    with scripted_cloud(stall()) as cloud:
        tls = replace(cloud.project(), workspace_endpoint=cloud.url.replace("http:", "https:"))
        begun = time.monotonic()

        with pytest.raises(errors.UnreachableError, match="timed out"):
            Client(tls, QUICK).update_server_group(GROUP_ID, {"name": "TEST"})

    assert time.monotonic() - begun < QUICK.whole + MARGIN


def test_many_dead_addresses_of_a_host_do_not_outlast_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack, scripted_cloud(answer()) as cloud:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        dead = (socket.AF_INET, socket.SOCK_STREAM, 0, "", full.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead] * 6)
        begun = time.monotonic()

        with pytest.raises(errors.UnreachableError, match="timed out"):
            cloud.client(limits=QUICK).show_server_group(GROUP_ID)

    assert time.monotonic() - begun < QUICK.whole + MARGIN


def test_the_next_address_is_tried_when_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_cloud(answer(200, {"id": GROUP_ID})) as cloud:
        dead = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", int(closed_port().rpartition(":")[2])))
        alive = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", int(cloud.url.rpartition(":")[2])))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, alive])

        group = cloud.client().show_server_group(GROUP_ID)

    assert group.id == GROUP_ID


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("-1", 0.0), ("soon", 0.0), ("", 0.0), ("9" * 40, 999999999.0), ("²", 0.0), ("1.5", 0.0)],
)
def test_retry_after_is_read_as_seconds_or_not_at_all(value: str, seconds: float) -> None:
    with scripted_cloud(answer(503, {}, {"Retry-After": value})) as cloud:
        response = exchange(cloud)

    assert response.retry_after == seconds


@pytest.mark.parametrize(
    ("value", "at_least", "at_most"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Tue, 01 Jan 2080 00:00:00 GMT", 1e8, 1e10),
        ("Tue, 01 Jan 99999 00:00:00 GMT", 0, 0),
    ],
)
def test_retry_after_may_be_a_date(value: str, at_least: float, at_most: float) -> None:
    with scripted_cloud(answer(503, {}, {"Retry-After": value})) as cloud:
        response = exchange(cloud)

    assert at_least <= response.retry_after <= at_most


def test_a_wait_longer_than_the_deadline_is_not_begun() -> None:
    with scripted_cloud(answer(503, {}, {"Retry-After": "3600"})) as cloud:
        client = cloud.client()
        begun = time.monotonic()

        with pytest.raises(errors.UnavailableError):
            client.show_server_group(GROUP_ID)

    assert time.monotonic() - begun < PATIENT.whole
    assert len(cloud.requests) == 1


def test_a_wait_within_the_deadline_is_waited_for() -> None:
    with scripted_cloud(answer(429, {}, {"Retry-After": "1"}), answer(200, {"id": GROUP_ID})) as cloud:
        client = cloud.client()
        begun = time.monotonic()
        client.show_server_group(GROUP_ID)

    assert 1.0 <= time.monotonic() - begun < PATIENT.whole
    assert len(cloud.requests) == 2


def test_nothing_is_sent_when_no_time_is_left() -> None:
    with scripted_cloud(answer(200, {})) as cloud:
        transport = Transport(cloud.project(), QUICK)
        call = Call("Probe", CallKind.READ, "GET", cloud.url, "/probe")

        response = transport.exchange(call, None, Deadline(0))

    assert (response.result, response.cause) == (CallResult.NOT_SENT, "no time was left to send it")
    assert cloud.requests == []


def test_the_debug_log_has_no_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_cloud(answer(200, {"id": GROUP_ID})) as cloud:
        cloud.client().show_server_group(GROUP_ID)

    assert cloud.requests[0].headers["X-Auth-Token"] == "canary-token"
    assert "canary" not in caplog.text
