"""The client with the simulator. Each was written from the documents alone."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dashboard.cloud import errors, resilience
from dashboard.cloud.checks import Result, check_project, policy_to_grant
from dashboard.cloud.client import Client
from dashboard.cloud.credentials import Credential, KeyCredential, PasswordCredential, TokenCredential
from dashboard.cloud.error_messages import explain
from dashboard.cloud.resources import RoutePolicy
from tests.conftest import Simulated

from .scripted import GROUP_ID, LONG_LIMITS, project_at

TOKEN = TokenCredential("simulator-token")
PASSWORD = PasswordCredential("example-corp", "ops-bot", "simulator")
KEY = KeyCredential("SIMULATORACCESSKEY01", "simulator-secret-key-01")
READ_ONLY = KeyCredential("SIMULATORREADONLY001", "simulator-secret-key-02")
CREDENTIALS = [TOKEN, PASSWORD, KEY]
ALL_FIELDS: dict[str, object] = {
    "name": "design-pool-eu",
    "description": "Zeichner & Konstrukteure <中文>",
    "route_policy": {"max_session": 5, "cpu_threshold": 80, "gpu_threshold": 75, "mem_threshold": 85},
    "storage_mount_policy": "SHARE",
    "app_type": "SESSION_DESKTOP_APP",
    "server_group_status": False,
}


def client_of(simulator: Simulated, credential: Credential = TOKEN) -> Client:
    return Client(project_at(simulator.url, credential), LONG_LIMITS)


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_lists_shows_and_updates_with_each_credential(simulator: Simulated, credential: Credential) -> None:
    client = client_of(simulator, credential)

    listed = client.list_server_groups()
    response = client.update_server_group(GROUP_ID, ALL_FIELDS)
    group = client.show_server_group(GROUP_ID)

    assert len(listed.value) == 42
    assert response.http_status == 200
    assert len(response.request_id) == 32
    assert simulator.patches == [ALL_FIELDS]
    policy = ALL_FIELDS["route_policy"]
    assert group.route_policy == RoutePolicy.from_api(policy)
    assert {path: group.value(path) for path in ALL_FIELDS if path != "route_policy"} == {
        path: value for path, value in ALL_FIELDS.items() if path != "route_policy"
    }


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_reads_servers_sessions_and_choices_of_a_group(simulator: Simulated, credential: Credential) -> None:
    client = client_of(simulator, credential)

    servers = client.list_servers(GROUP_ID)
    sessions = client.list_sessions(GROUP_ID)

    assert {server.server_group_id for server in servers} == {GROUP_ID}
    assert client.show_server_group_state(GROUP_ID).total == len(servers)
    assert len(client.list_servers()) > len(servers)
    assert {session.session_state for session in sessions} <= {"Active", "Disconnected", "AppcInit"}
    assert len(sessions) == sum(server.session_count or 0 for server in servers)
    assert client.show_restrict().max_group_count
    assert client.validate_name("free-name").is_valid
    assert client.validate_name("design-pool").broken_rule == "duplicate"
    assert "SSD" in {volume.volume_type for volume in client.list_volume_types()}


@pytest.mark.parametrize("image_type", ["gold", "public", "private", "shared"])
def test_finds_images_of_each_type(simulator: Simulated, image_type: str) -> None:
    images = client_of(simulator, KEY).list_images(image_type)

    assert images
    assert {bool(image.product_id) for image in images} == {image_type == "gold"}


def test_a_read_only_key_can_read_and_lacks_actions_for_a_change(simulator: Simulated) -> None:
    client = client_of(simulator, READ_ONLY)
    group = client.show_server_group(GROUP_ID)

    with pytest.raises(errors.ForbiddenError) as caught:
        client.update_server_group(GROUP_ID, {"name": "TEST"})

    assert group.name == "design-pool"
    assert explain(caught.value).actions == ("workspace:serverGroup:update", "ims:images:list")


@pytest.mark.parametrize(
    "credential",
    [
        TokenCredential("canary-wrong"),
        KeyCredential("SIMULATORACCESSKEY01", "canary-wrong"),
        KeyCredential("CANARYNOBODY", "canary-wrong"),
    ],
)
def test_sends_a_wrong_credential_once(simulator: Simulated, credential: Credential) -> None:
    client = client_of(simulator, credential)

    with pytest.raises(errors.UnauthenticatedError) as caught:
        client.show_server_group(GROUP_ID)

    assert caught.value.error_code == "APIGW.0301"
    assert "canary" not in str(caught.value).lower()
    assert len(simulator.requests()) == 1


def test_sends_a_wrong_password_at_most_twice(simulator: Simulated) -> None:
    client = client_of(simulator, replace(PASSWORD, password="canary-wrong"))
    for _ in range(5):
        with pytest.raises(errors.SignInError):
            client.show_server_group(GROUP_ID)

    assert [request["path"] for request in simulator.requests()] == ["/v3/auth/tokens"] * 2


def test_200_threads_with_a_revoked_token_sign_in_once(simulator: Simulated) -> None:
    client = client_of(simulator, PASSWORD)
    client.show_server_group(GROUP_ID)
    simulator.control("POST", "tokens/expire")
    simulator.control("DELETE", "requests")
    simulator.inject({"match": {"method": "GET"}, "fault": "delay", "delay_ms": 300})

    with ThreadPoolExecutor(200) as threads:
        groups = list(threads.map(client.show_server_group, [GROUP_ID] * 200))

    assert {group.id for group in groups} == {GROUP_ID}
    assert len(simulator.requests("POST")) == 1
    assert len(simulator.requests("GET")) <= 400


@pytest.mark.parametrize("fault", ["unavailable", "drop_before_answer"])
def test_a_total_outage_of_1000_calls_makes_at_most_1050_requests(
    simulator: Simulated, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the retry budget limits the requests: the circuit breaker stays closed."""
    monkeypatch.setattr(resilience.CircuitBreaker, "WINDOW", 10**9)
    simulator.inject({"fault": fault})
    client = client_of(simulator)

    with ThreadPoolExecutor(8) as threads:
        failures = set(threads.map(lambda _: failure_of(client), range(1000)))

    assert failures == {errors.UnavailableError}
    assert 1000 < len(simulator.requests()) <= 1050


def failure_of(client: Client) -> type[errors.CloudError] | None:
    try:
        client.show_server_group(GROUP_ID)
    except errors.CloudError as error:
        return type(error)
    return None


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_the_check_of_a_working_project_is_good(simulator: Simulated, credential: Credential) -> None:
    checks = check_project(project_at(simulator.url, credential), LONG_LIMITS)

    assert [check.title for check in checks if check.result is not Result.GOOD] == ["UpdateServerGroup"]
    assert policy_to_grant(checks) == ""
    assert simulator.patches == []


def test_the_check_names_a_missing_action(simulator: Simulated) -> None:
    simulator.control("PUT", f"permissions/{KEY.ak}", {"taken": ["workspace:server:list"]})

    checks = check_project(project_at(simulator.url, KEY), LONG_LIMITS)

    assert json.loads(policy_to_grant(checks)) == {
        "Version": "5.0",
        "Statement": [{"Effect": "Allow", "Action": ["workspace:server:list"]}],
    }


def test_the_check_reports_a_clock_that_differs_by_an_hour(simulator: Simulated) -> None:
    simulator.inject({"fault": "skewed_clock", "seconds": 3600})

    checks = check_project(project_at(simulator.url, TOKEN), LONG_LIMITS)

    assert [check.title for check in checks if check.result is Result.BAD] == ["Clock"]
