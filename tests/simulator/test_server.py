"""The server of the simulator: many clients, persistent connections, a quick stop."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

from dashboard.simulator.fault_list import WrongFaultError
from dashboard.simulator.server import NotLoopbackError, SimulatorServer
from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud

GROUPS = f"/v1/{PROJECT}/app-server-groups"
HEAD = f"GET {GROUPS} HTTP/1.1\r\nHost: cloud\r\nX-Auth-Token: simulator-token\r\n"


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5)


def converse(url: str, text: bytes) -> bytes:
    """Send a text, and return the bytes until the server closes the connection."""
    with connect(url) as connection:
        connection.sendall(text)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_starts_on_a_free_port_and_stops() -> None:
    with SimulatorServer() as server:
        assert requests.get(server.url + GROUPS, timeout=5).status_code == 401

    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(server.url + GROUPS, timeout=5)


def test_stop_works_twice_and_before_the_start() -> None:
    server = SimulatorServer()
    server.stop()
    server.start()
    server.stop()
    server.stop()


def test_starts_again_with_the_same_port_and_state() -> None:
    server = SimulatorServer(faults=[{"fault": "slow", "seconds": 0.05}]).start()
    url, headers = server.url, {"X-Auth-Token": "simulator-token"}
    group = f"{url}{GROUPS}/7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
    requests.patch(group, json={"name": "kept"}, headers=headers, timeout=5)

    server.stop()
    with server:
        response = requests.get(group, headers=headers, timeout=5)

    assert (server.url, response.json()["name"]) == (url, "kept")


def test_serves_ipv6() -> None:
    with SimulatorServer("::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert requests.get(server.url + GROUPS, timeout=5).status_code == 401


def test_localhost_is_accepted() -> None:
    assert SimulatorServer("localhost").url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])  # noqa: S104  hosts to refuse
def test_refuses_other_hosts(host: str) -> None:
    with pytest.raises(NotLoopbackError, match="is not a loopback address"):
        SimulatorServer(host)


def test_a_port_in_use_is_an_error() -> None:
    with SimulatorServer() as server, pytest.raises(OSError, match="in use"):
        SimulatorServer(port=int(urlsplit(server.url).port or 0)).start()


def test_invalid_faults_are_an_error() -> None:
    with pytest.raises(WrongFaultError):
        SimulatorServer(faults=[{"fault": "flood"}])


def test_faults_and_latency_apply_from_the_start() -> None:
    with SimulatorServer(latency_ms=50, faults=[{"fault": "unavailable"}]) as server:
        start = time.monotonic()

        assert requests.get(server.url + GROUPS, timeout=5).status_code == 503
        assert time.monotonic() - start >= 0.05


def test_has_the_given_number_of_groups() -> None:
    with SimulatorServer(groups=3) as server:
        response = requests.get(server.url + GROUPS, headers={"X-Auth-Token": "simulator-token"}, timeout=5)

    assert response.json()["count"] == 3


def test_keeps_a_connection_open(cloud: Cloud) -> None:
    with connect(cloud.url) as connection:
        for _ in range(3):
            connection.sendall((HEAD + "\r\n").encode())
            response = connection.recv(65536)
            assert response.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Connection: close" not in response


@pytest.mark.parametrize("head", [HEAD + "Connection: close\r\n\r\n", HEAD.replace("1.1\r", "1.0\r") + "\r\n"])
def test_closes_a_connection_on_request(cloud: Cloud, head: str) -> None:
    response = converse(cloud.url, head.encode())

    assert (response.count(b"HTTP/1.1 200 OK"), b"Connection: close" in response) == (1, True)


def test_reads_chunked_bodies(cloud: Cloud) -> None:
    def chunks() -> list[bytes]:
        return [b'{"name": ', b'"TEST"}']

    response = cloud.call("PATCH", f"{GROUPS}/7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10", data=iter(chunks()))

    assert (response.text, cloud.show()["name"]) == ("null", "TEST")


def test_responds_to_expect_100_continue(cloud: Cloud) -> None:
    head = HEAD.replace("GET", "PUT") + "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"

    assert converse(cloud.url, head.encode() + b"{}").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 405 ")


def test_a_client_that_closes_within_its_body_causes_no_error(cloud: Cloud) -> None:
    with connect(cloud.url) as connection:
        connection.sendall(f"PATCH {GROUPS} HTTP/1.1\r\nHost: cloud\r\nContent-Length: 100\r\n\r\nabc".encode())

    assert cloud.groups().status_code == 200
    assert len(cloud.requests()) == 1


def test_a_request_that_is_not_http_is_a_bad_request(cloud: Cloud) -> None:
    assert b"400" in converse(cloud.url, b"\x16\x03\x01 what\r\n\r\n")


def test_serves_300_concurrent_clients(cloud: Cloud) -> None:
    headers = {"X-Auth-Token": "simulator-token"}

    with ThreadPoolExecutor(300) as pool:
        responses = list(pool.map(lambda _: requests.get(cloud.url + GROUPS, headers=headers, timeout=20), range(300)))

    assert {response.status_code for response in responses} == {200}
    assert [entry["number"] for entry in cloud.requests()] == list(range(1, 301))


@pytest.mark.parametrize("fault", ["stall", "silence", "drip", "slow", "half_closed", "delay", "endless"])
def test_stops_at_once_while_clients_wait(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    paces: dict[str, dict[str, float]] = {"delay": {"delay_ms": 60_000}, "endless": {}}
    entry = {"fault": fault, **paces.get(fault, {"seconds": 60.0})}
    server = SimulatorServer(faults=[entry]).start()
    connections = [connect(server.url) for _ in range(20)]
    for connection in connections:
        connection.sendall((HEAD + "\r\n").encode())
    while len(requests.get(f"{server.url}/_simulator/requests", timeout=5).json()["requests"]) < 20:
        time.sleep(0.01)

    start = time.monotonic()
    server.stop()

    assert time.monotonic() - start < 2
    for connection in connections:
        connection.close()
    assert threading.active_count() <= before
    assert capsys.readouterr() == ("", "")


def test_stops_at_once_with_idle_connections_and_delayed_changes() -> None:
    server = SimulatorServer(faults=[{"fault": "late"}]).start()
    headers = {"X-Auth-Token": "simulator-token"}
    with requests.Session() as session:
        path = f"{server.url}{GROUPS}/7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
        assert session.patch(path, json={"name": "x"}, headers=headers, timeout=5).status_code == 504

        start = time.monotonic()
        server.stop()

    assert time.monotonic() - start < 1


def test_a_group_of_wrong_types_is_an_internal_error(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud.control("PUT", f"groups/{DESIGN_POOL}", {"tags": None})

    response = cloud.groups(tags="team=design")

    assert (response.status_code, response.json()["error_code"]) == (500, "WKS.00211401")
    assert cloud.requests()[-1]["status"] == 500
    assert "The simulator failed at request 1" in caplog.text
