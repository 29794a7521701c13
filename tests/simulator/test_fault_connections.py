"""Faults of timing and of connections, tested with a raw socket."""

import socket
import struct
import threading
import time

import pytest
import requests
from werkzeug.test import Client

from dashboard.simulator.app import create_app
from dashboard.simulator.faults import KINDS
from dashboard.simulator.tenant import SimulatorSettings
from tests.simulator.conftest import Cloud
from tests.simulator.connections import RawConnection, is_applied, set_fault, wait_for


class TestTime:
    def test_delay_sends_the_true_response_later(self, cloud: Cloud) -> None:
        set_fault(cloud, "delay", delay_ms=150)
        start = time.monotonic()

        response = cloud.patch({"name": "TEST"})

        assert (response.text, is_applied(cloud)) == ("null", True)
        assert time.monotonic() - start >= 0.15

    def test_any_fault_can_be_delayed(self, cloud: Cloud) -> None:
        set_fault(cloud, "unavailable", delay_ms=100)
        start = time.monotonic()

        assert cloud.groups().status_code == 503
        assert time.monotonic() - start >= 0.1

    def test_slow_takes_the_given_seconds(self, cloud: Cloud) -> None:
        set_fault(cloud, "slow", seconds=0.3)
        start = time.monotonic()

        assert cloud.show()["name"] == "design-pool"
        assert 0.25 <= time.monotonic() - start < 3

    def test_drip_sends_one_byte_at_a_time(self, cloud: Cloud) -> None:
        set_fault(cloud, "drip", seconds=0.05)
        start, received = time.monotonic(), b""

        with RawConnection(cloud) as connection:
            connection.send()
            while not received.endswith(b"null"):
                received += connection.socket.recv(4096)

        assert time.monotonic() - start >= 3 * 0.05
        assert is_applied(cloud)

    def test_endless_sends_no_length_and_no_end(self, cloud: Cloud) -> None:
        set_fault(cloud, "endless")

        with RawConnection(cloud) as connection:
            connection.send()
            received = b""
            while len(received) < 1_000_000:
                received += connection.socket.recv(65536)

        head, _, body = received.partition(b"\r\n\r\n")
        assert (b"Content-Length" in head, head.count(b"Connection: close"), body.strip()) == (False, 1, b"")

    def test_not_http_sends_another_protocol(self, cloud: Cloud) -> None:
        set_fault(cloud, "not_http")

        with RawConnection(cloud) as connection:
            assert connection.send_and_read() == b"SSH-2.0-OpenSSH_9.6\r\n"

        assert not is_applied(cloud)

    def test_stall_sends_only_the_headers(self, cloud: Cloud) -> None:
        set_fault(cloud, "stall")

        with RawConnection(cloud) as connection:
            connection.send()
            head, rest = connection.socket.recv(4096), connection.read_some(0.1)

        assert (head.endswith(b"\r\n\r\n"), rest, is_applied(cloud)) == (True, b"", True)

    def test_stall_ends_after_the_given_seconds(self, cloud: Cloud) -> None:
        set_fault(cloud, "stall", seconds=0.1)

        with RawConnection(cloud) as connection:
            connection.send()

            assert connection.read().endswith(b"\r\n\r\n")

    @pytest.mark.parametrize(("name", "applied"), [("silence", False), ("silence_after_applying", True)])
    def test_silence_sends_no_byte(self, cloud: Cloud, name: str, applied: bool) -> None:
        set_fault(cloud, name, seconds=0.2)

        with RawConnection(cloud) as connection:
            connection.send()

            assert connection.read_some(0.1) == b""
            assert connection.read_some(2) == b""

        assert is_applied(cloud) == applied
        assert cloud.requests()[0]["status"] is None


class TestConnection:
    def test_truncated_declares_more_than_it_sends(self, cloud: Cloud) -> None:
        set_fault(cloud, "truncated")

        with RawConnection(cloud) as connection:
            connection.send()
            head, _, body = connection.read().partition(b"\r\n\r\n")

        assert (b"Content-Length: 4" in head, body, is_applied(cloud)) == (True, b"nu", True)

    def test_half_closed_closes_one_direction(self, cloud: Cloud) -> None:
        set_fault(cloud, "half_closed", seconds=5)

        with RawConnection(cloud) as connection:
            connection.send()
            assert connection.read().endswith(b"nu")
            connection.send()  # the other direction is open, but the server does not respond

            assert connection.read() == b""

    def test_close_after_answer_closes_without_announcing_it(self, cloud: Cloud) -> None:
        set_fault(cloud, "close_after_answer")

        with RawConnection(cloud) as connection:
            connection.send()
            response = connection.read()

        assert response.endswith(b"null")
        assert b"Connection: close" not in response

    @pytest.mark.parametrize(("name", "applied"), [("drop_before_answer", False), ("drop_after_applying", True)])
    def test_drop_closes_without_a_response(self, cloud: Cloud, name: str, applied: bool) -> None:
        set_fault(cloud, name)

        with RawConnection(cloud) as connection:
            connection.send()

            assert connection.read() == b""

        assert is_applied(cloud) == applied
        assert (cloud.requests()[0]["body"], cloud.requests()[0]["status"]) == ({"name": "TEST"}, None)

    @pytest.mark.parametrize(
        ("name", "applied"), [("reset_after", False), ("reset_after_applying", True), ("reset_before", False)]
    )
    def test_reset_resets_the_connection(self, cloud: Cloud, name: str, applied: bool) -> None:
        set_fault(cloud, name)

        with RawConnection(cloud) as connection, pytest.raises(ConnectionResetError):
            connection.send_and_read()

        assert is_applied(cloud) == applied
        assert cloud.requests()[0]["status"] is None

    def test_reset_before_does_not_wait_for_the_body(self, cloud: Cloud) -> None:
        set_fault(cloud, "reset_before")

        with RawConnection(cloud) as connection, pytest.raises(ConnectionResetError):
            connection.send_and_read(b"", 1000)

        assert cloud.requests()[0]["body"] is None

    def test_reset_during_reads_half_of_the_body(self, cloud: Cloud) -> None:
        set_fault(cloud, "reset_during")

        with RawConnection(cloud) as connection, pytest.raises(ConnectionResetError):
            connection.send_and_read(b"x" * 500, 1000)

        assert cloud.requests()[0]["body"] == "x" * 500

    def test_reset_in_answer_sends_part_of_the_response(self, cloud: Cloud) -> None:
        set_fault(cloud, "reset_in_answer")

        with pytest.raises(requests.exceptions.RequestException):
            cloud.patch({"name": "TEST"})

        assert is_applied(cloud)


@pytest.mark.parametrize("name", ["stall", "silence", "half_closed", "reset_after", "reset_in_answer", "not_http"])
def test_connection_faults_end_without_access_to_the_socket(name: str) -> None:
    """The server of this test does not give access to the socket of the client."""
    pace = {"seconds": 0.01} if "seconds" in KINDS[name].options else {}
    app = create_app(SimulatorSettings(faults=[{"fault": name, **pace}]))

    with pytest.raises(ConnectionAbortedError):
        Client(app).get("/v2/cloudimages", buffered=True)


def test_the_simulator_does_not_wait_for_a_client_that_resets(cloud: Cloud) -> None:
    set_fault(cloud, "silence")
    before = threading.active_count()

    with RawConnection(cloud) as connection:
        connection.send()
        connection.read_some(0.1)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert wait_for(lambda: threading.active_count() <= before)
