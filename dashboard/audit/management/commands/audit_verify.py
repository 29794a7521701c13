"""`manage.py audit_verify`: whether the ledger is what was written. Exit status 0 intact, 1 broken, 2 could not run."""

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
    check_that_it_still_ends,
    impossible_lease,
    last_verification,
    note_broken,
    note_intact,
)
from dashboard.audit.integrity.confirmation import Confirmation, WrongArchiveError, check_against
from dashboard.audit.integrity.export import all_rows
from dashboard.audit.integrity.verification import BrokenError, Span, verify
from dashboard.audit.ledger.checkpoints import UnreadableError, read_checkpoints
from dashboard.audit.ledger.group_history import UnknownGroupError, what_happened_to
from dashboard.audit.ledger.guards import altered_views, missing_guards
from dashboard.audit.models import ChangeIntent

INTACT, BROKEN, COULD_NOT_RUN = 0, 1, 2
SHOWN = 20
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
    help = "Checks the ledger: every number, hash and MAC, and each row against the one before."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="first", type=int, metavar="N", help="the first row to check")
        parser.add_argument("--to", dest="last", type=int, metavar="N", help="the last row to check")
        parser.add_argument(
            "--checkpoint",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="hold the ledger against the checkpoints in this file; may be given several times",
        )
        parser.add_argument(
            "--archive",
            type=Path,
            nargs="+",
            action="extend",
            default=[],
            metavar="FILE",
            help="also check these archive files, oldest first; checkpoints of archived rows need them",
        )
        parser.add_argument(
            "--accept", action="store_true", help="end an alarm on the pages: this ledger is the right one, as it is"
        )
        parser.add_argument(
            "--nothing-happened-to", metavar="GROUP", help="also assert that no change to this group (id or name)..."
        )
        parser.add_argument("--since", type=moment_argument, metavar="T", help="...was begun from this time...")
        parser.add_argument(
            "--until",
            type=partial(moment_argument, end_of_day=True),
            metavar="T",
            help="...until before this time, or to the end of this day",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            _refuse_nonsense(options)
            sys.exit(self._verify(options))
        except _ERRORS as error:
            self.stderr.write(f"Could not run: {error}")
            sys.exit(COULD_NOT_RUN)

    def _verify(self, options: dict[str, Any]) -> int:
        is_everything = options["first"] is options["last"] is None
        are_rows_right = False
        try:
            span = self._check_rows(options)
            if is_everything and not options["accept"]:
                check_that_it_still_ends(last_verification())
            are_rows_right = True
            confirmation = check_against(read_checkpoints(options["checkpoint"]), options["archive"])
        except BrokenError as error:
            self.stdout.write(f"BROKEN. {error}.")
            if is_everything:
                self._note(partial(note_broken, error, is_from_checkpoint=are_rows_right))
            return BROKEN
        self._tell(confirmation, options)
        is_confirmed = bool(options["checkpoint"]) and confirmation.is_complete
        if is_everything:
            self._note_intact(span, is_final=is_confirmed or options["accept"])
        for problem in (problems := [*missing_guards(), *altered_views(), *impossible_lease()]):
            self.stdout.write(f"BROKEN. The rows are right, but {problem}.")
        if problems:
            return BROKEN
        status = self._assert_quiet(options) if options["nothing_happened_to"] else INTACT
        return status if confirmation.is_complete else status or COULD_NOT_RUN

    def _note_intact(self, span: Span, *, is_final: bool) -> None:
        """What only a checkpoint showed is not taken back by a check that no checkpoint confirms."""
        known = last_verification()
        if known.is_from_checkpoint and not is_final:
            self.stdout.write(f"Pages go on showing what only a checkpoint told: {known}.")
        else:
            self._note(partial(note_intact, span, is_everything=True))

    def _check_rows(self, options: dict[str, Any]) -> Span:
        span = verify(options["first"], options["last"])
        numbers = f", {span.first} to {span.last}" if span.count else ""
        self.stdout.write(f"{span.count} rows{numbers}: each as it was written.")
        if (archived := newest_marker()).last:
            self.stdout.write(f"The rows up to {archived.last} were archived, as row {archived.number} says.")
        return span

    def _tell(self, confirmation: Confirmation, options: dict[str, Any]) -> None:
        if options["archive"]:
            self.stdout.write("The archive files are those that the archive markers name.")
        if options["checkpoint"]:
            self.stdout.write(f"Checkpoints confirmed: {confirmation.confirmed}.")
            self.stdout.write(f"Rows newer than every given checkpoint: {confirmation.uncovered}.")
        if numbers := confirmation.unconfirmed:
            self.stdout.write(
                f"NOT CONFIRMED. The checkpoints of these archived rows: {_some(numbers)}. "
                "Name the archive files that have the rows, oldest first: --archive FILE ..."
            )
        if confirmation.marker is not None:
            self.stdout.write(
                f"NOT CONFIRMED. No given checkpoint covers row {confirmation.marker}, which says that rows were "
                "archived. Give a newer checkpoint, or name the archive files: --archive FILE ..."
            )

    def _note(self, note: Callable[[], None]) -> None:
        """For the pages; who may only read the database verifies all the same."""
        try:
            note()
        except DatabaseError as error:
            self.stderr.write(f"Pages will not show this, because it could not be noted: {error}")

    def _assert_quiet(self, options: dict[str, Any]) -> int:
        group = options["nothing_happened_to"]
        happened = what_happened_to(group, since=options["since"], until=options["until"])
        for heading, entries in (("Tried without effect:", happened.attempts), ("Changed:", happened.changes)):
            for entry in entries[:SHOWN]:
                self.stdout.write(f"{heading} {_say(entry)}")
        if happened.changes:
            self.stdout.write(f"Something happened to {group}.")
            return BROKEN
        if self._reaches_into_archive(options["since"]):
            self.stdout.write(f"Whether something happened to {group} is for the archive to tell: it has rows of then.")
            return COULD_NOT_RUN
        self.stdout.write(f"Nothing happened to {group}.")
        return INTACT

    def _reaches_into_archive(self, since: datetime | None) -> bool:
        """What was archived is no younger than the oldest row that was not."""
        if not newest_marker().last:
            return False
        return since is None or since <= datetime.fromisoformat(json.loads(next(all_rows()).facts)["at"])


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")


def _say(entry: ChangeIntent) -> str:
    at = f"{entry.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"row {entry.number}, {entry.actor} {entry.get_kind_display()} {entry.group_id} at {at}"


def _refuse_nonsense(options: dict[str, Any]) -> None:
    """Raises ValueError for what would check nothing and say that all is well."""
    first, last, since, until = (options[name] for name in ("first", "last", "since", "until"))
    numbers = [number for number in (first, last) if number is not None]
    if numbers and (min(numbers) < 1 or numbers != sorted(numbers)):
        raise ValueError("--from and --to are numbers of rows, the first no greater than the last")
    if since and until and since >= until:
        raise ValueError("--since is not before --until")
    if options["nothing_happened_to"] and (first or last):
        raise ValueError("that nothing happened can only be said of a ledger that was checked as a whole")
