"""A submitted form as a value: its successors, and its signed text in the browser."""

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
    """The post of a form by a browser: all fields, with some changes."""
    return submit(posted(**as_shown(GROUP) | fields), SHOWN, is_seen=True)


def values(submission: Submission) -> dict[str, str]:
    form = ServerGroupForm(submission)
    return {field.name: form[field.name].value() for field in FIELDS}


def test_contains_only_the_typed_fields() -> None:
    assert submitted(name="mine", reason="why", key="k", revert="3") == Submission(
        SHOWN, {"name": "mine"}, reason="why", key="k", revert="3"
    )


def test_line_breaks_of_a_browser_are_not_input() -> None:
    assert submit(posted(description="first line\r\nsecond line"), SHOWN, is_seen=True).typed == {}


def test_names_that_were_sent_twice_are_kept() -> None:
    assert submit(posted("name=a&name=a&key=k"), SHOWN, is_seen=True).repeated == {"name"}


# Rebasing and resolving


def test_rebasing_keeps_the_input_and_updates_the_other_fields() -> None:
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


def test_a_rebased_submission_changes_only_the_typed_fields() -> None:
    now = replace(GROUP, name="theirs", description="their\nwords")

    again = ServerGroupForm(rebase(submitted(name="mine"), now))

    assert (errors(again), again.changes) == ({}, {"name": "mine"})


def test_rebasing_keeps_invalid_input() -> None:
    again = rebase(submitted(name="a b"), replace(GROUP, ou_name="OU=Theirs"))

    assert (values(again)["name"], values(again)["ou_name"]) == ("a b", "OU=Theirs")
    assert errors(ServerGroupForm(again)) == {"name": ["Use letters, digits, _ and -. Spaces are not allowed."]}


def test_rebasing_keeps_the_input_under_a_new_key() -> None:
    again = rebase(submitted(name="mine", reason="why", key="old"), GROUP)

    assert (again.typed, again.reason) == ({"name": "mine"}, "why")
    assert again.key != "old"


def test_the_same_value_from_two_people_is_no_conflict() -> None:
    now = replace(GROUP, name="same")

    assert (find_conflicts(submitted(name="same"), now), rebase(submitted(name="same"), now).typed) == ((), {})


def test_a_rebased_submission_of_a_script_counts_as_seen() -> None:
    script = submit(posted(name="mine"), SHOWN, is_seen=False)

    assert (script.is_seen, rebase(script, GROUP).is_seen) == (False, True)


def test_a_field_resolved_to_theirs_is_not_changed() -> None:
    both = submitted(name="mine", ou_name="OU=Mine")

    assert resolve(both, {"name"}).typed == {"ou_name": "OU=Mine"}


def test_lists_the_values_of_a_stale_form_beside_the_current_values() -> None:
    typed = as_shown(GROUP) | {"name": "mine", "server_group_status": "false", "reason": "why"}

    assert find_unsent(typed, GROUP) == (Unsent("Name", "mine", "design-pool"), Unsent("Status", "Off", "On"))


# Signed texts


def test_a_signed_group_is_read_back_unchanged() -> None:
    group = replace(ODD, is_vdi=True, primary_server_group_ids=("g-2",), secondary_server_group_ids=("g-3",))

    context = GroupContext(session_ceiling=100, has_directory=False)

    assert read_seen(sign_seen(ShownGroup(group, context)), "g-1") == ShownGroup(group, context)


@pytest.mark.parametrize("group", [ODD, ServerGroup("g-1")], ids=["odd", "hardly known"])
def test_a_signed_group_keeps_every_value(group: ServerGroup) -> None:
    shown = read_seen(sign_seen(ShownGroup(group, GroupContext())), "g-1")

    assert shown is not None
    assert [shown.group.value(field.path) for field in FIELDS] == [group.value(field.path) for field in FIELDS]


@pytest.mark.parametrize(
    ("text", "group_id"),
    [("", "g-1"), ("nonsense", "g-1"), (SIGNED[:-1], "g-1"), ("é:☃:\x00", "g-1"), (SIGNED, "g-2")],
)
def test_a_wrong_signature_or_another_group_reads_as_none(text: str, group_id: str) -> None:
    assert read_seen(text, group_id) is None


def test_an_expired_signature_reads_as_none() -> None:
    signed = sign_seen(SHOWN)

    with later(MAX_AGE - timedelta(minutes=1)):
        assert read_seen(signed, "g-1") == SHOWN
    with later(MAX_AGE + timedelta(minutes=1)):
        assert read_seen(signed, "g-1") is None


def test_a_signed_submission_is_read_back_with_key_and_reason() -> None:
    mine = submitted(name="mine", description="a\r\nb\x00", revert="3")

    carried = posted(submission=sign_submission(mine, SCOPE), key="k", reason="why")

    assert read_submission(carried, SCOPE) == replace(mine, key="k", reason="why")


@pytest.mark.parametrize("scope", [Scope("other", 7, "g-1"), Scope("default", 8, "g-1"), Scope("default", 7, "g-2")])
def test_a_submission_is_valid_for_its_project_person_and_group_only(scope: Scope) -> None:
    carried = posted(submission=sign_submission(submitted(name="mine"), SCOPE))

    with pytest.raises(StaleFormError) as error:
        read_submission(carried, scope)

    assert error.value.typed == {"reason": ""}


@pytest.mark.parametrize("text", ["", "nonsense", SIGNED, "é:☃:\x00"])
def test_an_altered_submission_is_stale_and_has_no_input(text: str) -> None:
    with pytest.raises(StaleFormError) as error:
        read_submission(posted(submission=text, reason="why"), SCOPE)

    assert error.value.typed == {"reason": "why"}


def test_an_expired_submission_is_stale_and_keeps_the_input() -> None:
    carried = posted(submission=sign_submission(submitted(name="mine"), SCOPE), reason="why")

    with later(MAX_AGE + timedelta(minutes=1)), pytest.raises(StaleFormError) as error:
        read_submission(carried, SCOPE)

    assert error.value.typed == {"name": "mine", "reason": "why"}
