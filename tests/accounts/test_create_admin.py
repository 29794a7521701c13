"""`manage.py create_admin`: the first administrator, with a password that somebody chose."""

import getpass
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pytest_django import Settings

from dashboard.accounts.models import User
from dashboard.audit.ledger.services import LedgerError

pytestmark = pytest.mark.django_db
GOOD = "correct horse battery staple"


def create(username: str = "root", *, password: str = "", typed: tuple[str, ...] = ()) -> str:
    """The password comes from the environment, or is typed."""
    answers, out = list(typed), StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMWARDEN_ADMIN_PASSWORD", password)
        patch.setattr(getpass, "getpass", lambda _prompt: answers.pop(0))
        call_command("create_admin", username, stdout=out)
    assert answers == []
    return out.getvalue()


@pytest.mark.parametrize(("password", "typed"), [(GOOD, ()), ("", (GOOD, GOOD))], ids=["environment", "typed"])
def test_makes_an_administrator(password: str, typed: tuple[str, ...]) -> None:
    said = create("root", password=password, typed=typed)

    user = User.objects.get()
    assert said == "root is an administrator.\n"
    assert (user.username, user.role_names, user.check_password(GOOD)) == ("root", "administrator", True)
    assert (user.is_superuser, user.is_staff, user.is_active) == (False, False, True)


@pytest.mark.parametrize(
    ("password", "because"),
    [
        ("short", "This password is too short."),
        ("password123", "This password is too common."),
        ("rootroot", "The password is too similar to the username."),
    ],
)
def test_refuses_a_weak_password(password: str, because: str) -> None:
    with pytest.raises(CommandError, match=because):
        create("rootroot" if "similar" in because else "root", password=password)

    assert User.objects.count() == 0


def test_an_account_whose_role_cannot_be_recorded_is_not_made(settings: Settings) -> None:
    settings.AUDIT_KEY = ""

    with pytest.raises(LedgerError):
        create("root", password=GOOD)

    assert not User.objects.exists()


def test_refuses_two_passwords_that_differ() -> None:
    with pytest.raises(CommandError, match="The two passwords differ"):
        create(typed=(GOOD, GOOD + "!"))

    assert User.objects.count() == 0


def test_refuses_when_typing_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_prompt: str) -> str:
        raise EOFError

    monkeypatch.delenv("STREAMWARDEN_ADMIN_PASSWORD", raising=False)
    monkeypatch.setattr(getpass, "getpass", end)

    with pytest.raises(CommandError, match="No password given; none is made up"):
        call_command("create_admin", "root")

    assert User.objects.count() == 0


def test_refuses_a_name_that_is_taken_and_leaves_its_password() -> None:
    User.objects.create_user("root", password="old password of theirs")

    with pytest.raises(CommandError, match="There is a user called root already"):
        create("root", password=GOOD)

    assert User.objects.get().check_password("old password of theirs")


@pytest.mark.parametrize("username", ["", "a b", "x" * 151, "a\nb"])
def test_refuses_a_name_that_is_none(username: str) -> None:
    with pytest.raises(CommandError):
        create(username, password=GOOD)

    assert User.objects.count() == 0


def test_makes_up_no_password_when_nobody_is_there_to_type_one(tmp_path: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "STREAMWARDEN_ENV": "development",
        "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3",
    }
    command = [sys.executable, "manage.py"]
    subprocess.run([*command, "migrate", "-v0"], cwd=settings.BASE_DIR, env=environ, check=True)  # noqa: S603 (ours)

    refused = subprocess.run(  # noqa: S603 (ours)
        [*command, "create_admin", "root"],
        cwd=settings.BASE_DIR,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # without a terminal to ask
    )

    assert refused.returncode == 1
    assert refused.stderr.endswith("CommandError: No password given; none is made up.\n")
    assert "Traceback" not in refused.stderr
