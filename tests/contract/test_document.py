"""openapi.yaml is valid and agrees with the API page, and openapi-core accepts every response."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse
from openapi_spec_validator import validate

from dashboard.simulator.contract import DOCUMENT, load_contract
from dashboard.simulator.exchange import HANDLERS

PROJECT = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
DESIGN_POOL = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
V1 = f"/v1/{PROJECT}"
GROUP = f"{V1}/app-server-groups/{DESIGN_POOL}"
TIMES = "query_begin_time=2020-01-01T00:00:00.000Z&query_end_time=2100-01-01T00:00:00.000Z"
USER = {"name": "ops-bot", "password": "simulator", "domain": {"name": "example-corp"}}
SIGN_IN = {"auth": {"identity": {"methods": ["password"], "password": {"user": USER}}}}
TAGS = {"tags": [{"key": "a", "value": "b"}]}
BATCH = {"items": [{"server_group_id": DESIGN_POOL, **TAGS}]}
UPDATE = {"name": "TEST", "route_policy": {"max_session": 9}, "server_group_status": False}


@pytest.fixture(scope="module")
def document() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load(Path(DOCUMENT).read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def openapi(document: Mapping[str, Any]) -> OpenAPI:
    return OpenAPI.from_dict(dict(document))


def test_the_document_is_valid(document: Mapping[str, Any]) -> None:
    validate(document)


def test_every_operation_has_a_handler(document: Mapping[str, Any]) -> None:
    operations = re.findall(r"operationId: (\w+)", Path(DOCUMENT).read_text(encoding="utf-8"))

    assert sorted(operations) == sorted(HANDLERS)


def test_an_update_has_the_members_of_tables_3_and_4() -> None:
    members = load_contract().operation("UpdateServerGroup").members

    assert list(members) == [
        "name",
        "description",
        "route_policy",
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
    assert list(members["route_policy"]["properties"]) == [
        "max_session",
        "cpu_threshold",
        "gpu_threshold",
        "mem_threshold",
    ]


def test_an_update_has_every_status_code_of_the_page(document: Mapping[str, Any]) -> None:
    update = document["paths"]["/v1/{project_id}/app-server-groups/{server_group_id}"]["patch"]

    assert {"200", "400", "401", "403", "404", "405", "500", "503"} <= set(update["responses"])


CALLS: list[tuple[str, str, Any, int]] = [
    ("GET", f"{V1}/app-server-groups?limit=100", None, 200),
    ("GET", f"{V1}/app-server-groups?limit=101", None, 400),
    ("GET", GROUP, None, 200),
    ("GET", f"{V1}/app-server-groups/unknown", None, 404),
    ("PATCH", GROUP, UPDATE, 200),
    ("PATCH", GROUP, {"name": "finance-eu"}, 400),
    ("GET", f"{V1}/app-server-groups/actions/list?limit=100", None, 200),
    ("GET", f"{GROUP}/state", None, 200),
    ("GET", f"{V1}/app-server-groups/resources/restrict", None, 200),
    ("POST", f"{V1}/app-server-groups/rules/validate", {"name": "design-pool"}, 200),
    ("GET", f"{V1}/server-group/tags", None, 200),
    ("GET", f"{V1}/server-group/{DESIGN_POOL}/tags", None, 200),
    ("POST", f"{V1}/server-group/{DESIGN_POOL}/tags/create", TAGS, 204),
    ("DELETE", f"{V1}/server-group/{DESIGN_POOL}/tags/delete", TAGS, 204),
    ("POST", f"{V1}/server-group/tags/batch-create", BATCH, 204),
    ("DELETE", f"{V1}/server-group/tags/batch-delete", BATCH, 204),
    ("GET", f"{V1}/volume-type", None, 200),
    ("GET", f"{V1}/app-servers?limit=100", None, 200),
    ("GET", f"{V1}/session/list-sessions?limit=100&{TIMES}", None, 200),
    ("GET", "/v2/cloudimages", None, 200),
    ("GET", "/v2/cloudimages?marker=unknown", None, 400),
    ("POST", "/v3/auth/tokens?nocatalog=true", SIGN_IN, 201),
    ("GET", "/v3/projects", None, 200),
    ("GET", "/v1/unknown/app-server-groups", None, 403),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS, ids=lambda value: str(value)[:60])
def test_responses_match_the_document(
    url: str, openapi: OpenAPI, method: str, path: str, body: Any, status: int
) -> None:
    request = requests.Request(method, url + path, headers={"X-Auth-Token": "simulator-token"}, json=body)

    with requests.Session() as session:
        response = session.send(request.prepare(), timeout=10)

    assert response.status_code == status
    openapi.validate_response(RequestsOpenAPIRequest(request), RequestsOpenAPIResponse(response))


@pytest.mark.parametrize(
    "kind", ["unauthorized", "forbidden", "throttled", "internal_error", "unavailable", "too_large"]
)
def test_error_faults_match_the_document(url: str, openapi: OpenAPI, kind: str) -> None:
    requests.put(f"{url}/_simulator/faults", json=[{"fault": kind}], timeout=10)
    request = requests.Request("PATCH", url + GROUP, headers={"X-Auth-Token": "simulator-token"}, json=UPDATE)

    with requests.Session() as session:
        response = session.send(request.prepare(), timeout=10)

    openapi.validate_response(RequestsOpenAPIRequest(request), RequestsOpenAPIResponse(response))
