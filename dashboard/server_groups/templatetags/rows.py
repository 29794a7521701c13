"""The rows of the list of groups.

Rendering a row takes much longer than reading it. So each process keeps the HTML of rows. It is the same for all people
with the same permission and language, until a value of the row or the age of the last change differs.
"""

import re
import secrets
from collections.abc import Iterable
from functools import lru_cache

from django import template
from django.middleware.csrf import get_token
from django.template import RequestContext
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from dashboard.accounts.roles import SWITCH, VIEW_LEDGER
from dashboard.cloud.projects import Project
from dashboard.server_groups.listing import Row
from dashboard.web.templatetags.dates import age_step

register = template.Library()

ROWS_KEPT = 2_000
"""A row has about 2 kB."""
TOKEN, KEY = secrets.token_hex(16), secrets.token_hex(16)
"""Stand in the kept HTML for the values that differ in each response. Nobody can guess them."""


@register.simple_tag(takes_context=True)
def listed_rows(context: RequestContext, rows: Iterable[Row]) -> SafeString:
    request, project = context["request"], context["project"]
    permissions = tuple(permission for permission in (SWITCH, VIEW_LEDGER) if request.user.has_perm(permission))
    language = get_language()
    html = "".join(
        _row_html(row, project, _age(row), permissions, language).replace(KEY, row.key)
        if row.pending is None
        else _render(row, project, permissions)
        for row in rows
    )
    return SafeString(html.replace(TOKEN, get_token(request)) if TOKEN in html else html)


def _age(row: Row) -> tuple[int, int] | None:
    changed_at = row.last_change.at if row.last_change else row.group.update_time
    return age_step(changed_at) if changed_at else None


@lru_cache(ROWS_KEPT)
def _row_html(
    row: Row,
    project: Project,
    _age: tuple[int, int] | None,
    permissions: tuple[str, ...],
    _language: str,
) -> str:
    return _render(row, project, permissions)


def _render(row: Row, project: Project, permissions: tuple[str, ...]) -> str:
    name = "_unusable_row" if row.group.id_problem else "_row"
    context = {
        "row": row,
        "group": row.group,
        "project": project,
        "perms": _perms(permissions),
        "csrf_token": TOKEN,
        "key": KEY,
    }
    return re.sub(r"\s*\n\s*", "\n", render_to_string(f"server_groups/{name}.html", context))


def _perms(permissions: tuple[str, ...]) -> dict[str, dict[str, bool]]:
    """The permissions in the form of the variable `perms` of templates."""
    perms: dict[str, dict[str, bool]] = {}
    for permission in permissions:
        app, _, name = permission.partition(".")
        perms.setdefault(app, {})[name] = True
    return perms
