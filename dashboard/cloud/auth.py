"""Sign requests, or put a token on them: the authentication classes of `requests`."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.utils.crypto import salted_hmac
from requests import PreparedRequest
from requests.auth import AuthBase

from dashboard.cloud import parsing, sign_in_pauses
from dashboard.cloud.credentials import PRINTABLE, KeyCredential, PasswordCredential, TokenCredential
from dashboard.cloud.endpoints import Call
from dashboard.cloud.errors import SignInError
from dashboard.cloud.limits import Deadline
from dashboard.cloud.projects import Project
from dashboard.cloud.rules import CallKind, CallResult
from dashboard.cloud.sign_in_pauses import Pauses, Record
from dashboard.cloud.signature import sign
from dashboard.cloud.transport import CallResponse, Transport

TOKEN_LIFE = 24 * 3600.0  # seconds, if IAM does not report it (workspace-api.md 4.1)
REFRESH_BEFORE_END = 3600.0
REPLACED_PAUSE = 60.0  # seconds until a rejected token, which replaced a rejected one, is replaced too


class CloudAuth(AuthBase):
    """The interface of a credential for the client."""

    def get_ready(self, deadline: Deadline) -> None:
        """Prepare the credential before a request, so that `__call__` needs no network."""

    def renew(self, rejected: PreparedRequest, deadline: Deadline) -> bool:  # noqa: ARG002 (most cannot renew)
        """Renew the credential after a 401. True if there is a newer credential to try."""
        return False


class TokenAuth(CloudAuth):
    """A token from the configuration. It cannot be renewed."""

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
    """Times of the monotonic clock, because our wall clock and IAM's can differ."""

    value: str = field(repr=False)
    refresh_at: float
    end: float
    replaceable_at: float


class PasswordAuth(CloudAuth):
    """A token of an IAM user, stored in memory only, and renewed 60 minutes before it expires.

    One thread signs in, and the others that need a token wait for its result. After two rejections in a row, sign-in
    pauses for 15 minutes, so that IAM does not lock the account. `pauses` has this rule for all clients.
    """

    def __init__(
        self,
        credential: PasswordCredential,
        project: Project,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
        *,
        pauses: Pauses,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._credential, self._project = credential, project
        self._transport, self._clock = transport, clock
        self._pauses, self._wall_clock = pauses, wall_clock
        self._lock = threading.Lock()
        self._sign_in_result: Future[_Token | SignInError] | None = None
        self._token: _Token | None = None

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if self._token is not None:
            request.headers["X-Auth-Token"] = self._token.value
        return request

    def get_ready(self, deadline: Deadline) -> None:
        """Sign in if there is no token or it is due. Raises SignInError, except while the old token is valid."""
        token = self._token
        if token is not None and self._clock() < token.refresh_at:
            return
        try:
            self._sign_in(token, deadline)
        except SignInError:
            if token is None or self._clock() >= token.end:
                raise

    def renew(self, rejected: PreparedRequest, deadline: Deadline) -> bool:
        """Get a new token, unless the rejected one was new: then a new token does not help."""
        token = self._token
        if token is not None and token.value == rejected.headers.get("X-Auth-Token"):
            if self._clock() < token.replaceable_at:
                return False
            self._sign_in(token, deadline)
        return True

    def _sign_in(self, old: _Token | None, deadline: Deadline) -> None:
        """Wait until there is a token other than `old`. Raises SignInError."""
        with self._lock:
            if self._token is not old:
                return
            is_first = self._sign_in_result is None
            future = self._sign_in_result = self._sign_in_result or Future()
        if is_first:
            self._fetch_for_all(future, deadline)
        try:
            result = future.result(max(0.0, deadline.left()))
        except TimeoutError:
            raise SignInError("sign-in did not end in time") from None
        if isinstance(result, SignInError):
            raise result

    def _fetch_for_all(self, future: "Future[_Token | SignInError]", deadline: Deadline) -> None:
        """Fetch a token, and always give the threads that wait a result."""
        result: _Token | SignInError = SignInError("sign-in was interrupted")
        try:
            result = self._fetch(deadline)
        finally:
            with self._lock:
                self._sign_in_result = None
                self._token = result if isinstance(result, _Token) else self._token
            future.set_result(result)

    def _fetch(self, deadline: Deadline) -> _Token | SignInError:
        with self._pauses.exclusive(self._key, deadline) as record:
            wait = record.paused_until - self._wall_clock()
            if wait > 0:
                return SignInError(f"sign-in is paused for another {wait:.0f} s after a failure")
            response = self._transport.exchange(self._call(), None, deadline)
            if response.result is CallResult.DONE and PRINTABLE.fullmatch(response.issued_token):
                record.succeed()
                return self._token_from(response.issued_token, response)
            return self._failure(response, record)

    @property
    def _key(self) -> str:
        """Identifies the IAM user with this password. A corrected password has no pause."""
        credential = self._credential
        parts = (self._project.iam_endpoint, credential.domain_name, credential.user_name, credential.password)
        return salted_hmac("iam-sign-in", "\n".join(parts), algorithm="sha256").hexdigest()

    def _token_from(self, value: str, response: CallResponse) -> _Token:
        token = parsing.members(parsing.members(response.body).get("token"))
        issued, expires = parsing.moment(token, "issued_at"), parsing.moment(token, "expires_at")
        life = (expires - issued).total_seconds() if issued and expires and expires > issued else TOKEN_LIFE
        now = self._clock()
        was_rejected = self._token is not None and now < self._token.refresh_at
        return _Token(
            value,
            refresh_at=now + max(life - REFRESH_BEFORE_END, life / 2),
            end=now + life,
            replaceable_at=now + (REPLACED_PAUSE if was_rejected else 0),
        )

    def _failure(self, response: CallResponse, record: Record) -> SignInError:
        if response.result in {CallResult.UNAUTHENTICATED, CallResult.REJECTED}:
            record.reject(self._wall_clock())
        else:
            record.fail(self._wall_clock())
        code, message = response.error
        return SignInError(
            f"sign-in to IAM {response.result.value}",
            call="SignIn",
            http_status=response.http_status,
            error_code=code,
            error_msg=message,
            request_id=response.request_id,
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
    return PasswordAuth(credential, project, transport, pauses=sign_in_pauses.shared_pauses)
