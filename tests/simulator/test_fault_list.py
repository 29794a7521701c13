"""The list of faults: parsing, matching and counting."""

from typing import Any

import pytest

from dashboard.simulator.fault_list import FaultList, WrongFaultError
from dashboard.simulator.faults import KINDS
from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud


def matched(
    faults: FaultList, times: int = 1, method: str = "GET", path: str = "/v1/p/app-server-groups"
) -> list[bool]:
    return [faults.match(method, path) is not None for _ in range(times)]


@pytest.fixture
def faults() -> FaultList:
    return FaultList(seed=1)


def test_a_control_lists_all_kinds_with_a_description(cloud: Cloud) -> None:
    kinds = cloud.control("GET", "faults/kinds").json()

    assert len(kinds) == len(KINDS) >= 40
    assert all(kind["what"] for kind in kinds.values())
    assert kinds["late"]["options"] == {"after_ms": 8000, "answer": "gateway_timeout"}


def test_a_fault_without_times_stays_until_it_is_replaced(faults: FaultList) -> None:
    faults.replace([{"fault": "unavailable"}, {"fault": "not_found", "times": None}])
    assert matched(faults, 50) == [True] * 50

    faults.replace([])
    assert matched(faults) == [False]


def test_counts_down_and_continues_with_the_next_fault(faults: FaultList) -> None:
    faults.replace([{"fault": "unavailable", "times": 2}, {"fault": "not_found", "times": 1}])

    names = [entry.fault.kind.name if (entry := faults.match("GET", "/")) else None for _ in range(4)]

    assert names == ["unavailable", "unavailable", "not_found", None]


@pytest.mark.parametrize(
    ("match", "method", "path", "applies"),
    [
        ({}, "GET", "/v2/cloudimages", True),
        ({"method": "PATCH"}, "PATCH", "/v1/p/app-server-groups/g", True),
        ({"method": "patch"}, "PATCH", "/v1/p/app-server-groups/g", True),
        ({"method": "PATCH"}, "GET", "/v1/p/app-server-groups/g", False),
        ({"method": "*", "path": "/v1/*/app-server-groups"}, "GET", "/v1/p/app-server-groups", True),
        ({"path": "/v1/*/app-server-groups"}, "GET", "/v1/p/app-server-groups/g", False),
        ({"path": "*/app-server-groups/*"}, "GET", "/v1/p/app-server-groups/g/state", True),
        ({"path": "/v[12]/*"}, "GET", "/v3/projects", False),
    ],
)
def test_a_fault_matches_the_method_and_the_glob(
    faults: FaultList, match: Any, method: str, path: str, applies: bool
) -> None:
    faults.replace([{"fault": "unavailable", "match": match}])

    assert matched(faults, method=method, path=path) == [applies]


def test_the_same_seed_gives_the_same_faults(faults: FaultList) -> None:
    entry = {"fault": "unavailable", "probability": 0.3}

    faults.replace([entry])
    first = matched(faults, 200)
    faults.replace([entry])
    again = matched(faults, 200)

    assert first == again
    assert 30 < sum(first) < 90


@pytest.mark.parametrize(("probability", "applies"), [(0, [False] * 20), (1, [True] * 20)])
def test_a_fault_with_probability_0_or_1_applies_never_or_always(
    faults: FaultList, probability: int, applies: list[bool]
) -> None:
    faults.replace([{"fault": "unavailable", "probability": probability}])

    assert matched(faults, 20) == applies


def test_a_request_without_the_fault_is_not_counted(faults: FaultList) -> None:
    faults.replace([{"fault": "unavailable", "probability": 0.5, "times": 5}])

    assert sum(matched(faults, 100)) == 5


WRONG: list[tuple[Any, str]] = [
    ({}, "The faults must be a JSON list."),
    ([1], "Fault 1 must be an object."),
    ([{"fault": "delay"}, {}], "Fault 2: there is no fault None. The faults are status, "),
    ([{"fault": "flood"}], "Fault 1: there is no fault 'flood'. The faults are status, bad_request, "),
    ([{"fault": ["delay"]}], "Fault 1: there is no fault ['delay']."),
    ([{"fault": "delay", "match": "PATCH"}], "Fault 1: match must be an object"),
    ([{"fault": "delay", "match": {"host": "a"}}], "Fault 1: match must be an object"),
    ([{"fault": "delay", "match": {"method": 1}}], "Fault 1: match must be an object"),
    ([{"fault": "delay", "times": -1}], "Fault 1: times must be a whole number from 0."),
    ([{"fault": "delay", "times": 1.5}], "Fault 1: times must be a whole number from 0."),
    ([{"fault": "delay", "times": True}], "Fault 1: times must be a whole number from 0."),
    ([{"fault": "delay", "probability": 2}], "Fault 1: probability must be a number from 0 to 1."),
    ([{"fault": "delay", "delay_ms": "1"}], "Fault 1: delay_ms must be a whole number from 0."),
    ([{"fault": "delay", "seconds": 1}], "Fault 1: delay has no option seconds. Its options: none."),
    ([{"fault": "late", "after": 1}], "Fault 1: late has no option after. Its options: after_ms, answer."),
    ([{"fault": "late", "after_ms": "8"}], "Fault 1: after_ms must be like 8000."),
    ([{"fault": "late", "after_ms": True}], "Fault 1: after_ms must be like 8000."),
    (
        [{"fault": "late", "answer": "maybe"}],
        "Fault 1: answer must be gateway_timeout or drop or reset or silence or null.",
    ),
    ([{"fault": "html", "applied": 1}], "Fault 1: applied must be like True."),
    ([{"fault": "drip", "seconds": -1}], "Fault 1: seconds must be like 1.0."),
]


@pytest.mark.parametrize(("entries", "sentence"), WRONG)
def test_the_error_names_the_mistake_in_the_list(faults: FaultList, entries: Any, sentence: str) -> None:
    with pytest.raises(WrongFaultError) as refusal:
        faults.replace(entries)

    assert str(refusal.value).startswith(sentence)


def test_an_invalid_list_changes_nothing(cloud: Cloud) -> None:
    cloud.faults({"fault": "unavailable"})

    response = cloud.control("PUT", "faults", [{"fault": "flood"}])

    assert (response.status_code, "there is no fault 'flood'" in response.json()["error"]) == (400, True)
    assert cloud.groups().status_code == 503


def test_a_control_shows_how_often_each_fault_applied(cloud: Cloud) -> None:
    match = {"method": "GET", "path": "*/state"}
    cloud.faults({"fault": "unavailable", "match": match, "times": 3})
    cloud.groups(f"/{DESIGN_POOL}/state")
    cloud.show()

    assert cloud.control("GET", "faults").json()["faults"] == [
        {
            "match": match,
            "times": 3,
            "probability": 1.0,
            "delay_ms": 0,
            "fault": "unavailable",
            "applied": False,
            "after_ms": 0,
            "changes": {},
            "left": 2,
            "used": 1,
        }
    ]


def test_faults_do_not_apply_to_controls(cloud: Cloud) -> None:
    cloud.faults({"fault": "drop_before_answer"})

    assert cloud.control("GET", "requests").status_code == 200


def test_a_fault_applies_before_all_checks(cloud: Cloud) -> None:
    cloud.faults({"fault": "unavailable"})

    response = cloud.call("GET", f"/v1/{PROJECT}/app-server-groups", headers={"X-Auth-Token": "guess"})

    assert response.status_code == 503
