"""Each fault of the simulator: the error of the client, the time limit, the number of requests, no secret."""

import logging
import time
from dataclasses import dataclass, field, replace

import pytest

from dashboard.cloud import errors
from dashboard.cloud.client import Client
from dashboard.cloud.credentials import Credential, KeyCredential, TokenCredential
from dashboard.cloud.errors import CloudError
from dashboard.simulator.faults import KINDS
from tests.conftest import Simulated

from .scripted import GROUP_ID, LONG_LIMITS, SHORT_LIMITS, project_at

MARGIN = 0.5
TOKEN = TokenCredential("simulator-token")
KEY = KeyCredential("SIMULATORACCESSKEY01", "simulator-secret-key-01")


@dataclass(frozen=True)
class Expected:
    """The error of a read and of a write (None: success), and the number of requests of each."""

    read: type[CloudError] | None
    reads: int
    write: type[CloudError] | None
    writes: int = 1
    is_slow: bool = False
    options: dict[str, object] = field(default_factory=dict)


def rejected(error: type[CloudError]) -> Expected:
    return Expected(error, 1, error)


SUCCESS = Expected(None, 1, None)
UNAVAILABLE = Expected(errors.UnavailableError, 3, errors.OutcomeUnknownError)
SLOW = replace(UNAVAILABLE, is_slow=True)
INVALID = Expected(errors.BadResponseError, 1, errors.OutcomeUnknownError)
TRUNCATED = Expected(errors.BadResponseError, 3, errors.OutcomeUnknownError)
THROTTLED = Expected(errors.ThrottledError, 3, errors.SendAgainError)
LONG_RETRY_AFTER = Expected(errors.ThrottledError, 1, errors.SendAgainError)
UNCLEAR = Expected(errors.RejectedError, 1, errors.OutcomeUnknownError)
INVALID_FOR_A_READ = Expected(errors.BadResponseError, 1, None)

EXPECTED: dict[str, Expected] = {
    "status": UNAVAILABLE,
    "bad_request": rejected(errors.InvalidError),
    "unauthorized": rejected(errors.UnauthenticatedError),
    "expired_token": rejected(errors.UnauthenticatedError),
    "forbidden": rejected(errors.ForbiddenError),
    "gateway_forbidden": rejected(errors.ForbiddenError),
    "not_found": rejected(errors.NotFoundError),
    "method_not_allowed": rejected(errors.RejectedError),
    "request_timeout": UNCLEAR,
    "conflict": UNCLEAR,
    "too_early": UNCLEAR,
    "client_closed_request": UNCLEAR,
    "too_large": rejected(errors.RejectedError),
    "unsupported_type": rejected(errors.RejectedError),
    "throttled": THROTTLED,
    "internal_error": UNAVAILABLE,
    "bad_gateway": UNAVAILABLE,
    "unavailable": UNAVAILABLE,
    "gateway_timeout": UNAVAILABLE,
    "error_html": UNAVAILABLE,
    "error_empty": UNAVAILABLE,
    "error_not_json": UNAVAILABLE,
    "error_null": UNAVAILABLE,
    "error_list": UNAVAILABLE,
    "error_message": UNAVAILABLE,
    "error_nested": UNAVAILABLE,
    "error_wrong_types": UNAVAILABLE,
    "error_control_characters": UNAVAILABLE,
    "error_bidi_controls": UNAVAILABLE,
    "error_echoes_credential": rejected(errors.UnauthenticatedError),
    "error_encoded": replace(rejected(errors.ForbiddenError), options={"status": 403}),
    "retry_after_seconds": replace(LONG_RETRY_AFTER, options={"seconds": 60}),
    "retry_after_date": replace(LONG_RETRY_AFTER, options={"seconds": 60}),
    "retry_after_absurd": LONG_RETRY_AFTER,
    "retry_after_negative": THROTTLED,
    "retry_after_garbage": THROTTLED,
    "throttling": SUCCESS,
    "html": INVALID,
    "empty": INVALID,
    "not_json": INVALID,
    "null": INVALID_FOR_A_READ,
    "error_in_200": INVALID,
    "cut_json": INVALID,
    "duplicate_keys": SUCCESS,
    "wrong_types": SUCCESS,
    "changed_values": replace(SUCCESS, options={"values": {"name": "x"}}),
    "bidi_controls": SUCCESS,
    "unknown_enums": SUCCESS,
    "missing_members": SUCCESS,
    "null_members": SUCCESS,
    "extra_members": SUCCESS,
    "wrong_count": SUCCESS,
    "huge": replace(INVALID, options={"bytes": 1_000_000}),
    "gzip_bomb": replace(INVALID, options={"bytes": 5_000_000}),
    "huge_header": INVALID,
    "surplus_bytes": SUCCESS,
    "broken_gzip": INVALID,
    "bad_utf8": INVALID_FOR_A_READ,
    "wrong_content_type": SUCCESS,
    "deep_nesting": INVALID,
    "delay": SUCCESS,
    "slow": SLOW,
    "drip": SLOW,
    "endless": INVALID,
    "not_http": INVALID,
    "stall": SLOW,
    "silence": SLOW,
    "silence_after_applying": SLOW,
    "truncated": TRUNCATED,
    "half_closed": TRUNCATED,
    "close_after_answer": SUCCESS,
    "drop_before_answer": UNAVAILABLE,
    "drop_after_applying": UNAVAILABLE,
    "reset_before": UNAVAILABLE,
    "reset_during": UNAVAILABLE,
    "reset_after": UNAVAILABLE,
    "reset_after_applying": UNAVAILABLE,
    "reset_in_answer": TRUNCATED,
    "late": replace(UNAVAILABLE, options={"after_ms": 10}),
    "stale_reads": SUCCESS,
    "partial": UNAVAILABLE,
    "ignored": INVALID_FOR_A_READ,
    "overtaken": SUCCESS,
    "shifting_list": SUCCESS,
    "changing_list": SUCCESS,
    "hidden_groups": SUCCESS,
    "repeated_rows": SUCCESS,
    "short_list": SUCCESS,
    "long_list": SUCCESS,
    "redirect": INVALID,
    "short_lived_token": SUCCESS,
    "revoked_tokens": SUCCESS,
    "skewed_clock": SUCCESS,
}


def client_of(simulator: Simulated, credential: Credential = TOKEN, *, is_slow: bool = False) -> Client:
    return Client(project_at(simulator.url, credential), SHORT_LIMITS if is_slow else LONG_LIMITS)


def failure_of(client: Client, method: str) -> CloudError | None:
    try:
        if method == "PATCH":
            client.update_server_group(GROUP_ID, {"description": "Changed"})
        else:
            client.show_server_group(GROUP_ID)
    except CloudError as error:
        return error
    finally:
        client.close()
    return None


def arrived(simulator: Simulated, method: str, expected: int) -> int:
    """The number of requests in the simulator's list, which can be late after a reset."""
    give_up = time.monotonic() + 0.3
    while len(simulator.requests(method)) < expected and time.monotonic() < give_up:
        time.sleep(0.01)
    return len(simulator.requests(method))


def test_the_table_has_every_fault_of_the_simulator() -> None:
    assert set(EXPECTED) == set(KINDS)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_read_with_an_injected_fault(simulator: Simulated, name: str) -> None:
    expected = EXPECTED[name]
    simulator.inject({"fault": name, **expected.options})
    begun = time.monotonic()

    failure = failure_of(client_of(simulator, is_slow=expected.is_slow), "GET")

    elapsed = time.monotonic() - begun
    assert (type(failure) if failure else None) is expected.read
    assert elapsed < (SHORT_LIMITS if expected.is_slow else LONG_LIMITS).whole + MARGIN
    requests = arrived(simulator, "GET", expected.reads)
    assert requests <= expected.reads
    assert requests == expected.reads or expected.is_slow


@pytest.mark.parametrize("name", EXPECTED)
def test_a_write_with_an_injected_fault(simulator: Simulated, name: str) -> None:
    expected = EXPECTED[name]
    simulator.inject({"fault": name, **expected.options})
    begun = time.monotonic()

    failure = failure_of(client_of(simulator, is_slow=expected.is_slow), "PATCH")

    assert (type(failure) if failure else None) is expected.write
    assert time.monotonic() - begun < (SHORT_LIMITS if expected.is_slow else LONG_LIMITS).whole + MARGIN
    assert arrived(simulator, "PATCH", expected.writes) == expected.writes


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("credential", [TOKEN, KEY])
def test_no_fault_reveals_a_secret(
    simulator: Simulated, name: str, credential: Credential, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    simulator.inject({"fault": name, **EXPECTED[name].options})

    failure = failure_of(client_of(simulator, credential, is_slow=EXPECTED[name].is_slow), "PATCH")

    shown = f"{caplog.text} {failure!r} {failure} {vars(failure) if failure else ''}"
    assert "simulator-token" not in shown
    assert "simulator-secret-key" not in shown
    assert "SIMULATORACCESSKEY" not in shown


def test_a_write_on_a_connection_that_the_cloud_closed_is_not_unknown(simulator: Simulated) -> None:
    simulator.inject({"fault": "close_after_answer", "times": 1})
    client = client_of(simulator)
    client.show_server_group(GROUP_ID)
    time.sleep(0.1)

    response = client.update_server_group(GROUP_ID, {"description": "Changed"})

    assert response.http_status == 200
    assert len(simulator.patches) == 1


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("truncated", "the rest of the response is missing"),
        ("drop_before_answer", "the cloud closed the connection"),
        ("reset_after", "Connection reset by peer"),
        ("silence", "timed out"),
        ("not_http", "not HTTP: BadStatusLine"),
        ("huge_header", "not HTTP: LineTooLong"),
    ],
)
def test_the_error_of_a_lost_response_names_the_cause(simulator: Simulated, name: str, cause: str) -> None:
    simulator.inject({"fault": name})

    failure = failure_of(client_of(simulator, is_slow=True), "PATCH")

    assert f"[{cause}]" in str(failure)


def test_bytes_after_a_response_are_not_part_of_the_next_one(simulator: Simulated) -> None:
    simulator.inject({"fault": "surplus_bytes", "times": 1})
    client = client_of(simulator)
    client.show_server_group(GROUP_ID)

    groups = {client.show_server_group(GROUP_ID).name for _ in range(3)}

    assert groups == {"design-pool"}
    assert len(simulator.requests("GET")) == 4


def test_keeps_the_encoded_reason_of_a_rejection(simulator: Simulated) -> None:
    simulator.inject({"fault": "error_encoded", "status": 403})

    failure = failure_of(client_of(simulator), "GET")

    assert failure is not None
    assert failure.encoded_reason == "xJ9kVmFzZTY0"


def test_a_list_that_shifts_between_pages_is_read_again(simulator: Simulated) -> None:
    simulator.inject({"fault": "wrong_count", "by": 3, "times": 1})

    reading = client_of(simulator).list_server_groups()

    assert len(reading.value) == 42
    assert len(simulator.requests("GET")) == 2
