"""Send one request and return its result. Failures of the network or the cloud raise no exception.

No text of a `CallResponse` contains a part of the project's credential or of the request's token.
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
from dashboard.cloud.connections import Adapter, RequestState, current_request
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
class CallResponse:
    """The result of a request, with the response if one arrived.

    `cause` is the system's message for a failure. `body` is the parsed JSON of `size` bytes. `issued_token` is the
    token in the response to a sign-in, and the only secret here.
    """

    request: requests.PreparedRequest = field(repr=False)
    result: CallResult
    cause: str = ""
    http_status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: object = field(default=None, repr=False)
    size: int = 0
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    issued_token: str = field(default="", repr=False)

    @property
    def error(self) -> tuple[str, str]:
        return responses.error_in(self.body)

    @property
    def request_id(self) -> str:
        """The gateway's id of the request: from the header, as in the SDK, else from the body."""
        in_body = parsing.text(parsing.members(self.body), "request_id")
        return responses.one_line(
            self.headers.get("X-Request-Id") or in_body or self.headers.get("X-IAM-Trace-Id") or ""
        )

    @property
    def retry_after(self) -> float:
        """Seconds to wait, from a number or a date in `Retry-After`. Zero if it is absent or invalid."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):
            return 0.0


class Transport:
    """Connections to one project's cloud, shared by all threads.

    It uses the adapter of `requests` without a session. A session sends `X-Auth-Token` to the host of a redirect, and
    reads the body of a redirect without a limit even if it does not follow it. It also stores cookies, and reads
    proxies, CA bundles and `.netrc` from the environment of the process.
    """

    def __init__(self, project: Project, limits: Limits) -> None:
        self._limits = limits
        self._adapter = Adapter(pool_maxsize=CONNECTIONS)
        self._verify: str | bool = project.ca_bundle or True
        uses_proxy = bool(project.proxy) and not project.is_simulated
        self._secrets = secrets_of(project.auth)
        self._issued_tokens: deque[str] = deque(maxlen=2)  # the newest, and the one that it replaced
        self._proxies = {"http": project.proxy, "https": project.proxy} if uses_proxy else {}

    def close(self) -> None:
        self._adapter.close()

    def exchange(self, call: Call, auth: AuthBase | None, deadline: Deadline) -> CallResponse:
        """Send one request once. It ends with the deadline at the latest, except for the time of DNS."""
        request = _prepared(call, auth)
        if min(deadline.left(), (call.send_by or deadline).left()) <= 0:
            return CallResponse(request, CallResult.NOT_SENT, "no time was left to send it")
        state = RequestState(deadline, call.send_by)
        before = current_request.set(state)
        try:
            return self._exchange(call, request, state)
        finally:
            current_request.reset(before)

    def _exchange(self, call: Call, request: requests.PreparedRequest, state: RequestState) -> CallResponse:
        try:
            http_response = self._adapter.send(
                request,
                stream=True,
                timeout=(state.deadline.within(self._limits.connect), state.deadline.within(self._limits.read)),
                verify=self._verify,
                proxies=self._proxies,
            )
        except NETWORK_ERRORS as error:
            cause = self._redactor(request)(_cause(error))
            return CallResponse(request, _result_without_response(error, state), cause)
        with http_response:
            return self._read(call, request, http_response)

    def _redactor(self, request: requests.PreparedRequest) -> Redactor:
        return Redactor((*self._secrets, *_secrets_in(request), *self._issued_tokens))

    def _read(self, call: Call, request: requests.PreparedRequest, http_response: requests.Response) -> CallResponse:
        """A status outside 2xx decides the result even if the body cannot be read."""
        cause, size = "", 0
        issued_token = http_response.headers.get("X-Subject-Token", "") if call.kind is CallKind.SIGN_IN else ""
        if issued_token:
            self._issued_tokens.append(issued_token)
        redactor = self._redactor(request)
        try:
            content = self._body(http_response)
            size = len(content)
            body = redactor.in_json(responses.parse(content))
            result = responses.result_of(call.kind, http_response.status_code, body)
        except MalformedResponseError as malformed:
            body = responses.UNREADABLE
            result = responses.result_of(call.kind, http_response.status_code, body)
            if result is CallResult.INVALID:
                result, cause = malformed.result, malformed.cause
        headers = CaseInsensitiveDict((name, redactor(value)) for name, value in http_response.headers.items())
        return CallResponse(
            request, result, redactor(cause), http_response.status_code, headers, body, size, issued_token=issued_token
        )

    def _body(self, http_response: requests.Response) -> bytes:
        """The decompressed body. The limit applies to the decompressed size: a small gzip can contain gigabytes."""
        body = bytearray()
        for chunk in _chunks(http_response):
            body += chunk
            if len(body) > self._limits.body:
                raise MalformedResponseError(CallResult.INVALID, f"more than {self._limits.body} bytes")
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


def _chunks(http_response: requests.Response) -> Iterator[bytes]:
    try:
        yield from http_response.raw.stream(CHUNK, decode_content=True)
    except urllib3.exceptions.DecodeError:
        raise MalformedResponseError(CallResult.INVALID, "cannot be decompressed") from None
    except (urllib3.exceptions.TimeoutError, TimeoutError):
        raise MalformedResponseError(CallResult.NO_RESPONSE, "the response did not end in time") from None
    except NETWORK_ERRORS as error:
        raise MalformedResponseError(CallResult.TRUNCATED, _cause(error)) from None


def _result_without_response(error: Exception, state: RequestState) -> CallResult:
    if not state.is_sent:
        return CallResult.NOT_SENT
    inner = list(_chain(error))
    if any(isinstance(found, TimeoutError | urllib3.exceptions.TimeoutError) for found in inner):
        return CallResult.NO_RESPONSE
    return CallResult.INVALID if any(map(_is_not_http, inner)) else CallResult.CONNECTION_LOST


def _is_not_http(error: BaseException) -> bool:
    """`http.client` raises an HTTPException for a lost connection too, which is a ConnectionError."""
    return isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError)


def _cause(error: BaseException) -> str:
    """The message of the operating system or of TLS. The outer exceptions repeat parts of the request."""
    for found in _chain(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"certificate not trusted: {found.verify_message}"
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        if isinstance(found, TimeoutError):
            return "timed out"
        if isinstance(found, ConnectionError):
            return "the cloud closed the connection"
        if isinstance(found, http.client.IncompleteRead):
            return "the rest of the response is missing"
        if _is_not_http(found):
            return f"not HTTP: {type(found).__name__}"
    return type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and the ones inside it. `requests` and urllib3 store them as reason or argument."""
    while error is not None:
        yield error
        candidates = (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__)
        error = next((inside for inside in candidates if isinstance(inside, BaseException)), None)
