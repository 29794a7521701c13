"""Limits of time and size, and the behaviour of `requests` that quality.md 1 warns of."""

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
    LONG_LIMITS,
    SHORT_LIMITS,
    Responder,
    ScriptedCloud,
    closed_port,
    half_close,
    raw,
    reset,
    respond,
    scripted_cloud,
    send_slowly,
    stall,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MARGIN = 0.5
SLOW: dict[str, Responder] = {
    "slow head": send_slowly(b"HTTP/1.1 200 OK\r\nX-Padding: "),
    "slow body": send_slowly(HEAD + b"Content-Length: 900\r\n\r\n"),
    "slow chunks": send_slowly(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 200),
    "slow interim responses": send_slowly(b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "slow error": send_slowly(b"HTTP/1.1 500 No\r\nContent-Length: 900\r\n\r\n"),
    "stall before the response": stall(),
    "stall in the head": stall(b"HTTP/1.1 200 OK\r\nX-"),
    "stall in the body": stall(HEAD + b"Content-Length: 900\r\n\r\n{"),
    "half-closed": half_close,
}


def exchange(cloud: ScriptedCloud) -> CallResponse:
    transport = Transport(cloud.project(), LONG_LIMITS)
    call = Call("Probe", CallKind.READ, "GET", cloud.url, "/probe")
    return transport.exchange(call, None, Deadline(LONG_LIMITS.whole))


@pytest.mark.parametrize("name", SLOW)
def test_a_read_with_a_slow_response_ends_with_its_deadline(name: str) -> None:
    with scripted_cloud(SLOW[name]) as cloud:
        client = cloud.client(limits=SHORT_LIMITS)
        begun = time.monotonic()

        with pytest.raises(CloudError):
            client.show_server_group(GROUP_ID)

    assert time.monotonic() - begun < SHORT_LIMITS.whole + MARGIN


@pytest.mark.parametrize("name", SLOW)
def test_a_write_with_a_slow_response_is_unknown_and_sent_once(name: str) -> None:
    with scripted_cloud(SLOW[name]) as cloud:
        client = cloud.client(limits=SHORT_LIMITS)
        begun = time.monotonic()

        with pytest.raises(errors.OutcomeUnknownError):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert time.monotonic() - begun < SHORT_LIMITS.whole + MARGIN
    assert [request.method for request in cloud.requests] == ["PATCH"]


def test_a_list_of_many_pages_has_one_deadline() -> None:
    full = respond(200, {"count": 5000, "items": [{"id": f"group-{number}"} for number in range(100)]})
    with scripted_cloud(full, stall()) as cloud:
        client = cloud.client(limits=SHORT_LIMITS)
        begun = time.monotonic()

        with pytest.raises(errors.CloudError):
            client.list_server_groups()

    assert time.monotonic() - begun < SHORT_LIMITS.whole + MARGIN


def test_rejects_a_body_over_the_limit() -> None:
    with scripted_cloud(respond(200, b" " * (LONG_LIMITS.body + 1))) as cloud:
        response = exchange(cloud)

    assert (response.result, response.cause) == (CallResult.INVALID, f"more than {LONG_LIMITS.body} bytes")


def test_the_limit_applies_to_the_decompressed_body() -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    with scripted_cloud(respond(200, bomb, {"Content-Encoding": "gzip"})) as cloud:
        response = exchange(cloud)

    assert len(bomb) < LONG_LIMITS.body
    assert (response.result, response.cause) == (CallResult.INVALID, f"more than {LONG_LIMITS.body} bytes")


def test_does_not_read_the_endless_body_of_a_redirect() -> None:
    endless = raw(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n" + b" " * 50_000_000)
    with scripted_cloud(endless) as cloud:
        response = exchange(cloud)

    assert response.result is CallResult.REDIRECTED
    assert len(cloud.requests) == 1


def test_reads_a_compressed_response() -> None:
    body = gzip.compress(json.dumps({"id": GROUP_ID, "name": "design-pool"}).encode())
    with scripted_cloud(respond(200, body, {"Content-Encoding": "gzip"})) as cloud:
        response = exchange(cloud)

    assert response.body == {"id": GROUP_ID, "name": "design-pool"}
    assert cloud.requests[0].headers["Accept-Encoding"] == "gzip"


def test_a_body_that_cannot_be_decompressed_is_invalid() -> None:
    with scripted_cloud(respond(200, b"not gzip at all", {"Content-Encoding": "gzip"})) as cloud:
        response = exchange(cloud)

    assert (response.result, response.cause) == (CallResult.INVALID, "cannot be decompressed")


def test_sends_no_token_to_the_host_of_a_redirect() -> None:
    with scripted_cloud(respond(200, {})) as other_host, scripted_cloud() as cloud:
        cloud.responders.append(respond(307, b"", {"Location": f"{other_host.url}/v1/elsewhere"}))
        client = cloud.client()

        with pytest.raises(errors.OutcomeUnknownError, match="redirect"):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert other_host.requests == []


def test_ignores_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password something")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with scripted_cloud(respond(200, {"id": GROUP_ID})) as cloud:
        cloud.client().show_server_group(GROUP_ID)

    assert "Authorization" not in cloud.requests[0].headers


def test_stores_no_cookies() -> None:
    with scripted_cloud(respond(200, {"id": GROUP_ID}, {"Set-Cookie": "who=me"})) as cloud:
        client = cloud.client()
        client.show_server_group(GROUP_ID)
        client.show_server_group(GROUP_ID)

    assert all("Cookie" not in request.headers for request in cloud.requests)


def test_reuses_a_connection() -> None:
    with scripted_cloud(respond(200, {"id": GROUP_ID}), respond(200, {"id": GROUP_ID})) as cloud:
        client = cloud.client()
        client.show_server_group(GROUP_ID)
        client.show_server_group(GROUP_ID)
        ports = {request.port for request in cloud.requests}

    assert len(ports) == 1


def test_uses_the_proxy_for_the_real_cloud_but_not_for_a_simulator() -> None:
    with scripted_cloud(respond(407, b"")) as proxy, scripted_cloud(respond(200, {"id": GROUP_ID})) as cloud:
        simulated = replace(cloud.project(), proxy=proxy.url)
        real = replace(simulated, workspace_endpoint="https://workspace.example.com")

        Client(simulated, LONG_LIMITS).show_server_group(GROUP_ID)
        with pytest.raises(errors.UnreachableError):
            Client(real, LONG_LIMITS).show_server_group(GROUP_ID)

    assert {request.method for request in proxy.requests} == {"CONNECT"}
    assert "X-Auth-Token" not in proxy.requests[0].headers


def test_an_unknown_host_is_unreachable() -> None:
    with scripted_cloud(reset) as cloud:
        unknown_host = replace(cloud.project(), workspace_endpoint="https://workspace.invalid")

    with pytest.raises(errors.UnreachableError) as caught:
        Client(unknown_host, SHORT_LIMITS).show_server_group(GROUP_ID)

    assert caught.value.http_status is None
    assert caught.value.duration_ms is not None


def test_sends_nothing_to_a_server_without_tls() -> None:
    with scripted_cloud(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as cloud:
        tls = replace(cloud.project(), workspace_endpoint=cloud.url.replace("http:", "https:"))

        with pytest.raises(errors.UnreachableError):
            Client(tls, SHORT_LIMITS).update_server_group(GROUP_ID, {"name": "TEST"})


def test_a_stalled_handshake_ends_with_the_deadline() -> None:
    with scripted_cloud(stall()) as cloud:
        tls = replace(cloud.project(), workspace_endpoint=cloud.url.replace("http:", "https:"))
        begun = time.monotonic()

        with pytest.raises(errors.UnreachableError, match="timed out"):
            Client(tls, SHORT_LIMITS).update_server_group(GROUP_ID, {"name": "TEST"})

    assert time.monotonic() - begun < SHORT_LIMITS.whole + MARGIN


def test_many_unreachable_addresses_end_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack, scripted_cloud(respond()) as cloud:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        dead = (socket.AF_INET, socket.SOCK_STREAM, 0, "", full.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead] * 6)
        begun = time.monotonic()

        with pytest.raises(errors.UnreachableError, match="timed out"):
            cloud.client(limits=SHORT_LIMITS).show_server_group(GROUP_ID)

    assert time.monotonic() - begun < SHORT_LIMITS.whole + MARGIN


def test_connects_to_the_next_address_if_the_first_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_cloud(respond(200, {"id": GROUP_ID})) as cloud:
        dead = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", int(closed_port().rpartition(":")[2])))
        alive = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", int(cloud.url.rpartition(":")[2])))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, alive])

        group = cloud.client().show_server_group(GROUP_ID)

    assert group.id == GROUP_ID


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("-1", 0.0), ("soon", 0.0), ("", 0.0), ("9" * 40, 999999999.0), ("²", 0.0), ("1.5", 0.0)],
)
def test_ignores_an_invalid_retry_after(value: str, seconds: float) -> None:
    with scripted_cloud(respond(503, {}, {"Retry-After": value})) as cloud:
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
    with scripted_cloud(respond(503, {}, {"Retry-After": value})) as cloud:
        response = exchange(cloud)

    assert at_least <= response.retry_after <= at_most


def test_does_not_wait_longer_than_the_deadline() -> None:
    with scripted_cloud(respond(503, {}, {"Retry-After": "3600"})) as cloud:
        client = cloud.client()
        begun = time.monotonic()

        with pytest.raises(errors.UnavailableError):
            client.show_server_group(GROUP_ID)

    assert time.monotonic() - begun < LONG_LIMITS.whole
    assert len(cloud.requests) == 1


def test_waits_for_retry_after_within_the_deadline() -> None:
    with scripted_cloud(respond(429, {}, {"Retry-After": "1"}), respond(200, {"id": GROUP_ID})) as cloud:
        client = cloud.client()
        begun = time.monotonic()
        client.show_server_group(GROUP_ID)

    assert 1.0 <= time.monotonic() - begun < LONG_LIMITS.whole
    assert len(cloud.requests) == 2


def test_sends_nothing_after_the_deadline() -> None:
    with scripted_cloud(respond(200, {})) as cloud:
        transport = Transport(cloud.project(), SHORT_LIMITS)
        call = Call("Probe", CallKind.READ, "GET", cloud.url, "/probe")

        response = transport.exchange(call, None, Deadline(0))

    assert (response.result, response.cause) == (CallResult.NOT_SENT, "no time was left to send it")
    assert cloud.requests == []


def test_the_debug_log_has_no_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_cloud(respond(200, {"id": GROUP_ID})) as cloud:
        cloud.client().show_server_group(GROUP_ID)

    assert cloud.requests[0].headers["X-Auth-Token"] == "canary-token"
    assert "canary" not in caplog.text
