"""The JSON documents of the initial server groups. The same seed makes the same groups with the same ids."""

import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboard.simulator.catalogue import IMAGES, PRODUCTS, PROJECTS, SimulatedProject
from dashboard.simulator.responses import Document
from dashboard.simulator.sample_groups import FIRST_PROJECT, SECOND_PROJECT, SampleGroup, generated_group

DESIGN_POOL = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
FIRST_ID, SECOND_ID = PROJECTS
NAMED = {FIRST_ID: FIRST_PROJECT, SECOND_ID: SECOND_PROJECT}

ONLY_IN_SHOW = frozenset(
    ("flavors", "project_name", "image_min_disk", "route_policy", "image_product_id", "image_type", "ip_virtual")
)
"""The members that list items do not have (API reference, 2.2)."""
ONLY_IN_FULL_LIST = frozenset(
    (
        "image_name",
        "product_info",
        "subnet_name",
        "app_server_flavor_count",
        "app_server_count",
        "scaling_policy",
        "tags",
    )
) | {"ou_name"}
"""The members that items of ListTenantServerGroups do not have either (API reference, 2.3)."""

_FIRST_CREATED = datetime(2025, 2, 3, 7, 12, 44, 318000, tzinfo=UTC)
_DAYS_OF_GROWTH = 600
_SUBNETS = ("apps-a", "apps-b", "branches")


def instant(moment: datetime) -> str:
    """A time in the format of server groups: UTC with milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def seeded_rng(seed: int, *parts: object) -> random.Random:
    return random.Random("/".join(map(str, (seed, *parts))))  # noqa: S311  repeatable sample data, not a secret


def random_id(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


@dataclass(frozen=True)
class SeededGroup:
    """A group, with the sample from which its servers and sessions are made."""

    sample: SampleGroup
    document: Document

    @property
    def id(self) -> str:
        identity: str = self.document["id"]
        return identity


class SeededGroups:
    """The initial groups of a project. The documents of generated groups are made when they are read."""

    def __init__(self, project: SimulatedProject, count: int, seed: int) -> None:
        self._project, self._seed = project, seed
        self._named = {group.id: group for group in _named_groups(project, count, seed)}
        generated = _generated_groups(project, count, seed) if project.id == FIRST_ID else {}
        self.samples: Mapping[str, SampleGroup] = {
            **{group_id: group.sample for group_id, group in self._named.items()},
            **generated,
        }
        """The samples by group id, in the order of lists."""

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[SeededGroup]:
        return map(self.__getitem__, self.samples)

    def __getitem__(self, group_id: str) -> SeededGroup:
        return self._named.get(group_id) or generate(group_id, self.samples[group_id], self._project, self._seed)


def seed_groups(project: SimulatedProject, count: int, seed: int) -> SeededGroups:
    """The initial groups of a project. The second project has only its named groups."""
    return SeededGroups(project, count, seed)


def _named_groups(project: SimulatedProject, count: int, seed: int) -> list[SeededGroup]:
    rng = seeded_rng(seed, project.id)
    planned = NAMED[project.id][:count]
    ids = {sample.name: random_id(rng) for sample in planned}
    if project.id == FIRST_ID:
        ids[FIRST_PROJECT[0].name] = DESIGN_POOL
    standbys = {sample.primary: ids[sample.name] for sample in planned if sample.primary}
    return [SeededGroup(sample, _document(sample, project, ids, standbys, rng)) for sample in planned]


def _generated_groups(project: SimulatedProject, count: int, seed: int) -> dict[str, SampleGroup]:
    rng = seeded_rng(seed, project.id, "generated")
    numbers = range(len(NAMED[project.id]) + 1, count + 1)
    return {random_id(rng): generated_group(number, rng) for number in numbers}


def generate(group_id: str, sample: SampleGroup, project: SimulatedProject, seed: int) -> SeededGroup:
    """Make a group that is neither a primary nor a standby."""
    rng = seeded_rng(seed, group_id, "document")
    return SeededGroup(sample, _document(sample, project, {sample.name: group_id}, {}, rng))


def _document(
    sample: SampleGroup, project: SimulatedProject, ids: dict[str, str], standbys: dict[str, str], rng: random.Random
) -> Document:
    return {
        "id": ids[sample.name],
        "name": sample.name,
        "description": sample.description,
        **_image(sample),
        **_package(sample),
        **_place(project, rng),
        "system_disk_size": sample.disk,
        "is_vdi": sample.vdi,
        "app_type": "SESSION_DESKTOP_APP" if sample.desktop else "COMMON_APP",
        **_times(rng),
        "storage_mount_policy": sample.mount,
        "primary_server_group_ids": [ids[sample.primary]] if sample.primary else [],
        "secondary_server_group_ids": [standbys[sample.name]] if sample.name in standbys else [],
        "server_group_status": sample.on,
        "app_server_flavor_count": min(sample.servers, 1),
        "app_server_count": sample.servers,
        "app_group_count": 1 if sample.desktop else 2 if sample.name == "design-pool" else rng.randint(0, 4),
        **({"scaling_policy": _SCALING} if sample.scaling else {}),
        "tags": [{"key": key, "value": value} for key, value in sample.tags],
        "ou_name": sample.ou,
        "project_name": project.name,
        **({} if sample.vdi else {"route_policy": _routing(sample, rng)}),
        "ip_virtual": {"enable": False},
    }


def _image(sample: SampleGroup) -> Document:
    image = IMAGES[sample.image]
    return {
        "image_id": image.key,
        "image_name": image.name,
        "image_type": image.group_type,
        "image_product_id": image.product_code,
        "image_min_disk": image.min_disk,
        "os_type": image.system,
    }


def _package(sample: SampleGroup) -> Document:
    product = PRODUCTS[sample.product]
    extra = {"extra_session_type": "GPU" if product.gpu else "CPU", "extra_session_size": sample.extra_sessions}
    return {
        "product_id": product.id,
        "product_info": product.document(),
        "system_disk_type": "SSD" if product.gpu else "SAS",
        **(extra if sample.extra_sessions else {}),
        "flavors": [{"id": product.flavor, "links": [{"rel": "self"}, {"rel": "bookmark"}]}],
    }


def _place(project: SimulatedProject, rng: random.Random) -> Document:
    subnet = rng.choice(_SUBNETS)
    return {
        "subnet_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{subnet}.{project.name}.subnets.example")),
        "subnet_name": subnet,
        "enterprise_project_id": "0",
        "site_type": "CENTER",
        "site_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{project.name}.sites.example")),
    }


def _times(rng: random.Random) -> Document:
    created = _FIRST_CREATED + timedelta(days=rng.randrange(_DAYS_OF_GROWTH), milliseconds=rng.randrange(86_400_000))
    updated = created + timedelta(days=rng.randrange(1, 60), milliseconds=rng.randrange(86_400_000))
    return {"create_time": instant(created), "update_time": instant(updated)}


_SCALING = {
    "enable": True,
    "max_scaling_amount": 20,
    "single_expansion_count": 2,
    "scaling_policy_by_session": {"session_usage_threshold": 80, "shrink_after_session_idle_minutes": 30},
}


def _routing(sample: SampleGroup, rng: random.Random) -> Document:
    """A server accepts the sessions of its package and the extra sessions (API reference, 1.2)."""
    product = PRODUCTS[sample.product]
    sessions = product.sessions + sample.extra_sessions
    if sample.name == "design-pool":
        return {"max_session": sessions, "cpu_threshold": 80, "gpu_threshold": 75, "mem_threshold": 85}
    graphics = {"gpu_threshold": rng.choice((70, 80, 90))} if product.gpu else {}
    return {
        "max_session": sessions,
        "cpu_threshold": rng.choice((75, 80, 85)),
        "mem_threshold": rng.choice((80, 85, 90)),
        **graphics,
    }
