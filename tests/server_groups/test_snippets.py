"""The snippets of the request. The tests run the runnable ones against the simulator: they send the same PATCH."""

import json
import os
import shlex
import subprocess
import sys

import pytest

from dashboard.cloud.projects import Project
from dashboard.server_groups.snippets import snippets
from tests.conftest import DESIGN_POOL, PROJECT_ID, Simulated

BODY = {
    "name": "TEST",
    "description": 'it\'s "quoted" ${var} %{if} $HOME `id` \\ 研发',
    "server_group_status": False,
    "route_policy": {"max_session": 5, "cpu_threshold": 80, "gpu_threshold": 75, "mem_threshold": 85},
    "system_disk_size": 120,
}


def text(project: Project, title: str) -> str:
    return {snippet.title: snippet.text for snippet in snippets(project, DESIGN_POOL, BODY)}[title]


def test_the_request_is_the_uri_and_the_body(project: Project) -> None:
    head, _, body = text(project, "URI and JSON body").partition("\n\n")

    assert head == f"PATCH /v1/{PROJECT_ID}/app-server-groups/{DESIGN_POOL}\nContent-Type: application/json"
    assert json.loads(body) == BODY


def test_the_python_snippet_sends_the_same_patch(project: Project, simulator: Simulated) -> None:
    keys = {"HUAWEICLOUD_SDK_AK": "SIMULATORACCESSKEY01", "HUAWEICLOUD_SDK_SK": "simulator-secret-key-01"}

    subprocess.run(  # noqa: S603 (the snippet under test)
        [sys.executable, "-W", "ignore", "-c", text(project, "Python SDK")],
        check=True,
        env=os.environ | keys,
        timeout=60,
    )

    assert simulator.patches == [BODY]


def test_the_curl_snippet_is_one_command_with_the_token_as_a_variable(project: Project) -> None:
    words = shlex.split(text(project, "curl").replace("\\\n", " "))

    assert words[:4] == [
        "curl",
        "--request",
        "PATCH",
        f"{project.workspace_endpoint}/v1/{PROJECT_ID}/app-server-groups/{DESIGN_POOL}",
    ]
    assert words[4:8] == ["--header", "X-Auth-Token: $TOKEN", "--header", "Content-Type: application/json"]
    assert json.loads(words[9]) == BODY


def test_the_koocli_snippet_names_options_as_the_api_does(project: Project) -> None:
    words = shlex.split(text(project, "KooCLI").replace("\\\n", " "))

    assert words == [
        "hcloud",
        "WorkspaceApp",
        "UpdateServerGroup",
        "--cli-region=ap-southeast-3",
        f"--project_id={PROJECT_ID}",
        f"--server_group_id={DESIGN_POOL}",
        "--name=TEST",
        f"--description={BODY['description']}",
        "--server_group_status=false",
        "--route_policy.max_session=5",
        "--route_policy.cpu_threshold=80",
        "--route_policy.gpu_threshold=75",
        "--route_policy.mem_threshold=85",
        "--system_disk_size=120",
    ]


def test_the_terraform_snippet_has_the_providers_names_and_is_escaped(project: Project) -> None:
    lines = text(project, "Terraform").splitlines()

    assert "  enabled = false" in lines
    assert "    # gpu_threshold = 75  (not known to the provider)" in lines
    assert '  description = "it\'s \\"quoted\\" $${var} %%{if} $HOME `id` \\\\ 研发"' in lines


@pytest.mark.parametrize("title", ["URI and JSON body", "curl", "Python SDK", "KooCLI", "Terraform"])
def test_no_snippet_contains_a_secret(project: Project, title: str) -> None:
    assert "simulator-token" not in text(project, title)
