"""Our signature is equal to that of the official SDK, for many random requests."""

import random
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import requests
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer

from dashboard.cloud.credentials import KeyCredential
from dashboard.cloud.signature import sign

SIGNED_AT = datetime(2026, 11, 24, 9, 5, 22, tzinfo=UTC)
ALPHABET = "abcXYZ0189-_.~!*'()&=+$,;:@%/ ?#äöü中文字\t\"<>[]{}|\\^`"


def vector(seed: int) -> tuple[KeyCredential, str, requests.PreparedRequest]:
    """A credential, a project and a request. They depend only on the seed."""
    dice = random.Random(seed)  # noqa: S311 (makes requests, no secret)

    def text(longest: int) -> str:
        return "".join(dice.choices(ALPHABET, k=dice.randint(1, longest)))

    credential = KeyCredential(f"AK{seed}", f"secret-{seed}", dice.choice(["", f"session-{seed}"]))
    path = "/".join(quote(text(12), safe="") for _ in range(dice.randint(1, 5)))
    host = dice.choice(["workspace.ap-southeast-3.myhuaweicloud.com", "127.0.0.1:8001"])
    request = requests.Request(
        dice.choice(["GET", "PATCH", "POST", "DELETE"]),
        f"https://{host}/v1/{path}",
        params=[(text(8), dice.choice([text(8), ""])) for _ in range(dice.randint(0, 6))],
        json=dice.choice([None, {text(8): text(20)}, {"name": "中文"}]),
    )
    return credential, f"project-{seed}", request.prepare()


@pytest.mark.parametrize("seed", range(150))
def test_signs_like_the_official_sdk(seed: int) -> None:
    credential, project_id, request = vector(seed)
    parts = urlsplit(str(request.url))

    sign(request, credential, project_id, SIGNED_AT)

    names = ("content-type", "host", "x-project-id", "x-sdk-date", "x-security-token")
    official = SdkRequest(
        method=request.method,
        schema="https",
        host=parts.netloc,
        resource_path=parts.path,
        query_params=parse_qsl(parts.query, keep_blank_values=True),
        header_params={name: request.headers[name] for name in names if name in request.headers},
        body=request.body or "",
    )
    Signer(BasicCredentials(credential.ak, credential.sk, project_id)).sign(official)
    assert request.headers["Authorization"] == official.header_params["Authorization"]
    assert urlsplit(str(request.url)).query == (official.uri.partition("?")[2])


def test_the_signature_names_its_headers_and_not_the_secret() -> None:
    request = requests.Request("PATCH", "https://workspace.example.com/v1/p/app-server-groups/g", json={}).prepare()

    sign(request, KeyCredential("AKID", "canary-secret", "canary-session"), "p", SIGNED_AT)

    assert request.headers["Authorization"].startswith(
        "SDK-HMAC-SHA256 Access=AKID, "
        "SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token, Signature="
    )
    assert request.headers["X-Sdk-Date"] == "20261124T090522Z"
    assert "canary-secret" not in str(request.headers)
