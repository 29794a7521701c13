"""A submitted form as a value: how the next one is made, and what a browser may carry of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.http import QueryDict

from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.fields import FIELDS, GroupContext, ShownGroup
from dashboard.server_groups.forms import ServerGroupForm
from dashboard.server_groups.inputs import to_text
from dashboard.server_groups.submission import (
    MAX_AGE,
    Conflict,
    Scope,
    StaleFormError,
    Submission,
    Unsent,
    changes_by_others,
    find_conflicts,
    find_unsent,
    read_seen,
    read_submission,
    rebase,
    resolve,
    sign_seen,
    sign_submission,
    submit,
)
from tests.server_groups.conftest import later
from tests.server_groups.test_forms import GROUP, ODD, as_shown, errors

SHOWN = ShownGroup(GROUP, GroupContext(session_ceiling=100, has_directory=False))
SIGNED = sign_seen(SHOWN)
SCOPE = Scope("default", 7, "g-1")


def posted(text: str = "", /, **fields: str) -> QueryDict:
    data = QueryDict(text, mutable=True)
    data.update(fields)
    return data


def submitted(**fields: str) -> Submission:
    """A form as a browser sends it: every field, some of them changed."""
    return submit(posted(**as_shown(GROUP) | fields), SHOWN, is_seen=True)


def values(submission: Submission) -> dict[str, str]:
    form = ServerGroupForm(submission)
    return {field.name: form[field.name].value() for field in FIELDS}


def test_holds_only_what_was_typed() -> None:
    assert submitted(name="mine", reason="why", key="k", revert="3") == Submission(
        SHOWN, {"name": "mine"}, reason="why", key="k", revert="3"
    )


def test_the_line_breaks_of_a_browser_are_not_typed() -> None:
    assert submit(posted(description="first line\r\nsecond line"), SHOWN, is_seen=True).typed == {}


def test_names_that_were_sent_twice_are_kept() -> None:
    assert submit(posted("name=a&name=a&key=k"), SHOWN, is_seen=True).repeated == {"name"}


# The next one


def test_after_a_conflict_what_was_typed_stays_and_what_was_left_alone_follows_the_cloud() -> None:
    now = replace(GROUP, name="theirs", description="their\nwords", ou_name="OU=Theirs", server_group_status=False)
    mine = submitted(name="mine", system_disk_size="90", key="old")

    again = rebase(mine, now)

    assert values(again) == {field.name: to_text(now.value(field.path)) for field in FIELDS} | {
        "name": "mine",
        "system_disk_size": "90",
    }
    assert again.key != "old"
    assert again.shown == ShownGroup(now, SHOWN.context)
    assert find_conflicts(mine, now) == (Conflict("name", "Name", "mine", "design-pool", "theirs"),)
    assert changes_by_others(mine, now) == (
        "Description is now their\nwords",
        "Status is now Off",
        "Organisational unit is now OU=Theirs",
    )


def test_sending_it_again_after_a_conflict_changes_only_what_was_typed() -> None:
    now = replace(GROUP, name="theirs", description="their\nwords")

    again = ServerGroupForm(rebase(submitted(name="mine"), now))

    assert (errors(again), again.changes) == ({}, {"name": "mine"})


def test_what_was_wrongly_typed_stays_too() -> None:
    again = rebase(submitted(name="a b"), replace(GROUP, ou_name="OU=Theirs"))

    assert (values(again)["name"], values(again)["ou_name"]) == ("a b", "OU=Theirs")
    assert errors(ServerGroupForm(again)) == {"name": ["Use letters, digits, _ and -. Spaces are not allowed."]}


def test_after_a_failure_the_input_stays_and_has_a_new_key() -> None:
    again = rebase(submitted(name="mine", reason="why", key="old"), GROUP)

    assert (again.typed, again.reason) == ({"name": "mine"}, "why")
    assert again.key != "old"


def test_both_typing_the_same_is_no_conflict() -> None:
    now = replace(GROUP, name="same")

    assert (find_conflicts(submitted(name="same"), now), rebase(submitted(name="same"), now).typed) == ((), {})


def test_what_a_script_wants_is_compared_with_the_group_once_it_was_shown() -> None:
    script = submit(posted(name="mine"), SHOWN, is_seen=False)

    assert (script.is_seen, rebase(script, GROUP).is_seen) == (False, True)


def test_a_field_resolved_to_theirs_is_left_alone() -> None:
    both = submitted(name="mine", ou_name="OU=Mine")

    assert resolve(both, {"name"}).typed == {"ou_name": "OU=Mine"}


def test_what_a_stale_form_asked_for_stands_beside_what_the_cloud_holds() -> None:
    typed = as_shown(GROUP) | {"name": "mine", "server_group_status": "false", "reason": "why"}

    assert find_unsent(typed, GROUP) == (Unsent("Name", "mine", "design-pool"), Unsent("Status", "Off", "On"))


# What a browser carries


def test_what_the_person_saw_comes_back_unaltered() -> None:
    group = replace(ODD, is_vdi=True, primary_server_group_ids=("g-2",), secondary_server_group_ids=("g-3",))

    context = GroupContext(session_ceiling=100, has_directory=False)

    assert read_seen(sign_seen(ShownGroup(group, context)), "g-1") == ShownGroup(group, context)


@pytest.mark.parametrize("group", [ODD, ServerGroup("g-1")], ids=["odd", "hardly known"])
def test_a_group_comes_back_as_it_was_read(group: ServerGroup) -> None:
    shown = read_seen(sign_seen(ShownGroup(group, GroupContext())), "g-1")

    assert shown is not None
    assert [shown.group.value(field.path) for field in FIELDS] == [group.value(field.path) for field in FIELDS]


@pytest.mark.parametrize(
    ("text", "group_id"),
    [("", "g-1"), ("nonsense", "g-1"), (SIGNED[:-1], "g-1"), ("é:☃:\x00", "g-1"), (SIGNED, "g-2")],
)
def test_what_is_not_ours_or_about_another_group_is_nothing(text: str, group_id: str) -> None:
    assert read_seen(text, group_id) is None


def test_what_was_seen_too_long_ago_is_nothing() -> None:
    signed = sign_seen(SHOWN)

    with later(MAX_AGE - timedelta(minutes=1)):
        assert read_seen(signed, "g-1") == SHOWN
    with later(MAX_AGE + timedelta(minutes=1)):
        assert read_seen(signed, "g-1") is None


def test_a_signed_submission_comes_back_with_the_key_and_reason_beside_it() -> None:
    mine = submitted(name="mine", description="a\r\nb\x00", revert="3")

    carried = posted(submission=sign_submission(mine, SCOPE), key="k", reason="why")

    assert read_submission(carried, SCOPE) == replace(mine, key="k", reason="why")


@pytest.mark.parametrize("scope", [Scope("other", 7, "g-1"), Scope("default", 8, "g-1"), Scope("default", 7, "g-2")])
def test_a_submission_is_good_for_its_project_person_and_group_only(scope: Scope) -> None:
    carried = posted(submission=sign_submission(submitted(name="mine"), SCOPE))

    with pytest.raises(StaleFormError) as error:
        read_submission(carried, scope)

    assert error.value.typed == {"reason": ""}


@pytest.mark.parametrize("text", ["", "nonsense", SIGNED, "é:☃:\x00"])
def test_an_altered_submission_is_stale_and_is_not_read(text: str) -> None:
    with pytest.raises(StaleFormError) as error:
        read_submission(posted(submission=text, reason="why"), SCOPE)

    assert error.value.typed == {"reason": "why"}


def test_an_expired_submission_is_stale_and_what_was_typed_is_kept() -> None:
    carried = posted(submission=sign_submission(submitted(name="mine"), SCOPE), reason="why")

    with later(MAX_AGE + timedelta(minutes=1)), pytest.raises(StaleFormError) as error:
        read_submission(carried, SCOPE)

    assert error.value.typed == {"name": "mine", "reason": "why"}
