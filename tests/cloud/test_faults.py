"""Every bad day the simulator can play: the typed error, in time, the right number of requests, no secret shown."""

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

from .scripted import GROUP_ID, PATIENT, QUICK, project_at

MARGIN = 0.5
TOKEN = TokenCredential("simulator-token")
KEY = KeyCredential("SIMULATORACCESSKEY01", "simulator-secret-key-01")


@dataclass(frozen=True)
class Expected:
    """What becomes of a read and of a write, and how many requests of each arrive; None is success."""

    read: type[CloudError] | None
    reads: int
    write: type[CloudError] | None
    writes: int = 1
    is_slow: bool = False
    options: dict[str, object] = field(default_factory=dict)


def refused(error: type[CloudError]) -> Expected:
    return Expected(error, 1, error)


FINE = Expected(None, 1, None)
AWAY = Expected(errors.UnavailableError, 3, errors.OutcomeUnknownError)
TOO_SLOW = replace(AWAY, is_slow=True)
INVALID = Expected(errors.BadResponseError, 1, errors.OutcomeUnknownError)
TRUNCATED = Expected(errors.BadResponseError, 3, errors.OutcomeUnknownError)
THROTTLED = Expected(errors.ThrottledError, 3, errors.SendAgainError)
TOLD_TO_WAIT = Expected(errors.ThrottledError, 1, errors.SendAgainError)
UNCLEAR = Expected(errors.RejectedError, 1, errors.OutcomeUnknownError)
READ_ONLY_NONSENSE = Expected(errors.BadResponseError, 1, None)

EXPECTED: dict[str, Expected] = {
    "status": AWAY,
    "bad_request": refused(errors.InvalidError),
    "unauthorized": refused(errors.UnauthenticatedError),
    "expired_token": refused(errors.UnauthenticatedError),
    "forbidden": refused(errors.ForbiddenError),
    "gateway_forbidden": refused(errors.ForbiddenError),
    "not_found": refused(errors.NotFoundError),
    "method_not_allowed": refused(errors.RejectedError),
    "request_timeout": UNCLEAR,
    "conflict": UNCLEAR,
    "too_early": UNCLEAR,
    "client_closed_request": UNCLEAR,
    "too_large": refused(errors.RejectedError),
    "unsupported_type": refused(errors.RejectedError),
    "throttled": THROTTLED,
    "internal_error": AWAY,
    "bad_gateway": AWAY,
    "unavailable": AWAY,
    "gateway_timeout": AWAY,
    "error_html": AWAY,
    "error_empty": AWAY,
    "error_not_json": AWAY,
    "error_null": AWAY,
    "error_list": AWAY,
    "error_message": AWAY,
    "error_nested": AWAY,
    "error_wrong_types": AWAY,
    "error_control_characters": AWAY,
    "error_bidi_controls": AWAY,
    "error_echoes_credential": refused(errors.UnauthenticatedError),
    "error_encoded": replace(refused(errors.ForbiddenError), options={"status": 403}),
    "retry_after_seconds": replace(TOLD_TO_WAIT, options={"seconds": 60}),
    "retry_after_date": replace(TOLD_TO_WAIT, options={"seconds": 60}),
    "retry_after_absurd": TOLD_TO_WAIT,
    "retry_after_negative": THROTTLED,
    "retry_after_garbage": THROTTLED,
    "throttling": FINE,
    "html": INVALID,
    "empty": INVALID,
    "not_json": INVALID,
    "null": READ_ONLY_NONSENSE,
    "error_in_200": INVALID,
    "cut_json": INVALID,
    "duplicate_keys": FINE,
    "wrong_types": FINE,
    "changed_values": replace(FINE, options={"values": {"name": "x"}}),
    "bidi_controls": FINE,
    "unknown_enums": FINE,
    "missing_members": FINE,
    "null_members": FINE,
    "extra_members": FINE,
    "wrong_count": FINE,
    "huge": replace(INVALID, options={"bytes": 1_000_000}),
    "gzip_bomb": replace(INVALID, options={"bytes": 5_000_000}),
    "huge_header": INVALID,
    "surplus_bytes": FINE,
    "broken_gzip": INVALID,
    "bad_utf8": READ_ONLY_NONSENSE,
    "wrong_content_type": FINE,
    "deep_nesting": INVALID,
    "delay": FINE,
    "slow": TOO_SLOW,
    "drip": TOO_SLOW,
    "endless": INVALID,
    "not_http": INVALID,
    "stall": TOO_SLOW,
    "silence": TOO_SLOW,
    "silence_after_applying": TOO_SLOW,
    "truncated": TRUNCATED,
    "half_closed": TRUNCATED,
    "close_after_answer": FINE,
    "drop_before_answer": AWAY,
    "drop_after_applying": AWAY,
    "reset_before": AWAY,
    "reset_during": AWAY,
    "reset_after": AWAY,
    "reset_after_applying": AWAY,
    "reset_in_answer": TRUNCATED,
    "late": replace(AWAY, options={"after_ms": 10}),
    "stale_reads": FINE,
    "partial": AWAY,
    "ignored": READ_ONLY_NONSENSE,
    "overtaken": FINE,
    "shifting_list": FINE,
    "short_list": FINE,
    "long_list": FINE,
    "redirect": INVALID,
    "short_lived_token": FINE,
    "revoked_tokens": FINE,
    "skewed_clock": FINE,
}


def client_of(simulator: Simulated, credential: Credential = TOKEN, *, is_slow: bool = False) -> Client:
    return Client(project_at(simulator.url, credential), QUICK if is_slow else PATIENT)


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
    """How many requests the simulator wrote down; after a reset it may be a moment behind."""
    patience = time.monotonic() + 0.3
    while len(simulator.requests(method)) < expected and time.monotonic() < patience:
        time.sleep(0.01)
    return len(simulator.requests(method))


def test_every_fault_of_the_simulator_is_expected() -> None:
    assert set(EXPECTED) == set(KINDS)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_read_meets_a_fault(simulator: Simulated, name: str) -> None:
    expected = EXPECTED[name]
    simulator.inject({"fault": name, **expected.options})
    begun = time.monotonic()

    failure = failure_of(client_of(simulator, is_slow=expected.is_slow), "GET")

    elapsed = time.monotonic() - begun
    assert (type(failure) if failure else None) is expected.read
    assert elapsed < (QUICK if expected.is_slow else PATIENT).whole + MARGIN
    requests = arrived(simulator, "GET", expected.reads)
    assert requests <= expected.reads
    assert requests == expected.reads or expected.is_slow


@pytest.mark.parametrize("name", EXPECTED)
def test_a_write_meets_a_fault(simulator: Simulated, name: str) -> None:
    expected = EXPECTED[name]
    simulator.inject({"fault": name, **expected.options})
    begun = time.monotonic()

    failure = failure_of(client_of(simulator, is_slow=expected.is_slow), "PATCH")

    assert (type(failure) if failure else None) is expected.write
    assert time.monotonic() - begun < (QUICK if expected.is_slow else PATIENT).whole + MARGIN
    assert arrived(simulator, "PATCH", expected.writes) == expected.writes


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("credential", [TOKEN, KEY])
def test_no_secret_shows_on_a_bad_day(
    simulator: Simulated, name: str, credential: Credential, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    simulator.inject({"fault": name, **EXPECTED[name].options})

    failure = failure_of(client_of(simulator, credential, is_slow=EXPECTED[name].is_slow), "PATCH")

    shown = f"{caplog.text} {failure!r} {failure} {vars(failure) if failure else ''}"
    assert "simulator-token" not in shown
    assert "simulator-secret-key" not in shown
    assert "SIMULATORACCESSKEY" not in shown


def test_a_connection_that_was_closed_meanwhile_makes_no_write_unknown(simulator: Simulated) -> None:
    simulator.inject({"fault": "close_after_answer", "times": 1})
    client = client_of(simulator)
    client.show_server_group(GROUP_ID)
    time.sleep(0.1)

    answer = client.update_server_group(GROUP_ID, {"description": "Changed"})

    assert answer.http_status == 200
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
def test_a_lost_answer_is_explained_in_the_words_of_the_system(simulator: Simulated, name: str, cause: str) -> None:
    simulator.inject({"fault": name})

    failure = failure_of(client_of(simulator, is_slow=True), "PATCH")

    assert f"[{cause}]" in str(failure)


def test_what_follows_an_answer_unasked_is_not_taken_for_the_next_one(simulator: Simulated) -> None:
    simulator.inject({"fault": "surplus_bytes", "times": 1})
    client = client_of(simulator)
    client.show_server_group(GROUP_ID)

    groups = {client.show_server_group(GROUP_ID).name for _ in range(3)}

    assert groups == {"design-pool"}
    assert len(simulator.requests("GET")) == 4


def test_an_encoded_reason_is_kept_for_the_administrator(simulator: Simulated) -> None:
    simulator.inject({"fault": "error_encoded", "status": 403})

    failure = failure_of(client_of(simulator), "GET")

    assert failure is not None
    assert failure.encoded_reason == "xJ9kVmFzZTY0"


def test_a_list_that_shifts_between_pages_is_read_again(simulator: Simulated) -> None:
    simulator.inject({"fault": "wrong_count", "by": 3, "times": 1})

    reading = client_of(simulator).list_server_groups()

    assert len(reading.value) == 42
    assert len(simulator.requests("GET")) == 2
