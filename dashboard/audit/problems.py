"""The problems that verification finds in the ledger, as sentences for pages and commands."""

from collections.abc import Mapping

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Problem(TextChoices):
    """A label is a sentence with placeholders: `row`, and those that the error fills in."""

    MISSING = "missing", _("Row %(row)s is missing.")
    MISSING_RANGE = "missing_range", _("Rows %(row)s to %(last)s are missing.")
    NOT_ARCHIVED = "not_archived", _("Rows %(row)s to %(last)s are missing, and no archive marker names them.")
    NOT_REMOVED = "not_removed", _("Row %(row)s is in the ledger, but row %(marker)s says that it was archived.")
    ALTERED = "altered", _("Row %(row)s was altered: its facts do not match its hash.")
    WRONG_MAC = "wrong_mac", _("Row %(row)s has a MAC that was not made with the key of this ledger.")
    WRONG_PREVIOUS_HASH = "wrong_previous_hash", _("Row %(row)s does not follow from the row before it.")
    RENUMBERED = "renumbered", _("Row %(row)s has another number in its facts.")
    WRONG_COLUMNS = "wrong_columns", _("Row %(row)s has columns that differ from its facts: %(columns)s.")
    WRONG_ORDER = "wrong_order", _("Row %(row)s is older than the row before it.")
    WRONG_INDEX = "wrong_index", _("Row %(row)s differs from the index of changed fields: %(field)s.")
    NOT_LISTED = "not_listed", _("Row %(row)s is an unsettled change, but is not in the list of open changes.")
    LISTED_NO_CHANGE = "listed_no_change", _("Row %(row)s is not a change, but is in the list of open changes.")
    LISTED_SETTLED = (
        "listed_settled",
        _("Row %(row)s is settled (%(outcome)s), but is in the list of open changes."),
    )
    LISTED_WRONG_GROUP = "listed_wrong_group", _("Row %(row)s has another group in the list of open changes.")
    LISTED_FALSE_TIME = (
        "listed_false_time",
        _("Row %(row)s has a false time in the list of open changes: %(name)s is %(at)s UTC."),
    )
    REPLACED = "replaced", _("Row %(row)s was verified before, but has another hash now.")
    DELETED = "deleted", _("Row %(row)s was verified before, but is missing now.")
    UNSIGNED_CHECKPOINT = (
        "unsigned_checkpoint",
        _("Row %(row)s has a checkpoint that was not signed with the key of this ledger."),
    )
    DIFFERENT_CHECKPOINTS = "different_checkpoints", _("Row %(row)s has two different checkpoints.")
    END_DELETED = (
        "end_deleted",
        _("Row %(row)s is missing, but a checkpoint names it: the end of the ledger was deleted."),
    )
    CHECKPOINT_MISMATCH = "checkpoint_mismatch", _("Row %(row)s does not match a checkpoint.")
    ARCHIVE_MISMATCH = "archive_mismatch", _("Row %(row)s in %(file)s does not match a checkpoint.")
    ARCHIVE_ALTERED = "archive_altered", _("Row %(row)s was altered in %(file)s: %(error)s.")
    ARCHIVE_WRONG_HASH = "archive_wrong_hash", _("Row %(row)s does not follow from the row before it in %(file)s.")
    ARCHIVE_GAP = "archive_gap", _("Row %(row)s is missing before %(file)s, and no archive marker names it.")
    FALSE_MARKER = (
        "false_marker",
        _("Row %(row)s is a false archive marker: %(file)s does not end with row %(last)s."),
    )
    OTHER = "other", _("Row %(row)s is not as it was written.")


def describe(problem: str, row: int, details: Mapping[str, object]) -> str:
    """Return the sentence in the active language. A problem that was stored wrongly becomes `OTHER`."""
    try:
        return str(Problem(problem).label) % {**details, "row": row}
    except (ValueError, KeyError, TypeError):
        return str(Problem.OTHER.label) % {"row": row}


class BrokenError(Exception):
    """The ledger is not as it was written. `number` is the first bad row."""

    def __init__(self, number: int, problem: Problem, details: Mapping[str, object] | None = None) -> None:
        super().__init__(number, problem, details)
        self.number, self.problem, self.details = number, problem, dict(details or {})

    def __str__(self) -> str:
        return describe(self.problem, self.number, self.details)
