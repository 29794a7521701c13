"""Production refuses to start with an unsafe setting, and says which."""

import os
import subprocess
import sys

import pytest

SOUND = {
    "STREAMWARDEN_ENV": "production",
    "STREAMWARDEN_SECRET_KEY": "k" * 30 + "0123456789abcdefghijklmnopqrstuvwxyz",
    "STREAMWARDEN_ALLOWED_HOSTS": "streamwarden.example",
    "DATABASE_URL": "sqlite:///var/settings-test.sqlite3",
}
SHOW = (
    "from django.conf import settings as s; print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE)"
)


def run(code: str, **changed: str | None) -> subprocess.CompletedProcess[str]:
    """Python with a clean environment and production's settings, some of them changed or left out."""
    environ = {name: value for name, value in {**SOUND, **changed}.items() if value is not None}
    environ |= {"DJANGO_SETTINGS_MODULE": "dashboard.settings", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 (ours)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"STREAMWARDEN_SECRET_KEY": None}, "STREAMWARDEN_SECRET_KEY is missing"),
        ({"STREAMWARDEN_ALLOWED_HOSTS": None}, "STREAMWARDEN_ALLOWED_HOSTS must name the hosts"),
        ({"STREAMWARDEN_ALLOWED_HOSTS": "*"}, "STREAMWARDEN_ALLOWED_HOSTS must name the hosts"),
        ({"STREAMWARDEN_ENV": "staging"}, "it must be production or development"),
        ({"STREAMWARDEN_TICKET_PATTERN": "INC-[0-9]+"}, "STREAMWARDEN_TICKET_URL"),
        ({"HUAWEICLOUD_SDK_PROJECT_ID": "p-1"}, "expected exactly one credential"),
    ],
)
def test_an_unsafe_or_half_setting_is_named(changed: dict[str, str | None], words: str) -> None:
    refused = run(SHOW, **changed)

    assert refused.returncode == 1
    assert words in refused.stderr


def test_production_has_cookies_for_this_host_over_tls_only() -> None:
    assert run(SHOW).stdout.split() == ["__Host-session", "__Host-csrf", "True"]


def test_the_deployment_check_finds_nothing() -> None:
    check = (
        "import django; django.setup(); from django.core.management import call_command as c; c('check', deploy=True)"
    )

    checked = run(check)

    assert (checked.returncode, checked.stdout.strip()) == (0, "System check identified no issues (0 silenced).")
