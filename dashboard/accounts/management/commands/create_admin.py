"""`manage.py create_admin`: the first administrator. There is no default account, and no default password."""

import getpass
import os
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from dashboard.accounts.models import User


class Command(BaseCommand):
    help = "Makes an administrator. The password is asked for, or comes from STREAMWARDEN_ADMIN_PASSWORD."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *_args: Any, username: str, **_options: Any) -> None:
        if User.objects.filter(username=username).exists():
            raise CommandError(f"There is a user called {username} already.")
        user = User(username=username)
        password = os.environ.get("STREAMWARDEN_ADMIN_PASSWORD") or _ask()
        try:
            user.clean_fields(exclude=["password"])
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        user.set_password(password)
        with transaction.atomic():  # a role that the ledger cannot take leaves no account behind
            user.save()
            user.groups.add(Group.objects.get(name="administrator"))
        self.stdout.write(f"{username} is an administrator.")


def _ask() -> str:
    try:
        password, again = getpass.getpass("Password: "), getpass.getpass("Again: ")
    except EOFError as error:
        raise CommandError("No password given; none is made up.") from error
    if password != again:
        raise CommandError("The two passwords differ.")
    return password
