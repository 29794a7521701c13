"""The projects of a deployment, and the errors of a wrong configuration."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured

from dashboard.cloud.credentials import KeyCredential, PasswordCredential, TokenCredential
from dashboard.cloud.projects import Project, UnknownProjectError, get_project, load_projects
from dashboard.cloud.regions import REGIONS, Endpoints, endpoints_of

PROJECT_ID = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
SINGLE = {"HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID, "HUAWEICLOUD_SDK_REGION": "ap-southeast-3"}
TOKEN = {**SINGLE, "WORKSPACE_AUTH_TOKEN": "canary-token"}
TWO_PROJECTS = """\
[projects.asia]
title = "Asia"
project_id = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
region = "ap-southeast-3"

[projects.asia.auth]
kind = "password"
domain_name = "example-corp"
user_name = "ops-bot"
password = "env:ASIA_PASSWORD"

[projects.africa]
title = "Africa"
project_id = "5d2e8f1a3b7c49d6a0e4c8b2f6d1a3e7"
region = "af-south-1"
workspace_endpoint = "https://workspace.example.com/"

[projects.africa.auth]
kind = "aksk"
ak = "AKID"
sk = "file:{secret}"
"""


@pytest.fixture
def project_file(tmp_path: Path) -> Path:
    secret = tmp_path / "secret"
    secret.write_text("canary-sk\n")
    path = tmp_path / "projects.toml"
    path.write_text(TWO_PROJECTS.format(secret=secret))
    return path


def error_message(environ: dict[str, str]) -> str:
    with pytest.raises(ImproperlyConfigured) as caught:
        load_projects(environ)
    assert "canary" not in str(caught.value)
    return str(caught.value)


def error_message_about(path: Path, old: str, new: str) -> str:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    message = error_message({"STREAMWARDEN_PROJECTS": str(path), "ASIA_PASSWORD": "canary-password"})
    assert message.startswith(f"{path}, line ")
    return message.removeprefix(f"{path}, ")


def test_a_deployment_without_configuration_has_no_project() -> None:
    assert load_projects({"PATH": "/bin", "CLOUD_PROXY": ""}) == ()


def test_reads_one_project_with_the_endpoints_of_its_region() -> None:
    assert load_projects(TOKEN) == (
        Project(
            slug="default",
            title="ap-southeast-3",
            project_id=PROJECT_ID,
            region="ap-southeast-3",
            workspace_endpoint="https://workspace.ap-southeast-3.myhuaweicloud.com",
            ims_endpoint="https://ims.ap-southeast-3.myhuaweicloud.com",
            iam_endpoint="https://iam.ap-southeast-3.myhuaweicloud.com",
            auth=TokenCredential("canary-token"),
        ),
    )


@pytest.mark.parametrize(
    ("variables", "credential"),
    [
        ({"WORKSPACE_AUTH_TOKEN": "t"}, TokenCredential("t")),
        (
            {"IAM_DOMAIN_NAME": "d", "IAM_USER_NAME": "u", "IAM_PASSWORD": "p w"},
            PasswordCredential("d", "u", "p w"),
        ),
        ({"HUAWEICLOUD_SDK_AK": "a", "HUAWEICLOUD_SDK_SK": "s"}, KeyCredential("a", "s")),
        (
            {"HUAWEICLOUD_SDK_AK": "a", "HUAWEICLOUD_SDK_SK": "s", "HUAWEICLOUD_SDK_SECURITY_TOKEN": "x"},
            KeyCredential("a", "s", "x"),
        ),
    ],
)
def test_the_variables_decide_the_kind_of_credential(variables: dict[str, str], credential: object) -> None:
    (project,) = load_projects({**SINGLE, **variables})

    assert project.auth == credential


def test_reads_several_projects_and_their_secrets_from_a_file(project_file: Path) -> None:
    environ = {"STREAMWARDEN_PROJECTS": str(project_file), "ASIA_PASSWORD": "canary-password", **TOKEN}

    asia, africa = load_projects(environ)

    assert asia == Project(
        slug="asia",
        title="Asia",
        project_id=PROJECT_ID,
        region="ap-southeast-3",
        workspace_endpoint="https://workspace.ap-southeast-3.myhuaweicloud.com",
        ims_endpoint="https://ims.ap-southeast-3.myhuaweicloud.com",
        iam_endpoint="https://iam.ap-southeast-3.myhuaweicloud.com",
        auth=PasswordCredential("example-corp", "ops-bot", "canary-password"),
    )
    assert (africa.workspace_endpoint, africa.auth) == (
        "https://workspace.example.com",
        KeyCredential("AKID", "canary-sk"),
    )


@pytest.mark.parametrize("calls", [10, 100_000])
def test_reads_the_call_budget_of_a_project(project_file: Path, calls: int) -> None:
    text = project_file.read_text().replace('title = "Asia"', f'title = "Asia"\ncalls_per_minute = {calls}')
    project_file.write_text(text)

    projects = load_projects({"STREAMWARDEN_PROJECTS": str(project_file), "ASIA_PASSWORD": "canary-password"})

    assert [project.calls_per_minute for project in projects] == [calls, 120]


def test_no_repr_contains_a_secret(project_file: Path) -> None:
    environ = {"STREAMWARDEN_PROJECTS": str(project_file), "ASIA_PASSWORD": "canary-password"}
    environ["CLOUD_PROXY"] = "http://me:canary-proxy@proxy.example.com:3128"

    projects = load_projects(environ)

    assert projects[0].proxy == "http://me:canary-proxy@proxy.example.com:3128"
    assert "canary" not in repr(projects)


@pytest.mark.parametrize(
    ("region", "endpoints"),
    [
        (
            "cn-north-4",
            Endpoints(
                "https://appstream.cn-north-4.myhuaweicloud.com",
                "https://ims.cn-north-4.myhuaweicloud.com",
                "https://iam.cn-north-4.myhuaweicloud.com",
            ),
        ),
        (
            "af-north-1",
            Endpoints(
                "https://workspace.af-north-1.myhuaweicloud.com",
                "https://ims.af-north-1.myhuaweicloud.com",
                "https://iam.myhuaweicloud.com",
            ),
        ),
        ("moon-1", None),
    ],
)
def test_each_region_has_its_endpoints(region: str, endpoints: Endpoints | None) -> None:
    assert endpoints_of(region) == endpoints
    assert len(REGIONS) == 17


@pytest.mark.parametrize("address", ["http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001"])
def test_ims_and_iam_of_a_simulated_project_are_the_simulator(address: str) -> None:
    (project,) = load_projects({**TOKEN, "WORKSPACE_ENDPOINT": address})

    assert project.is_simulated
    assert {project.workspace_endpoint, project.ims_endpoint, project.iam_endpoint} == {address}


def test_a_project_of_the_real_cloud_is_not_simulated() -> None:
    (project,) = load_projects(TOKEN)

    assert not project.is_simulated


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HUAWEICLOUD_SDK_PROJECT_ID": ""}, "HUAWEICLOUD_SDK_PROJECT_ID in the environment: project_id is missing"),
        (
            {"HUAWEICLOUD_SDK_PROJECT_ID": "../x"},
            "HUAWEICLOUD_SDK_PROJECT_ID in the environment: expected the project's id",
        ),
        ({"HUAWEICLOUD_SDK_REGION": ""}, "HUAWEICLOUD_SDK_REGION in the environment: region is missing"),
        (
            {"HUAWEICLOUD_SDK_REGION": "moon-1"},
            "HUAWEICLOUD_SDK_REGION in the environment: unknown region without workspace_endpoint; expected one of af-",
        ),
        ({"WORKSPACE_AUTH_TOKEN": ""}, "environment: expected exactly one credential"),
        ({"HUAWEICLOUD_SDK_AK": "canary"}, "environment: expected exactly one credential"),
        ({"WORKSPACE_AUTH_TOKEN": "canary \n"}, "WORKSPACE_AUTH_TOKEN in the environment: expected visible ASCII"),
        (
            {"WORKSPACE_AUTH_TOKEN": "env:NOWHERE"},
            "WORKSPACE_AUTH_TOKEN in the environment: expected the environment variable NOWHERE to be set",
        ),
        (
            {"WORKSPACE_AUTH_TOKEN": "file:/nowhere"},
            "WORKSPACE_AUTH_TOKEN in the environment: expected /nowhere to be a readable file of text",
        ),
        (
            {"IAM_USER_NAME": "ops-bot"},
            "IAM_USER_NAME in the environment: unknown key",
        ),
        (
            {"WORKSPACE_ENDPOINT": "http://workspace.example.com"},
            "WORKSPACE_ENDPOINT in the environment: expected https",
        ),
        (
            {"WORKSPACE_ENDPOINT": "http://127.0.0.1.example.com"},
            "WORKSPACE_ENDPOINT in the environment: expected https",
        ),
        ({"WORKSPACE_ENDPOINT": "ftp://127.0.0.1"}, "WORKSPACE_ENDPOINT in the environment: expected https"),
        ({"WORKSPACE_ENDPOINT": "workspace.example.com"}, "WORKSPACE_ENDPOINT in the environment: expected an address"),
        ({"WORKSPACE_ENDPOINT": "https://me:canary@x"}, "WORKSPACE_ENDPOINT in the environment: expected an address"),
        ({"WORKSPACE_ENDPOINT": "https://x/?a=b"}, "WORKSPACE_ENDPOINT in the environment: expected an address"),
        (
            {"WORKSPACE_ENDPOINT": f"https://{'x' * 64}.example.com"},
            "WORKSPACE_ENDPOINT in the environment: expected an",
        ),
        ({"WORKSPACE_ENDPOINT": "https://x:port"}, "WORKSPACE_ENDPOINT in the environment: expected an address"),
        ({"IMS_ENDPOINT": "https://x y"}, "IMS_ENDPOINT in the environment: expected an address"),
        ({"HUAWEICLOUD_SDK_IAM_ENDPOINT": "http://iam"}, "HUAWEICLOUD_SDK_IAM_ENDPOINT in the environment: expected"),
        ({"CLOUD_CA_BUNDLE": "/nowhere"}, "CLOUD_CA_BUNDLE: expected the path"),
        ({"CLOUD_PROXY": "proxy:canary"}, "CLOUD_PROXY: expected an address"),
    ],
)
def test_names_a_wrong_variable_and_the_expectation(variables: dict[str, str], expected: str) -> None:
    assert error_message({**TOKEN, **variables}).startswith(expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('region = "ap-southeast-3"\n', "", "line 1, region: region is missing"),
        ('region = "ap-southeast-3"', 'region = ""', "line 4, region: region is empty"),
        ('region = "ap-southeast-3"', 'region = "moon-1"', "line 4, region: unknown region without workspace_endpoint"),
        ('region = "ap-southeast-3"', "region = 3", "line 4, region: expected text in quotation marks"),
        ('title = "Asia"', 'titel = "Asia"', "line 2, titel: unknown key; expected one of auth.domain_name,"),
        ('title = "Asia"', "", "line 1, title: title is missing"),
        ('kind = "password"', 'kind = "pasword"', "line 7, auth.kind: expected one of token, password, aksk"),
        ('kind = "password"\n', "", "line 6, auth.kind: auth.kind is missing"),
        ("[projects.asia.auth]", "[projects.asia.oauth]", "line 1, auth.kind: auth.kind is missing"),
        ('"env:ASIA_PASSWORD"', '"env:NOWHERE"', "line 10, auth.password: expected the environment variable NOWHERE"),
        ('ak = "AKID"', 'ak = "two words"', "line 20, auth.ak: expected visible ASCII characters only"),
        ("https://workspace.example.com/", "http://x/", "line 16, workspace_endpoint: expected https:// (plain"),
        (
            'title = "Asia"',
            'title = "Asia"\ncalls_per_minute = 9',
            "line 3, calls_per_minute: expected a whole number from",
        ),
        ('title = "Asia"', 'title = "Asia"\ncalls_per_minute = 100001', "line 3, calls_per_minute: expected a whole "),
        ('title = "Asia"', 'title = "Asia"\ncalls_per_minute = "120"', "line 3, calls_per_minute: expected a whole "),
        ('title = "Asia"', 'title = "Asia"\ncalls_per_minute = true', "line 3, calls_per_minute: expected a whole "),
        ('title = "Asia"', 'title = "Asia"\ncalls_per_minute = 60.0', "line 3, calls_per_minute: expected a whole "),
        ("[projects.asia]", "[projects.Asia_1]", "line 1, Asia_1: expected a name of lower-case letters"),
    ],
)
def test_names_a_wrong_line_of_the_file_and_the_expectation(
    project_file: Path, old: str, new: str, expected: str
) -> None:
    assert error_message_about(project_file, old, new).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[projects.asia\n", "expected TOML in UTF-8: Expected ']' at the end of a table declaration (at line 1,"),
        (b"\xff\xfe", "expected TOML in UTF-8"),
        (b"", "line 1: expected only tables named [projects.<slug>]"),
        (b"projects = 1", "line 1: expected only tables named [projects.<slug>]"),
        (b"[other]\n[projects.a]\n", "line 1: expected only tables named [projects.<slug>]"),
        (b"[projects]\nasia = 1\n", "auth.kind is missing"),
    ],
)
def test_rejects_a_file_without_valid_projects(tmp_path: Path, text: bytes, expected: str) -> None:
    path = tmp_path / "projects.toml"
    path.write_bytes(text)

    assert expected in error_message({"STREAMWARDEN_PROJECTS": str(path)})


def test_names_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.toml"

    assert error_message({"STREAMWARDEN_PROJECTS": str(path)}) == (
        f"STREAMWARDEN_PROJECTS: {path}: No such file or directory"
    )


def test_finds_a_project_by_its_slug(monkeypatch: pytest.MonkeyPatch) -> None:
    projects = load_projects(TOKEN)
    monkeypatch.setattr("dashboard.cloud.projects.settings", SimpleNamespace(CLOUD_PROJECTS=projects))

    assert get_project("default") is projects[0]
    with pytest.raises(UnknownProjectError, match="elsewhere"):
        get_project("elsewhere")
