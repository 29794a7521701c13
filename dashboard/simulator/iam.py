"""IAM: sign-in by password, temporary keys, and projects by region (API reference, 4)."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.simulator.auth import USER, Caller, Token, spelt_with_micros
from dashboard.simulator.catalogue import DOMAIN_ID, DOMAIN_NAME, PROJECTS, SimulatedProject
from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.responses import Document, SimulatedResponse, json_response
from dashboard.simulator.tenant import SimulatedCall

_DOMAIN = {"id": DOMAIN_ID, "name": DOMAIN_NAME}
_USER_ID = uuid.uuid5(uuid.NAMESPACE_DNS, f"{USER.name}.users.example").hex


def create_token(call: SimulatedCall) -> SimulatedResponse:
    """Older tokens stay valid. A token without a scope, or with a domain scope, is valid for no project."""
    user = call.body["auth"]["identity"]["password"]["user"]
    if (user["name"], user["password"], user["domain"]["name"]) != (USER.name, USER.password, USER.domain):
        raise SimulatedError(Code.WRONG_PASSWORD)
    project = _scope(call.body["auth"].get("scope", {}))
    token = call.tenant.access.issue_token(Caller(USER.name, (project.id,) if project else ()), call.token_lifetime)
    hides_catalog = bool(call.query.get("nocatalog"))
    document = _token_document(token, project, hides_catalog=hides_catalog)
    return json_response({"token": document}, 201, X_Subject_Token=token.value)


def _scope(scope: Mapping[str, Any]) -> SimulatedProject | None:
    wanted = scope.get("project")
    if wanted is None:
        return None
    for project in PROJECTS.values():
        if wanted.get("id") == project.id or ("id" not in wanted and wanted.get("name") == project.name):
            return project
    raise SimulatedError(Code.WRONG_PASSWORD)


def _token_document(token: Token, project: SimulatedProject | None, *, hides_catalog: bool) -> Document:
    catalog = [] if hides_catalog else [{"name": "iam", "type": "iam", "id": DOMAIN_ID, "endpoints": []}]
    return {
        "expires_at": spelt_with_micros(token.expires_at),
        "issued_at": spelt_with_micros(datetime.now(UTC)),
        "methods": ["password"],
        "user": {"id": _USER_ID, "name": USER.name, "domain": _DOMAIN, "password_expires_at": ""},
        **(
            {"project": {"id": project.id, "name": project.name, "domain": _DOMAIN}} if project else {"domain": _DOMAIN}
        ),
        "roles": [{"id": "0", "name": "op_gated_workspace"}],
        "catalog": catalog,
    }


def list_projects(call: SimulatedCall) -> SimulatedResponse:
    found = [
        {"id": project.id, "name": project.name, "domain_id": DOMAIN_ID, "enabled": True, "is_domain": False}
        for project in PROJECTS.values()
        if call.query.get("name", project.name) == project.name
    ]
    return json_response({"projects": found})


def create_temporary_key(call: SimulatedCall) -> SimulatedResponse:
    """The key allows what the token in the body allows."""
    given = call.body["auth"]["identity"].get("token", {})
    try:
        caller = call.tenant.access.authenticate_token(given.get("id", ""))
    except SimulatedError:
        raise SimulatedError(Code.IAM_NOT_AUTHENTICATED) from None
    key = call.tenant.access.issue_key(caller, timedelta(seconds=given.get("duration_seconds", 900)))
    credential = {
        "access": key.access,
        "secret": key.secret,
        "securitytoken": key.security_token,
        "expires_at": spelt_with_micros(key.expires_at),
    }
    return json_response({"credential": credential}, 201)
