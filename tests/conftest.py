"""Fixtures for all tests: the simulator over loopback, a project that uses it, and people with each role."""

import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from dashboard.accounts.browsers import remember_person
from dashboard.accounts.models import Actor, User
from dashboard.cloud import client as cloud_client
from dashboard.cloud import sign_in_pauses
from dashboard.cloud.projects import Project, load_projects
from dashboard.cloud.sign_in_pauses import MemoryPauses
from dashboard.server_groups import outcome_check
from dashboard.simulator.server import SimulatorServer
from tests.ledger import empty_ledger

PROJECT_ID = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
DESIGN_POOL = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
ROLES = ("viewer", "help desk", "administrator", "auditor")


@dataclass(frozen=True)
class Simulated:
    """The control interface of the simulator."""

    url: str

    def control(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_simulator/{path}", data, method=method)  # noqa: S310 (loopback)
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 (loopback)
            text = response.read()
        return json.loads(text) if text else None

    def requests(self, method: str | None = None) -> list[dict[str, Any]]:
        log: list[dict[str, Any]] = self.control("GET", "requests")["requests"]
        return [entry for entry in log if method in (None, entry["method"])]

    @property
    def patches(self) -> list[Any]:
        """The body of every PATCH that arrived, in order."""
        return [entry["body"] for entry in self.requests("PATCH")]

    def inject(self, *faults: dict[str, Any]) -> None:
        self.control("PUT", "faults", list(faults))

    def group(self, group_id: str = DESIGN_POOL) -> dict[str, Any]:
        shown: dict[str, Any] = self.control("GET", f"groups/{group_id}")
        return shown

    def change(self, group_id: str = DESIGN_POOL, **members: object) -> None:
        """Change a group without the dashboard."""
        self.control("PUT", f"groups/{group_id}", members)


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[SimulatorServer]:
    with SimulatorServer(port=0) as server:
        yield server


@pytest.fixture
def simulator(simulator_server: SimulatorServer) -> Iterator[Simulated]:
    """The simulator in its initial state: 42 groups, an empty request log, no faults."""
    simulated = Simulated(simulator_server.url)
    simulated.control("POST", "reset")
    yield simulated
    simulated.control("POST", "reset")


@pytest.fixture
def project(simulator: Simulated, settings: Settings) -> Iterator[Project]:
    """The only project of the deployment, in the simulator, with a new client."""
    environ = {
        "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
        "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
        "WORKSPACE_ENDPOINT": simulator.url,
        "WORKSPACE_AUTH_TOKEN": "simulator-token",
    }
    settings.CLOUD_PROJECTS = load_projects(environ)
    project = settings.CLOUD_PROJECTS[0]
    yield project
    cloud_client.client_for(project).close()
    cloud_client._clients.clear()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the number of verifying reads, with short waits between them."""
    monkeypatch.setattr(outcome_check, "WAITS", (0.01, 0.02, 0.04, 0.08))
    monkeypatch.setattr(outcome_check, "WAITS_IN_REQUEST", (0.01, 0.02))


@pytest.fixture(autouse=True)
def _pauses_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests sign in to IAM without a database."""
    monkeypatch.setattr(sign_in_pauses, "shared_pauses", MemoryPauses())


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _ledger_after_a_flush(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Empty the ledger after a test with real transactions. This needs the ledger without its guards."""
    yield
    mark = request.node.get_closest_marker("django_db")
    if {"transactional_db", "live_server"} & set(request.fixturenames) or (mark and mark.kwargs.get("transaction")):
        with django_db_blocker.unblock():
            empty_ledger()


@pytest.fixture(autouse=True)
def _roles_after_a_flush(request: pytest.FixtureRequest) -> None:
    """Create the roles of the migration again, because a test with real transactions empties all tables."""
    uses_database = {"db", "transactional_db", "live_server"} & set(request.fixturenames)
    if not uses_database and request.node.get_closest_marker("django_db") is None:
        return
    request.getfixturevalue("_django_db_helper")
    if not Group.objects.exists():
        import_module("dashboard.accounts.migrations.0001_initial").create_roles(apps, None)


@pytest.fixture
def person(db: None) -> Callable[[str], User]:
    """Return a function that creates a user with a role. The user has the name of the role."""

    def make(role: str) -> User:
        user, _ = User.objects.get_or_create(username=role.replace(" ", "-"))
        user.groups.set([Group.objects.get(name=role)])
        return user

    return make


@pytest.fixture
def acting(person: Callable[[str], User]) -> Callable[[str], Actor]:
    return lambda role: Actor(person(role), "192.0.2.7")


@pytest.fixture
def client_as(person: Callable[[str], User]) -> Callable[[str], Client]:
    """Return a function that makes a browser without JavaScript, signed in as a user with the role."""

    def sign_in(role: str) -> Client:
        client, user = Client(), person(role)
        client.force_login(user, backend="dashboard.accounts.backends.RoleBackend")
        response = HttpResponse()
        remember_person(response, user)
        client.cookies.update(response.cookies)
        return client

    return sign_in


def address(page: str = "", group_id: str | None = DESIGN_POOL) -> str:
    """The address of a page of a group, or of the list with `group_id=None`."""
    base = "/projects/default/server-groups/"
    return base if group_id is None else f"{base}{group_id}/{page}"


def fault(name: str, method: str = "PATCH", times: int | None = 1, **options: object) -> dict[str, object]:
    match: Sequence[tuple[str, str]] = (("method", method), ("path", "*/app-server-groups/*"))
    return {"match": dict(match), "times": times, "fault": name, **options}
