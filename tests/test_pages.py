"""Every page: headers, markup, error messages. Also the pages of the `web` package."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.audit.ledger.services import ChangeUnderWayError, LedgerError, OutcomeNotRecordedError
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.credentials import TokenCredential
from dashboard.cloud.projects import Project
from dashboard.server_groups import list_views, views
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.ledger import empty_disk, fill_disk
from tests.markup import Element, read, said

LIST, LEDGER, LOGIN = address(group_id=None), "/projects/default/audit/", "/accounts/login/"
HTMX = {"HX-Request": "true"}
LISTS = {"method": "GET", "path": "*/app-server-groups"}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "report-uri /csp-reports/",
}
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(), "
        "geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), "
        "picture-in-picture=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"
    ),
    "Referrer-Policy": "same-origin",
}
SECRETS = ("simulator-token", "development-only", "Traceback", "site-packages", "/dashboard/", "SECRET_KEY")


@dataclass(frozen=True)
class Scene:
    """A person with a browser, and the means to bring a page into a state."""

    client_as: Callable[[str], Client]
    simulator: Simulated
    settings: Settings
    patch: pytest.MonkeyPatch

    @property
    def admin(self) -> Client:
        return self.client_as("administrator")

    def get(self, path: str, role: str = "administrator", **headers: str) -> Any:
        return self.client_as(role).get(path, headers=headers)

    def post(self, path: str, data: dict[str, str], role: str = "administrator", **headers: str) -> Any:
        return self.client_as(role).post(path, data, headers=headers)

    def edit(self, data: dict[str, str], below: str = "edit/", **headers: str) -> Any:
        """Post the form of the edit page with changes in `data`."""
        fields = read(self.get(address("edit/"))).form("edit-form").fields
        return self.post(address(below), fields | data, **headers)

    def entry(self, role: str = "auditor") -> Any:
        return self.get(f"{LEDGER}{ChangeIntent.objects.order_by('number')[0].number}/", role)

    def after(self, *faults: dict[str, Any]) -> "Scene":
        self.simulator.inject(*faults)
        return self

    def failing(self, owner: object, name: str, error: Exception) -> "Scene":
        def fail(*_args: object, **_kwargs: object) -> None:
            raise error

        self.patch.setattr(owner, name, fail)
        return self


def with_stale_list(scene: Scene) -> Any:
    scene.get(LIST)
    return scene.after({"match": LISTS, "fault": "unavailable"}).get(LIST)


def with_conflict(scene: Scene) -> Any:
    fields = read(scene.get(address("edit/"))).form("edit-form").fields
    scene.simulator.change(name="theirs", description="theirs")
    return scene.post(address("edit/"), fields | {"name": "mine"})


def with_few_values(scene: Scene) -> Any:
    names = ("name", "is_vdi", "server_group_status", "route_policy", "image_name", "create_time", "app_group_count")
    scene.simulator.change(DESIGN_POOL, **dict.fromkeys(names))
    return scene.get(address(), "help desk")


def with_forged_post(scene: Scene) -> Any:
    client = scene.admin
    client.handler.enforce_csrf_checks = True
    return client.post(address("switch/"), {"status": "off", "reason": "x"})


def with_server_error(scene: Scene, error: Exception | None = None) -> Any:
    scene.failing(list_views, "list_groups", error or RuntimeError("simulator-token development-only"))
    client = scene.admin
    client.raise_request_exception = False
    return client.get(LIST)


def with_too_many_attempts(scene: Scene) -> Any:
    client = Client()
    return [client.post(LOGIN, {"login": "a", "password": "b"}) for _ in range(31)][-1]


def without_project(scene: Scene) -> Any:
    scene.settings.CLOUD_PROJECTS = ()
    return scene.get("/")


def with_other_token(scene: Scene) -> Any:
    (project,) = scene.settings.CLOUD_PROJECTS
    scene.settings.CLOUD_PROJECTS = (replace(project, auth=TokenCredential("simulator-token-that-is-wrong")),)
    return scene.get(LIST)


def then(first: Callable[[Scene], object], second: Callable[[Scene], Any]) -> Callable[[Scene], Any]:
    def both(scene: Scene) -> Any:
        first(scene)
        return second(scene)

    return both


OFF = {"status": "off", "reason": "why"}
UNKNOWN = fault("drop_before_answer")
UNDER_WAY = ChangeUnderWayError()

STATES: dict[str, tuple[int, Callable[[Scene], Any]]] = {
    "sign-in": (200, lambda _: Client().get(LOGIN)),
    "sign-in rejected": (200, lambda _: Client().post(LOGIN, {"login": "a", "password": "b"})),
    "sign-out": (200, lambda s: s.get("/accounts/logout/")),
    "password": (200, lambda s: s.get("/accounts/password/change/")),
    "password rejected": (200, lambda s: s.post("/accounts/password/change/", {"oldpassword": "x"})),
    "account closed": (200, lambda _: Client().get("/accounts/inactive/")),
    "no project": (503, without_project),
    "list": (200, lambda s: s.get(LIST)),
    "list for viewers": (200, lambda s: s.get(LIST, "viewer")),
    "list, filtered": (200, lambda s: s.get(f"{LIST}?q=a&status=on&sort=-disk&role=primary")),
    "list, nothing found": (200, lambda s: s.get(f"{LIST}?q=nowhere&status=off")),
    "list, partial": (200, lambda s: s.get(LIST, **HTMX)),
    "list, last copy": (200, with_stale_list),
    "list, cloud unavailable": (503, lambda s: s.after({"match": LISTS, "fault": "unavailable"}).get(LIST)),
    "list, wrong token": (503, with_other_token),
    "counts": (200, lambda s: s.get(f"{LIST}counts/", **HTMX)),
    "copy age": (200, lambda s: s.get(f"{LIST}copy-age/?polls=1", **HTMX)),
    "refresh": (200, lambda s: s.post(f"{LIST}refresh/", {}, **HTMX)),
    "images": (200, lambda s: s.get(f"{LIST}images/", **HTMX)),
    "disk types": (200, lambda s: s.get(f"{LIST}disk-types/", **HTMX)),
    "name check": (200, lambda s: s.get(address("edit/name/") + "?name=finance-eu", **HTMX)),
    "cloud check": (200, lambda s: s.get(f"{LIST}cloud-check/")),
    "group": (200, lambda s: s.get(address())),
    "group, few values": (200, with_few_values),
    "group, with history": (200, then(lambda s: s.edit({"name": "TEST", "reason": "why"}), lambda s: s.get(address()))),
    "group, pending": (200, then(lambda s: s.after(UNKNOWN).edit({"name": "TEST"}), lambda s: s.get(address()))),
    "group, cloud unavailable": (503, lambda s: s.after(fault("forbidden", "GET", times=None)).get(address())),
    "edit": (200, lambda s: s.get(address("edit/"))),
    "edit, invalid": (422, lambda s: s.edit({"name": "a b", "reason": "x" * 501})),
    "edit, invalid, partial": (422, lambda s: s.edit({"name": "a b"}, **HTMX)),
    "edit, rejected": (422, lambda s: s.after(fault("bad_request")).edit({"name": "TEST"})),
    "edit, conflict": (409, with_conflict),
    "review": (
        200,
        lambda s: s.edit({"name": "TEST", "image_id": "x", "app_type": "SESSION_DESKTOP_APP"}, "edit/review/"),
    ),
    "review, partial": (200, lambda s: s.edit({"name": "TEST"}, "edit/review/", **HTMX)),
    "switch": (200, lambda s: s.get(address("switch/"))),
    "switch, dialog": (200, lambda s: s.get(address("switch/"), **HTMX)),
    "switch, no reason": (422, lambda s: s.post(address("switch/"), {"status": "off"})),
    "switch, no reason, dialog": (422, lambda s: s.post(address("switch/"), {"status": "off"}, **HTMX)),
    "switch, switched": (200, lambda s: s.post(address("switch/"), OFF, **HTMX)),
    "switch, pending": (200, lambda s: s.after(UNKNOWN).post(address("switch/"), OFF, **HTMX)),
    "switch, rejected": (200, lambda s: s.after(fault("bad_request")).post(address("switch/"), OFF, **HTMX)),
    "switch, invalid": (400, lambda s: s.post(address("switch/"), {"status": "flip"})),
    "change under way": (
        409,
        lambda s: s.failing(views, "switch_server_group", UNDER_WAY).post(address("switch/"), OFF),
    ),
    "activity, empty": (200, lambda s: s.get(LEDGER)),
    "activity": (
        200,
        then(lambda s: s.edit({"name": "TEST", "reason": "why"}), lambda s: s.get(f"{LEDGER}?actor=administrator")),
    ),
    "activity, partial": (200, lambda s: s.get(LEDGER, **HTMX)),
    "entry": (200, then(lambda s: s.edit({"name": "TEST"}), Scene.entry)),
    "entry, unknown": (200, then(lambda s: s.after(UNKNOWN).edit({"name": "TEST"}), Scene.entry)),
    "entry, rejected": (200, then(lambda s: s.after(fault("bad_request")).edit({"name": "TEST"}), Scene.entry)),
    "entry, denied": (200, then(lambda s: s.post(address("edit/"), {}, "viewer"), Scene.entry)),
    "ledger unavailable": (
        503,
        lambda s: s.failing(views, "switch_server_group", LedgerError("disk full")).post(address("switch/"), OFF),
    ),
    "outcome not recorded": (
        503,
        lambda s: s.failing(views, "switch_server_group", OutcomeNotRecordedError("disk full")).post(
            address("switch/"), OFF
        ),
    ),
    "not allowed": (403, lambda s: s.get(address("edit/"), "viewer")),
    "not found": (404, lambda s: s.get("/nowhere/")),
    "not found, not signed in": (404, lambda _: Client().get("/nowhere/")),
    "no such group": (404, lambda s: s.get(address(group_id="nowhere"))),
    "form without token": (403, with_forged_post),
    "too large": (413, lambda _: Client().generic("POST", LOGIN, b"x" * 300_000, "text/plain")),
    "too many attempts": (200, with_too_many_attempts),
    "other site": (403, lambda s: s.post("/", {}, **{"Sec-Fetch-Site": "cross-site"})),
    "unknown host": (400, lambda _: Client().get(LOGIN, headers={"host": "elsewhere.example"})),
    "server error": (500, with_server_error),
    "database unavailable": (503, lambda s: with_server_error(s, OperationalError("database or disk is full"))),
}


@pytest.fixture
def scene(
    client_as: Callable[[str], Client],
    project: Project,
    simulator: Simulated,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    return Scene(client_as, simulator, settings, monkeypatch)


def violations_of(element: Element) -> list[str]:
    """Attributes and tags that the content policy forbids, or that load from another host."""
    inline = [name for name in element.attrs if name == "style" or name.startswith(("on", "hx-on", "data-hx-on"))]
    addresses = {"src", "href", "action", "formaction", "hx-get", "hx-post", "srcset", "poster", "data"}
    foreign = [
        value
        for name, value in element.attrs.items()
        if name in addresses and value.strip().lower().startswith(("http:", "https:", "//", "javascript:", "data:"))
    ]
    blocked = [element.tag] if element.tag in {"style", "iframe", "object", "embed", "base"} else []
    is_inline_script = element.tag == "script" and (element.text or not element.attrs["src"].startswith("/static/"))
    return inline + foreign + blocked + (["script"] if is_inline_script else [])


@pytest.mark.parametrize("name", STATES)
def test_every_page_obeys_the_content_policy_and_contains_no_secret(scene: Scene, name: str) -> None:
    status, show = STATES[name]

    response = show(scene)

    page = read(response)
    headers = {header: response.headers[header] for header in HEADERS}
    ids = Counter(element.attrs["id"] for element in page.elements if "id" in element.attrs)
    assert response.status_code == status
    assert set(response.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert headers == HEADERS
    assert "no-store" in response.headers["Cache-Control"]
    assert [(element.tag, found) for element in page.elements if (found := violations_of(element))] == []
    assert [secret for secret in SECRETS if secret in page.html] == []
    assert [one for one, count in ids.items() if count > 1] == []
    if page.all("html"):
        assert [len(page.all(tag)) for tag in ("main", "title")] == [1, 1]
        assert page.all("title")[0].text.strip().endswith("· Streamwarden")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no project", "No cloud project is configured"),
        ("not allowed", "You do not have permission"),
        ("not found", "Page not found"),
        ("no such group", "Page not found"),
        ("form without token", "This page has expired"),
        ("unknown host", "The request is invalid"),
        ("other site", "Another site sent this request"),
        ("too large", "The request is too large"),
        ("too many attempts", "Too many failed login attempts. Try again later."),
        ("switch, invalid", "Send status=on or status=off, once."),
        ("server error", "An error occurred in this dashboard"),
        ("group, cloud unavailable", "The dashboard cannot read the cloud"),
        ("list, wrong token", "The cloud does not accept the credential of this dashboard."),
        ("change under way", "Another change to this group is in progress"),
        (
            "ledger unavailable",
            (
                "Nothing was changed: the dashboard does not send a change that it cannot record. "
                "The database reports: disk full."
            ),
        ),
        ("outcome not recorded", "The change was sent, but its outcome could not be recorded."),
        ("account closed", "This account is deactivated"),
    ],
)
def test_an_error_page_explains_the_error(scene: Scene, name: str, words: str) -> None:
    _, show = STATES[name]

    assert words in said(show(scene))


@pytest.fixture
def full_disk(transactional_db: None) -> Any:
    """Fill the disk for one table of the ledger."""
    kinds = []

    def fill(kind: str) -> None:
        kinds.append(kind)
        fill_disk(kind)

    yield fill
    for kind in kinds:
        empty_disk(kind)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("table", "words", "patches"),
    [
        ("audit_changeintent", "Nothing was changed: the dashboard does not send a change that it cannot record.", 0),
        ("audit_changeoutcome", "The change was sent, but its outcome could not be recorded.", 1),
    ],
)
@pytest.mark.parametrize("form", ["edit/", "switch/"])
def test_the_page_reports_a_ledger_that_cannot_be_written(
    scene: Scene, full_disk: Callable[[str], None], form: str, table: str, words: str, patches: int
) -> None:
    client = scene.admin
    full_disk(table)

    response = client.post(address(form), OFF if form == "switch/" else {"name": "TEST"})

    assert response.status_code == 503
    assert words in said(response)
    assert "database or disk is full" in said(response)
    assert len(scene.simulator.patches) == patches


CONNECTION_FAILED = OperationalError('connection to server at "10.1.2.3", port 5432 failed: Connection refused')


@pytest.mark.parametrize("path", ["/", LIST, LOGIN])
def test_a_visitor_does_not_see_the_address_of_the_database(scene: Scene, caplog: Any, path: str) -> None:
    scene.failing(SessionStore, "load", CONNECTION_FAILED)
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = "x" * 32

    response = client.get(path)

    page = said(response)
    assert (response.status_code, "The database is unavailable" in page) == (503, True)
    assert [word for word in ("10.1.2.3", "5432", "reports") if word in response.content.decode()] == []
    assert "10.1.2.3" in caplog.text


def test_a_person_who_is_signed_in_sees_what_the_database_reports(scene: Scene) -> None:
    page = said(with_server_error(scene, CONNECTION_FAILED))

    assert f"The database reports: {CONNECTION_FAILED}." in page


# Home, health, theme


def test_healthz_needs_no_sign_in_and_no_database(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        response = Client().get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
@pytest.mark.parametrize("host", ["10.0.0.7:8000", "[fe80::1]", "elsewhere.example", "-", ""])
def test_probes_answer_under_any_host_name(db: None, path: str, host: str) -> None:
    statuses = [
        Client().generic(method, path, headers={"host": host}).status_code for method in ("GET", "HEAD", "POST")
    ]

    assert statuses == [200, 200, 405]


def test_readyz_has_no_names_of_projects(scene: Scene) -> None:
    report = Client().get("/readyz").json()

    assert report == {"database": "ok", "ledger": [], "cloud": {"ok": 1}}


def test_the_home_page_leads_to_the_first_project(scene: Scene) -> None:
    assert scene.get("/", "viewer").headers["Location"] == LIST


@pytest.mark.parametrize(
    ("posted", "location", "theme"),
    [
        ({"theme": "dark", "next": f"{LIST}?q=a&page=2"}, f"{LIST}?q=a&page=2", "dark"),
        ({"theme": "light"}, "/", "light"),
        ({"theme": "auto"}, "/", "auto"),
        ({"theme": "pink"}, "/", "auto"),
        ({}, "/", "auto"),
        *(
            ({"theme": "dark", "next": elsewhere}, "/", "dark")
            for elsewhere in (
                *(
                    "https://elsewhere.example/",
                    "//elsewhere.example/",
                    "///elsewhere.example",
                    "\\\\elsewhere.example",
                ),
                *("/\\elsewhere.example", "http:elsewhere.example", "javascript:alert(1)", "\x00//x", "//[", "", " "),
            )
        ),
        ({"theme": "dark", "next": "no-such-view"}, "no-such-view", "dark"),
        ({"theme": "dark", "next": "/a\r\nSet-Cookie: x=y"}, "/a%0D%0ASet-Cookie:%20x=y", "dark"),
    ],
    ids=ascii,
)
def test_the_theme_form_leads_to_no_other_site(db: None, posted: dict[str, str], location: str, theme: str) -> None:
    client = Client()

    response = client.post("/theme/", posted)

    assert (response.status_code, response.headers["Location"]) == (302, location)
    assert read(client.get(LOGIN)).all("html")[0].attrs["data-bs-theme"] == theme


def test_no_script_can_read_the_cookie_of_the_theme(db: None) -> None:
    cookie = Client().post("/theme/", {"theme": "dark"}).cookies["theme"]

    assert {name: cookie[name] for name in ("httponly", "samesite", "path")} == {
        "httponly": True,
        "samesite": "Lax",
        "path": "/",
    }


@pytest.mark.parametrize("value", ["pink", '"><script>', ""])
def test_ignores_an_invalid_theme(db: None, value: str) -> None:
    client = Client()
    client.cookies["theme"] = value

    assert read(client.get(LOGIN)).all("html")[0].attrs["data-bs-theme"] == "auto"


def test_a_page_shows_a_banner_only_for_a_simulated_project(scene: Scene, project: Project) -> None:
    simulated = read(scene.get(LIST)).by_class("simulator-banner")
    scene.settings.CLOUD_PROJECTS = (replace(project, workspace_endpoint="https://workspace.example"),)
    real = read(Client().get(LOGIN)).by_class("simulator-banner")

    assert ([element.text.strip() for element in simulated], real) == (
        ["Simulator: this dashboard is not connected to a real cloud"],
        [],
    )


@pytest.mark.parametrize("kind", ["unavailable", "html", "drop_before_answer", "forbidden", "unauthorized"])
def test_no_page_with_a_cloud_error_contains_a_secret(scene: Scene, kind: str) -> None:
    response = scene.after({"fault": kind}).get(address())

    assert response.status_code == 503
    assert "simulator-token" not in response.content.decode()
