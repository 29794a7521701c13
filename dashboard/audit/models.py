"""The ledger: what someone was about to change, and what came of it. Rows are only ever added.

An intent is written before anything is sent, an outcome after. The outcome of a change is the newest of its outcome
rows; a change without one is still under way, or was cut short and waits to be settled by a read.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NoReturn, Self, TypeVar

from django.db import models
from django.db.models import Exists, OuterRef
from django.utils import timezone

Value = str | int | bool | None
M = TypeVar("M", bound=models.Model)


def _newest_outcomes() -> models.QuerySet["ChangeOutcome"]:
    newer = ChangeOutcome.objects.filter(intent=OuterRef("intent"), number__gt=OuterRef("number"))
    return ChangeOutcome.objects.filter(~Exists(newer))


class AppendOnlyError(Exception):
    """Someone tried to change or delete a row of the ledger."""


class AppendOnlyQuerySet(models.QuerySet[M]):
    def update(self, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are never changed")

    def delete(self) -> NoReturn:
        raise AppendOnlyError("ledger rows are never deleted")

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Adds rows; on a conflict it must fail, neither change the row that is there nor pass over the new one."""
        if kwargs.get("update_conflicts") or kwargs.get("ignore_conflicts"):
            raise AppendOnlyError("ledger rows are never changed or left out")
        return super().bulk_create(objs, *args, **kwargs)


class LedgerRow(models.Model):
    """What every row of the ledger shares: it can be added, and that is all."""

    class Meta:
        abstract = True
        default_permissions = ()
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("ledger rows are never changed")
        super().save(*args, **kwargs | {"force_insert": True})

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are never deleted")


class Kind(models.TextChoices):
    EDIT = "edit", "changed"
    SWITCH = "switch", "switched"
    DENIED = "denied", "tried to change"


class Outcome(models.TextChoices):
    APPLIED = "applied"
    REJECTED = "rejected"
    NOT_SENT = "not_sent", "not sent"
    NOT_APPLIED = "not_applied", "not applied"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    DENIED = "denied"


class ChangeIntentQuerySet(AppendOnlyQuerySet["ChangeIntent"]):
    def ended(self, outcome: str) -> Self:
        """Intents whose newest outcome is this one."""
        return self.filter(number__in=_newest_outcomes().filter(outcome=outcome).values("intent"))

    def for_group(self, project: str, group_id: str) -> Self:
        return self.filter(project=project, group_id=group_id)

    def touching(self, field: str) -> Self:
        return self.filter(fields__field=field)

    def unsettled(self) -> Self:
        """Intents without an outcome, or with one that only says that nobody knows."""
        settled = ChangeOutcome.objects.filter(intent=OuterRef("number")).exclude(outcome=Outcome.UNKNOWN)
        return self.filter(~Exists(settled))

    def with_rows(self) -> Self:
        """Fetch field changes and outcomes along, in two queries however many intents there are."""
        return self.prefetch_related("fields", "outcomes")

    def pending_per_group(self, project: str, group_ids: list[str], *, since: datetime) -> dict[str, "ChangeIntent"]:
        """Changes begun after `since` whose outcome is not known yet, by group id, in two queries."""
        recent = self.filter(project=project, group_id__in=group_ids, at__gte=since).prefetch_related("outcomes")
        return {intent.group_id: intent for intent in recent.unsettled().order_by("number")}

    def newest_per_group(self, project: str, group_ids: list[str]) -> dict[str, "ChangeIntent"]:
        """The last change of each group that took effect, by group id, in one query."""
        changes = self.filter(project=project, group_id__in=group_ids).ended(Outcome.APPLIED)
        newest = changes.values("group_id").annotate(newest=models.Max("number")).values("newest")
        return {intent.group_id: intent for intent in self.filter(number__in=newest)}


class ChangeIntent(LedgerRow):
    """Who was about to change what, from which value to which, and why. Names are copied, so that they last."""

    number = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()
    project = models.CharField(max_length=64)
    group_id = models.CharField(max_length=128)
    group_name = models.CharField(max_length=255)
    actor = models.CharField(max_length=150)
    actor_id = models.BigIntegerField()
    from_address = models.CharField(max_length=64)
    kind = models.CharField(max_length=16, choices=Kind)
    reason = models.TextField(blank=True)

    objects = ChangeIntentQuerySet.as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        default_permissions = ()
        ordering = ["-number"]
        permissions = [("view_ledger", "Can see the ledger")]
        indexes = [models.Index(fields=["project", "group_id", "number"])]

    def __str__(self) -> str:
        return f"{self.number}: {self.actor}, {self.group_name}"

    @property
    def last_outcome(self) -> "ChangeOutcome | None":
        return max(self.outcomes.all(), key=lambda row: row.number, default=None)

    @property
    def is_pending(self) -> bool:
        """Not settled, and young enough for a page to keep asking."""
        return not self.is_settled and timezone.now() - self.at < timedelta(minutes=1)

    @property
    def is_settled(self) -> bool:
        last = self.last_outcome
        return last is not None and last.outcome != Outcome.UNKNOWN


class FieldChange(LedgerRow):
    """One field of an intent. `field` is its path in the API body; values are as in the API."""

    intent = models.ForeignKey(ChangeIntent, models.PROTECT, related_name="fields")
    field = models.CharField(max_length=64)
    label = models.CharField(max_length=100)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    objects = AppendOnlyQuerySet["FieldChange"].as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.label}: {self.before!r} to {self.after!r}"


class ChangeOutcome(LedgerRow):
    """What came of an intent, and how that is known (`proof`)."""

    number = models.BigAutoField(primary_key=True)
    intent = models.ForeignKey(ChangeIntent, models.PROTECT, related_name="outcomes")
    at = models.DateTimeField()
    outcome = models.CharField(max_length=16, choices=Outcome)
    proof = models.TextField()
    http_status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_msg = models.TextField(blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    duration_ms = models.PositiveIntegerField(null=True)

    objects = AppendOnlyQuerySet["ChangeOutcome"].as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.proof}"

    @property
    def is_accepted(self) -> bool:
        """The cloud answered as it does when it takes a change; a 200 with an error, HTML or nothing is none."""
        return self.http_status == 200 and not self.error_msg
