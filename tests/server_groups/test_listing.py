"""The address of a list: filters, sorting and page, from any query string."""

import pytest
from django.http import QueryDict

from dashboard.server_groups.listing import Query


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
