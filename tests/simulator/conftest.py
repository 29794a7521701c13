from collections.abc import Iterator
from typing import Any

import pytest
import requests

from dashboard.simulator.server import SimulatorServer

PROJECT = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
OTHER_PROJECT = "5d2e8f1a3b7c49d6a0e4c8b2f6d1a3e7"
DESIGN_POOL = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"


class Cloud:
    """A plain HTTP client of the simulator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-Auth-Token"] = "simulator-token"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 10)
        return self.session.request(method, self.url + path, allow_redirects=False, **options)

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.call("GET", path, params=query)

    def groups(self, path: str = "", *, project: str = PROJECT, **query: Any) -> requests.Response:
        return self.get(f"/v1/{project}/app-server-groups{path}", **query)

    def show(self, group: str = DESIGN_POOL) -> Any:
        return self.groups(f"/{group}").json()

    def patch(self, body: Any, group: str = DESIGN_POOL, project: str = PROJECT) -> requests.Response:
        return self.call("PATCH", f"/v1/{project}/app-server-groups/{group}", json=body)

    def patch_raw(self, body: bytes, group: str = DESIGN_POOL) -> requests.Response:
        path = f"/v1/{PROJECT}/app-server-groups/{group}"
        return self.call("PATCH", path, data=body, headers={"Content-Type": "application/json"})

    def named(self, name: str, project: str = PROJECT) -> Any:
        found = self.groups(project=project, server_group_name=name, limit=100).json()["items"]
        return next(group for group in found if group["name"] == name)

    def control(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self.call(method, f"/_simulator/{path}", **({} if body is None else {"json": body}))

    def faults(self, *entries: dict[str, Any]) -> None:
        assert self.control("PUT", "faults", list(entries)).status_code == 200

    def switch(self, **values: str) -> None:
        assert self.control("PUT", "switches", values).status_code == 200

    def requests(self) -> list[dict[str, Any]]:
        logged: list[dict[str, Any]] = self.control("GET", "requests").json()["requests"]
        return logged

    def history(self) -> list[dict[str, Any]]:
        changes: list[dict[str, Any]] = self.control("GET", "history").json()["changes"]
        return changes


@pytest.fixture(scope="session")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


@pytest.fixture
def cloud(server: SimulatorServer) -> Iterator[Cloud]:
    """The simulator in its initial state."""
    client = Cloud(server.url)
    assert client.control("POST", "reset").status_code == 204
    with client.session:
        yield client
