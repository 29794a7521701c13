"""The request of a change as code for other tools. A snippet never contains a secret."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext

from dashboard.cloud.projects import Project
from dashboard.server_groups.fields import BY_PATH, EditableField

Body = Mapping[str, object]


@dataclass(frozen=True)
class Snippet:
    title: str
    text: str


def snippets(project: Project, group_id: str, body: Body) -> tuple[Snippet, ...]:
    return (
        Snippet(gettext("URI and JSON body"), _request(project, group_id, body)),
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
    """Code for `huaweicloudsdkworkspaceapp`. The environment variables have the SDK's own names."""
    arguments = "".join(f"\n            {_python_argument(name, value)}," for name, value in body.items())
    classes = sorted({"UpdateServerGroupReq", "UpdateServerGroupRequest", "WorkspaceAppClient", *_sdk_classes(body)})
    imports = "".join(f"\n    {name}," for name in classes)
    return f"""import os

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkworkspaceapp.v1 import ({imports}
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


def _sdk_classes(body: Body) -> set[str]:
    return {field.sdk_class for field, _ in _flat(body)} - {""}


def _python_argument(name: str, value: object) -> str:
    if not isinstance(value, Mapping):
        return f"{BY_PATH[name].sdk_name}={value!r}"
    members = _flat({name: value})
    arguments = ", ".join(f"{field.sdk_name}={inner!r}" for field, inner in members)
    return f"{name}={members[0][0].sdk_class}({arguments})"


def _koocli(project: Project, group_id: str, body: Body) -> str:
    """A KooCLI command. Options have the API's names; nested ones contain a dot (reference 10)."""
    options = [
        f"--cli-region={project.region}",
        f"--project_id={project.project_id}",
        f"--server_group_id={group_id}",
        *(f"--{field.path}={_plain(value)}" for field, value in _flat(body)),
    ]
    return " \\\n  ".join(("hcloud WorkspaceApp UpdateServerGroup", *(shlex.quote(option) for option in options)))


def _flat(body: Body) -> tuple[tuple[EditableField, object], ...]:
    """Each value with its field, including the members of nested objects."""
    pairs: list[tuple[str, object]] = []
    for name, value in body.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}.{member}", inner) for member, inner in value.items()]
        else:
            pairs.append((name, value))
    return tuple((BY_PATH[path], value) for path, value in pairs)


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool | int) else str(value)


def _terraform(body: Body) -> str:
    """The arguments to change in a Terraform resource, with the provider's names."""
    lines = ['resource "huaweicloud_workspace_app_server_group" "this" {', "  # the other arguments stay as they are"]
    for name, value in body.items():
        members = [_argument(field, inner) for field, inner in _flat({name: value})]
        if isinstance(value, Mapping):
            lines += ["", f"  {name} {{", *(f"    {member}" for member in members), "  }"]
        else:
            lines += [f"  {member}" for member in members]
    return "\n".join([*lines, "}"])


def _argument(field: EditableField, value: object) -> str:
    if field.terraform is None:
        return f"# {field.member} = {_hcl(value)}  (not known to the provider)"
    return f"{field.terraform or field.member} = {_hcl(value)}"


def _hcl(value: object) -> str:
    """Format a value as HCL: as JSON, with the two marks escaped that begin a template."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
