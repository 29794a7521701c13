"""Random malformed responses: the client raises a CloudError, and no sent write is reported as not sent."""

import gzip
import json
import random
import time
from contextlib import suppress

import pytest

from dashboard.cloud import errors
from dashboard.cloud.errors import CloudError
from dashboard.cloud.limits import Limits

from .scripted import GROUP_ID, raw, scripted_cloud

SHORTEST_LIMITS = Limits(connect=5, read=0.3, whole=6, body=50_000, attempts=1)
BODIES = [b"null", json.dumps({"id": GROUP_ID}).encode(), b"", b"[]", b'{"error_code": "x"}', b"\x00\xff"]
HEADERS = [
    "Retry-After: soon",
    "X-Request-Id: \x1b[2J",
    "Location: http://[bad",
    "Connection: close",
    "Content-Encoding: gzip",
    "Content-Encoding: gzip, br",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked",
    ": no name",
    "no colon",
    " folded",
]
STATUSES = ["200", "200", "200", "204", "304", "400", "401", "429", "500", "100", "999", "abc", ""]


def malformed_response(seed: int) -> bytes:
    dice = random.Random(seed)  # noqa: S311 (it makes responses, no secret)
    body = dice.choice(BODIES)
    body = gzip.compress(body) if dice.random() < 0.2 else body
    lines = [f"HTTP/1.{dice.choice('0112')} {dice.choice(STATUSES)} OK", *dice.choices(HEADERS, k=dice.randint(0, 2))]
    lines += [f"Content-Length: {len(body)}"] if dice.random() < 0.7 else []
    response = "\r\n".join([*lines, "", ""]).encode() + body
    for _ in range(dice.choice([0, 0, 1, 3])):
        place = dice.randrange(len(response) + 1)
        response = (
            response[:place]
            + bytes([dice.randrange(256)]) * dice.randint(0, 2)
            + response[place + dice.randint(0, 1) :]
        )
    return response[: dice.randrange(len(response))] if dice.random() < 0.1 else response


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_a_read_with_a_malformed_response_succeeds_or_raises_cloud_error(first: int) -> None:
    for seed in range(first, first + 20):
        with scripted_cloud(raw(malformed_response(seed))) as cloud, suppress(CloudError):
            cloud.client(limits=SHORTEST_LIMITS).show_server_group(GROUP_ID)


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_sends_a_write_with_a_malformed_response_once(first: int) -> None:
    begun = time.monotonic()
    for seed in range(first, first + 20):
        with scripted_cloud(raw(malformed_response(seed))) as cloud:
            with suppress(errors.RejectedError, errors.OutcomeUnknownError):
                cloud.client(limits=SHORTEST_LIMITS).update_server_group(GROUP_ID, {"name": "TEST"})
            assert len(cloud.requests) == 1, seed

    assert time.monotonic() - begun < 20 * SHORTEST_LIMITS.whole
