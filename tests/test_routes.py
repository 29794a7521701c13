"""Every route with every method for every person, in one table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from dashboard.accounts.models import Actor, User
from dashboard.audit.ledger.services import Attempt, Change, OutcomeDetails, record_closed
from dashboard.audit.models import ChangeIntent, Kind, Outcome
from dashboard.cloud.projects import Project
from tests.conftest import DESIGN_POOL, Simulated, address

LOGIN = "/accounts/login/"
LIST, LEDGER = address(group_id=None), "/projects/default/audit/"
SIGN_IN = "sign in"
"""A redirect to the sign-in page."""

PEOPLE = ("signed out", "no role", "viewer", "help desk", "administrator", "auditor")
Status = int | str


def everyone(status: Status) -> tuple[Status, ...]:
    return (status,) * len(PEOPLE)


def signed_in(*statuses: Status) -> tuple[Status, ...]:
    """One status for all signed-in people, or one for each: no role, viewer, help desk, administrator, auditor."""
    return (SIGN_IN, *(statuses if len(statuses) > 1 else statuses * (len(PEOPLE) - 1)))


VIEWERS = signed_in(403, 200, 200, 200, 200)
EDITORS = signed_in(403, 403, 403, 200, 403)
READERS = signed_in(403, 403, 200, 200, 200)
NOT_ALLOWED = signed_in(405)


@dataclass(frozen=True)
class Route:
    """Status by person. `PUT` is `POST` for the pages of allauth. `others` are all other methods."""

    path: str
    get: tuple[Status, ...]
    post: tuple[Status, ...]
    others: tuple[Status, ...] = NOT_ALLOWED
    put: tuple[Status, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)


ROUTES = {
    "home": Route("/", signed_in(302), NOT_ALLOWED),
    "readyz": Route("/readyz", everyone(200), everyone(405), everyone(405)),
    "healthz": Route("/healthz", everyone(200), everyone(405), everyone(405)),
    "livez": Route("/livez", everyone(200), everyone(405), everyone(405)),
    "csp-report": Route("/csp-reports/", everyone(405), everyone(204), everyone(405)),
    "theme": Route("/theme/", everyone(405), everyone(302), everyone(405), data={"theme": "dark"}),
    "account_login": Route(LOGIN, (200, *(302,) * 5), (200, *(302,) * 5), (405, *(302,) * 5), put=(200, *(302,) * 5)),
    "account_logout": Route("/accounts/logout/", (302, *(200,) * 5), everyone(302), everyone(405)),
    "account_inactive": Route("/accounts/inactive/", everyone(200), everyone(405), everyone(405)),
    "account_change_password": Route("/accounts/password/change/", signed_in(200), signed_in(200), put=signed_in(200)),
    "server-groups:list": Route(LIST, VIEWERS, NOT_ALLOWED),
    "server-groups:counts": Route(f"{LIST}counts/", VIEWERS, NOT_ALLOWED),
    "server-groups:copy-age": Route(f"{LIST}copy-age/", VIEWERS, NOT_ALLOWED),
    "server-groups:refresh": Route(f"{LIST}refresh/", NOT_ALLOWED, signed_in(403, 302, 302, 302, 302)),
    "server-groups:images": Route(f"{LIST}images/", EDITORS, NOT_ALLOWED),
    "server-groups:disk-types": Route(f"{LIST}disk-types/", EDITORS, NOT_ALLOWED),
    "server-groups:cloud-check": Route(f"{LIST}cloud-check/", EDITORS, NOT_ALLOWED),
    "server-groups:detail": Route(address(), VIEWERS, NOT_ALLOWED),
    "server-groups:load": Route(address("load/"), VIEWERS, NOT_ALLOWED),
    "server-groups:load-export": Route(address("load.csv"), VIEWERS, NOT_ALLOWED),
    "server-groups:edit": Route(address("edit/"), EDITORS, signed_in(403, 403, 403, 302, 403), data={"name": "TEST"}),
    "server-groups:review": Route(
        address("edit/review/"), signed_in(403, 403, 403, 302, 403), EDITORS, data={"name": "TEST"}
    ),
    "server-groups:name-check": Route(address("edit/name/"), EDITORS, NOT_ALLOWED),
    "server-groups:switch": Route(
        address("switch/"),
        signed_in(403, 403, 200, 200, 403),
        signed_in(403, 403, 302, 302, 403),
        data={"status": "off", "reason": "why"},
    ),
    "server-groups:settle": Route(address("changes/1/settle/"), NOT_ALLOWED, signed_in(403, 302, 302, 302, 302)),
    "activity:list": Route(LEDGER, READERS, NOT_ALLOWED),
    "activity:system": Route(f"{LEDGER}system/", READERS, NOT_ALLOWED),
    "activity:attention": Route(f"{LEDGER}attention/", READERS, NOT_ALLOWED),
    "activity:export": Route(f"{LEDGER}export.csv", READERS, NOT_ALLOWED),
    "activity:entry": Route(f"{LEDGER}1/", READERS, NOT_ALLOWED),
}


def names(patterns: list[URLPattern | URLResolver], namespace: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else namespace)
        else:
            yield f"{namespace}{pattern.name}"


def test_the_table_has_every_route() -> None:
    assert sorted(names(get_resolver().url_patterns)) == sorted(ROUTES)


@pytest.fixture
def entry(db: None) -> ChangeIntent:
    """The first entry of the ledger."""
    user = User.objects.create_user("someone-else")
    change = Change("name", "Name", "old", "new")
    attempt = Attempt("default", DESIGN_POOL, "old", (change,), Kind.EDIT, "", Actor(user, ""), "key")
    intent = record_closed(attempt, OutcomeDetails(Outcome.APPLIED, ""))
    assert intent.number == 1
    return intent


@pytest.fixture
def browser_of(client_as: Callable[[str], Client]) -> Callable[[str], Client]:
    def of(person: str) -> Client:
        if person == "signed out":
            return Client()
        if person != "no role":
            return client_as(person)
        client = client_as("viewer")
        user = User.objects.get(username="viewer")
        user.groups.clear()
        return client

    return of


def status_of(client: Client, method: str, route: Route) -> Status:
    response = client.generic(
        method,
        route.path,
        "&".join(f"{name}={text}" for name, text in route.data.items()),
        "application/x-www-form-urlencoded",
    )
    is_sign_in = response.status_code == 302 and response.headers["Location"].startswith(f"{LOGIN}?next=")
    return SIGN_IN if is_sign_in else response.status_code


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", ROUTES)
def test_each_person_gets_the_status_in_the_table(
    browser_of: Callable[[str], Client],
    project: Project,
    simulator: Simulated,
    entry: ChangeIntent,
    name: str,
    method: str,
) -> None:
    route = ROUTES[name]
    expected = {"GET": route.get, "POST": route.post, "PUT": route.put or route.others}.get(method, route.others)

    statuses = {person: status_of(browser_of(person), method, route) for person in PEOPLE}

    assert statuses == dict(zip(PEOPLE, expected, strict=True))
    assert len(simulator.patches) <= (method == "POST" and name in {"server-groups:edit", "server-groups:switch"})


@pytest.mark.parametrize(
    ("below", "data", "attempted"),
    [
        ("switch/", {"status": "off", "reason": "why"}, {"server_group_status": False}),
        ("switch/", {"status": "on"}, {"server_group_status": True}),
        ("switch/", {"status": "flip\x00"}, {"server_group_status": "flip"}),
        ("switch/", {"status": "on", "name": "a"}, {"server_group_status": True, "name": "a"}),
        ("switch/", {}, {}),
        ("edit/", {"name": "TEST"}, {"name": "TEST"}),
        (
            "edit/",
            {"route_policy__max_session": "9", "server_group_status": "false", "unheard": "of"},
            {"server_group_status": "false", "route_policy.max_session": "9"},
        ),
        ("edit/", {"description": "<b>" + "x" * 5000}, {"description": "<b>" + "x" * 96 + "…"}),
        ("edit/", {}, {}),
    ],
)
@pytest.mark.parametrize("role", ["no role", "viewer", "auditor"])
def test_denies_and_records_a_post_without_permission(
    browser_of: Callable[[str], Client],
    project: Project,
    simulator: Simulated,
    role: str,
    below: str,
    data: dict[str, str],
    attempted: dict[str, object],
) -> None:
    response = browser_of(role).post(address(below), data)

    entry = ChangeIntent.objects.get()
    assert (response.status_code, simulator.patches) == (403, [])
    assert {row.field: row.after for row in entry.fields.all()} == attempted
    assert {row.before for row in entry.fields.all()} <= {None}
    assert (entry.kind, entry.group_id, [row.outcome for row in entry.outcomes.all()]) == (
        "denied",
        DESIGN_POOL,
        ["denied"],
    )
    assert (entry.actor, entry.from_address) == ("viewer" if role == "no role" else role, "127.0.0.1")


@pytest.mark.parametrize("field_name", ["route_policy__max_session", "name", "server_group_status"])
@pytest.mark.parametrize("below", ["edit/", "switch/"])
def test_denies_and_records_other_fields_from_the_help_desk(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated, below: str, field_name: str
) -> None:
    response = client_as("help desk").post(
        address(below), {"status": "off", "reason": "why", field_name: "5"}, headers={"HX-Request": "true"}
    )

    entry = ChangeIntent.objects.get()
    assert (response.status_code, simulator.patches) == (403, [])
    assert (entry.kind, entry.actor) == ("denied", "help-desk")
    assert "server_group_status" in {row.field for row in entry.fields.all()}


@pytest.mark.parametrize("below", ["edit/", "edit/review/", "switch/"])
def test_does_not_record_the_view_of_a_forbidden_form(
    client_as: Callable[[str], Client], project: Project, below: str
) -> None:
    response = client_as("auditor").get(address(below))

    assert (response.status_code, ChangeIntent.objects.count()) == (403, 0)


def test_a_removed_role_has_an_immediate_effect(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    client.get(address("edit/"))
    User.objects.get().groups.set([Group.objects.get(name="viewer")])

    response = client.post(address("edit/"), {"name": "TEST"})

    assert (response.status_code, simulator.patches) == (403, [])
