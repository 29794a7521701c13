"""`manage.py audit_export`: write the ledger to standard output. `verify_export.py` verifies the JSON Lines."""

import sys
from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand

from dashboard.audit.dates import moment_argument
from dashboard.audit.integrity.export import FORMATS, all_rows


class Command(BaseCommand):
    help = "Writes the ledger to standard output, one line for each row."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=sorted(FORMATS), default="jsonl")
        parser.add_argument("--project", metavar="SLUG", default="", help="only rows of this project")
        parser.add_argument("--since", type=moment_argument, metavar="T", help="only rows from this time")
        parser.add_argument(
            "--until",
            type=partial(moment_argument, end_of_day=True),
            metavar="T",
            help="only rows before this time, or to the end of this day",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        rows = all_rows(project=options["project"], since=options["since"], until=options["until"])
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]  # a TextIOWrapper
        sys.stdout.writelines(FORMATS[options["format"]](rows))
