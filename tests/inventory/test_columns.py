from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dashboard.cloud.resources import Product, RoutePolicy, ServerGroup, Tag
from dashboard.inventory.columns import columns_of, completed, data_of, detail_columns_of
from dashboard.inventory.models import GroupCopy
from dashboard.inventory.search import search_text

GROUP = ServerGroup(
    id="pool-1",
    name="Straße-EU",
    description="CAD users",
    server_group_status=False,
    app_type="COMMON_APP",
    image_name="ws2022",
    system_disk_size=80,
    route_policy=RoutePolicy(max_session=6, mem_threshold=85),
    image_type="gold",
    product_info=Product(flavor_id="s6.xlarge.2", is_gpu=False),
    update_time=datetime(2026, 10, 19, 13, 2, 55, 87_000, tzinfo=UTC),
    secondary_server_group_ids=("pool-2",),
    app_group_count=0,
    tags=(Tag("team", "design"), Tag("empty", "")),
)


def test_reads_data_and_details_back_as_the_same_group() -> None:
    details = detail_columns_of(GROUP)["details"]

    copy = GroupCopy(group_id=GROUP.id, data=data_of(GROUP), details=details)

    assert copy.group == GROUP


def test_keeps_the_details_out_of_the_columns_of_the_list() -> None:
    columns = columns_of(GROUP)

    assert columns == {
        "name": "Straße-EU",
        "name_key": "strasse-eu",
        "description": "CAD users",
        "status": False,
        "app_type": "COMMON_APP",
        "role": "primary",
        "image_name": "ws2022",
        "disk_size": 80,
        "app_groups": 0,
        "update_time": GROUP.update_time,
        "search_text": search_text(GROUP),
        "data": {
            "id": "pool-1",
            "name": "Straße-EU",
            "description": "CAD users",
            "server_group_status": False,
            "app_type": "COMMON_APP",
            "image_name": "ws2022",
            "system_disk_size": 80,
            "product_info": {"flavor_id": "s6.xlarge.2", "is_gpu": False},
            "update_time": "2026-10-19T13:02:55.087000+00:00",
            "primary_server_group_ids": [],
            "secondary_server_group_ids": ["pool-2"],
            "app_group_count": 0,
            "tags": [{"key": "team", "value": "design"}, {"key": "empty", "value": ""}],
        },
    }


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, {"details": {"image_type": "gold"}, "max_session": None}),
        (
            RoutePolicy(max_session=6),
            {"details": {"route_policy": {"max_session": 6}, "image_type": "gold"}, "max_session": 6},
        ),
    ],
)
def test_puts_the_details_into_columns(policy: RoutePolicy | None, expected: dict[str, object]) -> None:
    columns = detail_columns_of(replace(GROUP, route_policy=policy))

    assert columns == {**expected, "details_update_time": GROUP.update_time}


def test_fits_the_longest_name_whose_lower_case_is_longer() -> None:
    columns = columns_of(ServerGroup(id="pool-1", name="ß" * 1000))

    assert columns["name_key"] == "s" * 200


def test_cuts_values_for_an_index() -> None:
    columns = columns_of(ServerGroup(id="pool-1", name="A" * 1000, app_type="B" * 1000, image_name="C" * 1000))

    assert (columns["name_key"], columns["app_type"], columns["image_name"]) == ("a" * 200, "B" * 200, "C" * 200)


def test_sorts_a_group_without_a_name_by_its_id() -> None:
    assert columns_of(ServerGroup(id="Pool-1"))["name_key"] == "pool-1"


def test_completes_a_response_with_known_members() -> None:
    shown = ServerGroup(id="pool-1", description="", route_policy=RoutePolicy(max_session=7))

    group = completed(shown, data_of(GROUP))

    listed = replace(GROUP, description="", tags=(), secondary_server_group_ids=())
    assert group == replace(listed, route_policy=shown.route_policy, image_type=None)
