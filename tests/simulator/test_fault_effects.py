"""Faults that affect which changes are applied, when they are applied, and the data of reads."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests
import time_machine

from dashboard.simulator.faults import KINDS
from dashboard.simulator.server import SimulatorServer
from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud
from tests.simulator.connections import GROUP, is_applied, set_fault, wait_for


class TestLate:
    def test_late_applies_the_change_after_the_response(self, cloud: Cloud) -> None:
        set_fault(cloud, "late", after_ms=150)

        response = cloud.patch({"name": "TEST"})

        assert response.status_code == 504
        assert wait_for(lambda: is_applied(cloud))
        [change], [request] = cloud.history(), cloud.requests()
        waited = datetime.fromisoformat(change["time"]) - datetime.fromisoformat(request["time"])
        assert (change["request"], waited >= timedelta(milliseconds=149)) == (1, True)

    def test_late_can_respond_with_success(self, cloud: Cloud) -> None:
        set_fault(cloud, "late", after_ms=60_000, answer="null")

        assert (cloud.patch({"name": "TEST"}).text, cloud.show()["name"]) == ("null", "design-pool")

    def test_late_can_send_no_response(self, cloud: Cloud) -> None:
        set_fault(cloud, "late", after_ms=60_000, answer="silence")

        with pytest.raises(requests.exceptions.ReadTimeout):
            cloud.call("PATCH", GROUP, json={"name": "TEST"}, timeout=0.2)

        assert cloud.control("GET", "late").json() == {"waiting": 1}

    def test_a_control_applies_a_late_change_at_once(self, cloud: Cloud) -> None:
        set_fault(cloud, "late", after_ms=40_000)
        cloud.patch({"name": "TEST"})

        assert cloud.show()["name"] == "design-pool"
        assert cloud.control("POST", "late").json() == {"applied": 1}
        assert cloud.show()["name"] == "TEST"
        assert cloud.control("POST", "late").json() == {"applied": 0}

    @pytest.mark.parametrize("response", ["drop", "reset"])
    def test_late_can_close_the_connection(self, cloud: Cloud, response: str) -> None:
        set_fault(cloud, "late", after_ms=50, answer=response)

        with pytest.raises(requests.exceptions.ConnectionError):
            cloud.patch({"name": "TEST"})

        assert wait_for(lambda: is_applied(cloud))

    def test_late_refuses_an_invalid_request_at_once(self, cloud: Cloud) -> None:
        set_fault(cloud, "late", after_ms=10)

        assert cloud.patch({"name": "two words"}).status_code == 400

    def test_late_does_not_apply_a_change_that_breaks_a_rule(self, cloud: Cloud) -> None:
        set_fault(cloud, "late", after_ms=10)

        assert cloud.patch({"name": "finance-eu"}).status_code == 504
        time.sleep(0.1)
        assert not is_applied(cloud)

    def test_a_reset_drops_a_late_change(self, cloud: Cloud) -> None:
        set_fault(cloud, "late", after_ms=100)
        cloud.patch({"name": "TEST"})

        cloud.control("POST", "reset")
        time.sleep(0.2)

        assert not is_applied(cloud)


def test_a_reset_drops_a_delayed_request(cloud: Cloud) -> None:
    set_fault(cloud, "delay", delay_ms=300)
    with ThreadPoolExecutor(1) as pool:
        patch = pool.submit(cloud.patch, {"name": "TEST"})
        assert wait_for(lambda: bool(cloud.requests()))

        cloud.control("POST", "reset")

        with pytest.raises(requests.exceptions.ConnectionError):
            patch.result()
    assert not is_applied(cloud)


class TestEffects:
    def test_stale_reads_show_an_earlier_state(self, cloud: Cloud) -> None:
        cloud.patch({"name": "the-new-one"})
        cloud.patch({"description": "later still"})

        cloud.faults({"fault": "stale_reads", "seconds": 60})
        old, listed = cloud.show(), cloud.groups().text
        cloud.faults({"fault": "stale_reads", "seconds": 0})

        assert (old["name"], old["description"], "the-new-one" in listed) == (
            "design-pool",
            "CAD users, Building 7",
            False,
        )
        assert cloud.show()["name"] == "the-new-one"

    def test_stale_reads_do_not_mix_projects(self, cloud: Cloud) -> None:
        cloud.patch({"name": "first"})
        cloud.faults({"fault": "stale_reads", "seconds": 60.0})

        assert cloud.groups(project="5d2e8f1a3b7c49d6a0e4c8b2f6d1a3e7").json()["count"] == 8

    def test_partial_applies_half_of_the_members(self, cloud: Cloud) -> None:
        set_fault(cloud, "partial")

        response = cloud.patch({"name": "TEST", "description": "new"})

        group = cloud.show()
        assert (response.status_code, group["name"], group["description"]) == (500, "TEST", "CAD users, Building 7")

    def test_partial_applies_the_named_members(self, cloud: Cloud) -> None:
        set_fault(cloud, "partial", members=["description"], status=200)

        response = cloud.patch({"name": "TEST", "description": "new"})

        group = cloud.show()
        assert (response.text, group["name"], group["description"]) == ("null", "design-pool", "new")

    def test_partial_refuses_an_invalid_request(self, cloud: Cloud) -> None:
        set_fault(cloud, "partial")

        assert cloud.patch({"name": "finance-eu"}).status_code == 400

    def test_ignored_responds_with_null(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "ignored"})

        assert cloud.patch({"name": "TEST"}).text == "null"
        assert cloud.patch({"name": "two words"}).status_code == 400
        assert not is_applied(cloud)

    @pytest.mark.parametrize(("when", "order"), [("before", [None, 1]), ("after", [1, None])])
    def test_overtaken_changes_the_group_before_or_after(
        self, cloud: Cloud, when: str, order: list[int | None]
    ) -> None:
        set_fault(cloud, "overtaken", when=when, changes={"name": "theirs"})

        cloud.patch({"description": "ours"})

        assert [change["request"] for change in cloud.history()] == order
        assert (cloud.show()["name"], cloud.show()["description"]) == ("theirs", "ours")

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_overtaken_changes_nothing_on_a_list(self, cloud: Cloud, when: str) -> None:
        cloud.faults({"fault": "overtaken", "when": when})

        assert cloud.groups().status_code == 200
        assert cloud.history() == []

    def test_overtaken_changes_nothing_after_a_refusal(self, cloud: Cloud) -> None:
        set_fault(cloud, "overtaken", when="after")

        assert cloud.patch({"name": "two words"}).status_code == 400
        assert not is_applied(cloud)

    @pytest.mark.parametrize(("places", "distinct"), [(1, 39), (-1, 39)])
    def test_a_shifting_list_repeats_or_loses_rows(self, cloud: Cloud, places: int, distinct: int) -> None:
        cloud.faults({"fault": "shifting_list", "places": places})

        pages = [cloud.groups(offset=offset, limit=14).json()["items"] for offset in (0, 14, 28)]

        ids = [group["id"] for page in pages for group in page]
        assert len(set(ids)) <= 41
        assert len(set(ids)) >= distinct

    def test_a_shifting_list_loses_rows_at_every_read(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "shifting_list", "places": -1})

        for _ in range(2):
            pages = [cloud.groups(offset=offset, limit=12).json() for offset in (0, 12, 24, 36)]
            assert {page["count"] for page in pages} == {42}
            assert len({group["id"] for page in pages for group in page["items"]}) == 39

    @pytest.mark.parametrize(
        ("how", "counts", "lost", "repeated"),
        [("add", [42, 43, 44], 0, 2), ("remove", [42, 41, 40], 2, 0), ("both", [42, 43, 42], 1, 1)],
    )
    def test_a_changing_list_adds_and_removes_groups(
        self, cloud: Cloud, how: str, counts: list[int], lost: int, repeated: int
    ) -> None:
        before = {group["id"] for group in cloud.groups(limit=100).json()["items"]}
        cloud.faults({"fault": "changing_list", "how": how})

        pages = [cloud.groups(offset=offset, limit=15).json() for offset in (0, 15, 30)]

        cloud.faults()
        ids = [group["id"] for page in pages for group in page["items"]]
        after = {group["id"] for group in cloud.groups(limit=100).json()["items"]}
        assert [page["count"] for page in pages] == counts
        assert (len(before & after - set(ids)), len(ids) - len(set(ids))) == (lost, repeated)
        assert [change["after"] is None for change in cloud.history()] == {
            "add": [False, False],
            "remove": [True, True],
            "both": [False, True],
        }[how]

    def test_a_changing_list_needs_a_list_with_groups(self) -> None:
        with SimulatorServer(groups=0, faults=[{"fault": "changing_list", "how": "remove"}]) as server:
            assert Cloud(server.url).groups(offset=10).json() == {"count": 0, "items": []}

    def test_hidden_groups_are_not_in_lists_but_can_be_read(self, cloud: Cloud) -> None:
        hidden = cloud.groups().json()["items"][3]["id"]
        cloud.faults({"fault": "hidden_groups", "places": [3, 99]})

        listed, light = (cloud.groups(path, limit=100).json() for path in ("", "/actions/list"))

        assert listed["count"] == light["count"] == 41
        assert hidden not in {group["id"] for group in listed["items"] + light["items"]}
        assert cloud.groups(server_group_id=hidden).json()["count"] == 0
        assert cloud.show(hidden)["id"] == hidden
        assert cloud.get("/v2/cloudimages").status_code == 200

    def test_repeated_rows_are_not_seen_in_the_count(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "repeated_rows", "rows": 2})

        page = cloud.groups(limit=10).json()

        names = [group["name"] for group in page["items"]]
        assert (page["count"], len(names), names[8:]) == (42, 10, names[:2])
        assert cloud.groups(server_group_name="no-such-group").json() == {"count": 0, "items": []}

    def test_overtaken_changes_nothing_in_a_group_that_is_gone(self) -> None:
        with SimulatorServer(groups=1) as server:
            cloud = Cloud(server.url)
            cloud.faults({"fault": "overtaken", "when": "after", "match": {"method": "GET"}})
            cloud.control("DELETE", f"groups/{DESIGN_POOL}")

            assert cloud.groups(f"/{DESIGN_POOL}").status_code == 404

    def test_a_short_list_has_fewer_rows_than_its_count(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "short_list"})

        pages = [cloud.groups(offset=offset, limit=10).json() for offset in (0, 10, 20)]

        assert [(page["count"], len(page["items"])) for page in pages] == [(300, 10), (300, 5), (300, 0)]
        assert cloud.show()["name"] == "design-pool"

    def test_a_long_list_is_generated_page_by_page(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "long_list", "rows": 100_000, "row_bytes": 5_000})

        first, last = (cloud.groups(offset=offset, limit=100) for offset in (0, 99_950))

        assert (first.json()["count"], len(first.json()["items"]), len(last.json()["items"])) == (100_000, 100, 50)
        assert 490_000 < len(first.content) < 520_000
        assert len({group["id"] for page in (first, last) for group in page.json()["items"]}) == 150

    def test_a_long_list_needs_a_list_with_rows(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "long_list"})

        assert cloud.show()["name"] == "design-pool"
        assert cloud.groups(server_group_name="no-such-group").json() == {"count": 0, "items": []}

    def test_a_delay_can_apply_to_reads_only(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "delay", "delay_ms": 300, "match": {"method": "GET"}})

        assert cloud.patch({"name": "TEST"}).elapsed < timedelta(milliseconds=300) <= cloud.groups().elapsed

    def test_redirect_names_another_host(self, cloud: Cloud) -> None:
        set_fault(cloud, "redirect", status=302)

        response = cloud.patch({"name": "TEST"})

        assert (response.status_code, response.headers["Location"]) == (302, f"http://elsewhere.example{GROUP}")
        assert not is_applied(cloud)

    def test_redirect_keeps_the_query(self, cloud: Cloud) -> None:
        set_fault(cloud, "redirect", location="http://127.0.0.1:9")

        response = cloud.groups(limit=5)

        assert response.headers["Location"] == f"http://127.0.0.1:9/v1/{PROJECT}/app-server-groups?limit=5"

    def test_redirect_encodes_the_path(self, cloud: Cloud) -> None:
        set_fault(cloud, "redirect")

        response = cloud.get("/v1/%E7%A0%94%0d%0aX-Evil:%201")

        assert response.headers["Location"] == "http://elsewhere.example/v1/%E7%A0%94%0D%0AX-Evil%3A%201"

    def test_a_short_lived_token_expires(self, cloud: Cloud) -> None:
        set_fault(cloud, "short_lived_token", seconds=60)
        headers = {"X-Auth-Token": issued_token(cloud)}

        before = cloud.call("GET", GROUP, headers=headers).status_code
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61)):
            after = cloud.call("GET", GROUP, headers=headers).status_code

        assert (before, after) == (200, 401)

    def test_revoked_tokens_stay_expired(self, cloud: Cloud) -> None:
        token = issued_token(cloud)
        set_fault(cloud, "revoked_tokens")

        statuses = [cloud.call("GET", GROUP, headers={"X-Auth-Token": token}).status_code for _ in range(2)]

        assert statuses == [401, 401]
        assert cloud.call("GET", GROUP, headers={"X-Auth-Token": issued_token(cloud)}).status_code == 200

    def test_a_skewed_clock_changes_the_date(self, cloud: Cloud) -> None:
        set_fault(cloud, "skewed_clock", seconds=-1800)

        skewed, right = (parsedate_to_datetime(cloud.groups().headers["Date"]) for _ in range(2))

        assert 1798 <= (right - skewed).total_seconds() <= 1802


def issued_token(cloud: Cloud) -> str:
    user = {"name": "ops-bot", "password": "simulator", "domain": {"name": "example-corp"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": PROJECT}}}}
    return cloud.call("POST", "/v3/auth/tokens", json=body).headers["X-Subject-Token"]


def test_refuses_and_logs_200_concurrent_requests(cloud: Cloud) -> None:
    cloud.faults({"fault": "unauthorized", "times": 200})

    with ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(lambda _: requests.get(cloud.url + GROUP, timeout=10).status_code, range(200)))

    assert statuses == [401] * 200
    assert len(cloud.requests()) == 200


def test_every_fault_has_a_test() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_fault_*.py"))

    assert [name for name in KINDS if f'"{name}"' not in sources] == []
