"""The columns by which the list of groups is sorted, with the index of each order.

Groups with an unknown value come last in both orders, so each index begins with the question whether it is unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import BooleanField, F, Func, OrderBy
from django.db.models.functions import Lower


class IsNull(Func):
    """Whether a value is null, in the same words in an index and in a query."""

    template = "(%(expressions)s IS NULL)"
    output_field = BooleanField()


class IsEmpty(Func):
    """Whether a text is empty. The comparison has no parameter, because SQLite would then not use the index."""

    template = "(%(expressions)s = '')"
    output_field = BooleanField()


@dataclass(frozen=True)
class Sort:
    """The order by a column, then by name."""

    value: F | Func
    is_unknown: Func

    def order(self, *, descending: bool = False) -> tuple[OrderBy, ...]:
        value = OrderBy(self.value, descending=descending)
        return (OrderBy(self.is_unknown), value, OrderBy(F("name_key")), OrderBy(F("id")))


def _number(column: str) -> Sort:
    return Sort(F(column), IsNull(F(column)))


SORTS: Mapping[str, Sort] = {
    "status": _number("status"),
    "app_type": Sort(F("app_type"), IsEmpty(F("app_type"))),
    "image": Sort(Lower("image_name"), IsEmpty(F("image_name"))),
    "disk": _number("disk_size"),
    "ready": _number("ready"),
    "servers": _number("servers"),
    "sessions": _number("sessions"),
    "app_groups": _number("app_groups"),
}
"""Every order except the one by name."""
