"""A project as somebody wrote it down, in the environment or in a TOML file, and where to point when it is wrong.

The names of both are in docs/operation.md. Inside, both look alike: flat keys such as `region` and `auth.token`.
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
# The variable that shows which kind of credential is meant.
KINDS = {"auth.token": "token", "auth.password": "password", "auth.ak": "aksk"}


@dataclass(frozen=True)
class Entry:
    """One project's written values. `source` is its TOML file, or None for the environment."""

    slug: str
    values: Mapping[str, object] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    source: Path | None = None

    def text(self, key: str, default: str | None = None) -> str:
        """The value, looked up when it is written as `env:NAME` or `file:PATH`; a required one must not be empty."""
        value = self.values.get(key, default)
        if value is None:
            raise self.wrong(key, f"{key} is missing")
        if not isinstance(value, str):
            raise self.wrong(key, "expected text in quotation marks")
        value = self._looked_up(key, value)
        if not value and default is None:
            raise self.wrong(key, f"{key} is empty")
        return value

    def _looked_up(self, key: str, value: str) -> str:
        scheme, _, name = value.partition(":")
        if scheme == "env":
            if name not in self.environ:
                raise self.wrong(key, f"expected the environment variable {name} to be set")
            return self.environ[name]
        if scheme == "file":
            try:
                return Path(name).read_text(encoding="utf-8").strip()
            except (OSError, ValueError):
                raise self.wrong(key, f"expected {name} to be a readable file of text") from None
        return value

    def wrong(self, key: str, expected: str) -> ImproperlyConfigured:
        """The error to raise: the place, then what is expected there. It never repeats a value: it may be secret."""
        if self.source is None:
            return ImproperlyConfigured(f"{VARIABLES.get(key, key)} in the environment: {expected}")
        return ImproperlyConfigured(f"{self.source}, line {self._line_of(key)}, {key or self.slug}: {expected}")

    def _line_of(self, key: str) -> int:
        """The line of the key, else of its table's header, else 1; only TOML's usual spelling is looked for."""
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


def entries_in_file(path: Path, environ: Mapping[str, str]) -> Iterator[Entry]:
    """The entries of the TOML file. Raises ImproperlyConfigured for a file that cannot be one."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImproperlyConfigured(f"STREAMWARDEN_PROJECTS: {path}: {error.strerror}") from None
    except ValueError as error:
        raise ImproperlyConfigured(f"{path}: expected TOML in UTF-8: {error}") from None
    projects = document.pop("projects", None)
    if document or not isinstance(projects, dict) or not projects:
        raise ImproperlyConfigured(f"{path}, line 1: expected tables named [projects.<slug>] and nothing beside them")
    for slug, table in projects.items():
        yield Entry(slug, dict(_flat(table)), environ, path)


def _flat(table: object) -> Iterator[tuple[str, object]]:
    members = table if isinstance(table, dict) else {}
    for key, value in members.items():
        if key == "auth" and isinstance(value, dict):
            yield from ((f"auth.{name}", secret) for name, secret in value.items())
        else:
            yield key, value


def entries_in_environment(environ: Mapping[str, str]) -> Iterator[Entry]:
    """The one project of the single-project variables, titled by its region, or none if none of them is set."""
    values = {key: environ[name] for key, name in VARIABLES.items() if environ.get(name)}
    if not values:
        return
    kinds = [kind for key, kind in KINDS.items() if key in values]
    if len(kinds) != 1:
        names = ", ".join(VARIABLES[key] for key in KINDS)
        raise ImproperlyConfigured(f"environment: expected exactly one credential, so exactly one of {names}")
    title = values.get("region", "")
    yield Entry("default", {"title": title, **values, "auth.kind": kinds[0]}, environ)
