"""`manage.py audit_archive`: old rows into a file and out of the ledger. Exit status 1 refused, 2 could not run."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.audit.dates import moment_argument
from dashboard.audit.events import name_of_os_user
from dashboard.audit.integrity.archive import RefusedError, archive
from dashboard.audit.integrity.verification import BrokenError
from dashboard.audit.ledger.services import LedgerError


class Command(BaseCommand):
    help = (
        "Moves old rows out of the ledger into a file, for deployments that must delete old records. The "
        "command checks the ledger, writes the rows to FILE, reads them back and then deletes them. A new row "
        "records this with the file's SHA-256. A change whose outcome came after T stays, and so does every "
        "row after its beginning. While a change before T is unsettled, nothing is moved. Keep FILE: "
        "`verify_export.py FILE ledger.jsonl` checks it with an export of the rest."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--before", type=moment_argument, metavar="T", required=True, help="rows from before this date or time, UTC"
        )
        parser.add_argument("file", type=Path, metavar="FILE", help="a new file; the next archive needs another")

    def handle(self, *_args: Any, **options: Any) -> None:
        file = options["file"]
        try:
            part, digest = archive(options["before"], file, by=f"OS user {name_of_os_user()}")
        except (RefusedError, BrokenError) as error:
            raise CommandError(f"Nothing was archived: {error}.") from error
        except LedgerError as error:
            told = f"Could not run: {error}. If {file} is there, keep it until audit_verify has said what was archived."
            raise CommandError(told, returncode=2) from error
        self.stdout.write(f"{part.count} rows, {part.first} to {part.last}: in {file}, and no longer in the ledger.")
        self.stdout.write(f"SHA-256 of the file: {digest}")
