"""The door: every route, for everyone. A route without a row here fails."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from tests.conftest import DESIGN_POOL, ROLES, Simulated

LIST = "/projects/default/server-groups/"
GROUP = f"{LIST}{DESIGN_POOL}/"
AUDIT = "/projects/default/audit/"
SIGN_IN = 302

# Method, address, and the answer to: nobody, viewer, help desk, administrator, auditor.
ROUTES: dict[tuple[str, str], tuple[str, tuple[int, int, int, int, int]]] = {
    ("GET", ""): ("/", (SIGN_IN, 302, 302, 302, 302)),
    ("GET", "healthz"): ("/healthz", (200, 200, 200, 200, 200)),
    ("POST", "theme/"): ("/theme/", (302, 302, 302, 302, 302)),
    ("GET", "accounts/login/"): ("/accounts/login/", (200, 302, 302, 302, 302)),
    ("GET", "accounts/logout/"): ("/accounts/logout/", (302, 200, 200, 200, 200)),
    ("GET", "accounts/inactive/"): ("/accounts/inactive/", (200, 200, 200, 200, 200)),
    ("GET", "accounts/password/change/"): ("/accounts/password/change/", (SIGN_IN, 200, 200, 200, 200)),
    ("GET", "<project>/server-groups/"): (LIST, (SIGN_IN, 200, 200, 200, 200)),
    ("GET", "<project>/server-groups/counts/"): (f"{LIST}counts/", (SIGN_IN, 200, 200, 200, 200)),
    ("GET", "<project>/server-groups/loads/"): (f"{LIST}loads/", (SIGN_IN, 200, 200, 200, 200)),
    ("GET", "<project>/server-groups/images/"): (f"{LIST}images/", (SIGN_IN, 403, 403, 200, 403)),
    ("GET", "<project>/server-groups/disk-types/"): (f"{LIST}disk-types/", (SIGN_IN, 403, 403, 200, 403)),
    ("GET", "<project>/server-groups/cloud-check/"): (f"{LIST}cloud-check/", (SIGN_IN, 403, 403, 200, 403)),
    ("GET", "<project>/server-groups/<group>/"): (GROUP, (SIGN_IN, 200, 200, 200, 200)),
    ("GET", "<project>/server-groups/<group>/edit/"): (f"{GROUP}edit/", (SIGN_IN, 403, 403, 200, 403)),
    ("POST", "<project>/server-groups/<group>/edit/"): (f"{GROUP}edit/", (SIGN_IN, 403, 403, 302, 403)),
    ("GET", "<project>/server-groups/<group>/edit/review/"): (f"{GROUP}edit/review/", (SIGN_IN, 403, 403, 302, 403)),
    ("POST", "<project>/server-groups/<group>/edit/review/"): (f"{GROUP}edit/review/", (SIGN_IN, 403, 403, 200, 403)),
    ("GET", "<project>/server-groups/<group>/edit/name/"): (f"{GROUP}edit/name/", (SIGN_IN, 403, 403, 200, 403)),
    ("GET", "<project>/server-groups/<group>/switch/"): (f"{GROUP}switch/", (SIGN_IN, 403, 200, 200, 403)),
    ("POST", "<project>/server-groups/<group>/switch/"): (f"{GROUP}switch/", (SIGN_IN, 403, 302, 302, 403)),
    ("POST", "<project>/server-groups/<group>/changes/<number>/settle/"): (
        f"{GROUP}changes/0/settle/",
        (SIGN_IN, 404, 404, 404, 404),
    ),
    ("GET", "<project>/audit/"): (AUDIT, (SIGN_IN, 403, 200, 200, 200)),
    ("GET", "<project>/audit/<number>/"): (f"{AUDIT}0/", (SIGN_IN, 403, 404, 404, 404)),
}
POSTED = {"name": "TEST", "status": "off", "reason": "INC-1"}


def patterns(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for one in resolver.url_patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, route)
        else:
            assert isinstance(one, URLPattern)
            yield route


def test_every_route_has_a_row() -> None:
    short = {
        "projects/<project:project>": "<project>",
        "<str:group_id>": "<group>",
        "<int:number>": "<number>",
    }
    known = {route for _, route in ROUTES}

    for pattern in patterns(get_resolver()):
        for long, words in short.items():
            pattern = pattern.replace(long, words)  # noqa: PLW2901 (shortened step by step)
        assert pattern in known


@pytest.mark.parametrize("who", ["nobody", *ROLES])
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_each_route_answers_each_person_as_the_table_says(
    client_as: Callable[[str], Client],
    project: Project,
    simulator: Simulated,
    route: tuple[str, str],
    who: str,
) -> None:
    client = Client() if who == "nobody" else client_as(who)
    address, answers = ROUTES[route]
    data: dict[str, Any] = dict(POSTED) if route[0] == "POST" else {}
    if "switch" in route[1]:
        data.pop("name", None)
    wanted = answers[["nobody", *ROLES].index(who)]

    answer = client.generic(
        route[0],
        address,
        "&".join(f"{n}={v}" for n, v in data.items()),
        content_type="application/x-www-form-urlencoded",
    )

    assert answer.status_code == wanted
    is_sent_away = who == "nobody" and wanted == SIGN_IN and "/accounts/" not in address and route[1] != "theme/"
    assert not is_sent_away or answer.headers["Location"].startswith("/accounts/login/?next=")
    if wanted == 403 and route[0] == "POST":
        assert simulator.patches == []
        assert [entry.kind for entry in ChangeIntent.objects.all()] == ["denied"]


@pytest.mark.parametrize(
    ("method", "address"), [("DELETE", LIST), ("POST", LIST), ("PUT", f"{GROUP}edit/"), ("GET", "/theme/")]
)
def test_other_methods_are_refused(
    client_as: Callable[[str], Client], project: Project, method: str, address: str
) -> None:
    assert client_as("administrator").generic(method, address).status_code == 405
