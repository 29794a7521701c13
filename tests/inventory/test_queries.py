"""Pages of the list from the copy: filters, orders, pages and the number found, on any number of groups."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from dashboard.cloud.resources import ServerGroup, Tag
from dashboard.inventory import queries
from dashboard.inventory.columns import columns_of
from dashboard.inventory.models import GroupCopy, GroupTag, ProjectCopy
from dashboard.inventory.ordering import SORTS
from dashboard.inventory.queries import PAGE_SIZE, GroupQuery, find_groups, state_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, tzinfo=UTC)

A = ServerGroup(
    "id-a",
    name="alpha",
    description="Accounts, Berlin",
    server_group_status=True,
    app_type="COMMON_APP",
    image_name="Windows B",
    system_disk_size=80,
    app_server_count=3,
    app_group_count=2,
    tags=(Tag("team", "finance"), Tag("site", "")),
    secondary_server_group_ids=("id-b",),
)
B = ServerGroup(
    "id-b",
    name="Beta",
    description="",
    server_group_status=False,
    app_type="SESSION_DESKTOP_APP",
    image_name="windows a",
    system_disk_size=100,
    app_server_count=10,
    app_group_count=0,
    primary_server_group_ids=("id-a",),
)
C = ServerGroup("id-c", name="研发", server_group_status=True, app_type="COMMON_APP", system_disk_size=80)
UNKNOWN = ServerGroup("id-u")
ALL = (C, UNKNOWN, B, A)


LOADS = {"id-a": (2, 40), "id-b": (9, 3)}
"""Ready servers and sessions of the groups that have servers."""


def store(*groups: ServerGroup, project: str = "default", **columns: Any) -> None:
    """Store groups as a complete read does."""
    rows = []
    for group in groups:
        ready, sessions = LOADS.get(group.id, (None, None))
        load = {"servers": group.app_server_count, "ready": ready, "sessions": sessions}
        times = {"read_at": NOW, "first_seen_at": NOW}
        rows.append(GroupCopy(project=project, group_id=group.id, **{**times, **load, **columns_of(group), **columns}))
    GroupCopy.objects.bulk_create(rows)
    tags = ((row, tag) for row, group in zip(rows, groups, strict=True) for tag in group.tags)
    GroupTag.objects.bulk_create(
        GroupTag(group=row, project=project, key=tag.key, value=tag.value) for row, tag in tags
    )
    listed = GroupCopy.objects.of(project).count()
    ProjectCopy.objects.update_or_create(
        slug=project, defaults={"groups_as_of": NOW, "groups": listed, "listed": listed}
    )


def found(**query: Any) -> list[str]:
    store(*ALL)
    store(replace(A, id="id-other"), project="other")
    store(replace(A, id="id-gone"), vanished_at=NOW)
    return [row.group_id for row in find_groups("default", GroupQuery(**query)).groups]


@pytest.fixture(params=[1000, 0], ids=["few", "many"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the page in the way for few matching groups, and in the way for many."""
    monkeypatch.setattr(queries, "COUNTED", request.param)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, ["id-a", "id-b", "id-u", "id-c"]),
        ({"q": "ALPHA"}, ["id-a"]),
        ({"q": "berlin"}, ["id-a"]),
        ({"q": "ID-B"}, ["id-b"]),
        ({"q": "研"}, ["id-c"]),
        ({"q": "beta"}, ["id-b"]),
        ({"q": "%"}, []),
        ({"q": "nothing"}, []),
        ({"status": "on"}, ["id-a", "id-c"]),
        ({"status": "off"}, ["id-b"]),
        ({"app_type": "SESSION_DESKTOP_APP"}, ["id-b"]),
        ({"app_type": "NONE"}, []),
        ({"role": "primary"}, ["id-a"]),
        ({"role": "standby"}, ["id-b"]),
        ({"tag": "team"}, ["id-a"]),
        ({"tag": "team=finance"}, ["id-a"]),
        ({"tag": "team=sales"}, []),
        ({"tag": "site"}, ["id-a"]),
        ({"image": "Windows B"}, ["id-a"]),
        ({"image": "Windows"}, []),
        (
            {
                "status": "on",
                "app_type": "COMMON_APP",
                "q": "a",
                "role": "primary",
                "tag": "team",
                "image": "Windows B",
            },
            ["id-a"],
        ),
        ({"status": "off", "role": "primary"}, []),
    ],
)
def test_filters(filters: dict[str, str], ids: list[str]) -> None:
    assert found(**filters) == ids


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("name", ["id-a", "id-b", "id-u", "id-c"]),
        ("-name", ["id-c", "id-u", "id-b", "id-a"]),
        ("status", ["id-b", "id-a", "id-c", "id-u"]),
        ("-status", ["id-a", "id-c", "id-b", "id-u"]),
        ("app_type", ["id-a", "id-c", "id-b", "id-u"]),
        ("-app_type", ["id-b", "id-a", "id-c", "id-u"]),
        ("image", ["id-b", "id-a", "id-u", "id-c"]),
        ("-image", ["id-a", "id-b", "id-u", "id-c"]),
        ("disk", ["id-a", "id-c", "id-b", "id-u"]),
        ("-disk", ["id-b", "id-a", "id-c", "id-u"]),
        ("servers", ["id-a", "id-b", "id-u", "id-c"]),
        ("-servers", ["id-b", "id-a", "id-u", "id-c"]),
        ("app_groups", ["id-b", "id-a", "id-u", "id-c"]),
        ("-app_groups", ["id-a", "id-b", "id-u", "id-c"]),
        ("ready", ["id-a", "id-b", "id-u", "id-c"]),
        ("-ready", ["id-b", "id-a", "id-u", "id-c"]),
        ("sessions", ["id-b", "id-a", "id-u", "id-c"]),
        ("-sessions", ["id-a", "id-b", "id-u", "id-c"]),
    ],
)
def test_sorts_in_both_orders_with_unknown_values_last(sort: str, ids: list[str]) -> None:
    assert found(sort=sort) == ids


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("sort", "ids"), [("disk", ["id-a", "id-c"]), ("-disk", ["id-a", "id-c"]), ("-name", ["id-c", "id-a"])]
)
def test_filters_and_sorts_at_once(sort: str, ids: list[str]) -> None:
    assert found(status="on", q="i", sort=sort) == ids


def many(count: int) -> tuple[ServerGroup, ...]:
    return tuple(replace(A, id=f"id-{number:04}", name=f"group-{number:04}") for number in range(count))


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1, (1, 1, 50, True)), (2, (2, 51, 100, True)), (3, (3, 101, 120, False)), (99, (3, 101, 120, False))],
)
@pytest.mark.parametrize("filters", [{}, {"q": "group"}])
def test_pages(number: int, shown: tuple[int, int, int, bool], filters: dict[str, str]) -> None:
    store(*many(120))

    page = find_groups("default", GroupQuery(page=number, **filters))

    assert (page.number, page.first, page.last, page.has_next) == shown
    assert page.found == 120
    assert [row.group_id for row in page.groups] == [f"id-{place:04}" for place in range(shown[1] - 1, shown[2])]


@pytest.mark.parametrize("count", [0, 1, PAGE_SIZE, PAGE_SIZE + 1])
def test_only_a_full_page_has_a_next_page(count: int) -> None:
    store(*many(count))

    page = find_groups("default", GroupQuery())

    assert (page.has_next, len(page.groups)) == (count > PAGE_SIZE, min(count, PAGE_SIZE))


def test_counts_up_to_a_thousand_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "COUNTED", 60)
    store(*many(120))

    pages = [find_groups("default", GroupQuery(status="on", page=number)) for number in (1, 3, 9)]

    assert [(page.found, page.number, len(page.groups), page.has_next) for page in pages] == [
        (None, 1, 50, True),
        (None, 3, 20, False),
        (None, 3, 20, False),
    ]


def test_a_project_that_was_never_read_is_empty() -> None:
    page = find_groups("nowhere", GroupQuery(q="a"))

    assert (page.found, page.groups, page.copy.groups_as_of, page.copy.slug) == (0, [], None, "nowhere")
    assert state_of("nowhere").listed == 0


def test_a_page_takes_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    store(*many(120))

    with django_assert_num_queries(2):
        page = find_groups("default", GroupQuery(q="group", status="on", tag="team=finance", sort="-disk"))
        names = [(row.name, vars(row)["disk_type"]) for row in page.groups]

    assert len(names) == 50


# The plans of the database


@pytest.fixture
def plans() -> Callable[[GroupQuery], list[str]]:
    """Return a function that returns the plan of each query of a page."""

    def explain(query: GroupQuery) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            find_groups("default", query)
        texts = []
        for one in captured.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {one['sql']}")
                texts.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
        return texts

    return explain


ORDERS = [f"{sign}{name}" for name, sign in product(("name", *SORTS), ("", "-"))]


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's words for a plan")
@pytest.mark.parametrize("sort", ORDERS)
def test_each_order_is_read_from_an_index(plans: Callable[[GroupQuery], list[str]], sort: str) -> None:
    store(*many(120))

    _, page = plans(GroupQuery(sort=sort))

    name = "by_name" if "name" in sort else f"{'down' if sort.startswith('-') else 'up'}_{sort.removeprefix('-')}"
    assert f"USING INDEX inventory_{name} (project=?)" in page
    assert page.count("USE TEMP B-TREE") == 1  # for the rows of the page itself


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's words for a plan")
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"status": "off"}, "inventory_by_status_name (project=? AND status=?)"),
        ({"app_type": "x"}, "inventory_by_app_type_name (project=? AND app_type=?)"),
        ({"role": "standby"}, "inventory_by_role_name (project=? AND role=?)"),
        ({"image": "x"}, "inventory_by_image_name_name (project=? AND image_name=?)"),
        ({"tag": "a=b"}, "inventory_by_tag (project=? AND key=? AND value=?)"),
        ({"tag": "a"}, "inventory_by_tag (project=? AND key=?)"),
        ({"q": "abc"}, "VIRTUAL TABLE INDEX 0:M"),
    ],
)
def test_each_filter_uses_its_index(
    plans: Callable[[GroupQuery], list[str]], filters: dict[str, Any], index: str
) -> None:
    store(*many(120))

    count, _ = plans(GroupQuery(**filters))

    assert index in count


# Any groups, any filters


LETTERS = "aAbé研_%"
GROUPS = st.lists(
    st.builds(
        lambda name, on, disk, image, tags: (name, on, disk, image, tags),
        st.text(LETTERS, max_size=3),
        st.sampled_from([True, False, None]),
        st.sampled_from([None, 40, 80]),
        st.sampled_from(["", "a", "B"]),
        st.sets(st.sampled_from([("a", ""), ("a", "b"), ("b", "=")]), max_size=2),
    ),
    max_size=8,
)
FILTERS = st.fixed_dictionaries(
    {
        "q": st.text(LETTERS, max_size=2),
        "status": st.sampled_from(["", "on", "off"]),
        "image": st.sampled_from(["", "a", "B"]),
        "tag": st.sampled_from(["", "a", "a=b", "b=="]),
        "sort": st.sampled_from(["name", "-name", "status", "-status", "disk", "-disk", "image", "-image"]),
    }
)
VALUES: dict[str, Callable[[ServerGroup], Any]] = {
    "name": lambda group: (group.name or group.id).casefold(),
    "status": lambda group: group.server_group_status,
    "disk": lambda group: group.system_disk_size,
    "image": lambda group: (group.image_name or "").lower() or None,
}


def matches(group: ServerGroup, q: str, status: str, image: str, tag: str) -> bool:
    pairs = [f"{one.key}={one.value}" for one in group.tags]
    texts = [group.name or "", group.id, group.image_name or "", *pairs]
    return (
        any(q.casefold() in text.casefold() for text in texts)
        and (not status or group.server_group_status is (status == "on"))
        and (not image or group.image_name == image)
        and (not tag or tag in pairs or tag in {one.key for one in group.tags})
    )


def plainly(groups: list[ServerGroup], sort: str, **filters: str) -> list[str]:
    value, is_reversed = VALUES[sort.removeprefix("-")], sort.startswith("-")
    rows = sorted(groups, key=lambda group: (VALUES["name"](group), group.id))
    rows = [group for group in rows if matches(group, **filters)]
    if sort == "-name":
        return [group.id for group in reversed(rows)]
    known = sorted((group for group in rows if value(group) is not None), key=value, reverse=is_reversed)
    return [group.id for group in [*known, *(group for group in rows if value(group) is None)]]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GROUPS, FILTERS, st.sampled_from([0, 1000]))
def test_finds_and_sorts_as_plain_python_does(stored: list[Any], filters: dict[str, Any], counted: int) -> None:
    GroupCopy.objects.all().delete()
    groups = [
        ServerGroup(
            f"id-{number}",
            name=name,
            server_group_status=on,
            system_disk_size=disk,
            image_name=image,
            tags=tuple(Tag(*tag) for tag in sorted(tags)),
        )
        for number, (name, on, disk, image, tags) in enumerate(stored)
    ]
    store(*groups)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queries, "COUNTED", counted)
        page = find_groups("default", GroupQuery(**filters))

    assert [row.group_id for row in page.groups] == plainly(groups, **filters)
