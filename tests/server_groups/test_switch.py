from collections.abc import Callable

from django.test import Client

from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from tests.conftest import Simulated, address


def test_switching_off_sends_one_patch_and_leaves_one_entry(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("help desk")

    answer = client.post(address("switch/"), {"status": "off", "reason": "INC-4711"}, follow=True)

    assert "design-pool is off." in answer.content.decode()
    assert simulator.patches == [{"server_group_status": False}]
    entry = ChangeIntent.objects.get()
    assert (entry.actor, entry.reason, entry.last_outcome and entry.last_outcome.outcome) == (
        "help-desk",
        "INC-4711",
        "applied",
    )
