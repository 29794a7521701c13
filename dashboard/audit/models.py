"""The ledger as pages read it: changes, their outcomes and fields, and system events.

The models are views, because the ledger is one append-only table, `audit_ledgerrow` (`sql/`). A row is sealed as one
canonical JSON text, and one table gives one chain with one order. A view derives each column from that sealed text, so
a page cannot show a value that verification did not cover. Nothing can write through a view: only `services` adds rows.
The views need no storage, and the filters of the pages use the indexes of the table.

The outcome of a change is its newest outcome row. A change without an outcome row is still under way, or it was
interrupted and a read settles it. A change that ended before anything was sent is one row, intent and outcome at once.
"""

from datetime import datetime, timedelta
from typing import Any, NoReturn, Self, TypeVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, prefetch_related_objects
from django.db.models.expressions import RawSQL
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.audit.problems import describe

Value = str | int | bool | None
M = TypeVar("M", bound=models.Model)


class AppendOnlyError(Exception):
    """A caller tried to change or delete a row of the ledger, or to add one without its services."""


class AppendOnlyQuerySet(models.QuerySet[M]):
    def update(self, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are never changed")

    def delete(self) -> NoReturn:
        raise AppendOnlyError("ledger rows are never deleted")

    def bulk_create(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are added only by the ledger's services")


class LedgerRow(models.Model):
    """A read-only model over a view of the ledger."""

    class Meta:
        abstract = True
        managed = False
        default_permissions = ()
        base_manager_name = "objects"

    def save(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are never changed, and added only by the ledger's services")

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise AppendOnlyError("ledger rows are never deleted")


class Kind(models.TextChoices):
    EDIT = "edit", _("Edit")
    SWITCH = "switch", _("Switch")
    REVERT = "revert", _("Revert")
    OUTSIDE = "outside", _("Change outside the dashboard")
    DENIED = "denied", _("Refused attempt")


class EventKind(models.TextChoices):
    """A label is a sentence with the placeholder `{actor}`."""

    SIGN_IN = "sign_in", _("{actor} signed in")
    SIGN_OUT = "sign_out", _("{actor} signed out")
    SIGN_IN_FAILED = "sign_in_failed", _("{actor} failed to sign in")
    SIGN_IN_LIMITED = "sign_in_limited", _("{actor} tried to sign in too often")
    ROLES = "roles", _("The roles of {actor} changed")
    PERMISSIONS = "permissions", _("A role changed")
    ACCOUNT = "account", _("The account of {actor} changed")
    UNKNOWN_GROUP = "unknown_group", _("{actor} tried to change a group that the project does not have")
    LIMITED = "limited", _("{actor} reached a limit")
    ARCHIVED = "archived", _("{actor} archived old ledger rows")


REFUSED = frozenset({EventKind.SIGN_IN_FAILED, EventKind.SIGN_IN_LIMITED, EventKind.UNKNOWN_GROUP, EventKind.LIMITED})
OBSERVED_FOR = timedelta(hours=1)
"""The time after the start of a change in which the dashboard looks for a late application."""


class Outcome(models.TextChoices):
    APPLIED = "applied", _("applied")
    ACCEPTED = "accepted", _("accepted")
    REJECTED = "rejected", _("rejected")
    NOT_SENT = "not_sent", _("not sent")
    NOT_APPLIED = "not_applied", _("not applied")
    CONFLICT = "conflict", _("conflict")
    UNKNOWN = "unknown", _("unknown")
    DENIED = "denied", _("denied")


class ChangeIntentQuerySet(AppendOnlyQuerySet["ChangeIntent"]):
    def with_outcome(self, outcome: str) -> Self:
        """Select intents whose newest outcome is this one."""
        rows = self.unsettled() if outcome == Outcome.UNKNOWN else self
        newest = ChangeOutcome.objects.filter(project=OuterRef("project"), outcome=outcome).newest()
        return rows.filter(Exists(newest.filter(intent=OuterRef("number"))))

    def for_group(self, project: str, group_id: str) -> Self:
        return self.filter(project=project, group_id=group_id)

    def touching(self, field: str) -> Self:
        touched = TouchedField.objects.filter(project=OuterRef("project"), field=field, number=OuterRef("number"))
        return self.filter(Exists(touched))

    def unsettled(self) -> Self:
        """Select intents without an outcome, or whose only outcome is unknown."""
        return self.filter(number__in=OpenChange.objects.unsettled().values("number"))

    def begun_after(self, moment: datetime) -> Self:
        """Select unsettled changes that began at this time or later."""
        recent = OpenChange.objects.unsettled().filter(begun_at__gte=moment)
        return self.filter(number__in=recent.values("number"))

    def with_rows(self) -> Self:
        """Fetch field changes and outcomes too, in two queries for any number of intents."""
        return self.prefetch_related("fields", "outcomes")

    def recent_per_group(
        self, project: str, group_ids: list[str], *, since: datetime
    ) -> tuple[dict[str, "ChangeIntent"], dict[str, "ChangeIntent"]]:
        """Find the last applied change of each group, and its unsettled one since a time, by group id.

        It takes one query, with one index lookup for each group, and a second one if a change is unsettled.
        """
        if not group_ids:
            return {}, {}
        newest = (
            "SELECT (SELECT subject FROM audit_ledgerrow WHERE project = %s AND group_id = wanted.column1 "
            "AND outcome = 'applied' ORDER BY subject DESC LIMIT 1) "
            f"FROM (VALUES {', '.join(['(%s)'] * len(group_ids))}) AS wanted"
        )
        unsettled = OpenChange.objects.unsettled().filter(project=project, group_id__in=group_ids).order_by()
        applied = Q(number__in=RawSQL(newest, [project, *group_ids]))  # noqa: S611 (the parameters are bound)
        rows = self.filter(applied | Q(number__in=unsettled.values("number"))).annotate(
            is_open=Exists(unsettled.filter(number=OuterRef("number")))
        )
        last: dict[str, ChangeIntent] = {}
        pending: dict[str, ChangeIntent] = {}
        for intent in rows.order_by("number"):
            if not vars(intent)["is_open"]:
                last[intent.group_id] = intent
            elif intent.at >= since:
                pending[intent.group_id] = intent
        prefetch_related_objects(list(pending.values()), "outcomes")
        return last, pending


class ChangeIntent(LedgerRow):
    """A planned change, recorded before the PATCH. Names are copied, so that later renames do not alter them."""

    number = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=64, null=True)
    at = models.DateTimeField()
    project = models.CharField(max_length=64)
    group_id = models.CharField(max_length=128)
    group_name = models.CharField(max_length=255)
    actor = models.CharField(max_length=150)
    actor_id = models.BigIntegerField(null=True)
    """Null for a change outside the dashboard, whose author is unknown. Then `actor` is empty."""
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
        """Whether the change is unsettled and under a minute old. Until then, pages read the group again."""
        return not self.is_settled and abs(timezone.now() - self.at) < timedelta(minutes=1)

    @property
    def is_settled(self) -> bool:
        last = self.last_outcome
        return last is not None and last.outcome != Outcome.UNKNOWN

    @property
    def observed_until(self) -> datetime:
        """The end of the observation. Until then, later reads can correct the outcome."""
        return self.at + OBSERVED_FOR

    @property
    def can_be_applied_late(self) -> bool:
        """Whether the cloud may still apply the change, if it was sent."""
        return timezone.now() < self.observed_until

    @property
    def is_observed(self) -> bool:
        """Whether a later read may still correct the outcome."""
        last = self.last_outcome
        if last is None or not last.is_correctable or not self.can_be_applied_late:
            return False
        return OpenChange.objects.filter(number=self.number).exists()

    @property
    def is_corrected(self) -> bool:
        """Whether the cloud applied the change after another outcome was recorded."""
        last = self.last_outcome
        recorded = {row.outcome for row in self.outcomes.all()}
        return last is not None and last.outcome == Outcome.APPLIED and not recorded.isdisjoint(CORRECTED)

    @property
    def outcome_label(self) -> str:
        """The newest outcome in the reader's language."""
        last = self.last_outcome
        if last is None:
            return gettext("under way")
        if last.outcome == Outcome.NOT_APPLIED and self.is_observed:
            return gettext("not applied so far")
        return last.get_outcome_display()


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
"""The beginning of the proof of an unknown outcome after a 200 in the cloud's own form."""
CORRECTED = frozenset({Outcome.REJECTED, Outcome.NOT_SENT, Outcome.NOT_APPLIED, Outcome.CONFLICT})
"""Outcomes that mean that a change was not applied, or not as intended. A late application corrects them."""


class ChangeOutcomeQuerySet(AppendOnlyQuerySet["ChangeOutcome"]):
    def newest(self) -> Self:
        """Select the newest outcome row of each intent."""
        later = ChangeOutcome.objects.filter(intent=OuterRef("intent"), number__gt=OuterRef("number"))
        return self.filter(~Exists(later))


class ChangeOutcome(LedgerRow):
    """The outcome of an intent, with its evidence in `proof`."""

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
        return f"{self.outcome}: {self.proof}"

    @property
    def is_accepted(self) -> bool:
        """Whether the response was a 200 in the cloud's own form. After any other 200, the outcome is unknown."""
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
    """Details, in English."""
    hash = models.CharField(max_length=64)

    objects = AppendOnlyQuerySet["SystemEvent"].as_manager()

    class Meta(LedgerRow.Meta):
        abstract = False
        managed = False
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.kind}, {self.actor or 'unknown'}: {self.proof}".removesuffix(": ")

    @property
    def is_denied(self) -> bool:
        return self.kind in REFUSED


class TouchedField(LedgerRow):
    """The index of changed fields, which finds changes by field. A trigger of the database fills it."""

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
        """Select changes without an outcome, or whose only outcome is unknown."""
        return self.filter(Exists(ChangeIntent.objects.filter(number=OuterRef("number"))), ~Exists(_settled()))

    def observed(self) -> Self:
        """Select changes with an outcome that a later read may correct."""
        return self.filter(Exists(_settled()))


def _settled() -> "ChangeOutcomeQuerySet":
    return ChangeOutcome.objects.filter(intent=OuterRef("number")).exclude(outcome=Outcome.UNKNOWN)


class OpenChange(models.Model):
    """A change that a later read must settle or observe.

    This table is a list of work. A row is deleted when no later read can change the outcome.
    """

    number = models.BigIntegerField(primary_key=True)
    project = models.CharField(max_length=64)
    group_id = models.CharField(max_length=128)
    begun_at = models.DateTimeField()
    """The time of the clock at the intent. The `at` of the row can be later."""
    next_read_at = models.DateTimeField(null=True)
    """The time of the next read of an observed change. Null for an unsettled change."""
    leased_until = models.DateTimeField(null=True)
    """Until then, only one process reads the group."""

    objects = OpenChangeQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        ordering = ["number"]

    def __str__(self) -> str:
        return str(self.number)


class Repeat(models.Model):
    """Refusals since the last row about them that the ledger does not have yet, or the limit of a person or account.

    A later row names their number. The table can be changed, so it is no evidence.
    """

    key = models.CharField(max_length=64, primary_key=True)
    limited = models.CharField(max_length=64, blank=True)
    """The key of the limit that applies; empty in the row of a limit."""
    since = models.DateTimeField()
    until = models.DateTimeField(db_index=True)
    """Until then, repeats are only counted."""
    count = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    """The rows of the ledger that used this limit."""
    facts = models.JSONField()
    """The facts of the row that will name the count."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.count} since {self.since}"


class AccessState(models.Model):
    """The last seen state of an account or a role. It can be changed, so it is no evidence."""

    subject = models.CharField(max_length=32, primary_key=True)
    state = models.JSONField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.subject


class Verification(models.Model):
    """The result of the last verification, for pages. A single row; it can be changed, so it is no evidence."""

    ONLY = 1

    id = models.SmallIntegerField(primary_key=True, default=ONLY)
    first = models.BigIntegerField(default=1)
    last = models.BigIntegerField(default=0)
    """The newest verified row; 0 before the first verification."""
    last_hash = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(null=True)
    everything_at = models.DateTimeField(null=True)
    """The time of the last verification of all rows."""
    bad_number = models.BigIntegerField(null=True)
    """The first bad row. It stays until a verification of all rows finds none."""
    problem = models.CharField(max_length=32, blank=True)
    """A `Problem`. With `details`, pages can show it in the reader's language."""
    details = models.JSONField(default=dict, blank=True)
    is_from_checkpoint = models.BooleanField(default=False)
    """Only a checkpoint showed the problem, so a verification without a checkpoint cannot end it."""
    leased_until = models.DateTimeField(null=True)
    """Until then, only one process verifies the ledger."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.description or f"rows {self.first} to {self.last}"

    @property
    def is_broken(self) -> bool:
        return self.bad_number is not None

    @property
    def description(self) -> str:
        """The problem as a sentence in the reader's language; empty if the ledger is intact."""
        return "" if self.bad_number is None else describe(self.problem, self.bad_number, self.details)
