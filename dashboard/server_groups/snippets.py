"""The request in plain sight: what is about to be sent, for people who would rather script it. Never with a secret."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.cloud.projects import Project

Body = Mapping[str, object]


@dataclass(frozen=True)
class Snippet:
    title: str
    text: str


def snippets(project: Project, group_id: str, body: Body) -> tuple[Snippet, ...]:
    return (
        Snippet("URI and JSON body", _request(project, group_id, body)),
        Snippet("curl", _curl(project, group_id, body)),
        Snippet("Python SDK", _python(project, group_id, body)),
        Snippet("KooCLI", _koocli(project, group_id, body)),
        Snippet("Terraform", _terraform(body)),
    )


def _uri(project: Project, group_id: str) -> str:
    return f"/v1/{project.project_id}/app-server-groups/{group_id}"


def _json(body: Body) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def _request(project: Project, group_id: str, body: Body) -> str:
    return f"PATCH {_uri(project, group_id)}\nContent-Type: application/json\n\n{_json(body)}"


def _curl(project: Project, group_id: str, body: Body) -> str:
    return " \\\n  ".join(
        (
            f"curl --request PATCH {shlex.quote(project.workspace_endpoint + _uri(project, group_id))}",
            '--header "X-Auth-Token: $TOKEN"',
            "--header 'Content-Type: application/json'",
            f"--data {shlex.quote(json.dumps(body, ensure_ascii=False))}",
        )
    )


def _python(project: Project, group_id: str, body: Body) -> str:
    """For `huaweicloudsdkworkspaceapp`, which reads the keys from the environment under the names used here."""
    arguments = "".join(f"\n            {name}={_python_value(value)}," for name, value in body.items())
    return f"""import os

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkworkspaceapp.v1 import (
    RoutePolicyDetail,
    UpdateServerGroupReq,
    UpdateServerGroupRequest,
    WorkspaceAppClient,
)

credentials = BasicCredentials(
    os.environ["HUAWEICLOUD_SDK_AK"], os.environ["HUAWEICLOUD_SDK_SK"], {project.project_id!r}
)
client = (
    WorkspaceAppClient.new_builder()
    .with_credentials(credentials)
    .with_endpoint({project.workspace_endpoint!r})
    .build()
)
client.update_server_group(
    UpdateServerGroupRequest(
        server_group_id={group_id!r},
        body=UpdateServerGroupReq({arguments}
        ),
    )
)"""


def _python_value(value: object) -> str:
    if isinstance(value, Mapping):
        return f"RoutePolicyDetail({', '.join(f'{name}={member!r}' for name, member in value.items())})"
    return repr(value)


def _koocli(project: Project, group_id: str, body: Body) -> str:
    """Options are named as in the API, nested ones with a dot (reference 10)."""
    options = [
        f"--cli-region={project.region}",
        f"--project_id={project.project_id}",
        f"--server_group_id={group_id}",
        *(f"--{name}={_plain(value)}" for name, value in _flat(body)),
    ]
    return " \\\n  ".join(("hcloud WorkspaceApp UpdateServerGroup", *(shlex.quote(option) for option in options)))


def _flat(body: Body) -> tuple[tuple[str, object], ...]:
    pairs: list[tuple[str, object]] = []
    for name, value in body.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}.{member}", inner) for member, inner in value.items()]
        else:
            pairs.append((name, value))
    return tuple(pairs)


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool | int) else str(value)


def _terraform(body: Body) -> str:
    """The arguments to change in a resource; the provider calls the status `enabled` and has no GPU threshold."""
    lines = ['resource "huaweicloud_workspace_app_server_group" "this" {', "  # the other arguments stay as they are"]
    for name, value in body.items():
        if isinstance(value, Mapping):
            lines += [
                "",
                f"  {name} {{",
                *(f"    {_argument(member, inner)}" for member, inner in value.items()),
                "  }",
            ]
        else:
            lines.append(f"  {_argument('enabled' if name == 'server_group_status' else name, value)}")
    return "\n".join([*lines, "}"])


def _argument(name: str, value: object) -> str:
    text = f"{name} = {_hcl(value)}"
    return f"# {text}  (not known to the provider)" if name == "gpu_threshold" else text


def _hcl(value: object) -> str:
    """A JSON text is an HCL text, but for the two marks that begin a template."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
