"""The ledger as pages read it: what someone was about to change, and what came of it.

The rows themselves are in one table that only `services` adds to; these models are views of it (`schema.py`). The
outcome of a change is the newest of its outcome rows; a change without one is still under way, or was cut short and
waits to be settled by a read. A change that ended before anything was sent is one row, intent and outcome at once.
"""

from datetime import datetime, timedelta
from typing import Any, NoReturn, Self, TypeVar

from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.expressions import RawSQL
from django.utils import timezone

Value = str | int | bool | None
M = TypeVar("M", bound=models.Model)


class AppendOnlyError(Exception):
    """Someone tried to change or delete a row of the ledger, or to add one past its services."""


class AppendOnlyQuerySet(models.QuerySet[M]):
    def update(self, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are never changed")

    def delete(self) -> NoReturn:
        raise AppendOnlyError("ledger rows are never deleted")

    def bulk_create(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are added one by one, each sealed to the one before")


class LedgerRow(models.Model):
    """What every view of the ledger shares: it can be read, and that is all."""

    class Meta:
        abstract = True
        managed = False
        default_permissions = ()
        base_manager_name = "objects"

    def save(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are never changed, and added by the ledger's services alone")

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are never deleted")


class Kind(models.TextChoices):
    EDIT = "edit", "changed"
    SWITCH = "switch", "switched"
    REVERT = "revert", "reverted"
    DENIED = "denied", "tried to change"


class EventKind(models.TextChoices):
    SIGN_IN = "sign_in", "signed in"
    SIGN_OUT = "sign_out", "signed out"
    SIGN_IN_FAILED = "sign_in_failed", "could not sign in"
    ROLES = "roles", "had roles changed"
    ACCOUNT = "account", "had the account changed"
    ARCHIVED = "archived", "took old rows out of the ledger"
    SEALED = "sealed", "sealed the ledger"


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
        """Intents whose newest outcome is this one: only an unknown one is ever followed by another."""
        rows = self.unsettled() if outcome == Outcome.UNKNOWN else self
        project, number = OuterRef("project"), OuterRef("number")
        return rows.filter(Exists(ChangeOutcome.objects.filter(project=project, outcome=outcome, intent=number)))

    def for_group(self, project: str, group_id: str) -> Self:
        return self.filter(project=project, group_id=group_id)

    def touching(self, field: str) -> Self:
        touched = TouchedField.objects.filter(project=OuterRef("project"), field=field, number=OuterRef("number"))
        return self.filter(Exists(touched))

    def unsettled(self) -> Self:
        """Intents without an outcome, or with one that only says that nobody knows."""
        return self.filter(number__in=Unsettled.objects.values("number"))

    def begun_after(self, moment: datetime) -> Self:
        """Unsettled changes that were begun since."""
        return self.filter(number__in=Unsettled.objects.filter(at__gte=moment).values("number"))

    def with_rows(self) -> Self:
        """Fetch field changes and outcomes along, in two queries however many intents there are."""
        return self.prefetch_related("fields", "outcomes")

    def pending_per_group(self, project: str, group_ids: list[str], *, since: datetime) -> dict[str, "ChangeIntent"]:
        """Changes begun after `since` whose outcome is not known yet, by group id, in two queries."""
        recent = self.filter(project=project, group_id__in=group_ids, at__gte=since).prefetch_related("outcomes")
        return {intent.group_id: intent for intent in recent.unsettled().order_by("number")}

    def newest_per_group(self, project: str, group_ids: list[str]) -> dict[str, "ChangeIntent"]:
        """The last change of each group that took effect, by group id, in one query: one look at an index a group."""
        if not group_ids:
            return {}
        newest = (
            "SELECT (SELECT subject FROM audit_ledgerrow WHERE project = %s AND group_id = wanted.column1 "
            "AND outcome = 'applied' ORDER BY subject DESC LIMIT 1) "
            f"FROM (VALUES {', '.join(['(%s)'] * len(group_ids))}) AS wanted"
        )
        rows = self.filter(number__in=RawSQL(newest, [project, *group_ids]))  # noqa: S611 (the parameters are bound)
        return {intent.group_id: intent for intent in rows}


class ChangeIntent(LedgerRow):
    """Who was about to change what, from which value to which, and why. Names are copied, so that they last."""

    number = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=64, null=True)
    at = models.DateTimeField()
    project = models.CharField(max_length=64)
    group_id = models.CharField(max_length=128)
    group_name = models.CharField(max_length=255)
    actor = models.CharField(max_length=150)
    actor_id = models.BigIntegerField()
    from_address = models.CharField(max_length=64)
    kind = models.CharField(max_length=16, choices=Kind)
    reason = models.TextField(blank=True)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    objects = ChangeIntentQuerySet.as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        default_permissions = ()
        managed = False
        ordering = ["-number"]
        permissions = [("view_ledger", "Can see the ledger")]

    def __str__(self) -> str:
        return f"{self.number}: {self.actor}, {self.group_name}"

    @property
    def last_outcome(self) -> "ChangeOutcome | None":
        return max(self.outcomes.all(), key=lambda row: row.number, default=None)

    @property
    def begun_at(self) -> datetime:
        """By the clock of then: `at` never runs backwards, so that after a clock was ahead it is later than it was."""
        waiting = Unsettled.objects.filter(number=self.number).first()
        return min(waiting.at, self.at) if waiting else self.at

    @property
    def is_pending(self) -> bool:
        """Not settled, and young enough for a page to keep asking."""
        return not self.is_settled and abs(timezone.now() - self.at) < timedelta(minutes=1)

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
        managed = False
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.label}: {self.before!r} to {self.after!r}"


class ChangeOutcome(LedgerRow):
    """What came of an intent, and how that is known (`proof`)."""

    number = models.BigAutoField(primary_key=True)
    intent = models.ForeignKey(ChangeIntent, models.PROTECT, related_name="outcomes")
    project = models.CharField(max_length=64)
    at = models.DateTimeField()
    outcome = models.CharField(max_length=16, choices=Outcome)
    proof = models.TextField()
    http_status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_msg = models.TextField(blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    duration_ms = models.PositiveIntegerField(null=True)
    hash = models.CharField(max_length=64)

    objects = AppendOnlyQuerySet["ChangeOutcome"].as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        managed = False
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.proof}"

    @property
    def is_accepted(self) -> bool:
        """The cloud answered as it does when it takes a change; a 200 with an error, HTML or nothing is none."""
        return self.http_status == 200 and not self.error_msg


class HouseEvent(LedgerRow):
    """What happened to the house and not to a server group: at its door, to its people, to its ledger."""

    number = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    actor_id = models.BigIntegerField(null=True)
    from_address = models.CharField(max_length=64)
    kind = models.CharField(max_length=16, choices=EventKind)
    proof = models.TextField()
    """What is to be said of it besides."""
    hash = models.CharField(max_length=64)

    objects = AppendOnlyQuerySet["HouseEvent"].as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        managed = False
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.actor or 'someone'} {self.get_kind_display()}. {self.proof}".strip()


class TouchedField(LedgerRow):
    """Which changes touch a field, so that they are found by it; a trigger of the database fills it."""

    pk = models.CompositePrimaryKey("project", "field", "number")
    project = models.CharField(max_length=64)
    field = models.CharField(max_length=64)
    number = models.BigIntegerField()

    objects = AppendOnlyQuerySet["TouchedField"].as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        managed = False

    def __str__(self) -> str:
        return f"{self.number}: {self.field}"


class Unsettled(models.Model):
    """A change of which nobody knows yet what came of it. Not a record but a list of work: rows go when it is known."""

    number = models.BigIntegerField(primary_key=True)
    project = models.CharField(max_length=64)
    group_id = models.CharField(max_length=128)
    at = models.DateTimeField()
    """By the clock of then, which the ledger's own time may be ahead of."""
    leased_until = models.DateTimeField(null=True)
    """Someone reads the group until then; nobody else does meanwhile."""

    class Meta:
        default_permissions = ()
        ordering = ["number"]

    def __str__(self) -> str:
        return str(self.number)


class Verification(models.Model):
    """What checks of the ledger found last, for pages to show: one row, and no proof, since it can be changed."""

    ONLY = 1

    id = models.SmallIntegerField(primary_key=True, default=ONLY)
    first = models.BigIntegerField(default=1)
    last = models.BigIntegerField(default=0)
    """The newest row that was found as it was written; 0 before the first check."""
    last_hash = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(null=True)
    everything_at = models.DateTimeField(null=True)
    """When all rows were checked last."""
    bad_number = models.BigIntegerField(null=True)
    """The first row that is not as it was written. Stays until a check of everything finds none."""
    why = models.TextField(blank=True)
    is_from_checkpoint = models.BooleanField(default=False)
    """Only a checkpoint showed what is wrong, so that a check without one cannot say that it is right again."""
    leased_until = models.DateTimeField(null=True)
    """Someone checks until then; nobody else does meanwhile."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"row {self.bad_number} {self.why}" if self.is_broken else f"rows {self.first} to {self.last}"

    @property
    def is_broken(self) -> bool:
        return self.bad_number is not None
