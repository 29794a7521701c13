from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.utils.dateparse import parse_date, parse_datetime
from django.views.decorators.http import require_safe

from dashboard.accounts.roles import VIEW_LEDGER
from dashboard.audit.models import ChangeIntent, ChangeIntentQuerySet, Outcome
from dashboard.audit.services import reading_ledger
from dashboard.http import Project, SignedInRequest, requires

PAGE_SIZE = 50


@dataclass(frozen=True)
class Filters:
    """What stands in the address of the ledger. A value that makes no sense filters nothing."""

    group: str = ""
    actor: str = ""
    field: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""
    q: str = ""

    @classmethod
    def from_get(cls, get: QueryDict) -> "Filters":
        # NUL: PostgreSQL refuses it in a parameter.
        texts = {name: get.get(name, "").replace("\x00", "") for name in cls.__dataclass_fields__}
        return cls(**{name: text.strip()[:200] for name, text in texts.items()})

    def apply(self, rows: ChangeIntentQuerySet) -> ChangeIntentQuerySet:
        if self.group:
            rows = rows.filter(Q(group_id=self.group) | Q(group_name=self.group))
        if self.actor:
            rows = rows.filter(actor=self.actor)
        if self.field:
            rows = rows.touching(self.field)
        if self.outcome in Outcome.values:
            rows = rows.ended(self.outcome)
        if since := _moment(self.since):
            rows = rows.filter(at__gte=since)
        if until := _moment(self.until, end_of_day=True):
            rows = rows.filter(at__lt=until)
        if self.q:
            text = Q(reason__icontains=self.q) | Q(group_name__icontains=self.q) | Q(actor__icontains=self.q)
            rows = rows.filter(text)
        return rows

    def link(self, **changed: str) -> str:
        return "?" + urlencode({name: value for name, value in (vars(self) | changed).items() if value})


@require_safe
@requires(VIEW_LEDGER)
def ledger_list(request: SignedInRequest, project: Project) -> HttpResponse:
    filters = Filters.from_get(request.GET)
    rows = filters.apply(ChangeIntent.objects.filter(project=project.slug).with_rows())
    cursor = request.GET.get("cursor", "")
    if cursor.isascii() and cursor.isdigit() and len(cursor) < 19:
        rows = rows.filter(number__lt=int(cursor))
    with reading_ledger():
        entries = list(rows[: PAGE_SIZE + 1])
    context = {
        "filters": filters,
        "entries": entries[:PAGE_SIZE],
        "older": filters.link(cursor=str(entries[PAGE_SIZE - 1].number)) if len(entries) > PAGE_SIZE else "",
        "newest": filters.link() if cursor else "",
        "outcomes": Outcome.choices,
    }
    is_partial = request.htmx and not request.htmx.history_restore_request
    return render(request, "audit/_list.html" if is_partial else "audit/list.html", context)


@require_safe
@requires(VIEW_LEDGER)
def ledger_entry(request: SignedInRequest, project: Project, number: int) -> HttpResponse:
    with reading_ledger():
        entry = get_object_or_404(ChangeIntent.objects.filter(project=project.slug).with_rows(), pk=number)
    return render(request, "audit/entry.html", {"entry": entry})


def _moment(text: str, *, end_of_day: bool = False) -> datetime | None:
    """A date or a time of the address, UTC where it names no zone; an end date includes its day."""
    try:
        if day := parse_date(text):
            return datetime.combine(day, time.min, UTC) + timedelta(days=int(end_of_day))
        moment = parse_datetime(text)
        return moment and (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # OverflowError: the day after the last one of the calendar
        return None
