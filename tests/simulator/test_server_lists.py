"""Servers and sessions agree with each other and with their group."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.simulator.server import SimulatorServer
from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud


class TestServers:
    def servers(self, cloud: Cloud, **query: Any) -> Any:
        return cloud.get(f"/v1/{PROJECT}/app-servers", **{"limit": 100, **query}).json()

    def test_the_number_of_servers_agrees_with_the_groups(self, cloud: Cloud) -> None:
        expected = sum(group["app_server_count"] for group in cloud.groups(limit=100).json()["items"])

        assert self.servers(cloud)["count"] == expected

    def test_the_pages_together_have_each_server_once(self) -> None:
        with SimulatorServer(groups=200) as server:
            cloud = Cloud(server.url)
            everything = self.servers(cloud)["count"]
            pages = [self.servers(cloud, offset=offset) for offset in range(0, everything + 100, 100)]
            of_last_group = self.servers(cloud, server_group_id=pages[-2]["items"][-1]["server_group_id"])["items"]

        found = [row["id"] for page in pages for row in page["items"]]
        assert (len(found), len(set(found)), pages[-1]["items"]) == (everything, everything, [])
        assert found[-len(of_last_group) :] == [row["id"] for row in of_last_group]

    @pytest.mark.parametrize("name", ["name", "machine_name", "id"])
    def test_filters_servers_by_each_of_their_names(self, cloud: Cloud, name: str) -> None:
        wanted = self.servers(cloud, server_group_id=DESIGN_POOL)["items"][1]
        query = {"name": "server_name", "machine_name": "machine_name", "id": "server_id"}

        found = self.servers(cloud, **{query[name]: wanted[name], "server_group_id": DESIGN_POOL})

        assert [server["id"] for server in found["items"]] == [wanted["id"]]

    def test_filters_servers_by_part_of_an_address(self, cloud: Cloud) -> None:
        wanted = self.servers(cloud, server_group_id=DESIGN_POOL)["items"][0]
        address = wanted["host_address"][0]["addr"]

        assert wanted["id"] in [server["id"] for server in self.servers(cloud, ip_addr=address)["items"]]
        assert self.servers(cloud, ip_addr="203.0.113.")["count"] == 0

    def test_filters_servers_by_flags(self, cloud: Cloud) -> None:
        maintained = self.servers(cloud, maintain_status="true", server_group_id=DESIGN_POOL)["items"]
        grown = self.servers(cloud, scaling_auto_create="true")["items"]

        assert [server["status"] for server in maintained] == ["MAINTAINING"]
        assert {server["server_group_name"] for server in grown} >= {"callcenter-01", "office-standard"}

    def test_an_empty_group_id_is_refused(self, cloud: Cloud) -> None:
        assert cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id="").status_code == 400

    def test_servers_have_the_current_name_of_their_group(self, cloud: Cloud) -> None:
        cloud.patch({"name": "TEST"})

        found = self.servers(cloud, server_group_id=DESIGN_POOL)["items"]
        assert {server["server_group_name"] for server in found} == {"TEST"}


class TestSessions:
    WHENEVER = {"query_begin_time": "2020-01-01T00:00:00.000Z", "query_end_time": "2100-01-01T00:00:00Z"}
    PATH = f"/v1/{PROJECT}/session/list-sessions"

    def sessions(self, cloud: Cloud, **query: Any) -> Any:
        return cloud.get(self.PATH, **{"limit": 100, **self.WHENEVER, **query}).json()

    @pytest.mark.parametrize("missing", ["query_begin_time", "query_end_time"])
    def test_begin_and_end_time_are_required(self, cloud: Cloud, missing: str) -> None:
        query = {name: value for name, value in self.WHENEVER.items() if name != missing}

        response = cloud.get(self.PATH, **query)

        assert (response.status_code, response.json()["error_code"]) == (400, "WKS.00139901")
        assert f"{missing} is missing" in response.json()["error_msg"]

    @pytest.mark.parametrize(
        "time", ["2026-10-01", "now", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-10-01T00:00:00+02:00", ""]
    )
    def test_an_invalid_time_is_refused(self, cloud: Cloud, time: str) -> None:
        assert cloud.get(self.PATH, **{**self.WHENEVER, "query_end_time": time}).status_code == 400

    def test_sessions_agree_with_the_servers(self, cloud: Cloud) -> None:
        servers = cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id=DESIGN_POOL).json()["items"]
        query = {"app_server_group_id": DESIGN_POOL, "session_state": "Active,Disconnected,AppcInit"}
        found = self.sessions(cloud, **query)["items"]

        on_machines = {server["machine_name"]: server["session_count"] for server in servers}
        machines = [session["machine_name"] for session in found]
        assert {machine: machines.count(machine) for machine in on_machines} == on_machines

    def test_filters_sessions_by_state_and_success(self, cloud: Cloud) -> None:
        failed = self.sessions(cloud, is_success="false")["items"]
        by_state = self.sessions(cloud, session_state="InitFail")["items"]

        assert failed == by_state != []
        assert {session["failed_reason"] for session in failed} == {"The desktop did not answer"}

    @pytest.mark.parametrize(
        ("query", "member"), [("user_name", "login_user"), ("vm_ip", "vm_ip"), ("machine_name", "machine_name")]
    )
    def test_filters_sessions_by_user_and_machine(self, cloud: Cloud, query: str, member: str) -> None:
        wanted = self.sessions(cloud)["items"][0][member]

        found = self.sessions(cloud, **{query: wanted})["items"]

        assert {session[member] for session in found} == {wanted}

    def test_sessions_have_no_public_address(self, cloud: Cloud) -> None:
        assert self.sessions(cloud, public_ip="203.0.113.1")["count"] == 0

    def test_filters_sessions_by_their_start(self, cloud: Cloud) -> None:
        start = (datetime.now(UTC) - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S.500Z")

        later = self.sessions(cloud, query_begin_time=start)
        earlier = self.sessions(cloud, query_end_time=start)

        assert later["count"] + earlier["count"] == self.sessions(cloud)["count"]
        assert min(later["count"], earlier["count"]) > 0

    def test_a_switch_filters_sessions_by_their_end(self, cloud: Cloud) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        open_ones = self.sessions(cloud, session_state="Active", query_end_time=now)["count"]
        cloud.switch(query_end_time="end")

        before = self.sessions(cloud, session_state="Active", query_end_time="2026-01-01T00:00:00Z")["count"]
        ended = self.sessions(cloud, session_state="SignedOut", query_end_time=now)["count"]

        assert open_ones > 0
        assert before == 0
        assert ended > 0
