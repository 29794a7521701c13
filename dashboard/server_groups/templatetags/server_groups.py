"""Server groups on a page: labels, values with their units, effects."""

from django import template

from dashboard.cloud.error_messages import explain
from dashboard.cloud.errors import CloudError
from dashboard.cloud.parsing import id_problem
from dashboard.cloud.resources import ServerGroup
from dashboard.inventory.columns import role
from dashboard.server_groups import listing
from dashboard.server_groups.fields import FIELDS, EditableField, GroupContext

register = template.Library()


@register.simple_tag
def editable_fields() -> tuple[EditableField, ...]:
    return FIELDS


@register.filter
def shown(group: ServerGroup, field: EditableField) -> str:
    """The value of a field of a group, formatted as in the form."""
    return field.display(group.value(field.path))


@register.filter
def group_role(group: ServerGroup) -> str:
    return role(group)


@register.filter
def not_applicable(group: ServerGroup, field: EditableField) -> str:
    return field.reason_not_applicable(group, GroupContext())


@register.filter
def cause(error: CloudError) -> str:
    """The cause of a cloud error."""
    return explain(error).cause


@register.filter
def can_be_opened(group_id: str) -> bool:
    """Whether a group with this id can have a page."""
    return not id_problem(group_id)


@register.inclusion_tag("server_groups/_sort_header.html")
def sort_header(query: listing.Query, name: str, label: str, kind: str = "") -> dict[str, str]:
    """A column head with a link that sorts by the column, or reverses the order."""
    direction = {name: "ascending", f"-{name}": "descending"}.get(query.sort, "")
    wanted = f"-{name}" if direction == "ascending" else name
    return {"link": query.link(sort=wanted), "label": label, "kind": kind, "direction": direction}
