"""The three ways to prove who we are; a secret is never part of a `repr`."""

import re
from dataclasses import dataclass, field, fields

PRINTABLE = re.compile(r"[!-~]+")  # what a header can carry; the error for any other value would repeat it


@dataclass(frozen=True)
class TokenCredential:
    """A ready-made `X-Auth-Token`; nobody can refresh it."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class PasswordCredential:
    """An IAM user; a token is fetched with it and refreshed (a HUAWEI ID cannot be used)."""

    domain_name: str
    user_name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class KeyCredential:
    """An access key that signs each request; temporary keys come with a security token."""

    ak: str = field(repr=False)
    sk: str = field(repr=False)
    security_token: str = field(default="", repr=False)


Credential = TokenCredential | PasswordCredential | KeyCredential


def secrets_of(credential: Credential) -> tuple[str, ...]:
    """What must not be shown: all that is not part of a `repr`."""
    return tuple(getattr(credential, part.name) for part in fields(credential) if not part.repr)


CREDENTIALS: dict[str, type[Credential]] = {
    "token": TokenCredential,
    "password": PasswordCredential,
    "aksk": KeyCredential,
}
