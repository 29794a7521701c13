"""`manage.py create_admin`, with a password from the environment or typed."""

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
    """Run the command with a password from the environment, or typed."""
    inputs, out = list(typed), StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMWARDEN_ADMIN_PASSWORD", password)
        patch.setattr(getpass, "getpass", lambda _prompt: inputs.pop(0))
        call_command("create_admin", username, stdout=out)
    assert inputs == []
    return out.getvalue()


@pytest.mark.parametrize(("password", "typed"), [(GOOD, ()), ("", (GOOD, GOOD))], ids=["environment", "typed"])
def test_creates_an_administrator(password: str, typed: tuple[str, ...]) -> None:
    output = create("root", password=password, typed=typed)

    user = User.objects.get()
    assert output == "root is an administrator.\n"
    assert (user.username, user.role_names, user.check_password(GOOD)) == ("root", "administrator", True)
    assert (user.is_superuser, user.is_staff, user.is_active) == (False, False, True)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("short", "This password is too short."),
        ("password123", "This password is too common."),
        ("rootroot", "The password is too similar to the username."),
    ],
)
def test_rejects_a_weak_password(password: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        create("rootroot" if "similar" in problem else "root", password=password)

    assert User.objects.count() == 0


def test_creates_no_account_if_the_ledger_cannot_record_its_role(settings: Settings) -> None:
    settings.AUDIT_KEY = ""

    with pytest.raises(LedgerError):
        create("root", password=GOOD)

    assert not User.objects.exists()


def test_rejects_two_different_passwords() -> None:
    with pytest.raises(CommandError, match="The two passwords differ"):
        create(typed=(GOOD, GOOD + "!"))

    assert User.objects.count() == 0


def test_fails_at_the_end_of_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_prompt: str) -> str:
        raise EOFError

    monkeypatch.delenv("STREAMWARDEN_ADMIN_PASSWORD", raising=False)
    monkeypatch.setattr(getpass, "getpass", end)

    with pytest.raises(CommandError, match="Enter a password, or set STREAMWARDEN_ADMIN_PASSWORD"):
        call_command("create_admin", "root")

    assert User.objects.count() == 0


def test_rejects_an_existing_name_and_keeps_its_password() -> None:
    User.objects.create_user("root", password="the old password")

    with pytest.raises(CommandError, match="The user root already exists"):
        create("root", password=GOOD)

    assert User.objects.get().check_password("the old password")


@pytest.mark.parametrize("username", ["", "a b", "x" * 151, "a\nb"])
def test_rejects_an_invalid_name(username: str) -> None:
    with pytest.raises(CommandError):
        create(username, password=GOOD)

    assert User.objects.count() == 0


def test_fails_without_a_password_and_without_a_terminal(tmp_path: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "STREAMWARDEN_ENV": "development",
        "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3",
    }
    command = [sys.executable, "manage.py"]
    subprocess.run([*command, "migrate", "-v0"], cwd=settings.BASE_DIR, env=environ, check=True)  # noqa: S603 (ours)

    failed = subprocess.run(  # noqa: S603 (ours)
        [*command, "create_admin", "root"],
        cwd=settings.BASE_DIR,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # without a terminal
    )

    assert failed.returncode == 1
    assert failed.stderr.endswith("CommandError: Enter a password, or set STREAMWARDEN_ADMIN_PASSWORD.\n")
    assert "Traceback" not in failed.stderr
