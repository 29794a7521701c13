"""The official Workspace App SDK works with the simulator. The SDK is independent of this project."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkworkspaceapp import v1 as api

PROJECT = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
DESIGN_POOL = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"

# Without dateutil, the SDK warns and returns times as texts.
pytestmark = pytest.mark.filterwarnings("ignore:Unable to convert string to datetime:ImportWarning")

Client = Any  # the SDK publishes no types


def make_client(url: str, access: str = "SIMULATORACCESSKEY01", secret: str = "simulator-secret-key-01") -> Client:
    return (
        api.WorkspaceAppClient.new_builder()
        .with_credentials(BasicCredentials(access, secret, PROJECT))
        .with_http_config(HttpConfig(retry_times=0, timeout=(5, 10)))
        .with_endpoint(url)
        .build()
    )


@pytest.fixture
def client(url: str) -> Client:
    return make_client(url)


def show(client: Client, group: str = DESIGN_POOL) -> Any:
    return client.show_server_group(api.ShowServerGroupRequest(server_group_id=group))


def update(client: Client, **members: Any) -> Any:
    body = api.UpdateServerGroupReq(**members)
    return client.update_server_group(api.UpdateServerGroupRequest(server_group_id=DESIGN_POOL, body=body))


def pages(client: Client, size: int) -> Iterator[Any]:
    offset = 0
    while True:
        page = client.list_server_groups(api.ListServerGroupsRequest(offset=offset, limit=size))
        yield page
        offset += size
        if offset >= page.count:
            return


def test_lists_all_groups_over_several_pages(client: Client) -> None:
    found = list(pages(client, size=10))

    assert [len(page.items) for page in found] == [10, 10, 10, 10, 2]
    assert len({group.id for page in found for group in page.items}) == 42


def test_shows_a_group(client: Client) -> None:
    group = show(client)

    assert (group.name, group.description, group.server_group_status) == ("design-pool", "CAD users, Building 7", True)
    assert group.route_policy.to_dict() == {
        "max_session": 6,
        "cpu_threshold": 80,
        "gpu_threshold": 75,
        "mem_threshold": 85,
    }
    assert (group.image_type, group.image_product_id) == ("gold", "00301-884211-0--0")


ONE_BY_ONE: list[dict[str, Any]] = [
    {"name": "TEST"},
    {"description": ""},
    {"storage_mount_policy": "SHARE"},
    {"image_id": "6f1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e11"},
    {"image_product_id": "00301-884212-0--0"},
    {"image_type": "private"},
    {"system_disk_type": "SSD"},
    {"system_disk_size": 100},
    {"ou_name": "OU=Design,DC=corp,DC=example"},
    {"app_type": "SESSION_DESKTOP_APP"},
    {"server_group_status": False},
]


@pytest.mark.parametrize("members", ONE_BY_ONE, ids=lambda members: next(iter(members)))
def test_updates_one_field(client: Client, members: dict[str, Any]) -> None:
    before = show(client).to_json_object()

    update(client, **members)

    after = show(client).to_json_object()
    changed = {name for name in after if after[name] != before[name]}
    assert {name: after[name] for name in members} == members
    assert changed - {"update_time", "image_name", "image_min_disk"} == set(members)


@pytest.mark.parametrize("threshold", ["max_session", "cpu_threshold", "gpu_threshold", "mem_threshold"])
def test_updates_one_threshold(client: Client, threshold: str) -> None:
    before = show(client).route_policy.to_dict()

    update(client, route_policy=api.RoutePolicyDetail(**{threshold: 42}))

    assert show(client).route_policy.to_dict() == {**before, threshold: 42}


def test_updates_all_fields_together(client: Client) -> None:
    policy = {"max_session": 1024, "cpu_threshold": 1, "gpu_threshold": 100, "mem_threshold": 50}
    members = {key: value for fields in ONE_BY_ONE for key, value in fields.items()}

    update(client, **members, route_policy=api.RoutePolicyDetail(**policy))

    group = show(client)
    assert {name: getattr(group, name) for name in members} == members
    assert group.route_policy.to_dict() == policy


def test_refuses_with_an_error_that_the_sdk_parses(client: Client) -> None:
    with pytest.raises(ClientRequestException) as refusal:
        update(client, name="two words")

    assert (refusal.value.status_code, refusal.value.error_code) == (400, "WKS.00129901")
    assert refusal.value.request_id


def test_a_read_only_key_can_read_but_not_write(url: str) -> None:
    client = make_client(url, "SIMULATORREADONLY001", "simulator-secret-key-02")

    with pytest.raises(ClientRequestException) as refusal:
        update(client, name="TEST")

    assert (refusal.value.status_code, refusal.value.error_code) == (403, "WKS.00081102")
    assert show(client).name == "design-pool"


def test_state_counts_the_servers(client: Client) -> None:
    state = client.show_server_group_state(api.ShowServerGroupStateRequest(server_group_id=DESIGN_POOL))

    assert state.aps_status == {
        "UNREGISTER": 0,
        "REGISTERED": 2,
        "MAINTAINING": 1,
        "FREEZE": 0,
        "STOPPED": 0,
        "NONE": 0,
    }


def test_shows_the_maximums_of_the_tenant(client: Client) -> None:
    restrict = client.show_server_group_restrict(api.ShowServerGroupRestrictRequest())

    assert (restrict.max_session, restrict.max_group_count) == (1024, 50)


@pytest.mark.parametrize(
    ("name", "result", "rule"),
    [("new-pool", True, None), ("two words", False, "naming"), ("design-pool", False, "duplicate")],
)
def test_validates_names(client: Client, name: str, result: bool, rule: str | None) -> None:
    body = api.ValidateSeverGroupReq(name=name)

    response = client.validate_server_group(api.ValidateServerGroupRequest(body=body))

    assert (response.result, response.validate_rule) == (result, rule)


def test_the_light_list_filters_by_its_misspelt_parameter(client: Client) -> None:
    response = client.list_tenant_server_groups(
        api.ListTenantServerGroupsRequest(sever_group_name="callcenter", limit=100)
    )

    assert [group.name for group in response.items] == [
        "callcenter-01",
        "callcenter-01-b",
        "callcenter-02",
        "callcenter-03",
    ]


def tags(client: Client) -> dict[str, str]:
    response = client.show_server_group_tag(api.ShowServerGroupTagRequest(server_group_id=DESIGN_POOL))
    return {tag.key: tag.value for tag in response.tags}


def test_tags_of_one_group_are_created_and_deleted(client: Client) -> None:
    new = [api.TmsTag(key="team", value="cad"), api.TmsTag(key="floor", value="7")]
    body = api.CreateResourceTagReq(tags=new)
    client.create_server_group_tags(api.CreateServerGroupTagsRequest(server_group_id=DESIGN_POOL, body=body))
    created = tags(client)

    old = api.DeleteResourceTagReq(tags=[api.TmsTag(key="team", value="cad")])
    client.delete_server_group_tags(api.DeleteServerGroupTagsRequest(server_group_id=DESIGN_POOL, body=old))

    assert (created, tags(client)) == ({"team": "cad", "floor": "7"}, {"floor": "7"})


def batch(make: Callable[..., Any]) -> Any:
    return make(items=[api.ServerGroupTagsInfo(server_group_id=DESIGN_POOL, tags=[api.TmsTag(key="new", value="1")])])


def test_tags_of_many_groups_are_created_listed_and_deleted(client: Client) -> None:
    body = batch(api.BatchCreateServerGroupTagsReq)
    client.batch_create_server_group_tags(api.BatchCreateServerGroupTagsRequest(body=body))
    listed = {tag.key: tag.values for tag in client.list_server_group_tag(api.ListServerGroupTagRequest()).tags}

    body = batch(api.BatchDeleteServerGroupTagsReq)
    client.batch_delete_server_group_tags(api.BatchDeleteServerGroupTagsRequest(body=body))

    assert listed["new"] == ["1"]
    assert tags(client) == {"team": "design"}


def test_volume_types_name_the_zones_in_which_they_are_sold_out(client: Client) -> None:
    found = client.list_volume_type(api.ListVolumeTypeRequest()).volume_types

    sold_out = {kind.volume_type: kind.volume_type_extra_specs.sold_out_availability_zone for kind in found}
    assert sold_out == {"SAS": "", "SSD": "ap-southeast-3b", "GPSSD": "", "ESSD": "ap-southeast-3a,ap-southeast-3b"}


def test_servers_and_sessions_agree(client: Client) -> None:
    servers = client.list_servers(api.ListServersRequest(server_group_id=DESIGN_POOL, limit=100)).items
    begin, end = (datetime.now(UTC) + timedelta(days=days) for days in (-30, 1))
    sessions = client.list_sessions(
        api.ListSessionsRequest(
            query_begin_time=f"{begin:%Y-%m-%dT%H:%M:%S.000Z}",
            query_end_time=f"{end:%Y-%m-%dT%H:%M:%S.000Z}",
            app_server_group_id=DESIGN_POOL,
            session_state="Active,Disconnected,AppcInit",
            limit=100,
        )
    )

    assert sum(server.session_count for server in servers) == sessions.count > 0
    assert {"Active", "Disconnected"} <= {session.session_state for session in sessions.items}
