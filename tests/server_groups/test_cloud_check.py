import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from dashboard.cloud.projects import Project
from tests.conftest import Simulated, address

TAKEN = {"taken": ["workspace:session:listSessions"]}


def test_a_working_project_passes(project: Project) -> None:
    out = StringIO()

    call_command("check_cloud", stdout=out)

    assert "good       ListServerGroups [workspace:serverGroup:list]" in out.getvalue()
    assert "bad" not in out.getvalue()


def test_a_missing_permission_fails_and_prints_the_policy_to_grant(project: Project, simulator: Simulated) -> None:
    simulator.control("PUT", "permissions/simulator-token", TAKEN)
    out = StringIO()

    with pytest.raises(SystemExit) as stopped:
        call_command("check_cloud", "--project", "default", stdout=out)

    assert stopped.value.code == 1
    policy = json.loads(out.getvalue().partition("Grant this to the credential:")[2])
    assert policy["Statement"] == [{"Effect": "Allow", "Action": TAKEN["taken"]}]


def test_an_unknown_project_is_named_with_the_configured_ones(project: Project) -> None:
    with pytest.raises(CommandError, match=r"no project nowhere\. The configured projects are: default\."):
        call_command("check_cloud", "--project", "nowhere")


def test_without_a_project_the_check_fails(settings: Settings) -> None:
    settings.CLOUD_PROJECTS = ()

    with pytest.raises(CommandError, match="No cloud project is configured"):
        call_command("check_cloud")


def test_the_page_shows_the_same_checks_and_sends_no_patch(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    simulator.control("PUT", "permissions/simulator-token", TAKEN)

    page = client_as("administrator").get(address(group_id=None) + "cloud-check/").content.decode()

    assert "workspace:session:listSessions" in page.partition("Grant this to the credential")[2]
    assert simulator.patches == []
