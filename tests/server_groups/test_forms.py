"""The edit form: its changes, its errors, and how it is shown again with all input."""

import string
from dataclasses import replace
from typing import Any

import pytest
from django.forms import Form
from django.http import QueryDict
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dashboard.cloud.client import client_for
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import RoutePolicy, ServerGroup
from dashboard.server_groups.fields import BY_PATH, FIELDS, GroupContext, ShownGroup, payload
from dashboard.server_groups.forms import ServerGroupForm, SwitchOffForm
from dashboard.server_groups.inputs import Value, to_text
from dashboard.server_groups.submission import Submission, submit
from tests.conftest import DESIGN_POOL, Simulated

GROUP = ServerGroup(
    "g-1",
    name="design-pool",
    description="first line\nsecond line",
    server_group_status=True,
    app_type="COMMON_APP",
    storage_mount_policy="ANY",
    image_id="img-1",
    image_type="gold",
    image_product_id="p-1",
    is_vdi=False,
    system_disk_type="SAS",
    system_disk_size=80,
    ou_name="",
    route_policy=RoutePolicy(max_session=6, cpu_threshold=80, gpu_threshold=75, mem_threshold=85),
)
ODD = replace(  # no PATCH can make such a group, but the cloud can have one
    GROUP,
    name="old name, with spaces",
    description="tab\there\r\nand \u200bthere" * 20,
    app_type="STREAMED_APP",
    storage_mount_policy="",
    image_id="",
    system_disk_type="FLASH",
    system_disk_size=5,
    ou_name="x" * 300,
    route_policy=RoutePolicy(max_session=5000, cpu_threshold=0, gpu_threshold=1000, mem_threshold=101),
)


def form(group: ServerGroup, text: str = "", /, **fields: str) -> ServerGroupForm:
    data = QueryDict(text, mutable=True)
    data.update(fields)
    return ServerGroupForm(submit(data, ShownGroup(group, GroupContext()), is_seen=True))


def errors(sent: Form) -> dict[str, list[str]]:
    return {name: [str(message) for message in messages] for name, messages in sent.errors.items()}


def as_shown(group: ServerGroup) -> dict[str, str]:
    """The post of an unchanged form by a browser, with CR LF as line breaks."""
    return {f.name: to_text(group.value(f.path)).replace("\r\n", "\n").replace("\n", "\r\n") for f in FIELDS}


@pytest.mark.parametrize("group", [GROUP, ODD, ServerGroup("g-1")], ids=["usual", "odd", "hardly known"])
@pytest.mark.parametrize("sends_all", [True, False])
def test_an_untouched_form_changes_nothing(group: ServerGroup, sends_all: bool) -> None:
    untouched = form(group, **(as_shown(group) if sends_all else {}))

    assert (errors(untouched), untouched.changes) == ({}, {})


@pytest.mark.parametrize("group", [GROUP, ODD], ids=["usual", "odd"])
@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("name", "TEST", "TEST"),
        ("description", "", ""),
        ("app_type", "SESSION_DESKTOP_APP", "SESSION_DESKTOP_APP"),
        ("server_group_status", "false", False),
        ("route_policy.max_session", "1024", 1024),
        ("route_policy.cpu_threshold", "1", 1),
        ("route_policy.gpu_threshold", "100", 100),
        ("route_policy.mem_threshold", "99", 99),
        ("storage_mount_policy", "USER", "USER"),
        ("image_type", "private", "private"),
        ("image_id", "img-2", "img-2"),
        ("image_product_id", "p-2", "p-2"),
        ("system_disk_type", "SSD", "SSD"),
        ("system_disk_size", "32768", 32768),
        ("ou_name", "OU=A", "OU=A"),
    ],
)
def test_invalid_values_in_the_cloud_do_not_block_other_fields(
    group: ServerGroup, path: str, text: str, value: Value
) -> None:
    touched = form(group, **as_shown(group) | {BY_PATH[path].name: text})

    assert (errors(touched), touched.changes) == ({}, {path: value})


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_a_field_sent_twice_is_refused(field: Any) -> None:
    text = to_text(GROUP.value(field.path))

    twice = form(GROUP, f"{field.name}={text}&{field.name}={text}")

    assert (errors(twice)[field.name], twice.changes) == (["This field was sent twice. Send it once."], {})


@pytest.mark.parametrize("name", ["reason", "key", "seen"])
def test_a_reason_or_key_sent_twice_is_refused(name: str) -> None:
    assert errors(form(GROUP, f"{name}=a&{name}=a"))[name] == ["This field was sent twice. Send it once."]


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"reason": "x" * 501}, {"reason": ["Ensure this value has at most 500 characters (it has 501)."]}),
        ({"reason": "a\x00b"}, {"reason": ["Null characters are not allowed."]}),
        ({"key": "x" * 65}, {"key": ["Ensure this value has at most 64 characters (it has 65)."]}),
    ],
)
def test_reason_and_key_have_limits(fields: dict[str, str], messages: dict[str, list[str]]) -> None:
    assert errors(form(GROUP, **fields)) == messages


def test_each_post_without_a_key_gets_a_new_key() -> None:
    forms = [form(GROUP), form(GROUP)]

    keys = {f.cleaned_data["key"] for f in forms if f.is_valid()}

    assert [len(key) for key in keys] == [32, 32]


@pytest.mark.parametrize("name", [field.name for field in FIELDS if field.path.startswith("route_policy.")])
def test_routing_of_a_single_session_group_is_disabled_and_refused(name: str) -> None:
    single = replace(GROUP, is_vdi=True, route_policy=RoutePolicy(max_session=1))

    sent = form(single, **as_shown(single) | {name: "50"})

    reason = "Only for multi-session groups. Each server of this group serves one session."
    field = sent.fields[name]
    assert (errors(sent), sent.changes) == ({name: [reason]}, {})
    assert (field.widget.attrs["disabled"], field.help_text) == (True, reason)


def test_unchanged_routing_of_a_single_session_group_is_valid() -> None:
    single = replace(GROUP, is_vdi=True, route_policy=RoutePolicy(max_session=1))

    sent = form(single, **as_shown(single))

    assert (errors(sent), sent.changes) == ({}, {})


@pytest.mark.parametrize(
    ("held", "sent", "is_refused"),
    [
        ({"image_type": "gold", "image_product_id": "p-1"}, {"image_product_id": ""}, True),
        ({"image_type": "private", "image_product_id": ""}, {"image_type": "gold"}, True),
        ({"image_type": "private", "image_product_id": None}, {"image_type": "gold"}, True),
        ({"image_type": "gold", "image_product_id": ""}, {"image_id": "img-2"}, True),
        ({"image_type": "private", "image_product_id": ""}, {"image_type": "gold", "image_product_id": "p"}, False),
        ({"image_type": "gold", "image_product_id": "p-1"}, {"image_id": "img-2"}, False),
        ({"image_type": "gold", "image_product_id": "p-1"}, {"image_type": "public", "image_product_id": ""}, False),
        ({"image_type": "gold", "image_product_id": ""}, {"name": "renamed"}, False),
        ({"image_type": None, "image_product_id": None}, {"image_id": "img-2"}, False),
    ],
)
def test_a_changed_marketplace_image_needs_its_product_id(
    held: dict[str, Any], sent: dict[str, str], is_refused: bool
) -> None:
    group = replace(GROUP, **held)

    messages = errors(form(group, **as_shown(group) | sent))

    assert messages == ({"image_product_id": ["A Marketplace image needs its product ID."]} if is_refused else {})


def test_an_invalid_product_id_has_one_error() -> None:
    messages = errors(form(GROUP, image_id="img-2", image_product_id="a b"))

    assert messages == {"image_product_id": ["Use Latin letters, digits and punctuation, without spaces."]}


def test_the_error_summary_names_and_links_the_fields() -> None:
    wrong = form(GROUP, name="a b", route_policy__max_session="0", reason="x" * 501, key="x" * 65)
    wrong.add_error(None, "The cloud refused the change.")

    assert list(wrong.error_list) == [
        ("", "", "Ensure this value has at most 64 characters (it has 65)."),
        ("id_reason", "Reason", "Ensure this value has at most 500 characters (it has 501)."),
        ("id_name", "Name", "Use letters, digits, _ and -. Spaces are not allowed."),
        ("id_route_policy__max_session", "Maximum sessions", "Enter a number from 1 to 1024. 0 is outside this range."),
        ("", "", "The cloud refused the change."),
    ]


@pytest.mark.parametrize("status", [True, False, None])
def test_a_form_sent_without_a_field_shows_the_current_value(status: bool | None) -> None:
    group = replace(GROUP, server_group_status=status)

    sent = form(group, name="a b")

    assert sent["server_group_status"].value() == to_text(status)
    assert sent["name"].value() == "a b"


def test_a_changed_threshold_needs_the_hidden_thresholds() -> None:
    partly = replace(GROUP, route_policy=RoutePolicy(max_session=6, cpu_threshold=80))

    sent = form(partly, route_policy__cpu_threshold="85")

    messages = ["The cloud does not show this threshold. Enter all four, or the cloud could delete it."]
    assert errors(sent) == {"route_policy__gpu_threshold": messages, "route_policy__mem_threshold": messages}


def test_all_thresholds_can_be_typed_if_the_cloud_shows_none() -> None:
    unknown = replace(GROUP, route_policy=None)
    wanted = {"max_session": 5, "cpu_threshold": 81, "gpu_threshold": 82, "mem_threshold": 83}

    sent = form(unknown, **{f"route_policy__{name}": str(value) for name, value in wanted.items()})

    assert errors(sent) == {}
    assert payload(sent.changes, unknown) == {"route_policy": wanted}


def test_other_fields_can_change_if_the_cloud_shows_no_threshold() -> None:
    sent = form(replace(GROUP, route_policy=None), name="TEST")

    assert (errors(sent), sent.changes) == ({}, {"name": "TEST"})


def test_an_invalid_threshold_is_not_also_reported_as_missing() -> None:
    sent = form(replace(GROUP, route_policy=None), route_policy__cpu_threshold="85", route_policy__gpu_threshold="0")

    assert errors(sent)["route_policy__gpu_threshold"] == ["Enter a number from 1 to 100. 0 is outside this range."]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "route_policy__cpu_threshold",
            "The cloud does not show this threshold. To change a threshold, enter all four.",
        ),
        ("description", "The cloud does not show this value. It stays as it is unless you enter another one."),
    ],
)
def test_the_input_of_a_hidden_value_is_empty_with_a_hint(name: str, hint: str) -> None:
    blank = ServerGroupForm(Submission(ShownGroup(ServerGroup("g-1"), GroupContext())))

    rule = next(field.help for field in FIELDS if field.name == name)
    assert (blank[name].value(), blank.fields[name].help_text) == ("", f"{rule} {hint}")


@pytest.mark.parametrize(
    ("reason", "messages"),
    [
        ("INC-4711", {}),
        ("", {"reason": ["Enter a reason. The next person needs it."]}),
        (" \t ", {"reason": ["Enter a reason. The next person needs it."]}),
        ("x" * 501, {"reason": ["Ensure this value has at most 500 characters (it has 501)."]}),
    ],
)
def test_switching_off_needs_a_reason(reason: str, messages: dict[str, list[str]]) -> None:
    assert errors(SwitchOffForm(QueryDict(mutable=True) | {"reason": reason})) == messages


# The form accepts only values that the cloud accepts

DIGITS = st.integers(-2, 33_000).map(str) | st.sampled_from(["", "07", "1_0", "٣", "5.0"])
ID = st.text(string.ascii_letters + string.digits + string.punctuation + " é", max_size=130)
THRESHOLDS = [field.name for field in FIELDS if field.path.startswith("route_policy.")]
TYPED = {
    "name": st.text(string.ascii_letters + "0123456789_-研发 .", max_size=66),
    "description": st.text(max_size=260),
    "ou_name": st.text(max_size=260),
    "image_id": ID,
    "image_product_id": ID,
    **{
        field.name: DIGITS
        for field in FIELDS
        if field.path.startswith("route_policy.") or field.path == "system_disk_size"
    },
    **{
        field.name: st.sampled_from([value for value, _ in made.options] + ["", "ANY "])
        for field in FIELDS
        if hasattr(made := field.make(), "options")
    },
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    typed=st.fixed_dictionaries({}, optional=TYPED).filter(bool),
    omits=st.booleans(),
    mode=st.sampled_from(["merge", "replace"]),
)
def test_the_cloud_accepts_and_stores_each_valid_form(
    project: Project, simulator: Simulated, typed: dict[str, str], omits: bool, mode: str
) -> None:
    """Every limit of the contract is in the form; what only the cloud knows (other names, the image's size, the
    directory) is set so that it does not matter. What the cloud refuses by contract, the form refused first.
    """
    simulator.control("POST", "reset")
    switches = {"directory": "connected", "newest_members": "omit" if omits else "return", "route_policy": mode}
    simulator.control("PUT", "switches", switches)
    simulator.change(image_id="an-image-of-ours")
    client = client_for(project)
    before = client.show_server_group(DESIGN_POOL)
    refused = form(before, **as_shown(before) | typed).errors
    if any(name in refused and name not in typed for name in THRESHOLDS):
        typed |= {name: "50" for name in THRESHOLDS if name in refused}
        refused = form(before, **as_shown(before) | typed).errors
    sent = form(before, **as_shown(before) | {name: text for name, text in typed.items() if name not in refused})
    assume(sent.is_valid() and sent.changes)

    client.update_server_group(DESIGN_POOL, payload(sent.changes, before))

    (body,) = simulator.patches
    held = ServerGroup.from_api(simulator.group())
    assert held is not None
    assert {path: held.value(path) for path in sent.changes} == sent.changes
    assert {
        path: held.value(path) for path in BY_PATH if path not in sent.changes and before.value(path) is not None
    } == {path: before.value(path) for path in BY_PATH if path not in sent.changes and before.value(path) is not None}
    parents = {path.partition(".")[0] for path in sent.changes}
    known = {f.path for f in FIELDS if f.path.startswith("route_policy.") and before.value(f.path) is not None}
    thresholds = known if "route_policy" in parents else set()
    assert set(body) == parents
    assert {f"route_policy.{name}" for name in body.get("route_policy", {})} == thresholds | {
        path for path in sent.changes if path.startswith("route_policy.")
    }
