"""The table of editable fields: tables 3 and 4 of the API page, one line for each field.

The form, the limits in the browser, the body of the PATCH, the labels in the ledger, the effect badges and the
permissions come from this table. Adding a field is adding a line. Limits are those of the API page. Where it names
none, they are those of the provider's OpenAPI definitions: name, description, disk size, organisation name, image ids.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from django import forms
from django.db.models import TextChoices
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.accounts.roles import EDIT, SWITCH
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.inputs import (
    FreeTextField,
    OptionField,
    PatternField,
    StatusField,
    StrictField,
    Text,
    Value,
    WholeNumberField,
    to_text,
)


class Section(TextChoices):
    IDENTITY = "identity", _("Identity")
    AVAILABILITY = "availability", _("Availability")
    ROUTING = "routing", _("Routing")
    STORAGE = "storage", _("Storage")
    IMAGE = "image", _("Image and disk")
    DIRECTORY = "directory", _("Directory")


class Effect(TextChoices):
    """The time at which a change takes effect (note at the head of the API page)."""

    NOW = "now", _("now")
    NEXT_SIGN_IN = "next_sign_in", _("next sign-in")
    NEW_SERVERS = "new_servers", _("new servers only")
    ROUTING = "routing", _("routing is recalculated")


@dataclass(frozen=True)
class GroupContext:
    """Facts that decide which fields of a group apply. None: the cloud does not show it."""

    session_ceiling: int | None = None
    """The maximum number of sessions on one server that the tenant may set."""
    has_directory: bool | None = None
    """Whether the servers belong to a directory (AD) domain."""


@dataclass(frozen=True)
class ShownGroup:
    """A group as a form shows it, with its context."""

    group: ServerGroup
    context: GroupContext


def never(_group: ServerGroup) -> bool:
    return False


def has_no_gpu(group: ServerGroup) -> bool:
    """Whether the cloud shows the routing of a group whose servers have no GPU."""
    product = group.product_info
    return group.route_policy is not None and product is not None and product.is_gpu is False


def always(_group: ServerGroup, _context: GroupContext) -> str:
    return ""


def multi_session_only(group: ServerGroup, _context: GroupContext) -> str:
    """Source: the provider's Terraform documentation (`route_policy` only where `is_vdi` is false)."""
    if not group.is_vdi:
        return ""
    return gettext("Only for multi-session groups. Each server of this group serves one session.")


def directory_only(group: ServerGroup, context: GroupContext) -> str:
    """Source: the Terraform documentation (`ou_name` needs a connected AD server, so a server in a domain)."""
    is_known_missing = context.has_directory is False and not group.ou_name
    if not is_known_missing:
        return ""
    return gettext("Only for groups with a directory (AD). The servers of this group belong to none.")


def not_on_standby(group: ServerGroup, _context: GroupContext) -> str:
    """Source: the Terraform documentation (primary and standby must agree; the primary's change cascades)."""
    if not group.primary_server_group_ids:
        return ""
    return gettext("A standby takes this value from its primary group. Change it there.")


def no_ceiling(_context: GroupContext) -> int | None:
    return None


@dataclass(frozen=True)
class EditableField:
    path: str
    """Path in the body of the PATCH. A dot separates nested members."""
    label: Text
    section: Section
    effect: Effect
    make: Callable[[], StrictField]
    """Makes the form field."""
    help: Text = ""
    unit: Text = ""
    permission: str = EDIT
    reason_not_applicable: Callable[[ServerGroup, GroupContext], str] = always
    """Returns the reason why the field does not apply to a group, or an empty text if it applies."""
    may_be_unset: Callable[[ServerGroup], bool] = never
    """Whether the cloud may hold no value, so that a PATCH without it deletes none."""
    cascades: bool = False
    """Whether the cloud applies a primary group's change to its standby too (Terraform's documentation)."""
    tenant_ceiling: Callable[[GroupContext], int | None] = no_ceiling
    """Returns the tenant's own maximum, where it can be lower than the API's."""
    terraform: str | None = ""
    """Name in the Terraform provider. Empty: as in the API. None: the provider does not have it."""
    sdk: str = ""
    """Name in the SDK. Empty: as in the API."""
    sdk_class: str = ""
    """The SDK's class for the object that holds a nested member."""

    @property
    def name(self) -> str:
        """Name in forms and addresses."""
        return self.path.replace(".", "__")

    @property
    def parent(self) -> str:
        """The object of the API body that holds a nested member; empty for the body itself."""
        return self.path.rpartition(".")[0]

    @property
    def member(self) -> str:
        """Name in the API, without the object that holds it."""
        return self.path.rpartition(".")[2]

    @property
    def sdk_name(self) -> str:
        return self.sdk or self.member

    @property
    def hint(self) -> str:
        """The text that a form shows below the input."""
        cascade = gettext("A change of a primary group also changes its standby.") if self.cascades else ""
        return " ".join(str(part) for part in (self.help, cascade) if part)

    def display(self, value: Value) -> str:
        """Format a value of the API as the form shows it."""
        if value is None:
            return gettext("not known")
        if value == "":
            return gettext("empty")
        if self._options is not None:
            text = to_text(value)
            return str(self._options.get(text, text))
        if not self.unit:
            return str(value)
        return gettext("%(value)s %(unit)s") % {"value": value, "unit": self.unit}

    @cached_property
    def _options(self) -> Mapping[str, Text] | None:
        """Cached, because a page of the ledger shows a hundred values."""
        field = self.make()
        return dict(field.options) if isinstance(field, OptionField) else None


ROUTING_CLASS = "RoutePolicyDetail"


def _threshold(
    path: str, label: Text, *, terraform: str | None = "", may_be_unset: Callable[[ServerGroup], bool] = never
) -> EditableField:
    """A utilisation in percent above which a server takes no new sessions (table 4)."""
    return EditableField(
        path,
        label,
        Section.ROUTING,
        Effect.NOW,
        lambda: WholeNumberField(1, 100),
        help=_("1 to 100. A server above this value takes no new sessions."),
        unit="%",
        reason_not_applicable=multi_session_only,
        may_be_unset=may_be_unset,
        terraform=terraform,
        sdk_class=ROUTING_CLASS,
    )


def _image_text(min_length: int) -> PatternField:
    pattern = rf"[!-~]{{{min_length},128}}"
    return PatternField(
        pattern, _("Use Latin letters, digits and punctuation, without spaces."), min_length=min_length, max_length=128
    )


FIELDS = (
    EditableField(
        "name",
        _("Name"),
        Section.IDENTITY,
        Effect.NOW,
        lambda: PatternField(
            r"[A-Za-z0-9_\u4e00-\u9fa5\-]{1,64}",
            _("Use letters, digits, _ and -. Spaces are not allowed."),
            min_length=1,
            max_length=64,
        ),
        help=_("1 to 64 letters, digits, _ or -, without spaces. Chinese letters are allowed."),
    ),
    EditableField(
        "app_type",
        _("Application type"),
        Section.IDENTITY,
        Effect.NOW,
        lambda: OptionField([("COMMON_APP", _("Common app")), ("SESSION_DESKTOP_APP", _("Session desktop app"))]),
        reason_not_applicable=not_on_standby,
        cascades=True,
    ),
    EditableField(
        "description",
        _("Description"),
        Section.IDENTITY,
        Effect.NOW,
        lambda: FreeTextField(255, forms.Textarea),
        help=_("0 to 255 characters."),
    ),
    EditableField(
        "server_group_status",
        _("Status"),
        Section.AVAILABILITY,
        Effect.NOW,
        StatusField,
        help=_("Off: the cloud refuses new sign-ins. The documentation does not say whether open sessions stay open."),
        permission=SWITCH,
        terraform="enabled",
    ),
    EditableField(
        "route_policy.max_session",
        _("Maximum sessions"),
        Section.ROUTING,
        Effect.ROUTING,
        lambda: WholeNumberField(1, 1024),
        help=_("1 to 1024 on a single server."),
        unit=_("per server"),
        reason_not_applicable=multi_session_only,
        tenant_ceiling=lambda context: context.session_ceiling,
        sdk_class=ROUTING_CLASS,
    ),
    _threshold("route_policy.cpu_threshold", _("CPU threshold")),
    _threshold("route_policy.gpu_threshold", _("GPU threshold"), terraform=None, may_be_unset=has_no_gpu),
    _threshold("route_policy.mem_threshold", _("Memory threshold")),
    EditableField(
        "storage_mount_policy",
        _("NAS directories mounted"),
        Section.STORAGE,
        Effect.NEXT_SIGN_IN,
        lambda: OptionField(
            [("ANY", _("Personal and shared")), ("USER", _("Personal only")), ("SHARE", _("Shared only"))]
        ),
        reason_not_applicable=not_on_standby,
        cascades=True,
    ),
    EditableField(
        "image_type",
        _("Image type"),
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: OptionField(
            [
                ("gold", _("Marketplace image")),
                ("public", _("Public image")),
                ("private", _("Private image")),
                ("shared", _("Shared image")),
                ("other", _("Other")),
            ]
        ),
    ),
    EditableField(
        "image_id",
        _("Image ID"),
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: _image_text(min_length=1),
        help=_(
            "1 to 128 characters, without spaces. Old applications may fail to connect after a change of the image."
        ),
    ),
    EditableField(
        "image_product_id",
        _("Image product ID"),
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: _image_text(min_length=0),
        help=_("0 to 128 characters, without spaces. A Marketplace image needs it."),
    ),
    EditableField(
        "system_disk_type",
        _("System disk type"),
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: OptionField(
            [
                ("ESSD", _("ESSD, Extreme SSD")),
                ("SSD", _("SSD, Ultra-high I/O")),
                ("GPSSD", _("GPSSD, General-purpose SSD")),
                ("SAS", _("SAS, High I/O")),
                ("SATA", _("SATA, Common I/O")),
            ]
        ),
    ),
    EditableField(
        "system_disk_size",
        _("System disk size"),
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: WholeNumberField(10, 32768),
        help=_("10 to 32768, and at least the minimum of the image."),
        unit=_("GB"),
    ),
    EditableField(
        "ou_name",
        _("Organisational unit"),
        Section.DIRECTORY,
        Effect.NEW_SERVERS,
        lambda: FreeTextField(255),
        help=_("0 to 255 characters. Only for groups with a directory."),
        reason_not_applicable=directory_only,
    ),
)

BY_PATH: Mapping[str, EditableField] = {field.path: field for field in FIELDS}
STATUS = BY_PATH["server_group_status"]
MAX_SESSION = "route_policy.max_session"
IMAGE_PATHS = ("image_type", "image_id", "image_product_id")
"""An image has one type and, if it is from the Marketplace, one product."""


def snapshot(group: ServerGroup) -> dict[str, Value]:
    """The value of every editable field, by path."""
    return {field.path: group.value(field.path) for field in FIELDS}


def siblings(field: EditableField) -> tuple[EditableField, ...]:
    """The fields in the same nested object, including the field itself; none for a plain member."""
    return tuple(other for other in FIELDS if field.parent and other.parent == field.parent)


def missing_siblings(changes: Mapping[str, Value], group: ServerGroup) -> tuple[EditableField, ...]:
    """Find the values that a change of a nested member could delete.

    The cloud may replace the stored object by the one that is sent. A sibling that the cloud does not show and that
    `changes` does not set would be missing from it.
    """
    parents = {path.rpartition(".")[0] for path in changes} - {""}
    return tuple(
        field
        for field in FIELDS
        if field.parent in parents
        and field.path not in changes
        and group.value(field.path) is None
        and not field.may_be_unset(group)
        and not field.reason_not_applicable(group, GroupContext())
    )


def payload(changes: Mapping[str, Value], group: ServerGroup) -> dict[str, object]:
    """Make the body of the PATCH: the changed fields, and the known siblings of a nested one.

    No document says whether the cloud merges a partial `route_policy` or replaces the stored one. So a change of one
    threshold includes the others, with the values of the last read.
    """
    body: dict[str, object] = {}
    for path, value in changes.items():
        field = BY_PATH[path]
        body[field.parent or field.member] = _nested(field, changes, group) if field.parent else value
    return body


def _nested(field: EditableField, changes: Mapping[str, Value], group: ServerGroup) -> dict[str, Value]:
    values = {other.member: changes.get(other.path, group.value(other.path)) for other in siblings(field)}
    return {member: value for member, value in values.items() if value is not None}
