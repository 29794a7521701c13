"""The load of groups: servers by state and sessions, now and over time."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, Max, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import TruncDay, TruncHour
from django.utils import timezone

from dashboard.cloud.parsing import LARGEST_INTEGER
from dashboard.cloud.resources import Server
from dashboard.inventory import leases
from dashboard.inventory.models import GroupCopy, LoadSample, ProjectCopy
from dashboard.inventory.passes import Found, ListPass

Span = LoadSample.Span

READY = "REGISTERED"
LARGEST = 2**31 - 1  # the limit of the columns
RAW_FOR = timedelta(hours=48)
HOURS_FOR = timedelta(days=90)
DAYS_FOR = timedelta(days=731)
VANISHED_FOR = timedelta(days=30)
GROUPS_AT_ONCE = 500
BATCH = 1000
PROGRESS = ("servers_as_of", "servers_problem", "servers_pages", "servers_pages_read")


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """What a load needs of a server."""

    id: str
    group_id: str | None
    status: str
    sessions: int

    @classmethod
    def of(cls, server: Server) -> "ServerLoad":
        return cls(server.id, server.server_group_id, server.status or "", max(0, server.session_count or 0))


@dataclass
class Load:
    """The load of one group."""

    sessions: int = 0
    by_state: Counter[str] = field(default_factory=Counter)

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "ready": self.by_state[READY],
            "servers": self.by_state.total(),
            "sessions": min(self.sessions, LARGEST),
            "servers_by_state": dict(sorted(item for item in self.by_state.items() if item[1])),
        }


def store_servers(copy: ProjectCopy, read: ListPass[ServerLoad]) -> None:
    """Store a complete read of all servers: the load of each group, and its sample."""
    loads = _sum_by_group(read.rows.values())
    rows = list(GroupCopy.objects.of(copy.slug).values_list("pk", "group_id", "max_session"))
    keys_by_load: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for key, group_id, _ in rows:
        load = loads[group_id]
        keys_by_load[load.sessions, *sorted(load.by_state.items())].append(key)
    of_row = {key: loads[group_id].columns for key, group_id, _ in rows}
    limits = {key: max_session for key, _, max_session in rows}
    samples = list(_new_samples(copy.slug, of_row, limits, read.begun_at))
    with transaction.atomic():
        for keys in keys_by_load.values():
            for start in range(0, len(keys), BATCH):
                some = GroupCopy.objects.filter(pk__in=keys[start : start + BATCH])
                some.update(**of_row[keys[0]], servers_as_of=read.begun_at)
        LoadSample.objects.bulk_create(samples, batch_size=BATCH, ignore_conflicts=True)
        _finish(copy.slug, read.begun_at)


def _sum_by_group(servers: Iterable[Found[ServerLoad]]) -> defaultdict[str, Load]:
    loads: defaultdict[str, Load] = defaultdict(Load)
    for found in servers:
        load = loads[found.row.group_id or ""]
        load.sessions += found.row.sessions
        load.by_state[found.row.status] += 1
    return loads


def _finish(slug: str, as_of: datetime) -> None:
    copy = leases.lock_copy(slug)
    copy.servers_as_of, copy.servers_problem = as_of, ""
    copy.servers_pages = copy.servers_pages_read = 0
    copy.save(update_fields=PROGRESS)


def _new_samples(
    slug: str, columns: dict[int, dict[str, Any]], limits: dict[int, int | None], at: datetime
) -> Iterator[LoadSample]:
    """Samples of the groups whose load differs from their last sample, or whose last sample is of another hour."""
    last = {sample.group_id: sample for sample in _last_samples(slug)}
    for key, load in columns.items():
        sample = LoadSample(
            group_id=key,
            span=Span.RAW,
            at=at,
            sessions=load["sessions"],
            ready=load["ready"],
            servers=load["servers"],
            capacity=capacity_of(limits[key], load["ready"]),
        )
        before = last.get(key)
        if before is None or _hour(before.at) != _hour(at) or _figures(before) != _figures(sample):
            yield sample


def _last_samples(slug: str) -> QuerySet[LoadSample]:
    newest = LoadSample.objects.filter(group=OuterRef("pk"), span=Span.RAW).order_by("-at").values("pk")[:1]
    groups = GroupCopy.objects.of(slug).annotate(newest=Subquery(newest))
    return LoadSample.objects.filter(pk__in=groups.values("newest"))


def capacity_of(max_session: int | None, ready: int | None) -> int | None:
    """The number of sessions that the ready servers accept. None if it is not known."""
    return None if max_session is None or ready is None else min(max(0, max_session) * ready, LARGEST_INTEGER)


def _figures(sample: LoadSample) -> tuple[int | None, ...]:
    return sample.sessions, sample.ready, sample.servers, sample.capacity


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _day(moment: datetime) -> datetime:
    return _hour(moment).replace(hour=0)


def thin_out() -> None:
    """Replace old samples by the largest values of their hour or day. Delete those and the groups that are too old."""
    now = timezone.now()
    groups = list(GroupCopy.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(groups), GROUPS_AT_ONCE):
        samples = LoadSample.objects.filter(group__in=groups[start : start + GROUPS_AT_ONCE])
        _condense(samples, Span.RAW, Span.HOUR, before=_hour(now - RAW_FOR))
        _condense(samples, Span.HOUR, Span.DAY, before=_day(now - HOURS_FOR))
        samples.filter(span=Span.DAY, at__lt=_day(now - DAYS_FOR)).delete()
    GroupCopy.objects.filter(vanished_at__lt=now - VANISHED_FOR).delete()


def _condense(samples: QuerySet[LoadSample], source: str, target: str, *, before: datetime) -> None:
    """Replace the samples of a span by one for each longer period. A period that has one keeps it."""
    old = samples.filter(span=source, at__lt=before)
    start = (TruncHour if target == Span.HOUR else TruncDay)("at", tzinfo=UTC)
    largest = {f"max_{name}": Max(name) for name in ("sessions", "ready", "servers", "capacity")}
    made_up = Max(Case(When(is_made_up=True, then=Value(1)), default=Value(0)))
    with transaction.atomic():
        periods = old.order_by().values("group_id", period=start).annotate(**largest, max_is_made_up=made_up)
        LoadSample.objects.bulk_create(
            [_of_period(dict(period), target) for period in periods], batch_size=BATCH, ignore_conflicts=True
        )
        old.delete()


def _of_period(period: dict[str, Any], span: str) -> LoadSample:
    largest = {name.removeprefix("max_"): value for name, value in period.items() if name.startswith("max_")}
    largest["is_made_up"] = bool(largest["is_made_up"])
    return LoadSample(group_id=period["group_id"], span=span, at=period["period"], **largest)
