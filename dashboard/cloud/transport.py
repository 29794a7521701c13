"""One request and its result: never an exception for what the network or the cloud does.

Secrets end here: no text of a `Reply` holds a part of the project's credential or of the request's token.
"""

import email.utils
import http.client
import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import requests
import urllib3.exceptions
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict

from dashboard.cloud import parsing, responses
from dashboard.cloud.connections import Adapter, Passage, passage
from dashboard.cloud.credentials import secrets_of
from dashboard.cloud.endpoints import Call
from dashboard.cloud.limits import Deadline, Limits
from dashboard.cloud.projects import Project
from dashboard.cloud.redaction import Redactor
from dashboard.cloud.responses import MalformedResponseError
from dashboard.cloud.rules import CallKind, CallResult

NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
CHUNK = 64 * 1024
CONNECTIONS = 64  # kept open for each host; more may be open at a time


@dataclass(frozen=True)
class Reply:
    """The result of a request. `cause` says in the system's words why there is no answer; `body` is parsed JSON that
    took `size` bytes. `issued_token` is the token in the response to a sign-in: the only secret here.
    """

    request: requests.PreparedRequest = field(repr=False)
    outcome: CallResult
    cause: str = ""
    http_status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: object = field(default=None, repr=False)
    size: int = 0
    answered_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    issued_token: str = field(default="", repr=False)

    @property
    def error(self) -> tuple[str, str]:
        return responses.error_in(self.body)

    @property
    def request_id(self) -> str:
        """The gateway's id of the request, from the header as the SDK does, else from the body."""
        in_body = parsing.text(parsing.members(self.body), "request_id")
        return responses.one_line(
            self.headers.get("X-Request-Id") or in_body or self.headers.get("X-IAM-Trace-Id") or ""
        )

    @property
    def retry_after(self) -> float:
        """Seconds the cloud asks to wait (a number or a date), zero if it does not ask or asks nonsense."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):
            return 0.0


class Transport:
    """The way out to one project's cloud, shared by all threads.

    It uses the adapter of `requests` without a session on purpose: a session follows redirects to another host with
    `X-Auth-Token` on them, reads a redirect's body without a limit even when told not to follow it, keeps cookies, and
    takes proxies, CA bundles and `.netrc` from the process's environment.
    """

    def __init__(self, project: Project, limits: Limits) -> None:
        self._limits = limits
        self._adapter = Adapter(pool_maxsize=CONNECTIONS)
        self._verify: str | bool = project.ca_bundle or True
        has_way_out = bool(project.proxy) and not project.is_simulated
        self._secrets = secrets_of(project.auth)
        self._issued_tokens: deque[str] = deque(maxlen=2)  # the newest, and the one that it replaced
        self._proxies = {"http": project.proxy, "https": project.proxy} if has_way_out else {}

    def close(self) -> None:
        self._adapter.close()

    def exchange(self, call: Call, auth: AuthBase | None, deadline: Deadline) -> Reply:
        """Sends one request once; it ends with the deadline at the latest, apart from the time DNS takes."""
        request = _prepared(call, auth)
        if min(deadline.left(), (call.send_by or deadline).left()) <= 0:
            return Reply(request, CallResult.NEVER_OPENED, "no time was left to send it")
        way = Passage(deadline, call.send_by)
        before = passage.set(way)
        try:
            return self._exchange(call, request, way)
        finally:
            passage.reset(before)

    def _exchange(self, call: Call, request: requests.PreparedRequest, way: Passage) -> Reply:
        try:
            response = self._adapter.send(
                request,
                stream=True,
                timeout=(way.deadline.within(self._limits.connect), way.deadline.within(self._limits.read)),
                verify=self._verify,
                proxies=self._proxies,
            )
        except NETWORK_ERRORS as error:
            cause = self._redactor(request)(_cause(error))
            return Reply(request, _outcome_without_answer(error, way), cause)
        with response:
            return self._read(call, request, response)

    def _redactor(self, request: requests.PreparedRequest) -> Redactor:
        return Redactor((*self._secrets, *_secrets_in(request), *self._issued_tokens))

    def _read(self, call: Call, request: requests.PreparedRequest, response: requests.Response) -> Reply:
        """A status outside 2xx means what it says even when its body cannot be read."""
        cause, size = "", 0
        issued_token = response.headers.get("X-Subject-Token", "") if call.kind is CallKind.SIGN_IN else ""
        if issued_token:
            self._issued_tokens.append(issued_token)
        redactor = self._redactor(request)
        try:
            content = self._body(response)
            size = len(content)
            body = redactor.in_json(responses.parse(content))
            outcome = responses.outcome_of(call.kind, response.status_code, body)
        except MalformedResponseError as spoiled:
            body = responses.UNREADABLE
            outcome = responses.outcome_of(call.kind, response.status_code, body)
            if outcome is CallResult.NONSENSE:
                outcome, cause = spoiled.outcome, spoiled.cause
        headers = CaseInsensitiveDict((name, redactor(value)) for name, value in response.headers.items())
        return Reply(
            request, outcome, redactor(cause), response.status_code, headers, body, size, issued_token=issued_token
        )

    def _body(self, response: requests.Response) -> bytes:
        """The decompressed body. The size that counts is the decompressed one: a small gzip can hold gigabytes."""
        body = bytearray()
        for chunk in _chunks(response):
            body += chunk
            if len(body) > self._limits.body:
                raise MalformedResponseError(CallResult.NONSENSE, f"more than {self._limits.body} bytes")
        return bytes(body)


def _prepared(call: Call, auth: AuthBase | None) -> requests.PreparedRequest:
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "Streamwarden"}
    request = requests.Request(
        method=call.method,
        url=call.endpoint + call.path,
        headers=headers,
        params=call.query,
        json=None if call.payload is None else dict(call.payload),
        auth=auth,
    )
    return request.prepare()


def _secrets_in(request: requests.PreparedRequest) -> tuple[str, ...]:
    """The token or the signature that the request carries."""
    signature = str(request.headers.get("Authorization", "")).partition("Signature=")[2]
    return (request.headers.get("X-Auth-Token", ""), signature)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.raw.stream(CHUNK, decode_content=True)
    except urllib3.exceptions.DecodeError:
        raise MalformedResponseError(CallResult.NONSENSE, "cannot be decompressed") from None
    except (urllib3.exceptions.TimeoutError, TimeoutError):
        raise MalformedResponseError(CallResult.NO_ANSWER, "the answer did not end in time") from None
    except NETWORK_ERRORS as error:
        raise MalformedResponseError(CallResult.TRUNCATED, _cause(error)) from None


def _outcome_without_answer(error: Exception, way: Passage) -> CallResult:
    if not way.has_left:
        return CallResult.NEVER_OPENED
    inner = list(_chain(error))
    if any(isinstance(found, TimeoutError | urllib3.exceptions.TimeoutError) for found in inner):
        return CallResult.NO_ANSWER
    return CallResult.NONSENSE if any(map(_is_not_http, inner)) else CallResult.BROKE_OFF


def _is_not_http(error: BaseException) -> bool:
    """`http.client` calls an answer that never began a bad one; it is a lost connection."""
    return isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError)


def _cause(error: BaseException) -> str:
    """What the operating system or TLS said, without what the wrapping exceptions repeat of the request."""
    for found in _chain(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"certificate not trusted: {found.verify_message}"
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        if isinstance(found, TimeoutError):
            return "timed out"
        if isinstance(found, ConnectionError):
            return "closed by the other side"
        if isinstance(found, http.client.IncompleteRead):
            return "the rest did not come"
        if _is_not_http(found):
            return f"not HTTP: {type(found).__name__}"
    return type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and those inside: `requests` and urllib3 carry them as reason or argument, Python as the cause."""
    while error is not None:
        yield error
        candidates = (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__)
        error = next((inside for inside in candidates if isinstance(inside, BaseException)), None)
