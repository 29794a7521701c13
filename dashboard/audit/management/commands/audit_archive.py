"""`manage.py audit_archive`: move old rows to a file. Exit status 1 refused, 2 could not run."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.audit.dates import moment_argument
from dashboard.audit.events import name_of_os_user
from dashboard.audit.integrity.archive import RefusedError, archive
from dashboard.audit.ledger.services import LedgerError
from dashboard.audit.problems import BrokenError


class Command(BaseCommand):
    help = (
        "Moves old rows from the ledger to a file, for deployments that must delete old records. The command "
        "verifies the ledger, writes the rows to FILE, reads FILE back and then deletes the rows. A new row "
        "records the SHA-256 of FILE. A change with an outcome after T stays, with every row after it. While a "
        "change before T is unsettled, the command moves nothing. Keep FILE: `verify_export.py FILE "
        "ledger.jsonl` verifies it with an export of the rest."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--before",
            type=moment_argument,
            metavar="T",
            required=True,
            help="move the rows from before this date or time, UTC",
        )
        parser.add_argument("file", type=Path, metavar="FILE", help="a new file, another one for each archive")

    def handle(self, *_args: Any, **options: Any) -> None:
        file = options["file"]
        try:
            part, digest = archive(options["before"], file, by=f"OS user {name_of_os_user()}")
        except (RefusedError, BrokenError) as error:
            raise CommandError(f"Nothing was archived: {str(error).rstrip('.')}.") from error
        except LedgerError as error:
            advice = f"If {file} exists, keep it until audit_verify shows which rows were archived."
            raise CommandError(f"Could not run: {error}. {advice}", returncode=2) from error
        self.stdout.write(f"Moved {part.count} rows, {part.first} to {part.last}, from the ledger to {file}.")
        self.stdout.write(f"SHA-256 of the file: {digest}")
