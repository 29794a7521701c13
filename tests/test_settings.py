"""Settings: production refuses unsafe values and names all of them."""

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
    "STREAMWARDEN_PROXIES": "1",
    "STREAMWARDEN_AUDIT_KEY": "an audit key that is not guessable",
}
BASE_DIR = Path(__file__).parents[1]
SETTINGS = BASE_DIR / "dashboard" / "settings.py"
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


def run(code: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the settings of production and no other environment."""
    command = [sys.executable, "-c", code]
    environ = variables(DJANGO_SETTINGS_MODULE="dashboard.settings", **changed)
    return subprocess.run(command, env=environ, cwd=BASE_DIR, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 (ours)


REFUSED = [
    ("SECRET_KEY", None, "is missing; production does not start without it"),
    ("SECRET_KEY", "", "is missing; production does not start without it"),
    ("SECRET_KEY", "x", "is too short; it must have at least 32 characters"),
    ("SECRET_KEY", SECRET[-31:], "is too short; it must have at least 32 characters"),
    ("SECRET_KEY", "x" * 64, "repeats few characters; it must have at least 10 different ones"),
    ("SECRET_KEY", "123456789" * 9, "repeats few characters; it must have at least 10 different ones"),
    ("AUDIT_KEY", None, "is missing; production does not start without it"),
    ("AUDIT_KEY", "y", "is too short; it must have at least 32 characters"),
    ("AUDIT_KEY", "y" * 64, "repeats few characters; it must have at least 10 different ones"),
    ("AUDIT_KEY", "file:/dev/null", "is missing; production does not start without it"),
    ("AUDIT_KEY", "file:/nowhere/key", "names a file that cannot be read: [Errno 2] No such file"),
    ("ALLOWED_HOSTS", None, "is missing; it must list the host names of this dashboard"),
    ("ALLOWED_HOSTS", ",", "is missing; it must list the host names of this dashboard"),
    ("ALLOWED_HOSTS", "*", "has '*'; it must list complete host names"),
    ("ALLOWED_HOSTS", "streamwarden.example, .com", "has '.com'; it must list complete host names"),
    ("ALLOWED_HOSTS", "*.example.com", "has '*.example.com'; it must list complete host names"),
    ("ALLOWED_HOSTS", "https://streamwarden.example", "has 'https://streamwarden.example'; it must list complete"),
    ("PROXIES", None, "is missing; 0 is a valid value"),
    ("PROXIES", "", "is missing; 0 is a valid value"),
    ("PROXIES", "-1", "is '-1'; it must be a number, 0 or more"),
    ("PROXIES", "one", "is 'one'; it must be a number, 0 or more"),
    ("PROXIES", "١", "is '١'; it must be a number, 0 or more"),
    ("HSTS", "yes", "is 'yes'; it must be off, host, subdomains or preload"),
    ("CHECKPOINT_HOOK", "http://store.example/", "must be a command or an https:// address"),
    ("CHECKPOINT_HOOK", "HTTP://store.example/", "must be a command or an https:// address"),
    ("CHECKPOINT_HOOK", "https://", "must be a command or an https:// address"),
    ("TICKET_PATTERN", "INC-[0-9", "is not a regular expression of RE2: missing ]: [0-9"),
    ("TICKET_PATTERN", r"(.)\1", r"is not a regular expression of RE2: invalid escape sequence: \1"),
    ("TICKET_PATTERN", "(?=INC)", "is not a regular expression of RE2: invalid perl operator: (?="),
    ("TICKET_URL", None, "and STREAMWARDEN_TICKET_PATTERN go together"),
    ("TICKET_URL", "https://tickets.example/", "must be an https:// address with {ticket} after the host name"),
    ("TICKET_URL", "https://{ticket}.example/", "must be an https:// address with {ticket} after the host name"),
    ("TICKET_URL", "https://[tickets/{ticket}", "must be an https:// address with {ticket} after the host name"),
    ("TICKET_URL", "http://tickets.example/{ticket}", "must be an https:// address with {ticket} after the host name"),
    ("TICKET_URL", "javascript:alert('/{ticket}')", "must be an https:// address with {ticket} after the host name"),
    ("ENV", "staging", "is 'staging'; it must be production or development"),
    ("ENV", "", "is ''; it must be production or development"),
    ("WORKER", "none", "is 'none'; it must be embedded or separate"),
    ("REASON_REQUIRED", "ture", "is 'ture'; it must be true or false"),
]
"""A variable after STREAMWARDEN_, an unsafe or wrong value, and the problem."""
TICKETS = {
    "STREAMWARDEN_TICKET_PATTERN": "INC-[0-9]+",
    "STREAMWARDEN_TICKET_URL": "https://tickets.example/{ticket}",
}
START = """
import sys
from gunicorn.app.wsgiapp import run
sys.argv = ["gunicorn", "--bind", "127.0.0.1:0"]
run()
"""
MANAGE = "import runpy, sys; sys.argv = ['manage.py', *'{}'.split()]; runpy.run_path('manage.py', run_name='__main__')"


def problems(**changed: str | None) -> list[str]:
    with pytest.raises(ImproperlyConfigured) as raised:
        load(**changed)
    assert SECRET not in str(raised.value)
    return str(raised.value).splitlines()


@pytest.mark.parametrize(("name", "value", "problem"), REFUSED)
def test_production_refuses_an_unsafe_setting_by_name(name: str, value: str | None, problem: str) -> None:
    tickets = TICKETS if name.startswith("TICKET") else {}

    (line,) = problems(**tickets | {f"STREAMWARDEN_{name}": value})

    assert line.startswith(f"STREAMWARDEN_{name} {problem}")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"CACHE_URL": "dummycache://"}, "CACHE_URL must begin with locmem:// or redis:// or rediss://"),
        ({"DATABASE_URL": "mysql://app:secret@db/x"}, "DATABASE_URL must begin with sqlite:// or postgres:// or"),
        ({"DATABASE_URL": "postgres://app:secret@db:port/x"}, "DATABASE_URL is not the address of a database"),
        ({"HUAWEICLOUD_SDK_PROJECT_ID": "p-1"}, "environment: expected exactly one credential"),
        ({"STREAMWARDEN_PROJECTS": "/nowhere/projects.toml"}, "STREAMWARDEN_PROJECTS: /nowhere/projects.toml: No such"),
    ],
)
def test_refuses_other_caches_databases_and_wrong_projects(changed: dict[str, str], problem: str) -> None:
    (line,) = problems(**changed)

    assert line.startswith(problem)
    assert "secret" not in line


def test_reports_all_wrong_settings_at_once() -> None:
    names = ("SECRET_KEY", "AUDIT_KEY", "ALLOWED_HOSTS", "PROXIES")
    changed: dict[str, str | None] = {f"STREAMWARDEN_{name}": None for name in names}

    lines = problems(**changed, STREAMWARDEN_TICKET_PATTERN="(", CACHE_URL="dummycache://")

    assert [line.partition(" ")[0] for line in lines] == [
        "STREAMWARDEN_SECRET_KEY",
        "STREAMWARDEN_AUDIT_KEY",
        "STREAMWARDEN_ALLOWED_HOSTS",
        "STREAMWARDEN_PROXIES",
        "STREAMWARDEN_TICKET_PATTERN",
        "STREAMWARDEN_TICKET_URL",
        "CACHE_URL",
    ]


def test_production_is_the_default() -> None:
    (line,) = problems(STREAMWARDEN_ENV=None, STREAMWARDEN_SECRET_KEY=None)

    assert line == "STREAMWARDEN_SECRET_KEY is missing; production does not start without it"


@pytest.mark.parametrize(
    "code",
    [
        *(MANAGE.format(command) for command in ("check", "migrate", "create_admin alice", "worker", "settle")),
        "import dashboard.wsgi",
        START,
    ],
    ids=["check", "migrate", "create_admin", "worker", "settle", "wsgi", "gunicorn"],
)
def test_every_entry_point_refuses_unsafe_settings(code: str) -> None:
    done = run(code, STREAMWARDEN_SECRET_KEY="x", STREAMWARDEN_PROXIES="-1")

    assert done.returncode != 0
    assert "STREAMWARDEN_SECRET_KEY is too short; it must have at least 32 characters" in done.stderr
    assert "STREAMWARDEN_PROXIES is '-1'; it must be a number, 0 or more" in done.stderr


@pytest.mark.parametrize(
    ("changed", "name", "value"),
    [
        ({"STREAMWARDEN_PROXIES": "0"}, "PROXIES", 0),
        ({"STREAMWARDEN_PROXIES": "2"}, "PROXIES", 2),
        ({"STREAMWARDEN_ALLOWED_HOSTS": "a.example, [::1]"}, "ALLOWED_HOSTS", ["a.example", "[::1]"]),
        ({"STREAMWARDEN_CHECKPOINT_HOOK": "https://store.example"}, "CHECKPOINT_HOOK", "https://store.example"),
        ({"STREAMWARDEN_CHECKPOINT_HOOK": "/bin/store"}, "CHECKPOINT_HOOK", "/bin/store"),
        ({"STREAMWARDEN_REASON_REQUIRED": "True"}, "REASON_REQUIRED", True),
        ({"STREAMWARDEN_AUDIT_KEY": f"file:{__file__}"}, "AUDIT_KEY", Path(__file__).read_text().strip()),
        (TICKETS, "TICKET_URL", "https://tickets.example/{ticket}"),
        (
            {"CACHE_URL": "redis://cache/1"},
            "CACHES",
            {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://cache/1"}},
        ),
    ],
)
def test_production_accepts_safe_settings(changed: dict[str, str], name: str, value: object) -> None:
    assert show(name, **changed) == [value]


@pytest.mark.parametrize(
    ("hsts", "expected"),
    [
        (None, [31_536_000, False, False]),
        ("off", [0, False, False]),
        ("host", [31_536_000, False, False]),
        ("subdomains", [31_536_000, True, False]),
        ("preload", [31_536_000, True, True]),
    ],
)
def test_hsts_covers_what_the_operator_chose(hsts: str | None, expected: list[object]) -> None:
    names = "SECURE_HSTS_SECONDS SECURE_HSTS_INCLUDE_SUBDOMAINS SECURE_HSTS_PRELOAD"

    assert show(names, STREAMWARDEN_HSTS=hsts) == expected


def test_cookies_in_production_are_for_this_host_over_tls_only() -> None:
    shown = show(
        "SESSION_COOKIE_NAME CSRF_COOKIE_NAME PERSON_COOKIE_NAME "
        "SESSION_COOKIE_SECURE CSRF_COOKIE_SECURE SESSION_COOKIE_HTTPONLY "
        "CSRF_COOKIE_HTTPONLY SESSION_COOKIE_DOMAIN CSRF_COOKIE_DOMAIN SESSION_COOKIE_PATH CSRF_COOKIE_PATH"
    )

    assert shown == ["__Host-session", "__Host-csrf", "__Host-person", *[True] * 4, None, None, "/", "/"]


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
        ("/", "streamwarden.example", "https", "302 /accounts/login/?next=/ max-age=31536000"),
        ("/healthz", "streamwarden.example", "http", "200 None None"),
        ("/livez", "10.0.0.7:8000", "http", "200 None None"),
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

    assert (checked.returncode, checked.stdout.strip()) == (0, "System check identified no issues (2 silenced).")


def test_production_allows_https_only() -> None:
    production = load(STREAMWARDEN_CHECKPOINTS="")

    strict = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
    assert [production[name] for name in strict] == [True, True, True]
    assert production["SECURE_REDIRECT_EXEMPT"] == ["^(healthz|livez|readyz)$"]
