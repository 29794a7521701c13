"""Filters, sorting and pages over all groups, from any address."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict
from django.utils import timezone

from dashboard.cloud.paging import ROWS, Page
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup, Tag
from dashboard.inventory import leases
from dashboard.inventory.copying import store_pass
from dashboard.inventory.models import ProjectCopy
from dashboard.inventory.passes import ListPass
from dashboard.inventory.queries import PAGE_SIZE
from dashboard.server_groups.listing import Listing, Query, list_groups

pytestmark = pytest.mark.django_db

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


Store = Callable[..., None]


@pytest.fixture
def store(project: Project) -> Store:
    """Return a function that stores groups as a complete read of the list. `unreadable` rows have no id."""
    begun_at = [datetime.now(UTC) - timedelta(hours=1)]

    def run(groups: Iterable[ServerGroup], unreadable: int = 0) -> None:
        begun_at[0] += timedelta(minutes=1)
        copy, _ = ProjectCopy.objects.get_or_create(slug=project.slug)
        leases.take(copy, timezone.now())
        copy.save()
        rows, read = tuple(groups), ListPass[ServerGroup](begun_at[0])
        for offset in range(0, max(1, len(rows)), ROWS):
            page = Page(rows[offset : offset + ROWS], len(rows) + unreadable, unreadable, begun_at[0])
            read.add(offset, page, begun_at[0])
        store_pass(copy, read, ())

    return run


@pytest.fixture
def listed(project: Project) -> Callable[[str], Listing]:
    return lambda query: list_groups(project, Query.from_get(QueryDict(query).dict()))


def test_groups_only_in_an_earlier_read_are_listed_but_not_counted(
    store: Store, listed: Callable[[str], Listing], project: Project
) -> None:
    store((A, B, C))
    store((A, C), unreadable=1)

    listing, copy = listed(""), ProjectCopy.objects.get()

    assert [group.group_id for group in listing.groups] == ["id-a", "id-b", "id-c"]
    assert [group.group_id for group in listing.groups if listing._is_older(group)] == ["id-b"]
    assert (copy.groups, copy.total, copy.groups_on, copy.groups_off) == (2, 3, 2, 0)
    assert "SESSION_DESKTOP_APP" in copy.app_types


@pytest.fixture
def found(store: Store, listed: Callable[[str], Listing]) -> Callable[[str], list[str]]:
    store(ALL)
    return lambda query: [group.group_id for group in listed(query).groups]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["id-a", "id-b", "id-u", "id-c"]),
        ("q=ALPHA", ["id-a"]),
        ("q=berlin", ["id-a"]),
        ("q=ID-B", ["id-b"]),
        ("q=研", ["id-c"]),
        ("q=+beta+", ["id-b"]),
        ("q=%25", []),
        ("q=nothing", []),
        ("status=on", ["id-a", "id-c"]),
        ("status=off", ["id-b"]),
        ("app_type=SESSION_DESKTOP_APP", ["id-b"]),
        ("app_type=NONE", []),
        ("role=primary", ["id-a"]),
        ("role=standby", ["id-b"]),
        ("tag=team", ["id-a"]),
        ("tag=team%3Dfinance", ["id-a"]),
        ("tag=team%3Dsales", []),
        ("tag=site", ["id-a"]),
        ("image=Windows+B", ["id-a"]),
        ("image=Windows", []),
        ("status=on&app_type=COMMON_APP&q=a&role=primary&tag=team&image=Windows+B", ["id-a"]),
        ("status=off&role=primary", []),
    ],
)
def test_filters(found: Callable[[str], list[str]], query: str, ids: list[str]) -> None:
    assert found(query) == ids


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
    ],
)
def test_sorts_in_both_orders_with_unknown_values_last(
    found: Callable[[str], list[str]], sort: str, ids: list[str]
) -> None:
    assert found(f"sort={sort}") == ids


@pytest.mark.parametrize(
    "nonsense",
    [
        "status=perhaps",
        "status=",
        "role=boss",
        "sort=price",
        "sort=--name",
        "sort=-",
        "page=0",
        "page=-1",
        "page=x",
        "page=1.5",
        "page=٣",
        "page=²",
        "page=999999999999999999999",
        "page=",
        "unheard=of",
        "status=on&status=",
    ],
)
def test_invalid_values_are_ignored(nonsense: str) -> None:
    assert Query.from_get(QueryDict(nonsense).dict()) == Query()


def test_a_filter_keeps_at_most_two_hundred_characters() -> None:
    query = Query.from_get(dict.fromkeys(("q", "app_type", "tag", "image"), "x" * 5000))

    assert {len(text) for text in (query.q, query.app_type, query.tag, query.image)} == {200}


@pytest.mark.parametrize(
    ("changed", "link"),
    [
        ({}, "?q=a+b&status=on&sort=-disk"),
        ({"sort": "name"}, "?q=a+b&status=on"),
        ({"page": 2}, "?q=a+b&status=on&sort=-disk&page=2"),
        ({"q": "", "status": "", "sort": "name"}, "?"),
    ],
)
def test_a_link_has_only_values_other_than_the_default(changed: dict[str, str | int], link: str) -> None:
    query = Query(q="a b", status="on", sort="-disk", page=3)

    assert query.link(**changed) == link
    assert query.here == "?q=a+b&status=on&sort=-disk&page=3"


@pytest.mark.parametrize("query", [Query(), Query("ü&=", "off", "COMMON_APP", "standby", "a=b", "i", "-name", 7)])
def test_a_pasted_link_restores_the_view(query: Query) -> None:
    assert Query.from_get(QueryDict(query.here.removeprefix("?")).dict()) == query


def many(count: int) -> tuple[ServerGroup, ...]:
    return tuple(replace(A, id=f"id-{number:04}", name=f"group-{number:04}") for number in range(count))


@pytest.mark.parametrize(
    ("number", "first", "last", "rows", "previous", "following"),
    [
        (1, 1, 50, 50, "", "?page=2"),
        (2, 51, 100, 50, "?", "?page=3"),
        (3, 101, 120, 20, "?page=2", ""),
        (99, 101, 120, 20, "?page=2", ""),
    ],
)
def test_pages(
    store: Store,
    listed: Callable[[str], Listing],
    number: int,
    first: int,
    last: int,
    rows: int,
    previous: str,
    following: str,
) -> None:
    store(many(120))

    listing = listed(f"page={number}")

    page = listing.page
    shown = (page.first, page.last, len(listing.groups), listing.previous, listing.next, listing.found)
    assert shown == (first, last, rows, previous, following, 120)


@pytest.mark.parametrize(("count", "following"), [(0, ""), (1, ""), (PAGE_SIZE, ""), (PAGE_SIZE + 1, "?page=2")])
def test_only_a_full_page_has_a_next_page(
    store: Store, listed: Callable[[str], Listing], count: int, following: str
) -> None:
    store(many(count))

    listing = listed("")

    assert (listing.next, len(listing.groups)) == (following, min(count, PAGE_SIZE))


def test_counts_and_filter_values_are_of_all_groups(store: Store, listed: Callable[[str], Listing]) -> None:
    store(ALL)

    listing = listed("q=beta")

    copy = listing.state.copy
    assert (listing.found, copy.groups, copy.groups_on, copy.groups_off) == (1, 4, 2, 1)
    assert copy.app_types == ["COMMON_APP", "SESSION_DESKTOP_APP"]
    assert copy.images == ["windows a", "Windows B"]
    assert copy.tags == ["site=", "team=finance"]


def test_a_long_search_result_is_counted_up_to_a_thousand(store: Store, listed: Callable[[str], Listing]) -> None:
    store(many(1001))

    listing = listed("q=group-")

    assert (listing.found, listing.next) == (None, "?q=group-&page=2")
