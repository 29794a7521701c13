"""Which cloud projects this deployment serves, read from the environment or from a TOML file.

`load_projects()` runs while the settings load, so the settings are read only inside `get_project()`.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dashboard.cloud.credentials import CREDENTIALS, PRINTABLE, Credential
from dashboard.cloud.project_config import Entry, entries_in_environment, entries_in_file
from dashboard.cloud.regions import REGIONS, endpoints_of

PROJECT_KEYS = ("title", "project_id", "region", "workspace_endpoint", "ims_endpoint", "iam_endpoint", "auth.kind")
HEADER_VALUES = {"token", "ak", "sk", "security_token"}


@dataclass(frozen=True)
class Project:
    """A cloud project: where it answers, how we prove who we are, and the way out to it.

    `slug` is ours and stands in addresses; `project_id` is the cloud's. Endpoints have no trailing slash.
    """

    slug: str
    title: str
    project_id: str
    region: str
    workspace_endpoint: str
    ims_endpoint: str
    iam_endpoint: str
    auth: Credential
    ca_bundle: str = ""
    proxy: str = field(default="", repr=False)

    @property
    def is_simulated(self) -> bool:
        """Whether the cloud is a stand-in on this machine; plain http is allowed only then."""
        return _is_loopback(urlsplit(self.workspace_endpoint))


class UnknownProjectError(KeyError):
    """No project of this deployment has the slug."""


def get_project(slug: str) -> Project:
    """The configured project, or UnknownProjectError."""
    projects: tuple[Project, ...] = settings.CLOUD_PROJECTS
    for project in projects:
        if project.slug == slug:
            return project
    raise UnknownProjectError(slug)


def load_projects(environ: Mapping[str, str]) -> tuple[Project, ...]:
    """The projects of the TOML file named by STREAMWARDEN_PROJECTS, else the one of the single-project variables.

    Nothing configured is an empty tuple. Raises ImproperlyConfigured with the place and what is expected there.
    """
    path = environ.get("STREAMWARDEN_PROJECTS")
    entries = entries_in_file(Path(path), environ) if path else entries_in_environment(environ)
    ca_bundle, proxy = _ca_bundle(environ), _proxy(environ)
    return tuple(_project(entry, ca_bundle=ca_bundle, proxy=proxy) for entry in entries)


def _project(entry: Entry, *, ca_bundle: str, proxy: str) -> Project:
    slug = _slug(entry)
    credential = _credential(entry)
    _refuse_unknown_keys(entry, credential)
    region = entry.text("region")
    workspace = _endpoint(entry, "workspace_endpoint", region)
    return Project(
        slug=slug,
        title=entry.text("title"),
        project_id=_project_id(entry),
        region=region,
        workspace_endpoint=workspace,
        ims_endpoint=_neighbour(entry, "ims_endpoint", region, workspace),
        iam_endpoint=_neighbour(entry, "iam_endpoint", region, workspace),
        auth=credential,
        ca_bundle=ca_bundle,
        proxy=proxy,
    )


def _credential(entry: Entry) -> Credential:
    kind = entry.text("auth.kind")
    if kind not in CREDENTIALS:
        raise entry.wrong("auth.kind", f"expected one of {', '.join(CREDENTIALS)}")
    credential = CREDENTIALS[kind]
    parts = fields(credential)
    optional = {part.name: part.default for part in parts if part.default is not MISSING}
    values = {part.name: entry.text(f"auth.{part.name}", optional.get(part.name)) for part in parts}
    for name in HEADER_VALUES & values.keys():
        if values[name] and not PRINTABLE.fullmatch(values[name]):
            raise entry.wrong(f"auth.{name}", "expected visible ASCII characters only")
    return credential(**values)


def _refuse_unknown_keys(entry: Entry, credential: Credential) -> None:
    known = {*PROJECT_KEYS, *(f"auth.{part.name}" for part in fields(credential))}
    for key in entry.values:
        if key not in known:
            raise entry.wrong(key, f"unknown key; expected one of {', '.join(sorted(known))}")


def _slug(entry: Entry) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", entry.slug):
        raise entry.wrong("", "expected a name of lower-case letters, digits and hyphens after `projects.`")
    return entry.slug


def _project_id(entry: Entry) -> str:
    project_id = entry.text("project_id")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", project_id):
        raise entry.wrong("project_id", "expected the project's id, usually 32 hexadecimal digits")
    return project_id


def _endpoint(entry: Entry, key: str, region: str) -> str:
    endpoints = endpoints_of(region)
    known = getattr(endpoints, key.removesuffix("_endpoint")) if endpoints else None
    if known is None and key not in entry.values:
        raise entry.wrong("region", f"unknown region without {key}; expected one of {', '.join(sorted(REGIONS))}")
    address = entry.text(key, known).removesuffix("/")
    parts = _split(entry, key, address)
    if parts.username is not None or parts.query or parts.fragment or re.search(r"\s", address):
        raise entry.wrong(key, "expected an address such as https://workspace.example.com and nothing more")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts)):
        raise entry.wrong(key, "expected https:// (plain http:// is for a simulator on this machine only)")
    return address


def _neighbour(entry: Entry, key: str, region: str, workspace: str) -> str:
    """IMS and IAM. Beside a simulator they default to it: a demo's credentials must not reach the real cloud."""
    if key not in entry.values and _is_loopback(urlsplit(workspace)):
        return workspace
    return _endpoint(entry, key, region)


def _ca_bundle(environ: Mapping[str, str]) -> str:
    path = environ.get("CLOUD_CA_BUNDLE", "")
    if path and not Path(path).exists():
        raise ImproperlyConfigured("CLOUD_CA_BUNDLE: expected the path of a readable file of CA certificates")
    return path


def _proxy(environ: Mapping[str, str]) -> str:
    address = environ.get("CLOUD_PROXY", "")
    if address and not re.fullmatch(r"https?://[^\s/]+/?", address):
        raise ImproperlyConfigured("CLOUD_PROXY: expected an address such as http://proxy.example.com:3128")
    return address


def _split(entry: Entry, key: str, address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        has_host = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host:
        raise entry.wrong(key, "expected an address with a host, such as https://workspace.example.com")
    return parts


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
