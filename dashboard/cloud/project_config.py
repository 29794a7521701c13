"""Project configuration from the environment or a TOML file. Errors name the variable or the line.

docs/operation.md lists the names of both. Here, both use flat keys such as `region` and `auth.token`.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

VARIABLES = {
    "project_id": "HUAWEICLOUD_SDK_PROJECT_ID",
    "region": "HUAWEICLOUD_SDK_REGION",
    "workspace_endpoint": "WORKSPACE_ENDPOINT",
    "ims_endpoint": "IMS_ENDPOINT",
    "iam_endpoint": "HUAWEICLOUD_SDK_IAM_ENDPOINT",
    "auth.token": "WORKSPACE_AUTH_TOKEN",
    "auth.domain_name": "IAM_DOMAIN_NAME",
    "auth.user_name": "IAM_USER_NAME",
    "auth.password": "IAM_PASSWORD",
    "auth.ak": "HUAWEICLOUD_SDK_AK",
    "auth.sk": "HUAWEICLOUD_SDK_SK",
    "auth.security_token": "HUAWEICLOUD_SDK_SECURITY_TOKEN",
}
# The variable that decides the kind of credential.
KINDS = {"auth.token": "token", "auth.password": "password", "auth.ak": "aksk"}


@dataclass(frozen=True)
class ProjectConfig:
    """The configured values of one project. `source` is the TOML file, or None for the environment."""

    slug: str
    values: Mapping[str, object] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    source: Path | None = None

    def text(self, key: str, default: str | None = None) -> str:
        """The value; `env:NAME` and `file:PATH` are looked up. Without a default, it must not be empty."""
        value = self.values.get(key, default)
        if value is None:
            raise self.error(key, f"{key} is missing")
        if not isinstance(value, str):
            raise self.error(key, "expected text in quotation marks")
        value = self._look_up(key, value)
        if not value and default is None:
            raise self.error(key, f"{key} is empty")
        return value

    def whole_number(self, key: str, default: int, allowed: range) -> int:
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
            raise self.error(key, f"expected a whole number from {allowed[0]} to {allowed[-1]}")
        return value

    def _look_up(self, key: str, value: str) -> str:
        scheme, _, name = value.partition(":")
        if scheme == "env":
            if name not in self.environ:
                raise self.error(key, f"expected the environment variable {name} to be set")
            return self.environ[name]
        if scheme == "file":
            try:
                return Path(name).read_text(encoding="utf-8").strip()
            except (OSError, ValueError):
                raise self.error(key, f"expected {name} to be a readable file of text") from None
        return value

    def error(self, key: str, expected: str) -> ImproperlyConfigured:
        """The error to raise: the place, then the expectation. It does not repeat the value, which may be secret."""
        if self.source is None:
            return ImproperlyConfigured(f"{VARIABLES.get(key, key)} in the environment: {expected}")
        return ImproperlyConfigured(f"{self.source}, line {self._line_of(key)}, {key or self.slug}: {expected}")

    def _line_of(self, key: str) -> int:
        """The line of the key, else of the header of its table, else 1. It finds only the usual spelling of TOML."""
        table, _, name = f"projects.{self.slug}.{key}".rpartition(".")
        found, current = 1, ""
        lines = self.source.read_text(encoding="utf-8").splitlines() if self.source else []
        for number, line in enumerate(lines, start=1):
            if header := re.match(r"\s*\[([^\]]+)\]", line):
                current = header[1].replace('"', "").strip()
                found = number if table == current or (found == 1 and table.startswith(f"{current}.")) else found
            elif current == table and re.match(rf'\s*"?{re.escape(name)}"?\s*=', line):
                return number
        return found


def configs_in_file(path: Path, environ: Mapping[str, str]) -> Iterator[ProjectConfig]:
    """The projects of the TOML file. Raises ImproperlyConfigured for an invalid file."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImproperlyConfigured(f"STREAMWARDEN_PROJECTS: {path}: {error.strerror}") from None
    except ValueError as error:
        raise ImproperlyConfigured(f"{path}: expected TOML in UTF-8: {error}") from None
    projects = document.pop("projects", None)
    if document or not isinstance(projects, dict) or not projects:
        raise ImproperlyConfigured(f"{path}, line 1: expected only tables named [projects.<slug>]")
    for slug, table in projects.items():
        yield ProjectConfig(slug, dict(_flat(table)), environ, path)


def _flat(table: object) -> Iterator[tuple[str, object]]:
    members = table if isinstance(table, dict) else {}
    for key, value in members.items():
        if key == "auth" and isinstance(value, dict):
            yield from ((f"auth.{name}", secret) for name, secret in value.items())
        else:
            yield key, value


def configs_in_environment(environ: Mapping[str, str]) -> Iterator[ProjectConfig]:
    """The project of the single-project variables, or none if no variable is set. Its title is its region."""
    values = {key: environ[name] for key, name in VARIABLES.items() if environ.get(name)}
    if not values:
        return
    kinds = [kind for key, kind in KINDS.items() if key in values]
    if len(kinds) != 1:
        names = ", ".join(VARIABLES[key] for key in KINDS)
        raise ImproperlyConfigured(f"environment: expected exactly one credential, that is, exactly one of {names}")
    title = values.get("region", "")
    yield ProjectConfig("default", {"title": title, **values, "auth.kind": kinds[0]}, environ)
