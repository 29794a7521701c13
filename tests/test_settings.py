"""Settings: errors name an unsafe setting, and the settings of production are strict."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured

SECRET = "k" * 30 + "0123456789abcdefghijklmnopqrstuvwxyz"
VALID = {
    "STREAMWARDEN_ENV": "production",
    "STREAMWARDEN_SECRET_KEY": SECRET,
    "STREAMWARDEN_ALLOWED_HOSTS": "streamwarden.example",
    "STREAMWARDEN_AUDIT_KEY": "an audit key that is not guessable",
}
SETTINGS = Path(__file__).parents[1] / "dashboard" / "settings.py"
REQUEST = """
import django
django.setup()
from django.test import Client
response = Client().get("{}", headers={{"host": "{}", "x-forwarded-proto": "{}"}})
print(response.status_code, response.headers.get("Location"), response.headers.get("Strict-Transport-Security"))
"""


def variables(**changed: str | None) -> dict[str, str]:
    """The environment of production, changed or (None) removed, and no other variables."""
    environ = {"DATABASE_URL": "sqlite:///:memory:", **VALID, **changed, "PATH": os.environ["PATH"]}
    return {name: value for name, value in environ.items() if value is not None}


def load(**changed: str | None) -> dict[str, Any]:
    """The settings of production with changed variables."""
    with mock.patch.dict(os.environ, variables(**changed), clear=True):
        return runpy.run_path(str(SETTINGS))


def show(names: str, **changed: str | None) -> list[Any]:
    loaded = load(**changed)
    return [loaded.get(name, getattr(global_settings, name, None)) for name in names.split()]


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the settings of production and no other environment."""
    command = [sys.executable, "-c", code]
    environ = variables(DJANGO_SETTINGS_MODULE="dashboard.settings")
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 (ours)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"STREAMWARDEN_SECRET_KEY": None}, "STREAMWARDEN_SECRET_KEY is missing; production does not start without it"),
        ({"STREAMWARDEN_SECRET_KEY": ""}, "STREAMWARDEN_SECRET_KEY is missing; production does not start without it"),
        # The default is production, so that no one runs a development server by mistake.
        (
            {"STREAMWARDEN_ENV": None, "STREAMWARDEN_SECRET_KEY": None},
            "STREAMWARDEN_SECRET_KEY is missing; production does not start without it",
        ),
        *(
            ({"STREAMWARDEN_ALLOWED_HOSTS": hosts}, "STREAMWARDEN_ALLOWED_HOSTS must list the host names")
            for hosts in (None, "", ",", "*", "streamwarden.example,*")
        ),
        ({"STREAMWARDEN_AUDIT_KEY": None}, "STREAMWARDEN_AUDIT_KEY is missing"),
        ({"STREAMWARDEN_AUDIT_KEY": "file:/dev/null"}, "STREAMWARDEN_AUDIT_KEY is missing"),
        ({"STREAMWARDEN_AUDIT_KEY": "file:/nowhere/key"}, "STREAMWARDEN_AUDIT_KEY names a file that cannot be read"),
        ({"STREAMWARDEN_ENV": "staging"}, "STREAMWARDEN_ENV is 'staging'; it must be production or development"),
        ({"STREAMWARDEN_ENV": ""}, "STREAMWARDEN_ENV is ''; it must be production or development"),
        ({"STREAMWARDEN_WORKER": "none"}, "STREAMWARDEN_WORKER is 'none'; it must be embedded or separate"),
        ({"STREAMWARDEN_TICKET_PATTERN": "INC-[0-9]+"}, "STREAMWARDEN_TICKET_URL"),
        (
            {"STREAMWARDEN_TICKET_PATTERN": "INC-[0-9]+", "STREAMWARDEN_TICKET_URL": "https://tickets.example/"},
            "an address with {ticket}",
        ),
        ({"HUAWEICLOUD_SDK_PROJECT_ID": "p-1"}, "expected exactly one credential"),
        ({"STREAMWARDEN_PROJECTS": "/nowhere/projects.toml"}, "STREAMWARDEN_PROJECTS"),
    ],
)
def test_names_an_unsafe_or_incomplete_setting(changed: dict[str, str | None], words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        load(**changed)

    assert words in str(raised.value)
    assert SECRET not in str(raised.value)


def test_cookies_in_production_are_for_this_host_over_tls_only() -> None:
    shown = show(
        "SESSION_COOKIE_NAME CSRF_COOKIE_NAME SESSION_COOKIE_SECURE CSRF_COOKIE_SECURE SESSION_COOKIE_HTTPONLY "
        "CSRF_COOKIE_HTTPONLY SESSION_COOKIE_DOMAIN CSRF_COOKIE_DOMAIN SESSION_COOKIE_PATH CSRF_COOKIE_PATH"
    )

    assert shown == ["__Host-session", "__Host-csrf", *[True] * 4, None, None, "/", "/"]


def test_debug_is_off_in_every_environment() -> None:
    shown = [show("DEBUG IS_PRODUCTION", STREAMWARDEN_ENV=name) for name in ("production", "development")]

    assert shown == [[False, True], [False, False]]


def test_development_needs_no_settings() -> None:
    changed = {"STREAMWARDEN_ENV": "development", "STREAMWARDEN_SECRET_KEY": None, "STREAMWARDEN_ALLOWED_HOSTS": None}

    assert show("ALLOWED_HOSTS SESSION_COOKIE_NAME", **changed) == [["localhost", "127.0.0.1"], "sessionid"]


def test_sqlite_waits_for_locks_and_survives_a_power_failure(tmp_path: Path) -> None:
    place = tmp_path / "made" / "when-needed.sqlite3"

    options = load(DATABASE_URL=f"sqlite:///{place}")["DATABASES"]["default"]["OPTIONS"]

    assert options["transaction_mode"] == "IMMEDIATE"
    assert "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" in options["init_command"]
    assert place.parent.is_dir()


def test_postgresql_has_timeouts_for_connections_and_locks() -> None:
    options = load(DATABASE_URL="postgres://app@db/streamwarden?sslmode=require")["DATABASES"]["default"]["OPTIONS"]

    wanted = {"connect_timeout": 5, "options": "-c lock_timeout=10s -c jit=off", "sslmode": "require"}
    assert {name: options[name] for name in wanted} == wanted


def test_creates_the_checkpoint_directory_if_there_is_one(tmp_path: Path) -> None:
    place = tmp_path / "made" / "when-needed"

    assert show("CHECKPOINT_DIRECTORY", STREAMWARDEN_CHECKPOINTS=str(place)) == [str(place)]
    assert place.is_dir()
    assert show("CHECKPOINT_DIRECTORY", STREAMWARDEN_CHECKPOINTS="") == [""]
    assert show("CHECKPOINT_DIRECTORY", STREAMWARDEN_CHECKPOINTS="/proc/nowhere") == ["/proc/nowhere"]
    assert show("CHECKPOINT_DIRECTORY")[0].endswith("/var/checkpoints")


@pytest.mark.parametrize(
    ("path", "host", "scheme", "expected"),
    [
        ("/accounts/login/", "streamwarden.example", "http", "301 https://streamwarden.example/accounts/login/ None"),
        (
            "/",
            "streamwarden.example",
            "https",
            "302 /accounts/login/?next=/ max-age=31536000; includeSubDomains; preload",
        ),
        ("/healthz", "streamwarden.example", "http", "200 None None"),
    ],
)
def test_production_needs_tls(path: str, host: str, scheme: str, expected: str) -> None:
    completed = run(REQUEST.format(path, host, scheme))

    assert (completed.stdout.strip(), completed.returncode) == (expected, 0)


def test_the_deployment_check_has_no_findings() -> None:
    check = (
        "import django; django.setup(); from django.core.management import call_command as c; "
        "c('check', deploy=True, fail_level='WARNING')"
    )

    checked = run(check)

    assert (checked.returncode, checked.stdout.strip()) == (0, "System check identified no issues (0 silenced).")


def test_production_allows_https_only() -> None:
    production = load(STREAMWARDEN_CHECKPOINTS="")

    strict = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
    assert [production[name] for name in strict] == [True, True, True]
    assert production["SECURE_REDIRECT_EXEMPT"] == ["^(healthz|readyz)$"]
