"""`manage.py settle`: settle unknown outcomes and correct late ones by reading the cloud."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.audit.ledger.services import LedgerError
from dashboard.cloud.responses import one_line
from dashboard.server_groups.settling import SettleResult, observe_due, settle_unsettled


class Command(BaseCommand):
    help = "Settles unknown outcomes by reading the cloud. Exit status 0: none left, 1: some left, 2: could not run."

    def handle(self, *_args: Any, **_options: Any) -> None:
        count = left = 0
        try:
            for one in settle_unsettled():
                count, left = count + 1, left + (not one.intent.is_settled)
                self.stdout.write(f"{one.intent.number}  {one_line(one.intent.group_name)}  {_describe(one)}")
            for one in observe_due():
                self.stdout.write(f"{one.intent.number}  {one_line(one.intent.group_name)}  {_describe(one)}")
        except LedgerError as error:
            raise CommandError(f"The ledger cannot be read: {error}", returncode=2) from error
        self.stdout.write(f"{count - left} settled, {left} still unknown.")
        if left:
            sys.exit(1)


def _describe(one: SettleResult) -> str:
    last = one.intent.last_outcome
    if one.problem or last is None:
        return one.problem or "not settled: it is too early, or the group cannot be read"
    return str(last)
