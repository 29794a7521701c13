"""The signature SDK-HMAC-SHA256 of an access key (workspace-api.md 4.2)."""

import hashlib
import hmac
from datetime import datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from requests import PreparedRequest

from dashboard.cloud.credentials import KeyCredential

ALGORITHM = "SDK-HMAC-SHA256"


def sign(request: PreparedRequest, credential: KeyCredential, project_id: str, at: datetime) -> PreparedRequest:
    """Sign a request, which must not be changed afterwards. `at` is in UTC.

    The query is sorted and encoded in the request too, as in the official SDK.
    """
    parts = urlsplit(request.url or "")
    date = at.strftime("%Y%m%dT%H%M%SZ")
    query = _canonical_query(parts.query)
    request.url = parts._replace(query=query).geturl()
    request.headers.update({"Host": parts.netloc, "X-Project-Id": project_id, "X-Sdk-Date": date})
    if credential.security_token:
        request.headers["X-Security-Token"] = credential.security_token
    signed = _signed_headers(request)
    names = ";".join(signed)
    lines = [request.method or "", _canonical_path(parts.path), query, *(f"{name}:{signed[name]}" for name in signed)]
    digest = _sha256("\n".join([*lines, "", names, _sha256(request.body or b"")]))
    signature = hmac.new(credential.sk.encode(), f"{ALGORITHM}\n{date}\n{digest}".encode(), hashlib.sha256).hexdigest()
    request.headers["Authorization"] = (
        f"{ALGORITHM} Access={credential.ak}, SignedHeaders={names}, Signature={signature}"
    )
    return request


def _signed_headers(request: PreparedRequest) -> dict[str, str]:
    """The headers to sign. A proxy may change the others."""
    names = ("content-type", "host", "x-project-id", "x-sdk-date", "x-security-token")
    return {name: str(request.headers[name]).strip() for name in names if name in request.headers}


def _canonical_path(path: str) -> str:
    encoded = "/".join(quote(segment, safe="~") for segment in unquote(path).split("/"))
    return encoded if encoded.endswith("/") else f"{encoded}/"


def _canonical_query(query: str) -> str:
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)


def _sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
