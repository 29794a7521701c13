"""`manage.py audit_verify`: verify the ledger. Exit status 0 intact, 1 broken, 2 could not run or not confirmed."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from dashboard.audit.dates import moment_argument
from dashboard.audit.integrity.archive_markers import newest_marker
from dashboard.audit.integrity.background_check import (
    check_last_verified_row,
    find_lease_problems,
    last_verification,
    save_broken,
    save_intact,
)
from dashboard.audit.integrity.confirmation import Confirmation, WrongArchiveError, check_against
from dashboard.audit.integrity.export import all_rows
from dashboard.audit.integrity.verification import Span, verify
from dashboard.audit.ledger.checkpoints import UnreadableError, read_checkpoints
from dashboard.audit.ledger.group_history import GroupHistory, UnknownGroupError, find_group_history
from dashboard.audit.ledger.guards import altered_views, missing_guards
from dashboard.audit.models import ChangeIntent
from dashboard.audit.problems import BrokenError

INTACT, BROKEN, COULD_NOT_RUN = 0, 1, 2
MAX_SHOWN = 20
_ERRORS = (
    DatabaseError,
    ImproperlyConfigured,
    OSError,
    UnknownGroupError,
    UnreadableError,
    ValueError,
    WrongArchiveError,
)


class Command(BaseCommand):
    help = "Verifies the ledger: numbers, hashes, MACs, and the link of each row to the row before it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="first", type=int, metavar="N", help="the first row to verify")
        parser.add_argument("--to", dest="last", type=int, metavar="N", help="the last row to verify")
        parser.add_argument(
            "--checkpoint",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="compare the ledger with the checkpoints in this file; repeat the option for more files",
        )
        parser.add_argument(
            "--archive",
            type=Path,
            nargs="+",
            action="extend",
            default=[],
            metavar="FILE",
            help="verify these archive files too, oldest first; checkpoints of archived rows need them",
        )
        parser.add_argument(
            "--accept", action="store_true", help="end the alarm on the pages: this ledger is the right one as it is"
        )
        parser.add_argument(
            "--nothing-happened-to",
            metavar="GROUP",
            help="check too that no change to this group (id, or any name it had) took effect",
        )
        parser.add_argument("--since", type=moment_argument, metavar="T", help="look for changes from this time")
        parser.add_argument(
            "--until",
            type=partial(moment_argument, end_of_day=True),
            metavar="T",
            help="look for changes before this time, or to the end of this day",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            _check_options(options)
            sys.exit(self._verify(options))
        except _ERRORS as error:
            self.stderr.write(f"Could not run: {error}")
            sys.exit(COULD_NOT_RUN)

    def _verify(self, options: dict[str, Any]) -> int:
        is_everything = options["first"] is options["last"] is None
        are_rows_intact = False
        try:
            span = self._check_rows(options)
            if is_everything and not options["accept"]:
                check_last_verified_row(last_verification())
            are_rows_intact = True
            confirmation = check_against(read_checkpoints(options["checkpoint"]), options["archive"])
        except BrokenError as error:
            self.stdout.write(f"BROKEN. {error}")
            if is_everything:
                self._save(partial(save_broken, error, is_from_checkpoint=are_rows_intact))
            return BROKEN
        self._write_confirmation(confirmation, options)
        is_confirmed = bool(options["checkpoint"]) and confirmation.is_complete
        if is_everything:
            self._save_intact(span, is_final=is_confirmed or options["accept"])
        for problem in (problems := [*missing_guards(), *altered_views(), *find_lease_problems()]):
            self.stdout.write(f"BROKEN. The rows are intact, but {problem}.")
        if problems:
            return BROKEN
        status = self._check_group(options) if options["nothing_happened_to"] else INTACT
        return status if confirmation.is_complete else status or COULD_NOT_RUN

    def _save_intact(self, span: Span, *, is_final: bool) -> None:
        """Save the result, unless only a checkpoint showed the earlier problem and no checkpoint confirms this one."""
        known = last_verification()
        if known.is_from_checkpoint and not is_final:
            self.stdout.write(f"Pages still show a problem that a checkpoint showed: {known}")
        else:
            self._save(partial(save_intact, span, is_everything=True))

    def _check_rows(self, options: dict[str, Any]) -> Span:
        span = verify(options["first"], options["last"])
        numbers = f", {span.first} to {span.last}" if span.count else ""
        self.stdout.write(f"{span.count} rows{numbers}: intact.")
        if (archived := newest_marker()).last:
            self.stdout.write(f"Row {archived.number} says that the rows up to {archived.last} were archived.")
        return span

    def _write_confirmation(self, confirmation: Confirmation, options: dict[str, Any]) -> None:
        if options["archive"]:
            self.stdout.write("The archive files match the archive markers.")
        if options["checkpoint"]:
            self.stdout.write(f"Checkpoints confirmed: {confirmation.confirmed}.")
            self.stdout.write(f"Rows newer than every given checkpoint: {confirmation.uncovered}.")
        if numbers := confirmation.unconfirmed:
            self.stdout.write(
                f"NOT CONFIRMED. The checkpoints of these archived rows: {_join(numbers)}. "
                "Give the archive files that have the rows, oldest first: --archive FILE ..."
            )
        if confirmation.marker is not None:
            self.stdout.write(
                f"NOT CONFIRMED. No given checkpoint covers row {confirmation.marker}, which says that rows were "
                "archived. Give a newer checkpoint, or the archive files: --archive FILE ..."
            )

    def _save(self, save: Callable[[], None]) -> None:
        """Save the result for the pages. A role that can only read the database verifies without this."""
        try:
            save()
        except DatabaseError as error:
            self.stderr.write(f"Pages will not show this result, because it could not be saved: {error}")

    def _check_group(self, options: dict[str, Any]) -> int:
        group = options["nothing_happened_to"]
        history = find_group_history(group, since=options["since"], until=options["until"])
        self._write_history(history)
        if history.changes:
            self.stdout.write(f"Something happened to {group}.")
            return BROKEN
        if self._has_archived_rows_since(options["since"]):
            self.stdout.write(f"Rows of this time are archived. Look in the archive files for changes to {group}.")
            return COULD_NOT_RUN
        self.stdout.write(f"Nothing happened to {group}.")
        return INTACT

    def _write_history(self, history: GroupHistory) -> None:
        for heading, entries in (("Without effect:", history.attempts), ("Changed:", history.changes)):
            for entry in entries[:MAX_SHOWN]:
                self.stdout.write(f"{heading} {_summarize(entry)}")

    def _has_archived_rows_since(self, since: datetime | None) -> bool:
        """Whether archived rows can be from this time or later. They are not newer than the oldest row left."""
        if not newest_marker().last:
            return False
        return since is None or since <= datetime.fromisoformat(json.loads(next(all_rows()).facts)["at"])


def _join(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:MAX_SHOWN])) + (", ..." if len(numbers) > MAX_SHOWN else "")


def _summarize(entry: ChangeIntent) -> str:
    at = f"{entry.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"row {entry.number} ({entry.kind}) by {entry.actor} on {entry.group_id} at {at}"


def _check_options(options: dict[str, Any]) -> None:
    """Raises ValueError for options that would verify nothing and report an intact ledger."""
    first, last, since, until = (options[name] for name in ("first", "last", "since", "until"))
    numbers = [number for number in (first, last) if number is not None]
    if numbers and (min(numbers) < 1 or numbers != sorted(numbers)):
        raise ValueError("--from and --to are row numbers, the first not greater than the last")
    if since and until and since >= until:
        raise ValueError("--since is not before --until")
    if options["nothing_happened_to"] and (first or last):
        raise ValueError("--nothing-happened-to needs the whole ledger: leave out --from and --to")
