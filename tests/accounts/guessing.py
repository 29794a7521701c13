"""A process that guesses the password of `someone` from 500 addresses, and prints how often a password was hashed."""

import logging
import sys

import django
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher

LOGIN = "/accounts/login/"


class CountingHasher(MD5PasswordHasher):
    count = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.count += 1
        return super().encode(password, salt)


def guess(first: int, last: int) -> int:
    from django.test import Client  # noqa: PLC0415 (needs Django)

    for number in range(first, last):
        address = f"198.51.{100 + number % 500 // 250}.{number % 250}"
        Client(REMOTE_ADDR=address).post(LOGIN, {"login": "SomeOne", "password": f"guess {number}"})
    return CountingHasher.count


def main(first: int, last: int) -> None:
    settings.PASSWORD_HASHERS = ["tests.accounts.guessing.CountingHasher"]
    django.setup()
    logging.disable()
    sys.stdout.write(str(guess(first, last)))
