"""Authentication and authorisation: tokens, access keys and IAM actions (API reference, 4 and 7)."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from werkzeug.wrappers import Request

from dashboard.simulator.catalogue import DOMAIN_NAME, PROJECTS
from dashboard.simulator.contract import Operation
from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.signature import is_genuine, is_timely, read_signature
from dashboard.simulator.switches import Switches

TOKEN_LIFETIME = timedelta(hours=24)
MOST_FAILURES = 5
"""An access key is locked after more failures in a row than this."""
LOCK_SECONDS = 300
FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class IamUser:
    name: str
    password: str
    domain: str = DOMAIN_NAME


USER = IamUser("ops-bot", "simulator")
READY_MADE_TOKEN = "simulator-token"  # noqa: S105  published, and valid only in the simulator


@dataclass(frozen=True)
class Caller:
    """An authenticated caller and what its credential allows."""

    credential: str
    """The name for `PUT /_simulator/permissions/<name>`."""
    projects: tuple[str, ...] = tuple(PROJECTS)
    read_only: bool = False


@dataclass(frozen=True)
class Token:
    value: str
    caller: Caller
    expires_at: datetime


@dataclass(frozen=True)
class AccessKey:
    access: str
    secret: str
    caller: Caller
    security_token: str = ""
    expires_at: datetime = FOR_EVER


_READY_MADE = Token(READY_MADE_TOKEN, Caller(READY_MADE_TOKEN), FOR_EVER)
_KEYS = (
    AccessKey("SIMULATORACCESSKEY01", "simulator-secret-key-01", Caller("SIMULATORACCESSKEY01")),
    AccessKey("SIMULATORREADONLY001", "simulator-secret-key-02", Caller("SIMULATORREADONLY001", read_only=True)),
)
CREDENTIALS = (READY_MADE_TOKEN, USER.name, *(key.access for key in _KEYS))


@dataclass
class _Failures:
    in_a_row: Counter[str] = field(default_factory=Counter)
    locked_until: dict[str, float] = field(default_factory=dict)


class AccessControl:
    """Issues tokens and temporary keys, authenticates callers, and checks their actions."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._tokens = {READY_MADE_TOKEN: _READY_MADE}
            self._keys = {key.access: key for key in _KEYS}
            self._failures = _Failures()
            self._taken: dict[str, frozenset[str]] = {}

    def issue_token(self, caller: Caller, lifetime: timedelta) -> Token:
        token = Token(secrets.token_urlsafe(48), caller, datetime.now(UTC) + lifetime)
        with self._lock:
            self._tokens[token.value] = token
        return token

    def issue_key(self, caller: Caller, lifetime: timedelta) -> AccessKey:
        expires_at = datetime.now(UTC) + lifetime
        key = AccessKey(
            f"HST{secrets.token_hex(8).upper()}", secrets.token_hex(20), caller, secrets.token_hex(32), expires_at
        )
        with self._lock:
            self._keys[key.access] = key
        return key

    def expire_tokens(self) -> None:
        """Expire every issued token. The ready-made token stays valid."""
        with self._lock:
            now = datetime.now(UTC)
            self._tokens = {
                value: token if value == READY_MADE_TOKEN else replace(token, expires_at=min(token.expires_at, now))
                for value, token in self._tokens.items()
            }

    def take_actions(self, credential: str, actions: Iterable[str]) -> None:
        with self._lock:
            self._taken[credential] = frozenset(actions)

    def taken_actions(self, credential: str) -> frozenset[str]:
        return self._taken.get(credential, frozenset())

    def require(self, caller: Caller, operation: Operation, needs: Iterable[str]) -> None:
        """Raises a 403 unless the caller has the action of the operation and the further actions."""
        if caller.read_only and operation.writes:
            raise SimulatedError(Code.FORBIDDEN, str(operation.action))
        wanted = [operation.action, *needs] if operation.action else list(needs)
        for action in wanted:
            if action in self.taken_actions(caller.credential):
                raise SimulatedError(Code.FORBIDDEN, str(action))

    def authenticate(self, request: Request, body: bytes) -> Caller:
        if token := request.headers.get("X-Auth-Token"):
            return self.authenticate_token(token)
        if authorization := request.headers.get("Authorization"):
            return self._authenticate_signature(authorization, request, body)
        raise SimulatedError(Code.NOT_AUTHENTICATED, "x-auth-token not found")

    def authenticate_token(self, value: str) -> Caller:
        token = self._tokens.get(value)
        if token is None:
            raise SimulatedError(Code.NOT_AUTHENTICATED, "decrypt token fail")
        if token.expires_at <= datetime.now(UTC):
            raise SimulatedError(Code.NOT_AUTHENTICATED, token_expired(token.expires_at))
        return token.caller

    def _authenticate_signature(self, authorization: str, request: Request, body: bytes) -> Caller:
        signature = read_signature(authorization)
        if signature is None:
            raise SimulatedError(Code.NOT_AUTHENTICATED, "verify aksk signature fail")
        key = self._keys.get(signature.access_key)
        if key is None:
            raise SimulatedError(Code.NOT_AUTHENTICATED, f"ak {signature.access_key} not exist")
        self._refuse_locked(key)
        self._refuse_security_token(key, request.headers.get("X-Security-Token", ""))
        if not is_timely(request):
            raise SimulatedError(
                Code.NOT_AUTHENTICATED, "verify aksk signature fail, x-sdk-date is over 15 minutes off"
            )
        self._count(key, genuine := is_genuine(signature, request, body, key.secret))
        if not genuine:
            raise SimulatedError(Code.NOT_AUTHENTICATED, "verify aksk signature fail")
        return key.caller

    def _refuse_locked(self, key: AccessKey) -> None:
        if self._failures.locked_until.get(key.access, 0) > time.monotonic():
            raise SimulatedError(Code.NOT_AUTHENTICATED, "AK access failed to reach the limit,forbidden")

    def _refuse_security_token(self, key: AccessKey, given: str) -> None:
        if given != key.security_token:
            raise SimulatedError(Code.NOT_AUTHENTICATED, "decrypt token fail" if given else "Get secretKey failed")
        if key.expires_at <= datetime.now(UTC):
            raise SimulatedError(Code.NOT_AUTHENTICATED, token_expired(key.expires_at))

    def _count(self, key: AccessKey, genuine: bool) -> None:
        with self._lock:
            row = 0 if genuine else self._failures.in_a_row[key.access] + 1
            self._failures.in_a_row[key.access] = row
            if row > MOST_FAILURES and self._switches["key_lock"] == "on":
                self._failures.locked_until[key.access] = time.monotonic() + LOCK_SECONDS


def token_expired(moment: datetime) -> str:
    return f"token expires, expires_at: {spelt_with_micros(moment)}"


def spelt_with_micros(moment: datetime) -> str:
    """A time in the format of IAM."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
