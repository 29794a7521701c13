"""Answers mangled at random: whatever the bytes, a typed error, and never a write that is called unsent."""

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

IMPATIENT = Limits(connect=5, read=0.3, whole=6, body=50_000, attempts=1)
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


def mangled(seed: int) -> bytes:
    dice = random.Random(seed)  # noqa: S311 - it makes answers, no secret
    body = dice.choice(BODIES)
    body = gzip.compress(body) if dice.random() < 0.2 else body
    lines = [f"HTTP/1.{dice.choice('0112')} {dice.choice(STATUSES)} OK", *dice.choices(HEADERS, k=dice.randint(0, 2))]
    lines += [f"Content-Length: {len(body)}"] if dice.random() < 0.7 else []
    answer = "\r\n".join([*lines, "", ""]).encode() + body
    for _ in range(dice.choice([0, 0, 1, 3])):
        place = dice.randrange(len(answer) + 1)
        answer = (
            answer[:place] + bytes([dice.randrange(256)]) * dice.randint(0, 2) + answer[place + dice.randint(0, 1) :]
        )
    return answer[: dice.randrange(len(answer))] if dice.random() < 0.1 else answer


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_a_mangled_answer_is_a_typed_error_or_success(first: int) -> None:
    for seed in range(first, first + 20):
        with scripted_cloud(raw(mangled(seed))) as cloud, suppress(CloudError):
            cloud.client(limits=IMPATIENT).show_server_group(GROUP_ID)


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_a_write_with_a_mangled_answer_is_done_refused_or_unknown_and_sent_once(first: int) -> None:
    begun = time.monotonic()
    for seed in range(first, first + 20):
        with scripted_cloud(raw(mangled(seed))) as cloud:
            with suppress(errors.RejectedError, errors.OutcomeUnknownError):
                cloud.client(limits=IMPATIENT).update_server_group(GROUP_ID, {"name": "TEST"})
            assert len(cloud.requests) == 1, seed

    assert time.monotonic() - begun < 20 * IMPATIENT.whole
