"""The request of each method of the client, and how it reads the response."""

import logging
import re
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from dashboard.cloud import client as client_module
from dashboard.cloud import errors
from dashboard.cloud.catalogue import Image, NameCheck, Restrict, VolumeType
from dashboard.cloud.client import Client, UpdateResponse, client_for
from dashboard.cloud.credentials import TokenCredential
from dashboard.cloud.limits import Limits
from dashboard.cloud.paging import PAGES_AT_ONCE
from dashboard.cloud.resources import Server, ServerGroup, ServerGroupState, Session

from .scripted import GROUP_ID, LONG_LIMITS, PROJECT_ID, Received, Responder, reset, respond, scripted_cloud

OTHER_ID = "d2a7f6e0-1c3b-4b8a-9f52-0a6b7c8d9e0f"


def query_of(received: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(received.path).query).items()}


def rows(count: int) -> list[dict[str, object]]:
    return [{"id": f"group-{number}", "name": f"pool-{number}"} for number in range(count)]


def paged(items: list[dict[str, object]]) -> Callable[[Received], Responder]:
    def route(received: Received) -> Responder:
        query = query_of(received)
        offset, limit = int(query["offset"]), int(query["limit"])
        return respond(200, {"count": len(items), "items": items[offset : offset + limit]})

    return route


def test_shows_a_group_of_the_project() -> None:
    with scripted_cloud(respond(200, {"id": GROUP_ID, "name": "design-pool"})) as cloud:
        group = cloud.client().show_server_group(GROUP_ID)

    assert group == ServerGroup(id=GROUP_ID, name="design-pool")
    assert cloud.requests[0].method == "GET"
    assert cloud.requests[0].path == f"/v1/{PROJECT_ID}/app-server-groups/{GROUP_ID}"
    assert cloud.requests[0].headers["X-Auth-Token"] == "canary-token"


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": OTHER_ID}, {"name": "design-pool"}])
def test_rejects_a_group_with_another_id_than_the_requested_one(body: object) -> None:
    with scripted_cloud(respond(200, body, {"X-Request-Id": "r1"})) as cloud:
        client = cloud.client()

        with pytest.raises(errors.BadResponseError, match="not the requested server group") as caught:
            client.show_server_group(GROUP_ID)

    assert (caught.value.http_status, caught.value.request_id) == (200, "r1")


@pytest.mark.parametrize("group_id", ["", ".", "..", "../x", "a/b", "a?b", "a b", "%2e%2e", "ä", "x" * 129, "a\n"])
def test_does_not_send_an_id_that_cannot_be_part_of_an_address(group_id: str) -> None:
    with scripted_cloud(respond(200, None)) as cloud:
        client = cloud.client()

        with pytest.raises(errors.NotFoundError):
            client.show_server_group(group_id)
        with pytest.raises(errors.NotFoundError):
            client.update_server_group(group_id, {"name": "TEST"})

    assert cloud.requests == []


def test_sends_only_the_payload_in_an_update() -> None:
    payload = {"name": "TEST", "server_group_status": False, "route_policy": {"max_session": 6}}
    with scripted_cloud(respond(200, None, {"X-Request-Id": "5f0c6b7d"})) as cloud:
        done = cloud.client().update_server_group(GROUP_ID, payload)

    (request,) = cloud.requests
    assert done == UpdateResponse(200, "5f0c6b7d", done.duration_ms)
    assert 0 <= done.duration_ms < 5000
    assert (request.method, request.path) == ("PATCH", f"/v1/{PROJECT_ID}/app-server-groups/{GROUP_ID}")
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == payload


def test_a_rejection_contains_the_message_of_the_cloud() -> None:
    rejection = respond(403, {"error_code": "WKS.00081102", "error_msg": "no permission", "request_id": "r2"})
    with scripted_cloud(rejection) as cloud:
        client = cloud.client()

        with pytest.raises(errors.ForbiddenError) as caught:
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    error = caught.value
    assert (error.http_status, error.error_code, error.error_msg) == (403, "WKS.00081102", "no permission")
    assert error.request_id == "r2"
    assert error.duration_ms is not None
    assert str(error) == "UpdateServerGroup was rejected (WKS.00081102: no permission)"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.InvalidError),
        (401, errors.UnauthenticatedError),
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (405, errors.RejectedError),
        (413, errors.RejectedError),
        *((status, errors.OutcomeUnknownError) for status in (408, 409, 425, 429, 499)),
    ],
)
@pytest.mark.parametrize("body", [{"error_code": "X", "error_msg": "y"}, {"error_code": "X", "error_message": "y"}])
def test_a_4xx_in_the_form_of_the_provider_rejects_a_write(
    status: int, error: type[errors.CloudError], body: object
) -> None:
    with scripted_cloud(respond(status, body)) as cloud:
        client = cloud.client()

        with pytest.raises(error) as caught:
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert type(caught.value) is error


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 413, 425, 429, 499])
@pytest.mark.parametrize("body", [b"<html>no</html>", b"", None, {}, [], {"error_code": 4, "error_msg": "y"}])
def test_the_outcome_of_a_write_is_unknown_after_a_4xx_in_another_form(status: int, body: object) -> None:
    with scripted_cloud(respond(status, body)) as cloud:
        client = cloud.client()

        with pytest.raises(errors.OutcomeUnknownError) as caught:
            client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert (caught.value.http_status, len(cloud.requests)) == (status, 1)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.InvalidError),
        (401, errors.UnauthenticatedError),
        (404, errors.NotFoundError),
        (409, errors.RejectedError),
        (429, errors.ThrottledError),
    ],
)
@pytest.mark.parametrize("body", [{"error_code": "X", "error_msg": "y"}, b"<html>no</html>", b"", None])
def test_a_4xx_with_any_body_rejects_a_read(status: int, error: type[errors.CloudError], body: object) -> None:
    with scripted_cloud(respond(status, body)) as cloud:
        client = cloud.client()

        with pytest.raises(error) as caught:
            client.show_server_group(GROUP_ID)

    assert type(caught.value) is error


def test_lists_all_groups_in_order_in_pages_of_100() -> None:
    with scripted_cloud(route=paged(rows(250))) as cloud:
        reading = cloud.client().list_server_groups()

    assert [group.id for group in reading.value] == [f"group-{number}" for number in range(250)]
    assert datetime.now(UTC) - reading.as_of < timedelta(seconds=5)
    assert sorted((query_of(request)["offset"], query_of(request)["limit"]) for request in cloud.requests) == [
        ("0", "100"),
        ("100", "100"),
        ("200", "100"),
    ]


def test_reads_the_pages_after_the_first_at_the_same_time() -> None:
    together = threading.Barrier(9)
    page = paged(rows(1000))

    def route(received: Received) -> Responder:
        if query_of(received)["offset"] != "0":
            together.wait(5)
        return page(received)

    with scripted_cloud(route=route) as cloud:
        reading = cloud.client(limits=Limits()).list_server_groups()

    assert len(reading.value) == 1000
    assert not together.broken


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101])
def test_a_list_ends_at_its_count(count: int) -> None:
    with scripted_cloud(route=paged(rows(count))) as cloud:
        reading = cloud.client().list_server_groups()

    assert len(reading.value) == count
    assert len(cloud.requests) == (2 if count > 100 else 1)


def test_reads_a_list_again_after_rows_moved_between_pages() -> None:
    first = rows(150)
    shifted: list[dict[str, object]] = [{"id": "new", "name": "new"}, *first]
    asked: list[str] = []

    def route(received: Received) -> Responder:
        asked.append(query_of(received)["offset"])
        return paged(first if len(asked) == 1 else shifted)(received)

    with scripted_cloud(route=route) as cloud:
        reading = cloud.client().list_server_groups()

    assert asked == ["0", "100", "0", "100"]
    assert [group.id for group in reading.value] == [row["id"] for row in shifted]


def test_accepts_a_list_with_repeated_rows_once_after_a_second_read() -> None:
    endless = [{"id": "same"}] * 100
    with scripted_cloud(respond(200, {"count": 200, "items": endless})) as cloud:
        reading = cloud.client().list_server_groups()

    assert [group.id for group in reading.value] == ["same"]
    assert (reading.total, reading.unreadable, reading.is_complete) == (200, 199, False)
    assert len(cloud.requests) == 4


def test_reads_one_page_of_groups_or_servers() -> None:
    items: list[dict[str, object]] = [*rows(249), {"name": "without an id"}]
    with scripted_cloud(route=paged(items)) as cloud:
        client = cloud.client()
        groups, servers = client.server_group_page(200), client.server_page(100)

    assert (groups.items[-1].id, len(groups.items)) == ("group-248", 49)
    assert (groups.total, groups.without_id, groups.size > 1000) == (250, 1, True)
    assert (servers.items[0].id, len(servers.items)) == ("group-100", 100)
    assert [request.path.split("/")[-1] for request in cloud.requests] == [
        "app-server-groups?offset=200&limit=100",
        "app-servers?offset=100&limit=100",
    ]


@pytest.mark.parametrize("responder", [respond(503), respond(429), reset], ids=["503", "429", "reset"])
@pytest.mark.parametrize(
    "read",
    [
        lambda client: client.server_group_page(0),
        lambda client: client.server_page(0),
        lambda client: client.show_server_group(GROUP_ID, is_repeatable=False),
    ],
    ids=["groups", "servers", "one group"],
)
def test_sends_a_read_of_the_refresh_only_once(read: Callable[[Client], object], responder: Responder) -> None:
    with scripted_cloud(responder) as cloud, pytest.raises(errors.CloudError):
        read(cloud.client())

    assert len(cloud.requests) == 1


def test_a_page_of_servers_may_belong_to_a_longer_list_than_the_groups() -> None:
    with scripted_cloud(respond(200, {"count": 100_001, "items": rows(100)})) as cloud:
        client = cloud.client()

        assert client.server_page(0).total == 100_001
        with pytest.raises(errors.ListTooLargeError, match="has more than 100,000 rows"):
            client.server_group_page(0)


def test_counts_items_without_an_id_as_unreadable() -> None:
    with scripted_cloud(respond(200, {"count": 4, "items": [{"id": "a"}, {"name": "b"}, None, "c"]})) as cloud:
        reading = cloud.client().list_server_groups()

    assert reading.value == (ServerGroup(id="a"),)
    assert (reading.total, reading.unreadable, reading.is_complete) == (4, 3, True)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("group_id", ["a/b", "..", "a b", "a?b", "\N{ZERO WIDTH SPACE}", "a" * 129])
def test_reads_and_marks_a_group_with_an_unusable_id(group_id: str) -> None:
    with scripted_cloud(respond(200, {"count": 1, "items": [{"id": group_id, "name": "pool"}]})) as cloud:
        reading = cloud.client().list_server_groups()

    assert [(group.id, group.name, bool(group.id_problem)) for group in reading.value] == [(group_id, "pool", True)]
    assert reading.is_complete


# Incomplete lists


def test_a_list_that_lacks_rows_is_incomplete() -> None:
    with scripted_cloud(respond(200, {"count": 150, "items": rows(15)})) as cloud:
        reading = cloud.client().list_server_groups()

    assert (len(reading.value), reading.total, reading.unreadable, reading.is_complete) == (15, 150, 135, False)


def test_a_list_is_complete_with_a_group_that_was_added_between_pages() -> None:
    def route(received: Received) -> Responder:
        offset = int(query_of(received)["offset"])
        return respond(200, {"count": 150 + (offset > 0), "items": rows(151)[offset : offset + 100]})

    with scripted_cloud(route=route) as cloud:
        reading = cloud.client().list_server_groups()

    assert (len(reading.value), reading.total, reading.is_complete) == (151, 151, True)


@pytest.mark.parametrize("items", [rows(15), [*rows(15), {"name": "no id"}]])
def test_rejects_an_incomplete_list_of_servers_or_sessions(items: list[dict[str, object]]) -> None:
    with scripted_cloud(respond(200, {"count": 16, "items": items})) as cloud:
        client = cloud.client()

        with pytest.raises(errors.IncompleteListError, match="15 of 16 rows of ListServers could be read"):
            client.list_servers()
        with pytest.raises(errors.IncompleteListError, match="15 of 16 rows of ListSessions could be read"):
            client.list_sessions(GROUP_ID)


# Limits for all pages


def test_rejects_a_list_whose_count_exceeds_the_limit() -> None:
    with scripted_cloud(respond(200, {"count": 100_001, "items": rows(100)})) as cloud:
        client = cloud.client()

        with pytest.raises(errors.ListTooLargeError, match="has more than 100,000 rows"):
            client.list_server_groups()

    assert len(cloud.requests) == 1


def test_rejects_pages_with_more_rows_than_the_limit() -> None:
    with scripted_cloud(respond(200, {"count": 300, "items": rows(400)})) as cloud:
        client = cloud.client(limits=replace(LONG_LIMITS, list_rows=1000))

        with pytest.raises(errors.ListTooLargeError, match="has more than 1,000 rows"):
            client.list_server_groups()

    assert len(cloud.requests) == 3


def test_requests_no_more_pages_after_the_limit_of_bytes() -> None:
    big = [{"id": f"group-{number}", "description": "x" * 48_000} for number in range(100)]
    page = respond(200, {"count": 100_000, "items": big})
    limits = Limits(connect=5, read=5, whole=30, list_bytes=40_000_000)
    tracemalloc.start()
    try:
        with scripted_cloud(page) as cloud:
            client = cloud.client(limits=limits)
            with pytest.raises(errors.ListTooLargeError, match="has more than 40,000,000 bytes"):
                client.list_server_groups()
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 9 <= len(cloud.requests) <= 9 + PAGES_AT_ONCE  # nine pages of 4.8 MB exceed the limit; others may have begun
    assert peak < 250_000_000


def test_the_limits_apply_to_each_read_of_a_list_separately() -> None:
    with scripted_cloud(respond(200, {"count": 4, "items": rows(3)})) as cloud:
        reading = cloud.client(limits=replace(LONG_LIMITS, list_rows=5)).list_server_groups()

    assert len(reading.value) == 3
    assert len(cloud.requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"count": 1},
        {"items": []},
        {"count": "2", "items": []},
        {"count": -1, "items": []},
        {"count": 1, "items": {"id": "a"}},
    ],
)
def test_rejects_a_list_without_a_valid_count(body: object) -> None:
    with scripted_cloud(respond(200, body)) as cloud:
        client = cloud.client()

        with pytest.raises(errors.BadResponseError, match="not a list with its count"):
            client.list_server_groups()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_raises_if_the_cloud_rejects_the_list(status: int) -> None:
    with scripted_cloud(respond(200, {"count": 1, "items": [{"id": "a"}]}), respond(status, {})) as cloud:
        client = cloud.client()
        client.list_server_groups()

        with pytest.raises(errors.RejectedError):
            client.list_server_groups()


def test_raises_if_the_cloud_is_unavailable() -> None:
    with scripted_cloud(respond(503, {"error_code": "WKS.00050902", "error_msg": "unavailable"})) as cloud:
        client = cloud.client()

        with pytest.raises(errors.UnavailableError, match=r"WKS\.00050902"):
            client.list_server_groups()


def test_counts_the_servers_of_a_group_by_status() -> None:
    with scripted_cloud(respond(200, {"aps_status": {"REGISTERED": 2, "NONE": 0}})) as cloud:
        state = cloud.client().show_server_group_state(GROUP_ID)

    assert state == ServerGroupState({"REGISTERED": 2, "NONE": 0})
    assert cloud.requests[0].path.endswith(f"/app-server-groups/{GROUP_ID}/state")


@pytest.mark.parametrize(
    ("group_id", "expected"),
    [(GROUP_ID, {"server_group_id": GROUP_ID, "offset": "0", "limit": "100"}), (None, {"offset": "0", "limit": "100"})],
)
def test_lists_the_servers_of_a_group_or_of_the_project(group_id: str | None, expected: dict[str, str]) -> None:
    item = {"id": "s", "status": "REGISTERED", "session_count": 4, "image_id": "i", "server_group_id": GROUP_ID}
    with scripted_cloud(respond(200, {"count": 1, "items": [item]})) as cloud:
        servers = cloud.client().list_servers(group_id)

    assert servers == (Server("s", status="REGISTERED", session_count=4, image_id="i", server_group_id=GROUP_ID),)
    assert urlsplit(cloud.requests[0].path).path == f"/v1/{PROJECT_ID}/app-servers"
    assert query_of(cloud.requests[0]) == expected


def test_lists_the_open_sessions_of_a_group_with_both_time_bounds() -> None:
    item = {"id": "x", "login_user": "mlee", "session_state": "Active", "start_time": "2026-10-19T12:40:03Z"}
    with scripted_cloud(respond(200, {"count": 1, "items": [item]})) as cloud:
        sessions = cloud.client().list_sessions(GROUP_ID)

    started = datetime(2026, 10, 19, 12, 40, 3, tzinfo=UTC)
    assert sessions == (Session("x", login_user="mlee", session_state="Active", start_time=started),)
    query = query_of(cloud.requests[0])
    begin, end = (datetime.fromisoformat(query.pop(f"query_{bound}_time")) for bound in ("begin", "end"))
    assert begin < datetime.now(UTC) - timedelta(days=364) < datetime.now(UTC) < end
    assert query == {
        "app_server_group_id": GROUP_ID,
        "session_state": "Active,Disconnected,AppcInit",
        "offset": "0",
        "limit": "100",
    }


def test_reads_limits_disk_types_and_the_check_of_a_name() -> None:
    def route(received: Received) -> Responder:
        responders = {
            "restrict": respond(200, {"max_session": 100, "max_group_count": 50}),
            "volume-type": respond(200, {"volume_types": [{"volume_type": "SSD"}, {}]}),
            "validate": respond(200, {"result": False, "validate_rule": "duplicate"}),
        }
        return responders[received.path.rpartition("/")[2]]

    with scripted_cloud(route=route) as cloud:
        client = cloud.client()
        found = (client.show_restrict(), client.list_volume_types(), client.validate_name("design-pool"))

    assert found == (Restrict(100, 50), (VolumeType("SSD"),), NameCheck(is_valid=False, broken_rule="duplicate"))
    assert (cloud.requests[2].method, cloud.requests[2].json) == ("POST", {"name": "design-pool"})


def test_retries_the_check_of_a_name() -> None:
    with scripted_cloud(respond(500, {}), respond(200, {"result": True})) as cloud:
        details = cloud.client().validate_name("x")

    assert details == NameCheck(is_valid=True)
    assert len(cloud.requests) == 2


@pytest.mark.parametrize(
    ("image_type", "expected"),
    [
        ("gold", {"__imagetype": "market"}),
        ("public", {"__imagetype": "gold", "visibility": "public", "protected": "true"}),
        ("private", {"__imagetype": "private", "owner": PROJECT_ID}),
        ("shared", {"__imagetype": "shared", "visibility": "shared", "member_status": "accepted"}),
    ],
)
def test_requests_the_images_of_a_type_with_the_names_of_ims(image_type: str, expected: dict[str, str]) -> None:
    with scripted_cloud(respond(200, {"images": [{"id": "i", "name": "cad", "min_disk": 60}, {}]})) as cloud:
        images = cloud.client().list_images(image_type)

    assert images == (Image("i", image_type, name="cad", min_disk=60),)
    assert urlsplit(cloud.requests[0].path).path == "/v2/cloudimages"
    assert query_of(cloud.requests[0]) == {"status": "active", "__os_type": "Windows", "limit": "500", **expected}


def test_reads_pages_of_images_until_one_is_not_full() -> None:
    def route(received: Received) -> Responder:
        begin = int(query_of(received).get("marker", "-1")) + 1
        return respond(200, {"images": [{"id": str(number)} for number in range(begin, min(begin + 500, 700))]})

    with scripted_cloud(route=route) as cloud:
        images = cloud.client().list_images("public")

    assert [image.id for image in images] == [str(number) for number in range(700)]
    assert [query_of(request).get("marker") for request in cloud.requests] == [None, "499"]


def test_stops_if_a_page_of_images_repeats() -> None:
    with scripted_cloud(respond(200, {"images": [{"id": str(number)} for number in range(500)]})) as cloud:
        images = cloud.client().list_images("public")

    assert len(images) == 500
    assert len(cloud.requests) == 2


def test_reads_no_more_than_the_limit_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MOST_IMAGES", 1000)

    def route(received: Received) -> Responder:
        begin = int(query_of(received).get("marker", "-1")) + 1
        return respond(200, {"images": [{"id": str(number)} for number in range(begin, begin + 500)]})

    with scripted_cloud(route=route) as cloud:
        images = cloud.client().list_images("public")

    assert len(images) == 1000


def test_logs_every_call_with_its_request_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dashboard.cloud")
    forged = respond(403, {"error_code": "WKS.1", "error_msg": "no\nINFO all is well"}, {"X-Request-Id": "r2\x1b[2J"})
    with scripted_cloud(respond(200, {"id": GROUP_ID}, {"X-Request-Id": "r1"}), forged) as cloud:
        client = cloud.client()
        client.show_server_group(GROUP_ID)
        with pytest.raises(errors.ForbiddenError):
            client.show_server_group(GROUP_ID)

    success, rejection = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"ShowServerGroup took \d+ ms, request id r1", success)
    assert re.fullmatch(
        r"ShowServerGroup was rejected \(WKS.1: no INFO all is well\) in \d+ ms, request id r2 \[2J", rejection
    )


def test_all_threads_share_the_client_of_a_project() -> None:
    with scripted_cloud(respond()) as cloud:
        project, other = cloud.project(TokenCredential("a")), cloud.project(TokenCredential("b"))
        with ThreadPoolExecutor(8) as threads:
            clients = set(threads.map(client_for, [project, cloud.project(TokenCredential("a"))] * 50))

    assert len(clients) == 1
    assert client_for(other) not in clients
