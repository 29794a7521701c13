"""Filters, sorting and pages over all groups, from any address."""

from dataclasses import replace

import pytest
from django.http import QueryDict

from dashboard.cloud.resources import ServerGroup, Tag
from dashboard.server_groups.listing import PAGE_SIZE, Query, list_groups

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


def test_groups_only_in_an_earlier_response_are_listed_but_not_counted() -> None:
    listing = list_groups((A, C), Query(), older=(B,))

    assert [group.id for group in listing.groups] == ["id-a", "id-b", "id-c"]
    assert listing.older == {"id-b"}
    assert (listing.counts.groups, listing.counts.on, listing.counts.off) == (2, 2, 0)
    assert "SESSION_DESKTOP_APP" in listing.app_types


def found(query: str) -> list[str]:
    return [group.id for group in list_groups(ALL, Query.from_get(QueryDict(query).dict())).groups]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["id-a", "id-b", "id-c", "id-u"]),
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
def test_filters(query: str, ids: list[str]) -> None:
    assert found(query) == ids


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("name", ["id-a", "id-b", "id-c", "id-u"]),
        ("-name", ["id-c", "id-b", "id-a", "id-u"]),
        ("status", ["id-b", "id-a", "id-c", "id-u"]),
        ("-status", ["id-a", "id-c", "id-b", "id-u"]),
        ("app_type", ["id-a", "id-c", "id-b", "id-u"]),
        ("-app_type", ["id-b", "id-a", "id-c", "id-u"]),
        ("image", ["id-b", "id-a", "id-c", "id-u"]),
        ("-image", ["id-a", "id-b", "id-c", "id-u"]),
        ("disk", ["id-a", "id-c", "id-b", "id-u"]),
        ("-disk", ["id-b", "id-a", "id-c", "id-u"]),
        ("servers", ["id-a", "id-b", "id-c", "id-u"]),
        ("-servers", ["id-b", "id-a", "id-c", "id-u"]),
        ("app_groups", ["id-b", "id-a", "id-c", "id-u"]),
        ("-app_groups", ["id-a", "id-b", "id-c", "id-u"]),
    ],
)
def test_sorts_in_both_orders_with_unknown_values_last(sort: str, ids: list[str]) -> None:
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
    return tuple(replace(A, id=f"id-{number:03}", name=f"group-{number:03}") for number in range(count))


@pytest.mark.parametrize(
    ("number", "first", "last", "rows", "previous", "following"),
    [
        (1, 1, 50, 50, "", "?page=2"),
        (2, 51, 100, 50, "?", "?page=3"),
        (3, 101, 120, 20, "?page=2", ""),
        (99, 101, 120, 20, "?page=2", ""),
    ],
)
def test_pages(number: int, first: int, last: int, rows: int, previous: str, following: str) -> None:
    listing = list_groups(many(120), Query(page=number))

    page = listing.page
    shown = (
        page.start_index(),
        page.end_index(),
        len(listing.groups),
        listing.previous,
        listing.next,
        page.paginator.count,
    )
    assert shown == (first, last, rows, previous, following, 120)


@pytest.mark.parametrize(("count", "following"), [(0, ""), (1, ""), (PAGE_SIZE, ""), (PAGE_SIZE + 1, "?page=2")])
def test_only_a_full_page_has_a_next_page(count: int, following: str) -> None:
    listing = list_groups(many(count), Query())

    assert (listing.next, len(listing.groups)) == (following, min(count, PAGE_SIZE))


def test_counts_and_filter_values_are_of_all_groups() -> None:
    listing = list_groups(ALL, Query(q="beta"))

    counts = (listing.page.paginator.count, listing.counts.groups, listing.counts.on, listing.counts.off)
    assert counts == (1, 4, 2, 1)
    assert listing.app_types == ("COMMON_APP", "SESSION_DESKTOP_APP")
    assert listing.images == ("windows a", "Windows B")
    assert listing.tags == ("site=", "team=finance")
