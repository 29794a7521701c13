"""`manage.py create_admin`: create an administrator. There is no default account and no default password."""

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
    help = "Creates an administrator. Asks for the password, or reads it from STREAMWARDEN_ADMIN_PASSWORD."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *_args: Any, username: str, **_options: Any) -> None:
        if User.objects.filter(username=username).exists():
            raise CommandError(f"The user {username} already exists.")
        user = User(username=username)
        password = os.environ.get("STREAMWARDEN_ADMIN_PASSWORD") or _ask_for_password()
        try:
            user.clean_fields(exclude=["password"])
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        user.set_password(password)
        with transaction.atomic():  # if the ledger cannot record the role, no account is created
            user.save()
            user.groups.add(Group.objects.get(name="administrator"))
        self.stdout.write(f"{username} is an administrator.")


def _ask_for_password() -> str:
    try:
        password, repeated = getpass.getpass("Password: "), getpass.getpass("Password again: ")
    except EOFError as error:
        raise CommandError("Enter a password, or set STREAMWARDEN_ADMIN_PASSWORD.") from error
    if password != repeated:
        raise CommandError("The two passwords differ.")
    return password
