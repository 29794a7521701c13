"""Limits for failed sign-ins. They count in the database, so they hold over all processes and machines.

A password is checked only if an attempt is within all limits. An attempt counts before the check, so that concurrent
attempts cannot exceed a limit. A success no longer counts.

An address that signed in to the account before has only the limit of its own failures there. So nobody at another
address can lock the account for its owner.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from django.dispatch import Signal
from django.utils import timezone
from django.utils.crypto import salted_hmac

from dashboard.accounts.models import KnownAddress, PasswordAttempt, User, find_account

limit_reached = Signal()
"""Sent with `account` (a User or None) and `address` when a password is not checked because of a limit."""

REMEMBERED_FOR = timedelta(days=90)
MOST_ADDRESSES = 20
"""The most addresses that are remembered for an account."""
IPV6_PREFIX = 64
"""One customer usually has a whole network of this size."""


@dataclass(frozen=True)
class Limit:
    """At most `count` failed attempts in `within`, of those that agree in the fields `per`."""

    count: int
    within: timedelta
    per: tuple[str, ...]

    def left(self, attempt: PasswordAttempt) -> int:
        same = {name: getattr(attempt, name) for name in self.per}
        return self.count - PasswordAttempt.objects.filter(**same, at__gt=attempt.at - self.within).count()


HERE = (
    Limit(5, timedelta(minutes=5), ("account", "address")),
    Limit(30, timedelta(hours=1), ("account", "address")),
)
EVERYWHERE = (
    Limit(20, timedelta(hours=1), ("account",)),
    Limit(10, timedelta(minutes=1), ("address",)),
    Limit(60, timedelta(hours=1), ("address",)),
)
KEPT_FOR = max(limit.within for limit in (*HERE, *EVERYWHERE))


def begin_sign_in(name: str, address: str) -> PasswordAttempt | None:
    """Begin the check of a password. None if a limit is reached: do not check the password."""
    account = find_account(name)
    attempt = PasswordAttempt(account=_account_key(account, name), address=_network(address), at=timezone.now())
    is_known = account is not None and KnownAddress.objects.filter(person=account, address=attempt.address).exists()
    return _begin(attempt, account, address, HERE if is_known else (*HERE, *EVERYWHERE))


def begin_password_change(person: User, address: str) -> PasswordAttempt | None:
    """Begin the check of the present password of a signed-in person. None if a limit is reached."""
    attempt = PasswordAttempt(account=f"password change {person.pk}", address="", at=timezone.now())
    return _begin(attempt, person, address, HERE)


def remember_address(person: User, address: str) -> None:
    """Remember that the person signed in at this address."""
    now = timezone.now()
    known = KnownAddress.objects.filter(person=person)
    known.update_or_create(person=person, address=_network(address), defaults={"last_at": now})
    newest = known.order_by("-last_at").values_list("pk", flat=True)[:MOST_ADDRESSES]
    known.exclude(pk__in=list(newest)).delete()
    known.filter(last_at__lt=now - REMEMBERED_FOR).delete()


def _begin(
    attempt: PasswordAttempt, account: User | None, address: str, limits: Iterable[Limit]
) -> PasswordAttempt | None:
    """Count an attempt, then look at the limits again: other processes may have counted at the same time."""
    if all(limit.left(attempt) > 0 for limit in limits):
        PasswordAttempt.objects.filter(at__lt=attempt.at - KEPT_FOR).delete()
        attempt.save()
        if all(limit.left(attempt) >= 0 for limit in limits):
            return attempt
        attempt.delete()
    limit_reached.send(sender=None, account=account, address=address)
    return None


def _account_key(account: User | None, name: str) -> str:
    """A typed name without an account is not stored: people type passwords into the wrong field."""
    return str(account.pk) if account else salted_hmac("sign-in", name.casefold()).hexdigest()


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)
