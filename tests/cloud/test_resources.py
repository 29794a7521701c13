"""Resources from valid and invalid JSON of the cloud."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.cloud import responses
from dashboard.cloud.catalogue import Image, NameCheck, Restrict, VolumeType
from dashboard.cloud.parsing import id_problem
from dashboard.cloud.resources import (
    Product,
    RoutePolicy,
    Server,
    ServerGroup,
    ServerGroupState,
    Session,
    Tag,
)

GROUP_ID = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
EDITABLE = [
    "name",
    "description",
    "route_policy.max_session",
    "route_policy.cpu_threshold",
    "route_policy.gpu_threshold",
    "route_policy.mem_threshold",
    "storage_mount_policy",
    "image_id",
    "image_product_id",
    "image_type",
    "system_disk_type",
    "system_disk_size",
    "ou_name",
    "app_type",
    "server_group_status",
]
SHOWN: dict[str, object] = {
    "id": GROUP_ID,
    "name": "design-pool",
    "description": "CAD users",
    "server_group_status": True,
    "app_type": "COMMON_APP",
    "storage_mount_policy": "ANY",
    "image_id": "c0a5e1f2-6b7d-4d0b-8a52-91f3d7e40b11",
    "image_name": "ws2019-cad-2026-02",
    "image_type": "gold",
    "image_product_id": "00301-884211-0--0",
    "os_type": "Windows",
    "is_vdi": False,
    "system_disk_type": "SAS",
    "system_disk_size": 80,
    "ou_name": "",
    "route_policy": {"max_session": 6, "cpu_threshold": 80, "gpu_threshold": 75, "mem_threshold": 85},
    "product_info": {"product_id": "p", "flavor_id": "s6.xlarge.2", "cpu": "4", "sessions": 2, "is_gpu": False},
    "create_time": "2026-03-04T08:15:27.412Z",
    "update_time": "2026-10-19T13:02:55+08:00",
    "primary_server_group_ids": [],
    "secondary_server_group_ids": ["d2a7f6e0-1c3b-4b8a-9f52-0a6b7c8d9e0f"],
    "app_server_count": 3,
    "app_group_count": 2,
    "tags": [{"key": "team", "value": "design"}],
    "something_new": {"of": "tomorrow"},
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
READERS = [
    ServerGroup.from_api,
    ServerGroupState.from_api,
    Server.from_api,
    Session.from_api,
    RoutePolicy.from_api,
    Product.from_api,
    Tag.from_api,
    VolumeType.from_api,
    Restrict.from_api,
    NameCheck.from_api,
    lambda data: Image.from_api(data, "gold"),
    responses.error_in,
]


def test_reads_all_members_of_a_group() -> None:
    assert ServerGroup.from_api(SHOWN) == ServerGroup(
        id=GROUP_ID,
        name="design-pool",
        description="CAD users",
        server_group_status=True,
        app_type="COMMON_APP",
        storage_mount_policy="ANY",
        image_id="c0a5e1f2-6b7d-4d0b-8a52-91f3d7e40b11",
        image_name="ws2019-cad-2026-02",
        image_type="gold",
        image_product_id="00301-884211-0--0",
        os_type="Windows",
        is_vdi=False,
        system_disk_type="SAS",
        system_disk_size=80,
        ou_name="",
        route_policy=RoutePolicy(max_session=6, cpu_threshold=80, gpu_threshold=75, mem_threshold=85),
        product_info=Product(product_id="p", flavor_id="s6.xlarge.2", cpu="4", sessions=2, is_gpu=False),
        create_time=datetime(2026, 3, 4, 8, 15, 27, 412000, tzinfo=UTC),
        update_time=datetime(2026, 10, 19, 5, 2, 55, tzinfo=UTC),
        secondary_server_group_ids=("d2a7f6e0-1c3b-4b8a-9f52-0a6b7c8d9e0f",),
        app_server_count=3,
        app_group_count=2,
        tags=(Tag("team", "design"),),
    )


@pytest.mark.parametrize("path", EDITABLE)
def test_finds_each_editable_value_by_its_path(path: str) -> None:
    group = ServerGroup.from_api(SHOWN)
    expected: object = SHOWN
    for step in path.split("."):
        assert isinstance(expected, dict)
        expected = expected[step]

    assert group is not None
    assert group.value(path) == expected


@pytest.mark.parametrize("path", EDITABLE)
def test_an_absent_value_is_none(path: str) -> None:
    group = ServerGroup(id=GROUP_ID)

    assert group.value(path) is None


@pytest.mark.parametrize("path", ["tags", "route_policy", "unknown"])
def test_raises_for_a_path_that_is_not_a_single_value(path: str) -> None:
    group = ServerGroup.from_api(SHOWN)
    assert group is not None

    with pytest.raises(AttributeError):
        group.value(path)


@pytest.mark.parametrize(
    ("member", "sent"),
    [
        ("name", 7),
        ("name", None),
        ("server_group_status", "true"),
        ("server_group_status", 1),
        ("server_group_status", None),
        ("system_disk_size", "80"),
        ("system_disk_size", 80.5),
        ("system_disk_size", True),
        ("system_disk_size", 10**30),
        ("route_policy", "none"),
        ("route_policy", [1]),
        ("create_time", "yesterday"),
        ("create_time", 1700000000),
        ("create_time", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_value_of_a_wrong_type_is_none(member: str, sent: object) -> None:
    group = ServerGroup.from_api({**SHOWN, member: sent})

    assert group is not None
    assert getattr(group, member) is None


def test_keeps_an_unknown_enum_value() -> None:
    group = ServerGroup.from_api({**SHOWN, "app_type": "HOLOGRAM"})

    assert group is not None
    assert group.app_type == "HOLOGRAM"


def test_a_time_without_a_zone_is_utc() -> None:
    group = ServerGroup.from_api({**SHOWN, "create_time": "2026-03-04T08:15:27"})

    assert group is not None
    assert group.create_time == datetime(2026, 3, 4, 8, 15, 27, tzinfo=UTC)


def test_replaces_characters_that_cannot_be_stored() -> None:
    group = ServerGroup.from_api({**SHOWN, "name": "a\ud800b\x00c"})

    assert group is not None
    assert group.name == "a?b\N{REPLACEMENT CHARACTER}c"


def test_cuts_long_texts_and_lists_of_a_row() -> None:
    row = {
        "id": "i" * 5000,
        "description": "é" * 5000,
        "secondary_server_group_ids": ["s" * 5000] * 5000,
        "tags": [{"key": "k" * 5000, "value": "v"}] * 5000,
    }

    group = ServerGroup.from_api(row)

    assert group is not None
    assert group.id_problem == "The id is longer than 128 characters."
    assert group.description == "é" * 999 + "…"
    assert (len(group.secondary_server_group_ids), len(group.secondary_server_group_ids[0])) == (100, 1000)
    assert (len(group.tags), len(group.tags[0].key)) == (100, 1000)


def test_ids_of_partners_are_storable_text() -> None:
    group = ServerGroup.from_api({**SHOWN, "secondary_server_group_ids": ["a\ud800b", "", 7, None, "../x"]})

    assert group is not None
    assert group.secondary_server_group_ids == ("a?b", "../x")


@pytest.mark.parametrize(
    "group_id", ["..", ".", "", "a/b", "a b", "a\n", "a%2Fb", "a?b", "a#b", "ä", "\u202e", "a" * 129]
)
def test_an_id_that_cannot_be_part_of_an_address_has_a_problem(group_id: str) -> None:
    assert id_problem(group_id)


@pytest.mark.parametrize("group_id", [GROUP_ID, "a", "A.b-c_d", "-", "a" * 128])
def test_an_id_that_can_be_part_of_an_address_has_no_problem(group_id: str) -> None:
    assert id_problem(group_id) == ""


@pytest.mark.parametrize("data", [None, [], "group", 7, {}, {"id": None}, {"id": ""}, {"id": 7}])
def test_an_item_without_an_id_is_none(data: object) -> None:
    assert ServerGroup.from_api(data) is None
    assert Server.from_api(data) is None
    assert Session.from_api(data) is None
    assert Image.from_api(data, "gold") is None


def test_a_state_ignores_counts_of_a_wrong_type() -> None:
    state = ServerGroupState.from_api({"aps_status": {"REGISTERED": 2, "MAINTAINING": 1, "NEW": 4, "NONE": "many"}})

    assert state == ServerGroupState({"REGISTERED": 2, "MAINTAINING": 1, "NEW": 4})
    assert state.total == 7


def test_a_marketplace_image_has_its_product_id() -> None:
    data = {"id": "i", "name": "cad", "__productcode": "00301-884211-0--0", "min_disk": 60, "__is_offshelved": "true"}

    assert Image.from_api(data, "gold") == Image(
        id="i", image_type="gold", name="cad", product_id="00301-884211-0--0", min_disk=60, is_withdrawn=True
    )


def test_a_disk_type_has_its_zones() -> None:
    data = {
        "volume_type": "SAS",
        "name": [{"language": "zh-cn", "value": "高IO"}, {"language": "en-us", "value": "High I/O"}],
        "volume_type_extra_specs": {"availability_zone": "a, b", "sold_out_availability_zone": "b"},
    }

    assert VolumeType.from_api(data) == VolumeType("SAS", "High I/O", ("a", "b"), ("b",))


@settings(deadline=None)
@given(json_values, st.sampled_from(READERS))
def test_no_json_raises_an_error_in_a_reader(data: object, read: object) -> None:
    assert callable(read)
    read(data)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(SHOWN)), json_values))
def test_no_member_of_a_wrong_type_raises_an_error(members: dict[str, object]) -> None:
    group = ServerGroup.from_api({**SHOWN, **members, "id": GROUP_ID})

    assert group is not None
    assert group.id == GROUP_ID
