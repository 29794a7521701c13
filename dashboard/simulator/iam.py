"""IAM: signing in by password, temporary keys, and the look-up of a project by its region (API reference, 4)."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.simulator.answers import Answer, Document, json_answer
from dashboard.simulator.auth import USER, Caller, Token, spelt_with_micros
from dashboard.simulator.catalogue import DOMAIN_ID, DOMAIN_NAME, PROJECTS, Project
from dashboard.simulator.errors import CloudError, Code
from dashboard.simulator.world import Call

_DOMAIN = {"id": DOMAIN_ID, "name": DOMAIN_NAME}
_USER_ID = uuid.uuid5(uuid.NAMESPACE_DNS, f"{USER.name}.users.example").hex


def create_token(call: Call) -> Answer:
    """A new token leaves older ones valid. Without a scope, or with a domain's, it is good for no project."""
    user = call.body["auth"]["identity"]["password"]["user"]
    if (user["name"], user["password"], user["domain"]["name"]) != (USER.name, USER.password, USER.domain):
        raise CloudError(Code.WRONG_PASSWORD)
    project = _scope(call.body["auth"].get("scope", {}))
    token = call.world.door.issue_token(Caller(USER.name, (project.id,) if project else ()), call.token_lifetime)
    hides_catalog = bool(call.query.get("nocatalog"))
    document = _token_document(token, project, hides_catalog=hides_catalog)
    return json_answer({"token": document}, 201, X_Subject_Token=token.value)


def _scope(scope: Mapping[str, Any]) -> Project | None:
    wanted = scope.get("project")
    if wanted is None:
        return None
    for project in PROJECTS.values():
        if wanted.get("id") == project.id or ("id" not in wanted and wanted.get("name") == project.name):
            return project
    raise CloudError(Code.WRONG_PASSWORD)


def _token_document(token: Token, project: Project | None, *, hides_catalog: bool) -> Document:
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


def list_projects(call: Call) -> Answer:
    found = [
        {"id": project.id, "name": project.name, "domain_id": DOMAIN_ID, "enabled": True, "is_domain": False}
        for project in PROJECTS.values()
        if call.query.get("name", project.name) == project.name
    ]
    return json_answer({"projects": found})


def create_temporary_key(call: Call) -> Answer:
    """The key reaches as far as the token it was made from, which comes in the body."""
    given = call.body["auth"]["identity"].get("token", {})
    try:
        caller = call.world.door.recognise_token(given.get("id", ""))
    except CloudError:
        raise CloudError(Code.IAM_NOT_AUTHENTICATED) from None
    key = call.world.door.issue_key(caller, timedelta(seconds=given.get("duration_seconds", 900)))
    credential = {
        "access": key.access,
        "secret": key.secret,
        "securitytoken": key.security_token,
        "expires_at": spelt_with_micros(key.expires_at),
    }
    return json_answer({"credential": credential}, 201)
