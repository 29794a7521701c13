"""The servers and sessions of a group at a moment of a cloud with `--life`. The load curve says how many there are."""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from dashboard.simulator.catalogue import SimulatedProject
from dashboard.simulator.data import SeededGroup, instant, seeded_rng
from dashboard.simulator.load_curve import LoadCurve, chance
from dashboard.simulator.responses import Document
from dashboard.simulator.sample_servers import GroupServers, make_server, make_session

_STARTING = timedelta(minutes=2)
_CHANCE_OF_DISCONNECTION = 0.2
_CONNECTION_LASTS = timedelta(minutes=20)


def living_servers(group: SeededGroup, project: SimulatedProject, seed: int, at: datetime) -> GroupServers:
    curve = LoadCurve(seed, group.id, group.sample)
    servers = {number: _server(curve, group, project, number, at) for number in range(1, group.sample.servers + 1)}
    now = tuple(servers[number] for number in range(1, curve.servers(at) + 1))
    return GroupServers(now, tuple(_sessions(curve, group, project, servers, at)))


def _server(curve: LoadCurve, group: SeededGroup, project: SimulatedProject, number: int, at: datetime) -> Document:
    """A server that scaling has created is a new one every day."""
    scales = group.sample.scaling and number > group.sample.servers // 2
    day = curve.day(at) if scales else None
    server = make_server(
        group, project, curve.status(number, at), number, seeded_rng(curve.seed, group.id, number, day)
    )
    return {**server, "create_time": instant(day), "update_time": instant(day)} if day else server


def _sessions(
    curve: LoadCurve, group: SeededGroup, project: SimulatedProject, servers: Mapping[int, Document], at: datetime
) -> Iterator[Document]:
    """The sessions of the group's day that have started."""
    day = curve.day(at)
    for place in range(curve.places):
        server = servers[curve.server_of(place)]
        for start, end in curve.spans(day, place):
            if start <= at:
                rng = seeded_rng(curve.seed, group.id, place, start)
                yield _session(group, project, server, rng, at, start, end)


def _session(
    group: SeededGroup,
    project: SimulatedProject,
    server: Document,
    rng: random.Random,
    at: datetime,
    start: datetime,
    end: datetime,
) -> Document:
    state = "SignedOut" if end <= at else _open_state(server, at, start)
    return make_session(group, project, server, state, rng, start, end)


def _open_state(server: Document, at: datetime, start: datetime) -> str:
    age = at - start
    if age < _STARTING:
        return "AppcInit"
    is_reachable = server["status"] in {"REGISTERED", "MAINTAINING"}
    loses_connection = chance(server["id"], start, age // _CONNECTION_LASTS) < _CHANCE_OF_DISCONNECTION
    return "Active" if is_reachable and not loses_connection else "Disconnected"
