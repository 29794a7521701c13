"""Compare the client with the official SDK and with bare `requests`, on the same simulator in the same run.

Times depend on the machine. The ratios are more reliable. The simulator runs in a separate process, so that it does not
share the interpreter lock with the measured code. The candidates alternate, so that a busy moment affects all of them.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

import requests
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkworkspaceapp.v1 import ListServerGroupsRequest, ShowServerGroupRequest, WorkspaceAppClient

from dashboard.cloud.client import Client
from dashboard.cloud.credentials import Credential, KeyCredential, TokenCredential
from dashboard.cloud.projects import Project
from dashboard.simulator.server import SimulatorServer

PROJECT_ID = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
GROUP_ID = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
TOKEN = TokenCredential("simulator-token")
KEY = KeyCredential("SIMULATORACCESSKEY01", "simulator-secret-key-01")
CALLS = 400
WARM_UP = 20
GROUPS = 1000
LATENCY_MS = 100
COLD_READS = 5


def _serve(pipe: Connection, groups: int, latency_ms: int) -> None:
    with SimulatorServer(groups=groups, latency_ms=latency_ms) as server:
        pipe.send(server.url)
        pipe.recv()


@contextmanager
def simulator(groups: int = 42, latency_ms: int = 0) -> Iterator[str]:
    """Run a simulator in another process and yield its address."""
    context = get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=_serve, args=(child_end, groups, latency_ms), daemon=True)
    process.start()
    try:
        yield parent_end.recv()
    finally:
        parent_end.send("stop")
        process.join()


def project_at(url: str, auth: Credential) -> Project:
    return Project("bench", "Bench", PROJECT_ID, "ap-southeast-3", url, url, url, auth)


def official(url: str) -> WorkspaceAppClient:
    credentials = BasicCredentials(KEY.ak, KEY.sk, PROJECT_ID)
    return WorkspaceAppClient.new_builder().with_credentials(credentials).with_endpoint(url).build()


def bare(url: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["X-Auth-Token"] = TOKEN.token
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=10))
    return session


def median_ms(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each candidate. The candidates alternate."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            begun = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - begun) * 1000)
    return {name: round(statistics.median(samples), 3) for name, samples in times.items()}


def bench_one_call() -> dict[str, float]:
    """Measure ShowServerGroup over a persistent connection, with a simulator that responds at once."""
    with simulator() as url:
        with_token, signing = Client(project_at(url, TOKEN)), Client(project_at(url, KEY))
        sdk, session = official(url), bare(url)
        address = f"{url}/v1/{PROJECT_ID}/app-server-groups/{GROUP_ID}"
        request = ShowServerGroupRequest(server_group_id=GROUP_ID)
        candidates: dict[str, Callable[[], object]] = {
            "bare requests, token": lambda: session.get(address, timeout=(3, 10), allow_redirects=False).json(),
            "dashboard, token": lambda: with_token.show_server_group(GROUP_ID),
            "dashboard, AK/SK": lambda: signing.show_server_group(GROUP_ID),
            "official SDK, AK/SK": lambda: sdk.show_server_group(request),
        }
        median_ms(candidates, WARM_UP)
        return median_ms(candidates, CALLS)


def bench_cold_read() -> dict[str, float]:
    """Compare reading 1,000 groups in ten pages with two calls. The simulator responds after 100 ms."""
    with simulator(GROUPS, LATENCY_MS) as url:
        sdk, session, warm = official(url), bare(url), Client(project_at(url, TOKEN))

        def two_calls() -> None:
            warm.show_server_group(GROUP_ID)
            warm.show_server_group(GROUP_ID)

        def cold() -> None:
            client = Client(project_at(url, TOKEN))
            groups = client.list_server_groups().value
            client.close()
            assert len(groups) == GROUPS

        def sdk_pages() -> None:
            for offset in range(0, GROUPS, 100):
                sdk.list_server_groups(ListServerGroupsRequest(offset=offset, limit=100))

        def page(offset: int) -> object:
            address = f"{url}/v1/{PROJECT_ID}/app-server-groups?offset={offset}&limit=100"
            return session.get(address, timeout=(3, 10), allow_redirects=False).json()

        def bare_pages() -> None:
            with ThreadPoolExecutor(10) as threads:
                list(threads.map(page, range(0, GROUPS, 100)))

        candidates: dict[str, Callable[[], object]] = {
            "two calls": two_calls,
            "dashboard, cold": cold,
            "bare requests, ten threads": bare_pages,
            "official SDK, pages in sequence": sdk_pages,
        }
        median_ms(candidates, 1)
        return median_ms(candidates, COLD_READS)


def main() -> dict[str, dict[str, float]]:
    """Run both benchmarks and print a table. The keys of the result are its headings."""
    results = {"one call, ms": bench_one_call(), "1,000 groups, ten pages, ms": bench_cold_read()}
    for heading, medians in results.items():
        baseline = next(iter(medians.values()))
        print(f"\n{heading}")  # noqa: T201 - the output of the benchmark
        for name, milliseconds in medians.items():
            print(f"  {name:<36}{milliseconds:>10.2f}{milliseconds / baseline:>8.2f} x")  # noqa: T201 - as above
    return results


if __name__ == "__main__":
    main()
