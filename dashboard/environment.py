"""Read environment variables for the settings. All wrong values are reported in one error."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import re2
from django.core.exceptions import ImproperlyConfigured
from environ import Env

T = TypeVar("T")

MIN_KEY_LENGTH = 32
MIN_KEY_VARIETY = 10
FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")
CACHE_BACKENDS = {
    "locmem": "django.core.cache.backends.locmem.LocMemCache",
    "redis": "django.core.cache.backends.redis.RedisCache",
    "rediss": "django.core.cache.backends.redis.RedisCache",
}
HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\]")


@dataclass
class Environment:
    """The variables of this process. `problems` has a sentence for each wrong value and never repeats a secret."""

    variables: Mapping[str, str] = field(repr=False)
    problems: list[str] = field(default_factory=list)

    def require_no_problems(self) -> None:
        """Raise ImproperlyConfigured with a line for each problem."""
        if self.problems:
            raise ImproperlyConfigured("\n".join(self.problems))

    def check(self, name: str, fault: str) -> None:
        """Add a problem, unless the fault is empty. The fault continues a sentence that begins with the name."""
        if fault:
            self.problems.append(f"{name} {fault}")

    def parse(self, read: Callable[[], T], default: T) -> T:
        """Return what `read` returns. If it raises ImproperlyConfigured, add the problem and return the default."""
        try:
            return read()
        except ImproperlyConfigured as error:
            self.problems.append(str(error))
            return default

    def text(self, name: str, default: str = "") -> str:
        return self.variables.get(name, default)

    def names(self, name: str, default: str = "") -> list[str]:
        """The parts of a text with commas."""
        return [part.strip() for part in self.text(name, default).split(",") if part.strip()]

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self.text(name, default)
        if value in choices:
            return value
        self.check(name, f"is {value!r}; it must be {', '.join(choices[:-1])} or {choices[-1]}")
        return default

    def flag(self, name: str) -> bool:
        value = self.text(name, "false")
        if value.lower() not in FLAGS:
            self.check(name, f"is {value!r}; it must be true or false")
        return FLAGS.get(value.lower(), False)

    def count(self, name: str, *, default: int | None) -> int:
        """A number, 0 or more. Without a default, the variable is required."""
        value = self.text(name, "" if default is None else str(default))
        if re.fullmatch(r"[0-9]{1,4}", value):
            return int(value)
        self.check(name, f"is {value!r}; it must be a number, 0 or more" if value else "is missing; 0 is a valid value")
        return 0

    def key(self, name: str, *, default: str | None) -> str:
        """A key, or the content of the file in `file:PATH`. Without a default, a strong key is required."""
        value = self.text(name) or default or ""
        if value.startswith("file:"):
            try:
                value = Path(value.removeprefix("file:")).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                self.check(name, f"names a file that cannot be read: {error}")
                return ""
        if default is None:
            self.check(name, key_fault(value))
        return value

    def pattern(self, name: str) -> Any:
        """A compiled regular expression of RE2, which matches in linear time; None without one."""
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.compile(self.text(name), options) if self.text(name) else None
        except re2.error as error:
            self.check(name, f"is not a regular expression of RE2: {error.args[0].decode(errors='replace')}")
            return None

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Django's settings of the database."""
        address = self.address(name, default, DATABASE_SCHEMES)
        try:
            config: dict[str, Any] = Env.db_url_config(address)
        except ValueError:  # for example a port that is no number
            self.check(name, "is not the address of a database")
            config = Env.db_url_config(default)
        return config

    def cache(self, name: str, default: str) -> dict[str, Any]:
        """Django's settings of the cache."""
        address = self.address(name, default, CACHE_BACKENDS)
        return {"BACKEND": CACHE_BACKENDS[address.partition("://")[0]], "LOCATION": address}

    def address(self, name: str, default: str, schemes: Iterable[str]) -> str:
        address = self.text(name, default)
        if address.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            return address
        self.check(name, f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return default


def key_fault(key: str) -> str:
    if not key:
        return "is missing; production does not start without it"
    if len(key) < MIN_KEY_LENGTH:
        return f"is too short; it must have at least {MIN_KEY_LENGTH} characters"
    if len(set(key)) < MIN_KEY_VARIETY:
        return f"repeats few characters; it must have at least {MIN_KEY_VARIETY} different ones"
    return ""


def hosts_fault(hosts: Sequence[str]) -> str:
    for host in hosts:
        if not HOST.fullmatch(host):
            return f"has {host!r}; it must list complete host names, without a wildcard, a scheme or a port"
    return "" if hosts else "is missing; it must list the host names of this dashboard"


def hook_fault(hook: str) -> str:
    """The fault of a checkpoint hook, which is a command, or an address that begins with https://."""
    is_address = re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]*://", hook)
    return "must be a command or an https:// address" if is_address and not _is_https(hook) else ""


def ticket_url_fault(address: str, *, pattern: str) -> str:
    if bool(address) != bool(pattern):
        return "and STREAMWARDEN_TICKET_PATTERN go together; set both or neither"
    path = address.removeprefix("https://").partition("/")[2]
    if address and not (_is_https(address) and "{ticket}" in path):
        return "must be an https:// address with {ticket} after the host name"
    return ""


def _is_https(address: str) -> bool:
    try:
        return address.startswith("https://") and bool(urlsplit(address).hostname)
    except ValueError:
        return False
