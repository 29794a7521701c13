"""Signed requests. This implementation is separate from the simulator's, so that the tests compare two."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import requests

from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud

GROUPS = f"/v1/{PROJECT}/app-server-groups"


GROUP = f"{GROUPS}/{DESIGN_POOL}"


ACCESS, SECRET = "SIMULATORACCESSKEY01", "simulator-secret-key-01"


def sign(request: requests.PreparedRequest, access: str, secret: str, **headers: str) -> None:
    """Sign a request with the algorithm of the reference."""
    url = urlsplit(str(request.url))
    signed = {"host": url.netloc, "x-sdk-date": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), **headers}
    query = sorted(parse_qsl(url.query, keep_blank_values=True))
    body = request.body or b""
    canonical = "\n".join(
        [
            str(request.method),
            quote(url.path, safe="/~%") + "/",
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query),
            "".join(f"{name}:{signed[name]}\n" for name in sorted(signed)),
            ";".join(sorted(signed)),
            hashlib.sha256(body if isinstance(body, bytes) else body.encode()).hexdigest(),
        ]
    )
    to_sign = f"SDK-HMAC-SHA256\n{signed['x-sdk-date']}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    request.headers.update(signed)
    names = ";".join(sorted(signed))
    request.headers["Authorization"] = f"SDK-HMAC-SHA256 Access={access}, SignedHeaders={names}, Signature={signature}"


def signed_call(
    cloud: Cloud,
    method: str = "GET",
    path: str = GROUPS,
    *,
    keys: tuple[str, str] = (ACCESS, SECRET),
    alter: Callable[[requests.PreparedRequest], None] | None = None,
    json: Any = None,
    headers: dict[str, str] | None = None,
) -> requests.Response:
    request = requests.Request(method, cloud.url + path, json=json).prepare()
    sign(request, *keys, **(headers or {}))
    if alter:
        alter(request)
    return cloud.session.send(request, timeout=10)


def refusal(response: requests.Response) -> tuple[int, str, str]:
    body = response.json()
    assert body["request_id"] == response.headers["X-Request-Id"]
    return response.status_code, body["error_code"], body["error_msg"].partition(": ")[2]


def sign_in(cloud: Cloud, scope: Any = None, **user: Any) -> requests.Response:
    person = {"name": "ops-bot", "password": "simulator", "domain": {"name": "example-corp"}, **user}
    auth = {"identity": {"methods": ["password"], "password": {"user": person}}}
    if scope is not None:
        auth["scope"] = scope
    return cloud.call("POST", "/v3/auth/tokens", json={"auth": auth}, headers={"X-Auth-Token": ""})


def with_token(cloud: Cloud, token: str, path: str = GROUPS) -> requests.Response:
    return cloud.call("GET", path, headers={"X-Auth-Token": token})
