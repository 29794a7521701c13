"""Deadlines and certificates of connections with TLS, as to the real cloud."""

import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dashboard.cloud import errors
from dashboard.cloud.client import Client

from .scripted import GROUP_ID, LONG_LIMITS, SHORT_LIMITS, Responder, respond, scripted_cloud, send_slowly, stall

PEM = Path(__file__).with_name("localhost.pem")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def test_trusts_a_certificate_of_the_configured_authority(tls: ssl.SSLContext) -> None:
    with scripted_cloud(respond(200, {"id": GROUP_ID}), tls=tls) as cloud:
        client = Client(replace(cloud.project(), ca_bundle=str(PEM)), LONG_LIMITS)

        group = client.show_server_group(GROUP_ID)

    assert group.id == GROUP_ID


def test_sends_nothing_to_a_server_with_an_untrusted_certificate(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with scripted_cloud(respond(200, None), tls=tls) as cloud:
        client = cloud.client()

        with pytest.raises(errors.UnreachableError, match="certificate not trusted: self-signed certificate"):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert cloud.requests == []


def test_does_not_trust_a_certificate_for_another_host(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_cloud(respond(200, None), tls=tls) as cloud:
        port = urlsplit(cloud.url).port
        here = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [here])
        elsewhere = f"https://workspace.example.com:{port}"
        client = Client(replace(cloud.project(), ca_bundle=str(PEM), workspace_endpoint=elsewhere), LONG_LIMITS)

        with pytest.raises(errors.UnreachableError, match="certificate not trusted: Hostname mismatch"):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert cloud.requests == []


@pytest.mark.parametrize("responder", [send_slowly(HEAD), send_slowly(b"HTTP/1.1 200 OK\r\nX-"), stall(), stall(HEAD)])
def test_the_deadline_holds_over_tls(tls: ssl.SSLContext, responder: Responder) -> None:
    with scripted_cloud(responder, tls=tls) as cloud:
        client = Client(replace(cloud.project(), ca_bundle=str(PEM)), SHORT_LIMITS)
        begun = time.monotonic()

        with pytest.raises(errors.OutcomeUnknownError):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert time.monotonic() - begun < SHORT_LIMITS.whole + 0.5
    assert len(cloud.requests) == 1
