"""The same promises over TLS, which is how the real cloud is reached."""

import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dashboard.cloud import errors
from dashboard.cloud.client import Client

from .scripted import GROUP_ID, PATIENT, QUICK, Act, answer, drip, scripted_cloud, stall

PEM = Path(__file__).with_name("localhost.pem")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def test_a_certificate_of_our_own_authority_is_trusted(tls: ssl.SSLContext) -> None:
    with scripted_cloud(answer(200, {"id": GROUP_ID}), tls=tls) as cloud:
        client = Client(replace(cloud.project(), ca_bundle=str(PEM)), PATIENT)

        group = client.show_server_group(GROUP_ID)

    assert group.id == GROUP_ID


def test_nothing_is_told_to_whom_we_do_not_trust(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with scripted_cloud(answer(200, None), tls=tls) as cloud:
        client = cloud.client()

        with pytest.raises(errors.UnreachableError, match="certificate not trusted: self-signed certificate"):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert cloud.requests == []


def test_a_certificate_for_another_host_is_not_trusted(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_cloud(answer(200, None), tls=tls) as cloud:
        port = urlsplit(cloud.url).port
        here = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [here])
        elsewhere = f"https://workspace.example.com:{port}"
        client = Client(replace(cloud.project(), ca_bundle=str(PEM), workspace_endpoint=elsewhere), PATIENT)

        with pytest.raises(errors.UnreachableError, match="certificate not trusted: Hostname mismatch"):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert cloud.requests == []


@pytest.mark.parametrize("act", [drip(HEAD), drip(b"HTTP/1.1 200 OK\r\nX-"), stall(), stall(HEAD)])
def test_the_deadline_holds_over_tls(tls: ssl.SSLContext, act: Act) -> None:
    with scripted_cloud(act, tls=tls) as cloud:
        client = Client(replace(cloud.project(), ca_bundle=str(PEM)), QUICK)
        begun = time.monotonic()

        with pytest.raises(errors.OutcomeUnknownError):
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert time.monotonic() - begun < QUICK.whole + 0.5
    assert len(cloud.requests) == 1
