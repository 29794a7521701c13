"""The published arithmetic of MDN's HTTP Observatory, for one response.

https://developer.mozilla.org/en-US/observatory/docs/tests_and_scoring: a site starts with 100 points. Penalties are
deducted; with 90 points or more, bonuses are added. Here, what is not the best result counts as the worst one.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from http.cookies import Morsel

MAX_AGE = 15_768_000
"""Six months."""


def score(headers: Mapping[str, str], cookies: Mapping[str, "Morsel[str]"], html: str) -> int:
    modifiers = list(_modifiers({name.lower(): value for name, value in headers.items()}, cookies, html))
    with_penalties = 100 + sum(modifier for modifier in modifiers if modifier < 0)
    return 100 + sum(modifiers) if with_penalties >= 90 else with_penalties


def _modifiers(headers: Mapping[str, str], cookies: Mapping[str, "Morsel[str]"], html: str) -> Iterator[int]:
    policy = dict(part.strip().partition(" ")[::2] for part in headers.get("content-security-policy", "").split(";"))
    yield _policy(policy)
    yield _cookies(cookies)
    yield -50 if "access-control-allow-origin" in headers else 0
    private = {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"}
    yield 5 if headers.get("referrer-policy") in private else -5
    yield _transport(headers.get("strict-transport-security", ""))
    yield 0 if _are_scripts_own(html) else -50
    yield 0 if headers.get("x-content-type-options") == "nosniff" else -5
    yield 5 if policy.get("frame-ancestors") in {"'none'", "'self'"} else -20
    yield 10 if headers.get("cross-origin-resource-policy") in {"same-origin", "same-site"} else -5


def _policy(policy: Mapping[str, str]) -> int:
    sources = " ".join(policy.values())
    is_unsafe = any(word in sources for word in ("'unsafe-", "data:", "http:", "https:", "*"))
    is_strict = policy.get("default-src") == "'none'" and policy.get("form-action") in {"'none'", "'self'"}
    return 10 if is_strict and not is_unsafe else -25


def _cookies(cookies: Mapping[str, "Morsel[str]"]) -> int:
    """All cookies must be Secure, HttpOnly and SameSite. Without cookies there is no bonus."""
    safe = [bool(c["secure"] and c["httponly"] and c["samesite"] in {"Lax", "Strict"}) for c in cookies.values()]
    return 0 if not safe else 5 if all(safe) else -40


def _transport(header: str) -> int:
    found = re.match(r"max-age=(\d+)", header)
    return 0 if found and int(found[1]) >= MAX_AGE else -20


def _are_scripts_own(html: str) -> bool:
    return all(source.startswith("/static/") for source in re.findall(r'<script[^>]*src="([^"]*)"', html))
