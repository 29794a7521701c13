"""Proving who we are, as authentication classes of `requests`."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from requests import PreparedRequest
from requests.auth import AuthBase

from dashboard.cloud import parsing
from dashboard.cloud.credentials import PRINTABLE, KeyCredential, PasswordCredential, TokenCredential
from dashboard.cloud.endpoints import Call
from dashboard.cloud.errors import SignInError
from dashboard.cloud.limits import Deadline
from dashboard.cloud.projects import Project
from dashboard.cloud.rules import CallKind, CallResult
from dashboard.cloud.signature import sign
from dashboard.cloud.transport import Reply, Transport

TOKEN_LIFE = 24 * 3600.0  # seconds, when IAM does not say (workspace-api.md 4.1)
REFRESH_BEFORE_END = 3600.0
REFUSALS_BEFORE_PAUSE = 2  # IAM locks an account after a few more
REFUSED_PAUSE = 15 * 60.0
OUTAGE_PAUSE = 5.0
USELESS_PAUSE = 60.0  # how long a token that replaced a refused one is not replaced for being refused


class CloudAuth(AuthBase):
    """What the client asks of a way to authenticate, beyond putting it on a request."""

    def get_ready(self, deadline: Deadline) -> None:
        """Called before a request leaves, so that putting the credential on it needs no network."""

    def renew(self, refused: PreparedRequest, deadline: Deadline) -> bool:  # noqa: ARG002 - most cannot renew
        """Called when the cloud answered 401 to the request; True if there is a newer credential to try."""
        return False


class TokenAuth(CloudAuth):
    """A ready-made token: nobody can renew it."""

    def __init__(self, credential: TokenCredential) -> None:
        self._token = credential.token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Auth-Token"] = self._token
        return request


class KeyAuth(CloudAuth):
    """An access key that signs each request."""

    def __init__(self, credential: KeyCredential, project_id: str) -> None:
        self._credential, self._project_id = credential, project_id

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return sign(request, self._credential, self._project_id, datetime.now(UTC))


@dataclass(frozen=True)
class _Token:
    """`refresh_at` and `end` are moments of the monotonic clock: our wall clock and IAM's may differ."""

    value: str = field(repr=False)
    refresh_at: float
    end: float
    replaceable_at: float


class PasswordAuth(CloudAuth):
    """A token of an IAM user, fetched when first needed, kept in memory only, renewed 60 minutes before its end.

    However many threads need a token, one of them signs in and the others wait for it and share what comes of it.
    After two refusals in a row signing in pauses for 15 minutes, so that IAM does not lock the account.
    """

    def __init__(
        self,
        credential: PasswordCredential,
        project: Project,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credential, self._project = credential, project
        self._transport, self._clock = transport, clock
        self._lock = threading.Lock()
        self._flight: Future[_Token | SignInError] | None = None
        self._token: _Token | None = None
        self._refusals = 0
        self._paused_until = clock()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if self._token is not None:
            request.headers["X-Auth-Token"] = self._token.value
        return request

    def get_ready(self, deadline: Deadline) -> None:
        """Signs in when there is no token or it is due. Raises SignInError, though not while the old one holds."""
        token = self._token
        if token is not None and self._clock() < token.refresh_at:
            return
        try:
            self._sign_in(token, deadline)
        except SignInError:
            if token is None or self._clock() >= token.end:
                raise

    def renew(self, refused: PreparedRequest, deadline: Deadline) -> bool:
        """A new token, unless the refused one was such a new one: then tokens are not what is wrong."""
        token = self._token
        if token is not None and token.value == refused.headers.get("X-Auth-Token"):
            if self._clock() < token.replaceable_at:
                return False
            self._sign_in(token, deadline)
        return True

    def _sign_in(self, old: _Token | None, deadline: Deadline) -> None:
        """Returns when a token other than `old` is in place. Raises SignInError."""
        with self._lock:
            if self._token is not old:
                return
            is_pilot = self._flight is None
            flight = self._flight = self._flight or Future()
        if is_pilot:
            self._fly(flight, deadline)
        try:
            landed = flight.result(max(0.0, deadline.left()))
        except TimeoutError:
            raise SignInError("signing in did not end in time") from None
        if isinstance(landed, SignInError):
            raise landed

    def _fly(self, flight: "Future[_Token | SignInError]", deadline: Deadline) -> None:
        """Whatever happens, those who wait must hear of it."""
        landed: _Token | SignInError = SignInError("signing in was interrupted")
        try:
            landed = self._fetch(deadline)
        finally:
            with self._lock:
                self._flight = None
                self._token = landed if isinstance(landed, _Token) else self._token
            flight.set_result(landed)

    def _fetch(self, deadline: Deadline) -> _Token | SignInError:
        wait = self._paused_until - self._clock()
        if wait > 0:
            return SignInError(f"signing in is paused for another {wait:.0f} s after it failed")
        reply = self._transport.exchange(self._call(), None, deadline)
        if reply.outcome is CallResult.DONE and PRINTABLE.fullmatch(reply.issued_token):
            self._refusals = 0
            return self._token_from(reply.issued_token, reply)
        return self._failure(reply)

    def _token_from(self, value: str, reply: Reply) -> _Token:
        token = parsing.members(parsing.members(reply.body).get("token"))
        issued, expires = parsing.moment(token, "issued_at"), parsing.moment(token, "expires_at")
        life = (expires - issued).total_seconds() if issued and expires and expires > issued else TOKEN_LIFE
        now = self._clock()
        was_refused = self._token is not None and now < self._token.refresh_at
        return _Token(
            value,
            refresh_at=now + max(life - REFRESH_BEFORE_END, life / 2),
            end=now + life,
            replaceable_at=now + (USELESS_PAUSE if was_refused else 0),
        )

    def _failure(self, reply: Reply) -> SignInError:
        is_refusal = reply.outcome in {CallResult.UNAUTHENTICATED, CallResult.REFUSED}
        self._refusals += is_refusal
        must_pause_long = is_refusal and self._refusals >= REFUSALS_BEFORE_PAUSE
        if must_pause_long or not is_refusal:
            self._paused_until = self._clock() + (REFUSED_PAUSE if must_pause_long else OUTAGE_PAUSE)
        code, message = reply.error
        return SignInError(
            f"signing in to IAM {reply.outcome.value}",
            call="SignIn",
            http_status=reply.http_status,
            error_code=code,
            error_msg=message,
            request_id=reply.request_id,
        )

    def _call(self) -> Call:
        user = {
            "name": self._credential.user_name,
            "password": self._credential.password,
            "domain": {"name": self._credential.domain_name},
        }
        payload = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"id": self._project.project_id}},
            }
        }
        path, query = "/v3/auth/tokens", {"nocatalog": "true"}
        return Call("SignIn", CallKind.SIGN_IN, "POST", self._project.iam_endpoint, path, query, payload)


def auth_for(project: Project, transport: Transport) -> CloudAuth:
    credential = project.auth
    if isinstance(credential, TokenCredential):
        return TokenAuth(credential)
    if isinstance(credential, KeyCredential):
        return KeyAuth(credential, project.project_id)
    return PasswordAuth(credential, project, transport)
