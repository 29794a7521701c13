"""The table of editable fields: complete, as strict as the contract, and the source of each PATCH body."""

from dataclasses import replace
from inspect import signature
from typing import Any

import pytest
from django.forms import Select
from huaweicloudsdkworkspaceapp.v1 import RoutePolicyDetail, UpdateServerGroupReq

from dashboard.accounts.roles import EDIT, SWITCH
from dashboard.cloud.resources import Product, RoutePolicy, ServerGroup
from dashboard.server_groups.fields import BY_PATH, FIELDS, GroupContext, missing_siblings, payload, snapshot
from dashboard.server_groups.inputs import Value
from dashboard.simulator.contract import load_contract
from dashboard.simulator.rules import CASCADING

POLICY = RoutePolicy(max_session=6, cpu_threshold=80, gpu_threshold=75, mem_threshold=85)
GROUP = ServerGroup("g-1", name="design-pool", server_group_status=True, is_vdi=False, route_policy=POLICY)


def contract() -> dict[str, Any]:
    """The members of the PATCH in the simulator's own document, by path."""
    members: dict[str, Any] = {}
    for name, schema in load_contract().operation("UpdateServerGroup").members.items():
        nested = schema.get("properties")
        members |= {f"{name}.{part}": rule for part, rule in nested.items()} if nested else {name: schema}
    return members


def test_names_every_member_of_the_patch_once() -> None:
    paths = [field.path for field in FIELDS]

    assert sorted(paths) == sorted(contract())
    assert len(paths) == 15


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_limits_are_those_of_the_contract(field: Any) -> None:
    rule, made = contract()[field.path], field.make()

    limits = {
        "minimum": getattr(made, "minimum", None),
        "maximum": getattr(made, "maximum", None),
        "enum": {value for value, _ in made.options} if isinstance(made.widget, Select) else None,
    }

    boolean = {"true", "false"} if rule["type"] == "boolean" else None
    assert limits == {
        "minimum": rule.get("minimum"),
        "maximum": rule.get("maximum"),
        "enum": set(rule["enum"]) if "enum" in rule else boolean,
    }


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_the_browser_has_the_same_limits(field: Any) -> None:
    made = field.make()

    limits = {name: made.widget.attrs.get(name) for name in ("min", "max", "maxlength", "pattern")}

    assert limits == {
        "min": getattr(made, "minimum", None),
        "max": getattr(made, "maximum", None),
        "maxlength": getattr(made, "max_length", None),
        "pattern": made.pattern.pattern if hasattr(made, "pattern") else None,
    }


def test_only_the_status_needs_the_permission_to_switch() -> None:
    permissions = {field.path: field.permission for field in FIELDS}

    assert permissions == {**dict.fromkeys(permissions, EDIT), "server_group_status": SWITCH}


def test_field_names_are_the_paths_with_two_underscores() -> None:
    assert BY_PATH["route_policy.max_session"].name == "route_policy__max_session"
    assert BY_PATH["name"].name == "name"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("name", None, "not known"),
        ("description", "", "empty"),
        ("description", "CAD users", "CAD users"),
        ("server_group_status", True, "On"),
        ("server_group_status", False, "Off"),
        ("server_group_status", "perhaps", "perhaps"),
        ("route_policy.cpu_threshold", 80, "80 %"),
        ("route_policy.max_session", 6, "6 per server"),
        ("system_disk_size", 80, "80 GB"),
        ("storage_mount_policy", "USER", "Personal only"),
        ("system_disk_type", "FLASH", "FLASH"),
        ("system_disk_size", "1_000", "1_000 GB"),
    ],
)
def test_formats_a_value_as_the_form_does(path: str, value: Value, words: str) -> None:
    assert BY_PATH[path].display(value) == words


def test_snapshot_has_every_field_and_none_for_hidden_values() -> None:
    assert snapshot(GROUP) == {
        **dict.fromkeys(BY_PATH),
        "name": "design-pool",
        "server_group_status": True,
        "route_policy.max_session": 6,
        "route_policy.cpu_threshold": 80,
        "route_policy.gpu_threshold": 75,
        "route_policy.mem_threshold": 85,
    }


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({}, {}),
        ({"name": "TEST"}, {"name": "TEST"}),
        ({"server_group_status": False}, {"server_group_status": False}),
        ({"description": "", "ou_name": ""}, {"description": "", "ou_name": ""}),
        (
            {"route_policy.max_session": 8},
            {"route_policy": {"max_session": 8, "cpu_threshold": 80, "gpu_threshold": 75, "mem_threshold": 85}},
        ),
        (
            {"route_policy.cpu_threshold": 1, "name": "a", "route_policy.mem_threshold": 2},
            {
                "route_policy": {"max_session": 6, "cpu_threshold": 1, "gpu_threshold": 75, "mem_threshold": 2},
                "name": "a",
            },
        ),
    ],
)
def test_the_payload_has_the_changes_and_the_other_thresholds(
    changes: dict[str, Value], body: dict[str, object]
) -> None:
    assert payload(changes, GROUP) == body


def test_the_payload_omits_unknown_thresholds() -> None:
    partly = ServerGroup("g-1", route_policy=RoutePolicy(max_session=6))

    bodies = [payload({"route_policy.cpu_threshold": 90}, group) for group in (partly, ServerGroup("g-1"))]

    assert bodies == [
        {"route_policy": {"max_session": 6, "cpu_threshold": 90}},
        {"route_policy": {"cpu_threshold": 90}},
    ]


@pytest.mark.parametrize(
    ("is_vdi", "reason"),
    [
        (True, "Only for multi-session groups. Each server of this group serves one session."),
        (False, ""),
        (None, ""),
    ],
)
def test_routing_does_not_apply_to_single_session_groups(is_vdi: bool | None, reason: str) -> None:
    group = ServerGroup("g-1", is_vdi=is_vdi)

    reasons = {field.path: field.reason_not_applicable(group, GroupContext()) for field in FIELDS}

    assert reasons == {path: reason if path.startswith("route_policy.") else "" for path in BY_PATH}


def test_the_same_fields_cascade_in_the_table_and_the_simulator() -> None:
    assert tuple(field.path for field in FIELDS if field.cascades) == CASCADING


def test_only_these_fields_have_other_names_in_terraform() -> None:
    assert {field.path: field.terraform for field in FIELDS if field.terraform != ""} == {
        "server_group_status": "enabled",
        "route_policy.gpu_threshold": None,
    }
    request = signature(UpdateServerGroupReq.__init__).parameters
    policy = signature(RoutePolicyDetail.__init__).parameters
    assert all(field.sdk_name in (policy if field.parent else request) for field in FIELDS)


MISSING: list[Any] = [
    ({"name": "TEST"}, None, False, ()),
    ({"route_policy.cpu_threshold": 85}, POLICY, False, ()),
    (
        {"route_policy.cpu_threshold": 85},
        None,
        False,
        ("route_policy.max_session", "route_policy.gpu_threshold", "route_policy.mem_threshold"),
    ),
    (
        {"route_policy.cpu_threshold": 85, "route_policy.max_session": 5, "name": "TEST"},
        RoutePolicy(mem_threshold=80),
        None,
        ("route_policy.gpu_threshold",),
    ),
    (dict.fromkeys((path for path in BY_PATH if path.startswith("route_policy.")), 50), None, False, ()),
    ({"route_policy.cpu_threshold": 85}, None, True, ()),
]


def test_a_group_without_a_gpu_can_lack_the_gpu_threshold() -> None:
    policy, changes = replace(POLICY, gpu_threshold=None), {"route_policy.cpu_threshold": 85}
    without, unknown = (
        ServerGroup("g-1", route_policy=policy, product_info=Product(is_gpu=gpu)) for gpu in (False, None)
    )

    assert missing_siblings(changes, without) == ()
    assert [field.label for field in missing_siblings(changes, unknown)] == ["GPU threshold"]
    assert "GPU threshold" in [field.label for field in missing_siblings(changes, replace(without, route_policy=None))]


@pytest.mark.parametrize(
    ("changes", "policy", "is_vdi", "missing"),
    MISSING,
)
def test_finds_siblings_that_are_neither_shown_nor_changed(
    changes: dict[str, Value], policy: RoutePolicy | None, is_vdi: bool | None, missing: tuple[str, ...]
) -> None:
    group = ServerGroup("g-1", is_vdi=is_vdi, route_policy=policy)

    assert tuple(field.path for field in missing_siblings(changes, group)) == missing
