"""The servers and sessions of a group. They are made when first read, since most groups never are."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboard.simulator.catalogue import PRODUCTS, SimulatedProject
from dashboard.simulator.data import DESIGN_POOL, SeededGroup, instant, random_id, seeded_rng
from dashboard.simulator.responses import Document

OPEN_STATES = frozenset(("Active", "Disconnected", "AppcInit"))
"""The states of a session that still uses its server (API reference, 2.10)."""

_PEOPLE = ("mlee", "adiallo", "ksato", "jnovak", "lwang", "pgarcia", "tkhumalo", "srossi", "ehansen", "bkaya", "王伟")
_APPS = ("CAD 2026", "Office", "SAP GUI", "Browser", "Viewer")
_RARE_STATES = ("MAINTAINING", "UNREGISTER", "STOPPED", "FREEZE", "NONE")
_VM_STATUS = {"STOPPED": "SHUTOFF", "FREEZE": "FREEZE", "NONE": "ERROR"}
_CHANCE_OF_TROUBLE = 0.08
_FIRST_STATES = ("Active", "Disconnected")
_FURTHER_STATES = ("Active", "Disconnected", "AppcInit")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True)
class GroupServers:
    servers: tuple[Document, ...] = ()
    sessions: tuple[Document, ...] = ()


def seed_servers(group: SeededGroup, project: SimulatedProject, seed: int, now: datetime) -> GroupServers:
    rng = seeded_rng(seed, group.id)
    states = _states(group, rng)
    servers = tuple(make_server(group, project, state, number, rng) for number, state in enumerate(states, start=1))
    sessions = tuple(session for server in servers for session in _sessions(group, project, server, rng, now))
    return GroupServers(servers, sessions)


def _states(group: SeededGroup, rng: random.Random) -> list[str]:
    if group.id == DESIGN_POOL:
        return ["REGISTERED", "REGISTERED", "MAINTAINING"]
    if not group.sample.on:
        return ["STOPPED"] * group.sample.servers
    return [
        rng.choice(_RARE_STATES) if rng.random() < _CHANCE_OF_TROUBLE else "REGISTERED"
        for _ in range(group.sample.servers)
    ]


def make_server(group: SeededGroup, project: SimulatedProject, state: str, number: int, rng: random.Random) -> Document:
    document, sample = group.document, group.sample
    code = "".join(rng.choices(_LETTERS, k=4))
    return {
        "id": random_id(rng),
        "name": f"APS-{document['create_time'][:10].replace('-', '')}-{code}{number:02}",
        "machine_name": f"APS-{code}{number:02}",
        "description": "",
        "server_group_id": document["id"],
        "status": state,
        "vm_status": _VM_STATUS.get(state, "ACTIVE"),
        "task_status": "null",
        "maintain_status": state == "MAINTAINING",
        "scaling_auto_create": sample.scaling and number > sample.servers // 2,
        "image_id": document["image_id"],
        "flavor": document["flavors"][0],
        "product_info": document["product_info"],
        "availability_zone": f"{project.name}{rng.choice('ab')}",
        "domain": project.directory,
        "ou_name": sample.ou,
        "sid": f"S-1-5-21-{rng.getrandbits(31)}-{rng.getrandbits(31)}-{rng.getrandbits(31)}-{1000 + number}",
        "instance_id": random_id(rng),
        "os_version": "Windows Server",
        "os_type": document["os_type"],
        "metadata": {"charging_mode": "0"},
        "host_address": [
            {
                "addr": f"10.{rng.randrange(16, 32)}.{rng.randrange(256)}.{rng.randrange(2, 255)}",
                "version": 4,
                "OS-EXT-IPS:type": "fixed",
                "subnet_id": document["subnet_id"],
                "tenant_type": "tenant",
            }
        ],
        "enterprise_project_id": document["enterprise_project_id"],
        "tags": document["tags"],
        "create_time": document["create_time"],
        "update_time": document["update_time"],
    }


def _sessions(
    group: SeededGroup, project: SimulatedProject, server: Document, rng: random.Random, now: datetime
) -> Iterator[Document]:
    """Ended sessions, and on a usable server open ones, as many as its routing allows."""
    room = PRODUCTS[group.sample.product].sessions + group.sample.extra_sessions
    if server["status"] in {"REGISTERED", "MAINTAINING"} and group.sample.on and not group.sample.primary:
        for place in range(rng.randint(min(2, room), room)):
            state = _FIRST_STATES[place] if place < 2 else rng.choices(_FURTHER_STATES, (8, 3, 1))[0]
            start = now - timedelta(minutes=rng.randrange(1, 540))
            yield make_session(group, project, server, state, rng, start, _end(start, rng))
    for _ in range(rng.randint(0, 2)):
        state = rng.choices(("SignedOut", "InitFail"), (6, 1))[0]
        start = now - timedelta(hours=rng.randrange(10, 200))
        yield make_session(group, project, server, state, rng, start, _end(start, rng))


def _end(start: datetime, rng: random.Random) -> datetime:
    return start + timedelta(minutes=rng.randrange(2, 480))


def make_session(
    group: SeededGroup,
    project: SimulatedProject,
    server: Document,
    state: str,
    rng: random.Random,
    start: datetime,
    end: datetime,
) -> Document:
    failed = state == "InitFail"
    return {
        "id": f"{rng.getrandbits(128):032x}",
        "login_user": f"{rng.choice(_PEOPLE)}@{project.directory or 'local'}",
        "app_server_group_id": group.id,
        "session_state": state,
        "session_type": "1" if group.sample.desktop else "2",
        "app_name": "" if group.sample.desktop else rng.choice(_APPS),
        "protocol_type": "HDP",
        "start_time": _second(start),
        **({} if state in OPEN_STATES else {"end_time": _second(end)}),
        "machine_name": server["machine_name"],
        "vm_ip": server["host_address"][0]["addr"],
        "client_ip": f"192.0.2.{rng.randrange(1, 255)}",
        "client_type": rng.choice(("Windows", "macOS", "Linux", "Android", "iOS")),
        "tenant_id": project.id,
        "failed_code": "5001" if failed else "",
        "failed_reason": "The desktop did not answer" if failed else "",
    }


def _second(moment: datetime) -> str:
    """A time in the format of sessions: without milliseconds."""
    return instant(moment.astimezone(UTC))[:19] + "Z"
