"""Each fault as a plain client sees it, and whether the change was applied."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
import requests
from werkzeug.test import Client

from dashboard.simulator.app import create_app
from dashboard.simulator.faults import KINDS
from dashboard.simulator.world import Settings
from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud

GROUP = f"/v1/{PROJECT}/app-server-groups/{DESIGN_POOL}"
BODY = b'{"name":"TEST"}'


def is_applied(cloud: Cloud) -> bool:
    return bool(cloud.history())


def play(cloud: Cloud, name: str, **options: Any) -> None:
    cloud.faults({"fault": name, "times": 1, **options})


class Wire:
    """A raw connection, to see what a client library hides."""

    def __init__(self, cloud: Cloud) -> None:
        address = urlsplit(cloud.url)
        self.socket = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, method: str = "PATCH", body: bytes = BODY, length: int | None = None) -> None:
        head = f"{method} {GROUP} HTTP/1.1\r\nHost: cloud\r\nX-Auth-Token: simulator-token\r\n"
        head += f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def read(self) -> bytes:
        """Until the other side ends; raises ConnectionResetError on a reset."""
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts)

    def send_and_read(self, body: bytes = BODY, length: int | None = None) -> bytes:
        self.send(body=body, length=length)
        return self.read()

    def read_some(self, seconds: float) -> bytes:
        self.socket.settimeout(seconds)
        try:
            return self.read()
        except TimeoutError:
            return b""


class TestStatuses:
    @pytest.mark.parametrize(
        ("name", "status", "code"),
        [
            ("bad_request", 400, "WKS.00129901"),
            ("unauthorized", 401, "APIGW.0301"),
            ("expired_token", 401, "APIGW.0301"),
            ("forbidden", 403, "WKS.00081102"),
            ("gateway_forbidden", 403, "APIGW.0302"),
            ("not_found", 404, "WKS.00120404"),
            ("method_not_allowed", 405, "WKS.00000405"),
            ("request_timeout", 408, "APIGW.0201"),
            ("conflict", 409, "WKS.00211103"),
            ("too_large", 413, "APIGW.0201"),
            ("unsupported_type", 415, "WKS.00129901"),
            ("throttled", 429, "APIGW.0308"),
            ("internal_error", 500, "WKS.00211401"),
            ("bad_gateway", 502, "APIGW.0201"),
            ("unavailable", 503, "WKS.00050902"),
            ("gateway_timeout", 504, "APIGW.0201"),
        ],
    )
    def test_have_right_bodies_and_apply_nothing(self, cloud: Cloud, name: str, status: int, code: str) -> None:
        play(cloud, name)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, answer.json()["error_code"]) == (status, code)
        assert answer.json()["error_msg"]
        assert cloud.requests()[-1]["status"] == status
        assert not is_applied(cloud)

    @pytest.mark.parametrize(
        ("options", "status", "text"),
        [
            (
                {},
                500,
                '{"error_code":"WKS.00211401","error_msg":"The requested operation failed. Please try again later."}',
            ),
            ({"status": 418, "body": "teapot"}, 418, "teapot"),
            ({"status": 503, "body": {"a": 1}}, 503, '{"a":1}'),
            ({"status": 200, "body": []}, 200, "[]"),
            ({"status": 200}, 200, "null"),
        ],
    )
    def test_can_be_any_with_any_body(self, cloud: Cloud, options: Any, status: int, text: str) -> None:
        play(cloud, "status", headers={"X-Extra": "yes"}, **options)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, answer.text, answer.headers["X-Extra"]) == (status, text, "yes")
        assert not is_applied(cloud)

    def test_may_be_one_http_does_not_know(self, cloud: Cloud) -> None:
        play(cloud, "status", status=494)

        assert (cloud.groups().status_code, cloud.groups().status_code) == (494, 200)


class TestWrongErrors:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("error_html", "<h1>Bad Gateway</h1>"),
            ("error_empty", ""),
            ("error_not_json", "upstream connect error"),
            ("error_null", "null"),
            ("error_list", "[" + '"error_code"'),
            ("error_message", '"error_message":"Failed."'),
            ("error_nested", '{"error":{'),
            ("error_wrong_types", '"error_code":500'),
            ("error_control_characters", "\\u001b[31m"),
            ("error_encoded", "encoded_authorization_message"),
        ],
    )
    @pytest.mark.parametrize("status", [403, 500])
    def test_have_another_body(self, cloud: Cloud, name: str, text: str, status: int) -> None:
        play(cloud, name, status=status)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, text in answer.text) == (status, True)
        assert not is_applied(cloud)


class TestRetryAfter:
    @pytest.mark.parametrize(("status", "code"), [(429, "APIGW.0308"), (503, "WKS.00050902")])
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("retry_after_seconds", "2"),
            ("retry_after_absurd", "99999999999"),
            ("retry_after_negative", "-5"),
            ("retry_after_garbage", "soon"),
        ],
    )
    def test_has_many_forms(self, cloud: Cloud, name: str, value: str, status: int, code: str) -> None:
        play(cloud, name, status=status, seconds=2)

        answer = cloud.groups()

        assert (answer.status_code, answer.headers["Retry-After"]) == (status, value)
        assert answer.json()["error_code"] == code

    def test_may_be_a_date(self, cloud: Cloud) -> None:
        play(cloud, "retry_after_date", seconds=60)

        answer = cloud.groups()

        wait = parsedate_to_datetime(answer.headers["Retry-After"]) - parsedate_to_datetime(answer.headers["Date"])
        assert 58 <= wait.total_seconds() <= 61

    def test_throttling_counts(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "throttling", "requests": 3, "seconds": 60})

        answers = [cloud.groups() for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert "policy user over ratelimit,limit:3,time:60 second" in answers[-1].json()["error_msg"]

    def test_throttling_forgets_what_is_long_ago(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "throttling", "requests": 1, "seconds": 0})

        assert [cloud.groups().status_code for _ in range(3)] == [200, 200, 200]


class TestBodies:
    @pytest.mark.parametrize(
        ("name", "text"),
        [("html", "<h1>"), ("empty", ""), ("not_json", "OK"), ("null", "null"), ("error_in_200", '"error_code"')],
    )
    @pytest.mark.parametrize("applied", [True, False])
    def test_are_another_thing_in_200(self, cloud: Cloud, name: str, text: str, applied: bool) -> None:
        play(cloud, name, applied=applied)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, text in answer.text) == (200, True)
        assert is_applied(cloud) == applied

    def raw(self, cloud: Cloud) -> bytes:
        return cloud.get(GROUP).content

    def test_end_in_the_middle(self, cloud: Cloud) -> None:
        play(cloud, "cut_json")

        with pytest.raises(json.JSONDecodeError):
            json.loads(self.raw(cloud))

    def test_name_a_member_twice(self, cloud: Cloud) -> None:
        play(cloud, "duplicate_keys")

        assert self.raw(cloud).startswith(b'{"id":"first","id":"' + DESIGN_POOL.encode())

    def test_of_a_patch_have_no_members_to_repeat(self, cloud: Cloud) -> None:
        play(cloud, "duplicate_keys")

        assert cloud.patch({"name": "TEST"}).text == "null"

    def test_are_of_other_types(self, cloud: Cloud) -> None:
        play(cloud, "wrong_types")

        group = cloud.show()

        assert (group["id"], group["name"], group["is_vdi"], group["system_disk_size"]) == (DESIGN_POOL, 11, "no", "80")
        assert (group["tags"], group["route_policy"]) == ({"0": "zero"}, ["not", "an", "object"])

    def test_have_words_no_one_knows(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "unknown_enums"})

        assert cloud.show()["storage_mount_policy"] == "BRAND_NEW"
        assert {group["app_type"] for group in cloud.groups().json()["items"]} == {"BRAND_NEW"}

    def test_lack_members(self, cloud: Cloud) -> None:
        play(cloud, "missing_members", members=["name", "route_policy"])

        assert not {"name", "route_policy"} & set(cloud.show())

    def test_have_nulls(self, cloud: Cloud) -> None:
        play(cloud, "null_members", members=["name", "tags"])

        group = cloud.show()

        assert (group["name"], group["tags"], group["id"]) == (None, None, DESIGN_POOL)

    def test_have_extra_members(self, cloud: Cloud) -> None:
        play(cloud, "extra_members")

        assert {"x_new", "", "__proto__"} < set(cloud.show())

    def test_miscount(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "wrong_count", "by": -2})

        assert cloud.groups().json()["count"] == 40
        assert cloud.show()["name"] == "design-pool"

    def test_spoil_only_successes(self, cloud: Cloud) -> None:
        play(cloud, "extra_members")

        assert set(cloud.groups("/unknown").json()) == {"error_code", "error_msg"}

    def test_of_a_patch_stay_null_when_there_is_nothing_to_edit(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "wrong_types", "times": 1}, {"fault": "wrong_count", "times": 1})

        assert [cloud.patch({"name": name}).text for name in ("a", "b")] == ["null", "null"]

    def test_are_huge(self, cloud: Cloud) -> None:
        play(cloud, "huge")

        raw = self.raw(cloud)

        assert len(raw) > 5_000_000
        assert json.loads(raw)["name"] == "design-pool"

    def test_are_a_gzip_bomb(self, cloud: Cloud) -> None:
        play(cloud, "gzip_bomb", bytes=20_000_000)

        with cloud.call("GET", GROUP, stream=True) as answer:
            packed = answer.raw.read(decode_content=False)

        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(packed) < 50_000
        assert len(gzip.decompress(packed)) > 20_000_000

    def test_lie_about_gzip(self, cloud: Cloud) -> None:
        play(cloud, "broken_gzip")

        with pytest.raises(requests.exceptions.ContentDecodingError):
            self.raw(cloud)

    def test_are_not_utf8(self, cloud: Cloud) -> None:
        play(cloud, "bad_utf8")

        with pytest.raises(UnicodeDecodeError):
            self.raw(cloud).decode("utf-8")

    def test_call_themselves_html(self, cloud: Cloud) -> None:
        play(cloud, "wrong_content_type")

        answer = cloud.get(GROUP)

        assert (answer.headers["Content-Type"], answer.json()["id"]) == ("text/html", DESIGN_POOL)

    def test_are_nested_deeply(self, cloud: Cloud) -> None:
        play(cloud, "deep_nesting")

        with pytest.raises(RecursionError):
            json.loads(self.raw(cloud))


class TestTime:
    def test_delay_waits_and_answers_faithfully(self, cloud: Cloud) -> None:
        play(cloud, "delay", delay_ms=150)
        start = time.monotonic()

        answer = cloud.patch({"name": "TEST"})

        assert (answer.text, is_applied(cloud)) == ("null", True)
        assert time.monotonic() - start >= 0.15

    def test_any_fault_can_be_delayed(self, cloud: Cloud) -> None:
        play(cloud, "unavailable", delay_ms=100)
        start = time.monotonic()

        assert cloud.groups().status_code == 503
        assert time.monotonic() - start >= 0.1

    def test_slow_takes_its_seconds(self, cloud: Cloud) -> None:
        play(cloud, "slow", seconds=0.3)
        start = time.monotonic()

        assert cloud.show()["name"] == "design-pool"
        assert 0.25 <= time.monotonic() - start < 3

    def test_drip_is_a_byte_at_a_time(self, cloud: Cloud) -> None:
        play(cloud, "drip", seconds=0.05)

        with Wire(cloud) as wire:
            wire.send()
            parts = [wire.socket.recv(4096) for _ in range(4)]

        assert parts[0].endswith(b"\r\n\r\nn")
        assert parts[1:] == [b"u", b"l", b"l"]
        assert is_applied(cloud)

    def test_stall_is_headers_and_nothing_more(self, cloud: Cloud) -> None:
        play(cloud, "stall")

        with Wire(cloud) as wire:
            wire.send()
            head, rest = wire.socket.recv(4096), wire.read_some(0.1)

        assert (head.endswith(b"\r\n\r\n"), rest, is_applied(cloud)) == (True, b"", True)

    def test_stall_ends_after_its_seconds(self, cloud: Cloud) -> None:
        play(cloud, "stall", seconds=0.1)

        with Wire(cloud) as wire:
            wire.send()

            assert wire.read().endswith(b"\r\n\r\n")

    @pytest.mark.parametrize(("name", "applied"), [("silence", False), ("silence_after_applying", True)])
    def test_silence_is_not_a_byte(self, cloud: Cloud, name: str, applied: bool) -> None:
        play(cloud, name, seconds=0.2)

        with Wire(cloud) as wire:
            wire.send()

            assert wire.read_some(0.1) == b""
            assert wire.read_some(2) == b""

        assert is_applied(cloud) == applied
        assert cloud.requests()[0]["status"] is None


class TestConnection:
    def test_truncated_promises_more_than_comes(self, cloud: Cloud) -> None:
        play(cloud, "truncated")

        with Wire(cloud) as wire:
            wire.send()
            head, _, body = wire.read().partition(b"\r\n\r\n")

        assert (b"Content-Length: 4" in head, body, is_applied(cloud)) == (True, b"nu", True)

    def test_half_closed_ends_one_way_only(self, cloud: Cloud) -> None:
        play(cloud, "half_closed", seconds=5)

        with Wire(cloud) as wire:
            wire.send()
            assert wire.read().endswith(b"nu")
            wire.send()  # the other way is open, and no one answers

            assert wire.read() == b""

    def test_close_after_answer_is_unannounced(self, cloud: Cloud) -> None:
        play(cloud, "close_after_answer")

        with Wire(cloud) as wire:
            wire.send()
            answer = wire.read()

        assert answer.endswith(b"null")
        assert b"Connection: close" not in answer

    @pytest.mark.parametrize(("name", "applied"), [("drop_before_answer", False), ("drop_after_applying", True)])
    def test_drop_is_an_end_without_a_word(self, cloud: Cloud, name: str, applied: bool) -> None:
        play(cloud, name)

        with Wire(cloud) as wire:
            wire.send()

            assert wire.read() == b""

        assert is_applied(cloud) == applied
        assert (cloud.requests()[0]["body"], cloud.requests()[0]["status"]) == ({"name": "TEST"}, None)

    @pytest.mark.parametrize(
        ("name", "applied"), [("reset_after", False), ("reset_after_applying", True), ("reset_before", False)]
    )
    def test_reset_is_a_reset(self, cloud: Cloud, name: str, applied: bool) -> None:
        play(cloud, name)

        with Wire(cloud) as wire, pytest.raises(ConnectionResetError):
            wire.send_and_read()

        assert is_applied(cloud) == applied
        assert cloud.requests()[0]["status"] is None

    def test_reset_before_does_not_wait_for_the_body(self, cloud: Cloud) -> None:
        play(cloud, "reset_before")

        with Wire(cloud) as wire, pytest.raises(ConnectionResetError):
            wire.send_and_read(b"", 1000)

        assert cloud.requests()[0]["body"] is None

    def test_reset_during_the_request_comes_halfway(self, cloud: Cloud) -> None:
        play(cloud, "reset_during")

        with Wire(cloud) as wire, pytest.raises(ConnectionResetError):
            wire.send_and_read(b"x" * 500, 1000)

        assert cloud.requests()[0]["body"] == "x" * 500

    def test_reset_in_the_answer_comes_after_some_of_it(self, cloud: Cloud) -> None:
        play(cloud, "reset_in_answer")

        with pytest.raises(requests.exceptions.RequestException):
            cloud.patch({"name": "TEST"})

        assert is_applied(cloud)


@pytest.mark.parametrize("name", ["stall", "silence", "half_closed", "reset_after", "reset_in_answer"])
def test_bad_manners_without_a_socket_just_end(name: str) -> None:
    """Under a server that does not hand out the client's socket."""
    pace = {"seconds": 0.01} if "seconds" in KINDS[name].options else {}
    app = create_app(Settings(faults=[{"fault": name, **pace}]))

    with pytest.raises(ConnectionAbortedError):
        Client(app).get("/v2/cloudimages", buffered=True)


def test_a_client_that_resets_is_not_waited_for(cloud: Cloud) -> None:
    play(cloud, "silence")
    before = threading.active_count()

    with Wire(cloud) as wire:
        wire.send()
        wire.read_some(0.1)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert wait_for(lambda: threading.active_count() <= before)


def wait_for(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


class TestLate:
    def test_applies_after_the_answer(self, cloud: Cloud) -> None:
        play(cloud, "late", after_ms=150)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, is_applied(cloud)) == (504, False)
        assert wait_for(lambda: is_applied(cloud))
        assert cloud.history()[0]["request"] == 1

    @pytest.mark.parametrize("answer", ["drop", "reset"])
    def test_may_end_the_connection(self, cloud: Cloud, answer: str) -> None:
        play(cloud, "late", after_ms=50, answer=answer)

        with pytest.raises(requests.exceptions.ConnectionError):
            cloud.patch({"name": "TEST"})

        assert wait_for(lambda: is_applied(cloud))

    def test_refuses_at_once_what_is_refused_anyway(self, cloud: Cloud) -> None:
        play(cloud, "late", after_ms=10)

        assert cloud.patch({"name": "two words"}).status_code == 400

    def test_a_broken_rule_is_silent(self, cloud: Cloud) -> None:
        play(cloud, "late", after_ms=10)

        assert cloud.patch({"name": "finance-eu"}).status_code == 504
        time.sleep(0.1)
        assert not is_applied(cloud)

    def test_reset_cancels_it(self, cloud: Cloud) -> None:
        play(cloud, "late", after_ms=100)
        cloud.patch({"name": "TEST"})

        cloud.control("POST", "reset")
        time.sleep(0.2)

        assert not is_applied(cloud)


class TestEffects:
    def test_stale_reads_lag(self, cloud: Cloud) -> None:
        cloud.patch({"name": "first"})
        cloud.faults({"fault": "stale_reads", "seconds": 0.3, "match": {"method": "GET"}})
        cloud.patch({"name": "the-new-one"})

        assert cloud.show()["name"] != "the-new-one"
        assert "the-new-one" not in cloud.groups().text
        time.sleep(0.35)
        assert cloud.show()["name"] == "the-new-one"

    def test_stale_reads_do_not_mix_projects(self, cloud: Cloud) -> None:
        cloud.patch({"name": "first"})
        cloud.faults({"fault": "stale_reads", "seconds": 60.0})

        assert cloud.groups(project="5d2e8f1a3b7c49d6a0e4c8b2f6d1a3e7").json()["count"] == 8

    def test_partial_applies_half(self, cloud: Cloud) -> None:
        play(cloud, "partial")

        answer = cloud.patch({"name": "TEST", "description": "new"})

        group = cloud.show()
        assert (answer.status_code, group["name"], group["description"]) == (500, "TEST", "CAD users, Building 7")

    def test_partial_applies_what_is_named(self, cloud: Cloud) -> None:
        play(cloud, "partial", members=["description"], status=200)

        answer = cloud.patch({"name": "TEST", "description": "new"})

        group = cloud.show()
        assert (answer.text, group["name"], group["description"]) == ("null", "design-pool", "new")

    def test_partial_refuses_what_is_refused_anyway(self, cloud: Cloud) -> None:
        play(cloud, "partial")

        assert cloud.patch({"name": "finance-eu"}).status_code == 400

    def test_ignored_says_null(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "ignored"})

        assert cloud.patch({"name": "TEST"}).text == "null"
        assert cloud.patch({"name": "two words"}).status_code == 400
        assert not is_applied(cloud)

    @pytest.mark.parametrize(("when", "order"), [("before", [None, 1]), ("after", [1, None])])
    def test_overtaken_is_someone_else(self, cloud: Cloud, when: str, order: list[int | None]) -> None:
        play(cloud, "overtaken", when=when, changes={"name": "theirs"})

        cloud.patch({"description": "ours"})

        assert [change["request"] for change in cloud.history()] == order
        assert (cloud.show()["name"], cloud.show()["description"]) == ("theirs", "ours")

    def test_overtaken_after_a_refusal_does_nothing(self, cloud: Cloud) -> None:
        play(cloud, "overtaken", when="after")

        assert cloud.patch({"name": "two words"}).status_code == 400
        assert not is_applied(cloud)

    @pytest.mark.parametrize(("places", "distinct"), [(1, 39), (-1, 39)])
    def test_a_shifting_list_repeats_or_skips(self, cloud: Cloud, places: int, distinct: int) -> None:
        cloud.faults({"fault": "shifting_list", "places": places})

        pages = [cloud.groups(offset=offset, limit=14).json()["items"] for offset in (0, 14, 28)]

        ids = [group["id"] for page in pages for group in page]
        assert len(set(ids)) <= 41
        assert len(set(ids)) >= distinct

    def test_redirect_names_another_host(self, cloud: Cloud) -> None:
        play(cloud, "redirect", status=302)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, answer.headers["Location"]) == (302, f"http://elsewhere.example{GROUP}")
        assert not is_applied(cloud)

    def test_redirect_keeps_the_query(self, cloud: Cloud) -> None:
        play(cloud, "redirect", location="http://127.0.0.1:9")

        answer = cloud.groups(limit=5)

        assert answer.headers["Location"] == f"http://127.0.0.1:9/v1/{PROJECT}/app-server-groups?limit=5"

    def test_revoked_tokens_end_for_good(self, cloud: Cloud) -> None:
        token = issued_token(cloud)
        play(cloud, "revoked_tokens")

        statuses = [cloud.call("GET", GROUP, headers={"X-Auth-Token": token}).status_code for _ in range(2)]

        assert statuses == [401, 401]
        assert cloud.call("GET", GROUP, headers={"X-Auth-Token": issued_token(cloud)}).status_code == 200

    def test_a_skewed_clock_is_in_the_date(self, cloud: Cloud) -> None:
        play(cloud, "skewed_clock", seconds=-1800)

        skewed, right = (parsedate_to_datetime(cloud.groups().headers["Date"]) for _ in range(2))

        assert 1798 <= (right - skewed).total_seconds() <= 1802


def issued_token(cloud: Cloud) -> str:
    user = {"name": "ops-bot", "password": "simulator", "domain": {"name": "example-corp"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": PROJECT}}}}
    return cloud.call("POST", "/v3/auth/tokens", json=body).headers["X-Subject-Token"]


def test_200_threads_are_all_refused_and_counted(cloud: Cloud) -> None:
    cloud.faults({"fault": "unauthorized", "times": 200})

    with ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(lambda _: requests.get(cloud.url + GROUP, timeout=10).status_code, range(200)))

    assert statuses == [401] * 200
    assert len(cloud.requests()) == 200


def test_no_fault_is_without_a_test() -> None:
    source = Path(__file__).read_text(encoding="utf-8")

    assert [name for name in KINDS if f'"{name}"' not in source] == []
