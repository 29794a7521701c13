"""The cloud projects of this deployment, from the environment or from a TOML file.

`load_projects()` runs while the settings load, so only `get_project()` reads the settings.
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
from dashboard.cloud.project_config import ProjectConfig, configs_in_environment, configs_in_file
from dashboard.cloud.regions import REGIONS, endpoints_of

PROJECT_KEYS = (
    *("title", "project_id", "region", "workspace_endpoint", "ims_endpoint", "iam_endpoint"),
    *("calls_per_minute", "auth.kind"),
)
CALLS_PER_MINUTE = 120
HEADER_VALUES = {"token", "ak", "sk", "security_token"}


@dataclass(frozen=True)
class Project:
    """A cloud project with its endpoints, credential and proxy. The endpoints have no trailing slash.

    `slug` is the short name in our addresses, `project_id` is the id in the cloud. The background reads and a reserve
    for live calls share `calls_per_minute`.
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
    calls_per_minute: int = CALLS_PER_MINUTE

    @property
    def is_simulated(self) -> bool:
        """Whether the cloud is a simulator on this machine. Only then plain http is allowed."""
        return _is_loopback(urlsplit(self.workspace_endpoint))


class UnknownProjectError(KeyError):
    """This deployment has no project with the slug."""


def get_project(slug: str) -> Project:
    """The configured project. Raises UnknownProjectError."""
    projects: tuple[Project, ...] = settings.CLOUD_PROJECTS
    for project in projects:
        if project.slug == slug:
            return project
    raise UnknownProjectError(slug)


def load_projects(environ: Mapping[str, str]) -> tuple[Project, ...]:
    """The projects of the TOML file in STREAMWARDEN_PROJECTS, else the project of the single-project variables.

    Empty without configuration. Raises ImproperlyConfigured with the place and the expectation.
    """
    path = environ.get("STREAMWARDEN_PROJECTS")
    configs = configs_in_file(Path(path), environ) if path else configs_in_environment(environ)
    ca_bundle, proxy = _ca_bundle(environ), _proxy(environ)
    return tuple(_project(config, ca_bundle=ca_bundle, proxy=proxy) for config in configs)


def _project(config: ProjectConfig, *, ca_bundle: str, proxy: str) -> Project:
    slug = _slug(config)
    credential = _credential(config)
    _reject_unknown_keys(config, credential)
    region = config.text("region")
    workspace = _endpoint(config, "workspace_endpoint", region)
    return Project(
        slug=slug,
        title=config.text("title"),
        project_id=_project_id(config),
        region=region,
        workspace_endpoint=workspace,
        ims_endpoint=_sibling_endpoint(config, "ims_endpoint", region, workspace),
        iam_endpoint=_sibling_endpoint(config, "iam_endpoint", region, workspace),
        auth=credential,
        ca_bundle=ca_bundle,
        proxy=proxy,
        calls_per_minute=config.whole_number("calls_per_minute", CALLS_PER_MINUTE, range(10, 100_001)),
    )


def _credential(config: ProjectConfig) -> Credential:
    kind = config.text("auth.kind")
    if kind not in CREDENTIALS:
        raise config.error("auth.kind", f"expected one of {', '.join(CREDENTIALS)}")
    credential = CREDENTIALS[kind]
    parts = fields(credential)
    optional = {part.name: part.default for part in parts if part.default is not MISSING}
    values = {part.name: config.text(f"auth.{part.name}", optional.get(part.name)) for part in parts}
    for name in HEADER_VALUES & values.keys():
        if values[name] and not PRINTABLE.fullmatch(values[name]):
            raise config.error(f"auth.{name}", "expected visible ASCII characters only")
    return credential(**values)


def _reject_unknown_keys(config: ProjectConfig, credential: Credential) -> None:
    known = {*PROJECT_KEYS, *(f"auth.{part.name}" for part in fields(credential))}
    for key in config.values:
        if key not in known:
            raise config.error(key, f"unknown key; expected one of {', '.join(sorted(known))}")


def _slug(config: ProjectConfig) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", config.slug):
        raise config.error("", "expected a name of lower-case letters, digits and hyphens after `projects.`")
    return config.slug


def _project_id(config: ProjectConfig) -> str:
    project_id = config.text("project_id")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", project_id):
        raise config.error("project_id", "expected the project's id, usually 32 hexadecimal digits")
    return project_id


def _endpoint(config: ProjectConfig, key: str, region: str) -> str:
    endpoints = endpoints_of(region)
    known = getattr(endpoints, key.removesuffix("_endpoint")) if endpoints else None
    if known is None and key not in config.values:
        raise config.error("region", f"unknown region without {key}; expected one of {', '.join(sorted(REGIONS))}")
    address = config.text(key, known).removesuffix("/")
    parts = _split(config, key, address)
    if parts.username is not None or parts.query or parts.fragment or re.search(r"\s", address):
        raise config.error(key, "expected an address such as https://workspace.example.com, without more")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts)):
        raise config.error(key, "expected https:// (plain http:// is only for a simulator on this machine)")
    return address


def _sibling_endpoint(config: ProjectConfig, key: str, region: str, workspace: str) -> str:
    """The endpoint of IMS or IAM. With a simulator, the default is the simulator: no credential reaches the cloud."""
    if key not in config.values and _is_loopback(urlsplit(workspace)):
        return workspace
    return _endpoint(config, key, region)


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


def _split(config: ProjectConfig, key: str, address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        has_host = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host:
        raise config.error(key, "expected an address with a host, such as https://workspace.example.com")
    return parts


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
