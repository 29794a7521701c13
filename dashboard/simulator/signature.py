"""Checks SDK-HMAC-SHA256 signatures, written from the description of the algorithm (API reference, 4.2)."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from werkzeug.wrappers import Request

LARGEST_SKEW = timedelta(minutes=15)
UNSIGNED = "UNSIGNED-PAYLOAD"

_AUTHORIZATION = re.compile(r"SDK-HMAC-SHA256 Access=(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})")


@dataclass(frozen=True)
class Signature:
    access_key: str
    signed_headers: tuple[str, ...]
    digest: str


def read_signature(authorization: str) -> Signature | None:
    match = _AUTHORIZATION.fullmatch(authorization)
    return Signature(match[1], tuple(match[2].split(";")), match[3]) if match else None


def is_timely(request: Request) -> bool:
    try:
        moment = datetime.strptime(request.headers.get("X-Sdk-Date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(datetime.now(UTC) - moment) <= LARGEST_SKEW


def is_genuine(signature: Signature, request: Request, body: bytes, secret: str) -> bool:
    canonical = _canonical_request(signature, request, body)
    to_sign = "\n".join(("SDK-HMAC-SHA256", request.headers.get("X-Sdk-Date", ""), _hex_digest(canonical.encode())))
    expected = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature.digest)


def _canonical_request(signature: Signature, request: Request, body: bytes) -> str:
    headers = "".join(f"{name}:{_header(request, name)}\n" for name in signature.signed_headers)
    names = ";".join(signature.signed_headers)
    return "\n".join((request.method, _path(request.path), _query(request), headers, names, _payload(request, body)))


def _path(path: str) -> str:
    """The path with every segment percent-encoded, and always with a slash at the end."""
    encoded = "/".join(quote(segment, safe="~") for segment in path.split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def _query(request: Request) -> str:
    pairs = sorted(parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True))
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)


def _header(request: Request, name: str) -> str:
    """A header as it was signed, in UTF-8. WSGI decodes headers as Latin-1."""
    return request.headers.get(name, "").strip().encode("latin-1").decode("utf-8", "replace")


def _payload(request: Request, body: bytes) -> str:
    declared = request.headers.get("X-Sdk-Content-Sha256")
    return UNSIGNED if declared == UNSIGNED and body else _hex_digest(body)


def _hex_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
