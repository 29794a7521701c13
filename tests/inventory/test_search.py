"""Search over the texts of groups: the index of the database finds what a plain comparison finds."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.cloud.resources import ServerGroup, Tag
from dashboard.inventory.columns import columns_of
from dashboard.inventory.models import GroupCopy
from dashboard.inventory.search import END, MARK, contains, finds

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def store(*groups: ServerGroup) -> None:
    rows = [
        GroupCopy(project="default", group_id=group.id, read_at=NOW, first_seen_at=NOW, **columns_of(group))
        for group in groups
    ]
    GroupCopy.objects.bulk_create(rows)


def found(text: str) -> list[str]:
    rows = GroupCopy.objects.filter(finds(text)).order_by("id")
    ids = [row.group_id for row in rows]
    assert ids == [row.group_id for row in GroupCopy.objects.filter(contains(text)).order_by("id")]
    return ids


DESIGN = ServerGroup(
    "7b1d", "design-pool", "CAD users", image_name="ws2019-cad-2026", tags=(Tag("team", "design"), Tag("floor", ""))
)
CHINESE = ServerGroup("9f3e", "研发设计组", "Straße 100% _off_")
ODD = ServerGroup("x", "NOT a OR b*", '"quoted" AND (c)', tags=(Tag("key=", "=value"),))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("DESIGN-p", ["7b1d"]),
        ("users", ["7b1d"]),
        ("7B1", ["7b1d"]),
        ("team=des", ["7b1d"]),
        ("floor=", ["7b1d"]),
        ("-cad-", ["7b1d"]),
        ("研", ["9f3e"]),
        ("设计", ["9f3e"]),
        ("研发设", ["9f3e"]),
        ("组", ["9f3e"]),
        ("strasse", ["9f3e"]),
        ("STRAẞE", ["9f3e"]),
        ("e", ["7b1d", "9f3e", "x"]),
        ("%", ["9f3e"]),
        ("_off_", ["9f3e"]),
        ("0%", ["9f3e"]),
        ("_", ["9f3e"]),
        ("d_s", []),
        ("design%pool", []),
        ('"', ["x"]),
        ('"quoted" AND', ["x"]),
        ("NOT a OR", ["x"]),
        ("b*", ["x"]),
        ("b* OR design", []),
        ("text : design", []),
        ("key==", ["x"]),
        ("poolcad", []),
        ("pool\x1ecad", []),
        ("pool\ncad", []),
        ("'", []),
        ("\\", []),
    ],
)
def test_finds_any_part_of_a_text(text: str, ids: list[str]) -> None:
    store(DESIGN, CHINESE, ODD)

    assert found(text) == ids


def test_follows_changed_and_deleted_texts() -> None:
    store(DESIGN, CHINESE)

    GroupCopy.objects.filter(group_id="7b1d").update(**columns_of(ServerGroup("7b1d", "drawing-pool")))
    GroupCopy.objects.filter(group_id="9f3e").delete()

    assert [found(text) for text in ("design", "draw", "dr", "研")] == [[], ["7b1d"], ["7b1d"], []]


def test_follows_a_row_that_replaces_another() -> None:
    store(DESIGN)
    rows = [GroupCopy(project="default", group_id="7b1d", read_at=NOW, first_seen_at=NOW, **columns_of(ODD))]

    GroupCopy.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["project", "group_id"], update_fields=["search_text"]
    )

    assert (found("design"), found("quoted")) == ([], ["7b1d"])


LETTERS = st.sampled_from("abcABCßẞİıé研发 -_%*\"'\\\n\U0001f600")
TEXTS = st.text(LETTERS, max_size=12)


def groups() -> st.SearchStrategy[list[ServerGroup]]:
    tags = st.lists(st.builds(Tag, st.text(LETTERS, min_size=1, max_size=4), TEXTS), max_size=2).map(tuple)
    group = st.builds(lambda *texts: texts, TEXTS, TEXTS, TEXTS, tags)
    return st.lists(group, max_size=6).map(
        lambda rows: [
            ServerGroup(f"id-{number}", name, description, image_name=image, tags=tags)
            for number, (name, description, image, tags) in enumerate(rows)
        ]
    )


def contains_plainly(group: ServerGroup, text: str) -> bool:
    tags = [f"{tag.key}={tag.value}" for tag in group.tags]
    texts = [group.name or "", group.description or "", group.id, group.image_name or "", *tags]
    return any(text.casefold() in one.casefold() for one in texts)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups(), st.text(LETTERS, min_size=1, max_size=6))
def test_finds_what_a_plain_comparison_finds(stored: list[ServerGroup], text: str) -> None:
    GroupCopy.objects.all().delete()
    store(*stored)

    assert found(text) == [group.id for group in stored if contains_plainly(group, text)]


def test_the_marks_between_characters_cannot_be_searched() -> None:
    store(DESIGN)

    assert [found(f"de{mark}sign") for mark in (MARK, END)] == [["7b1d"], ["7b1d"]]
