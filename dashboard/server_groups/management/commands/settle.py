"""`manage.py settle`: reads the cloud to find out what came of changes of which nobody knows. Sends nothing."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.audit.services import LedgerError
from dashboard.server_groups.settling import Attempted, settle_unsettled


class Command(BaseCommand):
    help = (
        "Settles unknown outcomes by reading the cloud. Exit status 0: none is left that could be tried, 1: some are."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            tried = list(settle_unsettled())
        except LedgerError as error:
            raise CommandError(f"The ledger cannot be read: {error}") from error
        for one in tried:
            self.stdout.write(f"{one.intent.number}  {one.intent.group_name}  {_say(one)}")
        left = sum(not one.intent.is_settled for one in tried)
        self.stdout.write(f"{len(tried) - left} settled, {left} still unknown.")
        if left:
            sys.exit(1)


def _say(one: Attempted) -> str:
    last = one.intent.last_outcome
    if one.problem or last is None:
        return one.problem or "too early to tell, or the group cannot be read"
    return str(last)
