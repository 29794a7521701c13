from collections.abc import Iterator

import pytest
import requests

from dashboard.simulator.server import SimulatorServer


@pytest.fixture(scope="session")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


@pytest.fixture
def url(server: SimulatorServer) -> str:
    """The address of the simulator in its initial state."""
    assert requests.post(f"{server.url}/_simulator/reset", timeout=10).status_code == 204
    return server.url
