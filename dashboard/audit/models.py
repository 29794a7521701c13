"""The ledger as pages read it: changes, their outcomes and fields, and system events.

The models are views, because the ledger is one append-only table, `audit_ledgerrow` (`sql/`). A row is sealed as one
canonical JSON text, and one table gives one chain with one order. A view derives each column from that sealed text, so
a page cannot show a value that verification did not cover. Nothing can write through a view: only `services` adds rows.
The views need no storage, and the filters of the pages use the indexes of the table.

The outcome of a change is its newest outcome row. A change without an outcome row is still in progress, or it was
interrupted and a read settles it. A change that ended before anything was sent is one row, intent and outcome at once.
"""

from datetime import datetime, timedelta
from typing import Any, NoReturn, Self, TypeVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.expressions import RawSQL
from django.urls import reverse
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


OBSERVED_FOR = timedelta(hours=1)
"""How long the cloud may apply a change late and the dashboard still notices."""


class Outcome(models.TextChoices):
    APPLIED = "applied"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent", "not sent"
    NOT_APPLIED = "not_applied", "not applied"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    DENIED = "denied"


class ChangeIntentQuerySet(AppendOnlyQuerySet["ChangeIntent"]):
    def ended(self, outcome: str) -> Self:
        """Intents whose newest outcome is this one."""
        rows = self.unsettled() if outcome == Outcome.UNKNOWN else self
        newest = ChangeOutcome.objects.filter(project=OuterRef("project"), outcome=outcome).newest()
        return rows.filter(Exists(newest.filter(intent=OuterRef("number"))))

    def for_group(self, project: str, group_id: str) -> Self:
        return self.filter(project=project, group_id=group_id)

    def touching(self, field: str) -> Self:
        touched = TouchedField.objects.filter(project=OuterRef("project"), field=field, number=OuterRef("number"))
        return self.filter(Exists(touched))

    def unsettled(self) -> Self:
        """Intents without an outcome, or whose only outcome is unknown."""
        return self.filter(number__in=OpenChange.objects.unsettled().values("number"))

    def begun_after(self, moment: datetime) -> Self:
        """Unsettled changes that began since."""
        recent = OpenChange.objects.unsettled().filter(begun_at__gte=moment)
        return self.filter(number__in=recent.values("number"))

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

    def get_absolute_url(self) -> str:
        return reverse(settings.ENTRY_VIEW, args=[self.project, self.number])

    @property
    def last_outcome(self) -> "ChangeOutcome | None":
        return max(self.outcomes.all(), key=lambda row: row.number, default=None)

    @property
    def begun_at(self) -> datetime:
        """The time the change began. `at` is monotonic, so it can be later than this after a clock correction."""
        open_change = OpenChange.objects.filter(number=self.number).first()
        return min(open_change.begun_at, self.at) if open_change else self.at

    @property
    def is_pending(self) -> bool:
        """Not settled, and young enough for a page to keep asking."""
        return not self.is_settled and abs(timezone.now() - self.at) < timedelta(minutes=1)

    @property
    def is_settled(self) -> bool:
        last = self.last_outcome
        return last is not None and last.outcome != Outcome.UNKNOWN

    @property
    def observed_until(self) -> datetime:
        """Until then the cloud may apply the change late; later reads correct the outcome."""
        return self.at + OBSERVED_FOR

    @property
    def is_observed(self) -> bool:
        """Sent, or perhaps sent, and neither applied nor rejected: a later read may correct the outcome."""
        last = self.last_outcome
        if last is None or not last.is_correctable or timezone.now() >= self.observed_until:
            return False
        return OpenChange.objects.filter(number=self.number).exists()

    @property
    def is_corrected(self) -> bool:
        """Applied after an outcome that said otherwise was recorded."""
        last = self.last_outcome
        said = {row.outcome for row in self.outcomes.all()}
        return last is not None and last.outcome == Outcome.APPLIED and not said.isdisjoint(CORRECTED)

    @property
    def outcome_label(self) -> str:
        """The newest outcome in words."""
        last = self.last_outcome
        if last is None:
            return "under way"
        if last.outcome == Outcome.NOT_APPLIED and self.is_observed:
            return "not applied so far"
        return last.get_outcome_display().lower()


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


ACCEPTED_PROOF = "The cloud accepted the change, but"
"""How the proof of an unknown outcome begins after a 200 in the cloud's own form."""
CORRECTED = frozenset({Outcome.REJECTED, Outcome.NOT_SENT, Outcome.NOT_APPLIED, Outcome.CONFLICT})
"""Outcomes that said that a change was not applied, or not as intended."""


class ChangeOutcomeQuerySet(AppendOnlyQuerySet["ChangeOutcome"]):
    def newest(self) -> Self:
        """The rows that no later outcome of the same intent corrects."""
        later = ChangeOutcome.objects.filter(intent=OuterRef("intent"), number__gt=OuterRef("number"))
        return self.filter(~Exists(later))


class ChangeOutcome(LedgerRow):
    """The outcome of an intent, and how it is known (`proof`)."""

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

    objects = ChangeOutcomeQuerySet.as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        managed = False
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.proof}"

    @property
    def is_accepted(self) -> bool:
        """Whether the cloud answered as it does when it takes a change. A 200 with HTML or nothing is unknown."""
        return self.http_status == 200 and (self.outcome != Outcome.UNKNOWN or self.proof.startswith(ACCEPTED_PROOF))

    @property
    def is_correctable(self) -> bool:
        """Whether the cloud may still apply the change. A change that ended before the PATCH has only one row."""
        return self.number != self.intent_id and may_be_applied_late(self.outcome, self.http_status)


def may_be_applied_late(outcome: str, http_status: int | None) -> bool:
    """Whether a change with this outcome was or may have been sent, and is neither applied nor rejected.

    Only a change that the gateway throttled (429) is *not sent* although a PATCH left.
    """
    if outcome == Outcome.NOT_SENT:
        return http_status == 429
    return outcome in {Outcome.ACCEPTED, Outcome.NOT_APPLIED, Outcome.CONFLICT, Outcome.UNKNOWN}


class SystemEvent(LedgerRow):
    """Events that concern the dashboard itself: sign-ins, accounts, roles, the ledger."""

    number = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    actor_id = models.BigIntegerField(null=True)
    from_address = models.CharField(max_length=64)
    kind = models.CharField(max_length=16, choices=EventKind)
    proof = models.TextField()
    """What is to be said of it besides."""
    hash = models.CharField(max_length=64)

    objects = AppendOnlyQuerySet["SystemEvent"].as_manager()

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


class OpenChangeQuerySet(models.QuerySet["OpenChange"]):
    def unsettled(self) -> Self:
        """Changes without an outcome, or whose only outcome is unknown."""
        return self.filter(Exists(ChangeIntent.objects.filter(number=OuterRef("number"))), ~Exists(_settled()))

    def observed(self) -> Self:
        """Changes with an outcome that a later read may correct."""
        return self.filter(Exists(_settled()))


def _settled() -> "ChangeOutcomeQuerySet":
    return ChangeOutcome.objects.filter(intent=OuterRef("number")).exclude(outcome=Outcome.UNKNOWN)


class OpenChange(models.Model):
    """A change that later reads are to settle or to observe.

    This table is a work list, not a record: a row is deleted when no later read can change the outcome.
    """

    number = models.BigIntegerField(primary_key=True)
    project = models.CharField(max_length=64)
    group_id = models.CharField(max_length=128)
    begun_at = models.DateTimeField()
    """The wall clock at the intent; the ledger's own `at` may be ahead of it."""
    next_read_at = models.DateTimeField(null=True)
    """When an observed change is read next; null for an unsettled one."""
    leased_until = models.DateTimeField(null=True)
    """One process reads the group until then; no other does meanwhile."""

    objects = OpenChangeQuerySet.as_manager()

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
