"""The three kinds of credential. Their `repr` contains no secret."""

import re
from dataclasses import dataclass, field, fields

PRINTABLE = re.compile(r"[!-~]+")  # valid in a header; the error for any other value would repeat it


@dataclass(frozen=True)
class TokenCredential:
    """A value for `X-Auth-Token`. It cannot be renewed."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class PasswordCredential:
    """An IAM user. The client gets and renews a token with it. A HUAWEI ID does not work."""

    domain_name: str
    user_name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class KeyCredential:
    """An access key that signs each request. A temporary key has a security token."""

    ak: str = field(repr=False)
    sk: str = field(repr=False)
    security_token: str = field(default="", repr=False)


Credential = TokenCredential | PasswordCredential | KeyCredential


def secrets_of(credential: Credential) -> tuple[str, ...]:
    """The secrets of a credential: the values that are not part of its `repr`."""
    return tuple(getattr(credential, part.name) for part in fields(credential) if not part.repr)


CREDENTIALS: dict[str, type[Credential]] = {
    "token": TokenCredential,
    "password": PasswordCredential,
    "aksk": KeyCredential,
}
