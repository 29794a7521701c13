"""The load of a group over time: the chart on its page, its table, and the file of its figures."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from dashboard.cloud.projects import Project
from dashboard.inventory.models import GroupCopy, LoadSample
from tests.conftest import DESIGN_POOL, Simulated, address
from tests.markup import Page, Rendered, read, said, words

People = Callable[[str], Client]
NOW = datetime(2026, 3, 2, 11, 20, tzinfo=UTC)
HX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def copy(db: None) -> GroupCopy:
    return GroupCopy.objects.create(
        project="default",
        group_id=DESIGN_POOL,
        name="design-pool",
        name_key="design-pool",
        data={},
        read_at=NOW,
        servers_as_of=NOW - timedelta(seconds=13),
        first_seen_at=NOW,
    )


@pytest.fixture
def sample(copy: GroupCopy) -> Callable[..., None]:
    """Store the load of the group a time ago."""

    def store(ago: timedelta, sessions: int, *, span: str = "raw", **values: object) -> None:
        defaults = {"ready": 2, "servers": 3, "capacity": 12, "group": copy}
        LoadSample.objects.create(span=span, at=NOW - ago, sessions=sessions, **{**defaults, **values})

    return store


def legend(page: Page) -> list[str]:
    return [words(key.text) for key in page.by_class("load-key")]


def path(page: Page, name: str) -> str:
    (line,) = page.by_class(name)
    return line.attrs["d"]


def rows(page: Page) -> list[list[str]]:
    (region,) = page.by_class("load-rows")
    found = [[words(cell.get_text()) for cell in row.find_all(["th", "td"])] for row in region.node.find_all("tr")]
    return found[1:]


def figures(response: Rendered) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def test_the_page_shows_the_last_24_hours(client_as: People, project: Project, sample: Callable[..., None]) -> None:
    sample(timedelta(hours=2, minutes=20), 8)
    sample(timedelta(hours=2), 11, capacity=18)
    sample(timedelta(hours=1, minutes=50), 3)

    page = read(client_as("viewer").get(address()))

    assert legend(page) == ["Sessions: at most 11, at 09:15 UTC", "Capacity: 12"]
    assert [words(label.text) for label in page.by_class("load-values")] == ["20151050"]
    assert path(page, "load-sessions") == "M84,60 84.5,60 85.5,45 86.5,85 87,85"
    assert path(page, "load-capacity") == "M84,40 85,40 85,10 86,10 86,40 87,40"
    assert "Read at 2 Mar 2026, 11:19:47 UTC" in words(page.by_id("load").text)
    assert "Made up" not in words(page.by_id("load").text)


def test_the_line_has_a_gap_where_nothing_was_read(
    client_as: People, project: Project, sample: Callable[..., None]
) -> None:
    sample(timedelta(hours=8), 4)
    sample(timedelta(hours=7, minutes=55), 4)
    sample(timedelta(hours=2), 6)

    page = read(client_as("viewer").get(address("load/")))

    assert path(page, "load-sessions") == "M61,75 61.5,75 62,75 M85,62.5 85.5,62.5 86,62.5"
    assert rows(page) == [
        ["2 Mar 2026, 03:15:00 UTC", "4", "12", "2", "3"],
        ["2 Mar 2026, 09:15:00 UTC", "6", "12", "2", "3"],
    ]


def test_thirty_days_have_steps_of_six_hours(client_as: People, project: Project, sample: Callable[..., None]) -> None:
    sample(timedelta(days=3, hours=0, minutes=20), 40, span="hour", capacity=None)
    sample(timedelta(days=3, hours=1, minutes=20), 30, span="hour", capacity=None)

    page = read(client_as("viewer").get(address("?load=30d")))

    assert legend(page) == ["Sessions: at most 40, on 27 Feb", "Capacity: not known"]
    assert [words(time.text) for time in page.by_class("load-times")] == ["1 Feb 7 Feb 13 Feb 19 Feb 25 Feb 3 Mar"]
    assert rows(page) == [["27 Feb 2026, 06:00:00 UTC", "40", "not known", "2", "3"]]
    assert path(page, "load-capacity") == ""


@pytest.mark.parametrize(("query", "current"), [("", "load-24h"), ("?load=30d", "load-30d"), ("?load=9y", "load-24h")])
def test_the_links_choose_a_period(client_as: People, project: Project, query: str, current: str) -> None:
    client = client_as("viewer")

    pages = [read(client.get(address(query))), read(client.get(address(f"load/{query}"), headers=HX))]

    for page in pages:
        links = [link.attrs for link in page.all("a", class_="chip")]
        assert [link["href"] for link in links] == [address("?load=24h"), address("?load=30d")]
        assert [link["hx-get"] for link in links] == [address("load/?load=24h"), address("load/?load=30d")]
        assert [link["id"] for link in links if "aria-current" in link] == [current]


@pytest.mark.parametrize("load", ["24h", "30d"])
def test_a_group_without_samples_says_so(client_as: People, project: Project, simulator: Simulated, load: str) -> None:
    response = client_as("viewer").get(address(f"load/?load={load}"))

    text = said(response)
    assert text == "Sessions and capacity 24 hours 30 days The dashboard has not read any load in this period."
    assert read(response).all("svg") == []
    assert simulator.requests() == []


def test_a_group_without_sessions_has_no_peak(client_as: People, project: Project, sample: Callable[..., None]) -> None:
    sample(timedelta(hours=1), 0, capacity=0)

    page = read(client_as("viewer").get(address("load/")))

    assert legend(page) == ["Sessions: none", "Capacity: 0"]
    assert page.by_class("load-peak") == []
    assert [words(label.text) for label in page.by_class("load-values")] == ["10"]


@pytest.mark.parametrize(("hours", "anchor"), [(23, "start"), (12, "middle"), (0.5, "end")])
def test_the_label_of_the_peak_is_inside_the_plot(
    client_as: People, project: Project, sample: Callable[..., None], hours: float, anchor: str
) -> None:
    sample(timedelta(hours=hours), 7)

    (label,) = read(client_as("viewer").get(address("load/"))).by_class("load-peak-label")

    assert (label.text, label.attrs["text-anchor"]) == ("7", anchor)


def test_made_up_samples_are_marked(client_as: People, project: Project, sample: Callable[..., None]) -> None:
    sample(timedelta(hours=2), 4, is_made_up=True)
    sample(timedelta(hours=1), 5)
    client = client_as("viewer")

    assert "Made up for the demo" in said(client.get(address()))
    marks = {row["made_up"] for row in figures(client.get(address("load.csv")))}
    assert marks == {"", "true", "false"}


def test_the_chart_needs_no_script_and_no_inline_style(
    client_as: People, project: Project, sample: Callable[..., None]
) -> None:
    sample(timedelta(hours=2), 4)

    page = read(client_as("viewer").get(address("load/")))

    names = {name for element in page.elements for name in element.attrs}
    assert page.all("script") == page.all("style") == []
    assert "style" not in names
    assert not [name for name in names if name.startswith(("on", "hx-on"))]


def test_the_file_has_a_row_for_each_step(client_as: People, project: Project, sample: Callable[..., None]) -> None:
    sample(timedelta(hours=2), 4, servers=5)
    sample(timedelta(hours=2, minutes=20), 6, capacity=None, is_made_up=True)

    response = client_as("viewer").get(address("load.csv?load=24h"))

    lines = response.content.decode().splitlines()
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == f'attachment; filename="load-{DESIGN_POOL}-24h.csv"'
    assert lines[0] == "time,sessions,ready_servers,servers,capacity,made_up"
    assert lines[84:89] == [
        "2026-03-02T08:45:00Z,,,,,",
        "2026-03-02T09:00:00Z,6,2,3,,true",
        "2026-03-02T09:15:00Z,6,2,5,12,true",
        "2026-03-02T09:30:00Z,,,,,",
        "2026-03-02T09:45:00Z,,,,,",
    ]
    assert (len(lines), lines[1][:20], lines[-1][:20]) == (97, "2026-03-01T12:00:00Z", "2026-03-02T11:45:00Z")


def test_the_file_of_thirty_days_has_120_steps(
    client_as: People, project: Project, sample: Callable[..., None]
) -> None:
    sample(timedelta(days=1), 4)

    response = client_as("viewer").get(address("load.csv?load=30d"))

    times = [row["time"] for row in figures(response) if row["sessions"]]
    assert (len(figures(response)), times) == (120, ["2026-03-01T06:00:00Z"])
    assert response.headers["Content-Disposition"].endswith('-30d.csv"')


def test_chart_and_file_make_no_cloud_call(
    client_as: People, project: Project, simulator: Simulated, sample: Callable[..., None]
) -> None:
    sample(timedelta(hours=2), 4)
    client = client_as("viewer")

    statuses = [client.get(address(page)).status_code for page in ("load/", "load/?load=30d", "load.csv")]

    assert (statuses, simulator.requests()) == ([200, 200, 200], [])


@pytest.mark.parametrize("page", ["load/", "load.csv"])
@pytest.mark.parametrize("group_id", ["..%2f", "%00", "x" * 300, "a b", "%3D1%2B1", "a%22b"])
def test_an_id_that_cannot_have_a_page_is_not_found(
    client_as: People, project: Project, group_id: str, page: str
) -> None:
    response = client_as("viewer").get(f"/projects/default/server-groups/{group_id}/{page}")

    assert response.status_code == 404
