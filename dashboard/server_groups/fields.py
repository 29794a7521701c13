"""THE table of editable fields: Tables 3 and 4 of the API page, each once.

The form, the client-side attributes, the PATCH body, the audit labels, the effect badges and the field-level
permissions are derived from it. Adding a field is adding a line. Limits are those of the API page and, where it is
silent, of the provider's OpenAPI definitions: name, description, disk size, organisation name, image ids.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from django import forms

from dashboard.accounts.roles import EDIT, SWITCH
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.inputs import (
    FreeTextField,
    OptionField,
    PatternField,
    StatusField,
    StrictField,
    Value,
    WholeNumberField,
    to_text,
)


class Section(Enum):
    IDENTITY = "Identity"
    AVAILABILITY = "Availability"
    ROUTING = "Routing"
    STORAGE = "Storage"
    IMAGE = "Image and disk"
    DIRECTORY = "Directory"


class Effect(Enum):
    """When a change bites (note at the head of the API page)."""

    NOW = "now"
    NEXT_SIGN_IN = "next sign-in"
    NEW_SERVERS = "new servers only"
    ROUTING = "routing is recalculated"


@dataclass(frozen=True)
class GroupContext:
    """What the cloud says around a group; None where it does not say."""

    session_ceiling: int | None = None
    """The most sessions the tenant may have on one server."""
    has_directory: bool | None = None
    """Whether the servers belong to a directory (AD) domain."""


@dataclass(frozen=True)
class ShownGroup:
    """What a form is rendered from: the group, and what stands around it."""

    group: ServerGroup
    context: GroupContext


def never(_group: ServerGroup) -> bool:
    return False


def has_no_gpu(group: ServerGroup) -> bool:
    """The cloud shows the group's routing, and its servers have no GPU to set a threshold for."""
    product = group.product_info
    return group.route_policy is not None and product is not None and product.is_gpu is False


def always(_group: ServerGroup, _context: GroupContext) -> str:
    return ""


def multi_session_only(group: ServerGroup, _context: GroupContext) -> str:
    """Terraform's documentation of the provider: `route_policy` only where `is_vdi` is false."""
    return "Only for multi-session groups; each server of this group serves one session." if group.is_vdi else ""


def directory_only(group: ServerGroup, context: GroupContext) -> str:
    """Terraform's documentation: `ou_name` only when the AD server is connected. No server in a domain, no AD."""
    is_known_missing = context.has_directory is False and not group.ou_name
    return "Only with a directory (AD), and the servers of this group belong to none." if is_known_missing else ""


def not_on_standby(group: ServerGroup, _context: GroupContext) -> str:
    """Terraform's documentation: primary and standby must agree, and the primary's change cascades."""
    return "A standby follows its primary here; change it there." if group.primary_server_group_ids else ""


def no_ceiling(_context: GroupContext) -> int | None:
    return None


@dataclass(frozen=True)
class EditableField:
    path: str
    """Its place in the body of the PATCH; nested members joined by a dot."""
    label: str
    section: Section
    effect: Effect
    make: Callable[[], StrictField]
    help: str = ""
    unit: str = ""
    permission: str = EDIT
    reason_not_applicable: Callable[[ServerGroup, GroupContext], str] = always
    """Why the field does not apply to a group; an empty text when it does."""
    may_be_unset: Callable[[ServerGroup], bool] = never
    """Whether the cloud may hold no value at all, so that none can be lost."""
    cascades: bool = False
    """Whether the cloud applies a primary group's change to its standby too (Terraform's documentation)."""
    tenant_ceiling: Callable[[GroupContext], int | None] = no_ceiling
    """The most the tenant may have, where that can be less than the API allows."""
    terraform: str | None = ""
    """Its name in the Terraform provider. Empty: as in the API. None: the provider does not have it."""
    sdk: str = ""
    """Its name in the SDK. Empty: as in the API."""
    sdk_class: str = ""
    """The SDK's class for the object that holds a nested member."""

    @property
    def name(self) -> str:
        """Its name in forms and addresses."""
        return self.path.replace(".", "__")

    @property
    def parent(self) -> str:
        """The object of the API body that holds a nested member; empty for the body itself."""
        return self.path.rpartition(".")[0]

    @property
    def member(self) -> str:
        """Its own name in the API."""
        return self.path.rpartition(".")[2]

    @property
    def sdk_name(self) -> str:
        return self.sdk or self.member

    @property
    def hint(self) -> str:
        """What a form says below the input."""
        cascade = "A change of a primary group also changes its standby." if self.cascades else ""
        return " ".join(part for part in (self.help, cascade) if part)

    def display(self, value: Value) -> str:
        """A value of the API in the words of the form."""
        if value is None:
            return "not known"
        if value == "":
            return "empty"
        if self._options is None:
            return f"{value} {self.unit}".strip()
        text = to_text(value)
        return self._options.get(text, text)

    @cached_property
    def _options(self) -> Mapping[str, str] | None:
        """Kept: a page of the ledger shows a hundred values."""
        field = self.make()
        return dict(field.options) if isinstance(field, OptionField) else None


ROUTING_CLASS = "RoutePolicyDetail"


def _threshold(
    path: str, label: str, *, terraform: str | None = "", may_be_unset: Callable[[ServerGroup], bool] = never
) -> EditableField:
    """A share of a server's power above which it takes no new sessions (Table 4)."""
    return EditableField(
        path,
        label,
        Section.ROUTING,
        Effect.NOW,
        lambda: WholeNumberField(1, 100),
        help="1 to 100. Above it a server takes no new sessions.",
        unit="%",
        reason_not_applicable=multi_session_only,
        may_be_unset=may_be_unset,
        terraform=terraform,
        sdk_class=ROUTING_CLASS,
    )


def _image_text(min_length: int) -> PatternField:
    pattern = rf"[!-~]{{{min_length},128}}"
    return PatternField(
        pattern, "Use Latin letters, digits and signs, no spaces.", min_length=min_length, max_length=128
    )


FIELDS = (
    EditableField(
        "name",
        "Name",
        Section.IDENTITY,
        Effect.NOW,
        lambda: PatternField(
            r"[A-Za-z0-9_\u4e00-\u9fa5\-]{1,64}",
            "Use letters, digits, _ and -; spaces are not allowed.",
            min_length=1,
            max_length=64,
        ),
        help="1 to 64 letters, digits, _ or -, no spaces. Chinese letters are allowed.",
    ),
    EditableField(
        "app_type",
        "Application type",
        Section.IDENTITY,
        Effect.NOW,
        lambda: OptionField([("COMMON_APP", "Common app"), ("SESSION_DESKTOP_APP", "Session desktop app")]),
        reason_not_applicable=not_on_standby,
        cascades=True,
    ),
    EditableField(
        "description",
        "Description",
        Section.IDENTITY,
        Effect.NOW,
        lambda: FreeTextField(255, forms.Textarea),
        help="0 to 255 characters.",
    ),
    EditableField(
        "server_group_status",
        "Status",
        Section.AVAILABILITY,
        Effect.NOW,
        StatusField,
        help="Off: new sign-ins are refused. What happens to open sessions is not documented.",
        permission=SWITCH,
        terraform="enabled",
    ),
    EditableField(
        "route_policy.max_session",
        "Maximum sessions",
        Section.ROUTING,
        Effect.ROUTING,
        lambda: WholeNumberField(1, 1024),
        help="1 to 1024 on a single server.",
        unit="per server",
        reason_not_applicable=multi_session_only,
        tenant_ceiling=lambda context: context.session_ceiling,
        sdk_class=ROUTING_CLASS,
    ),
    _threshold("route_policy.cpu_threshold", "CPU threshold"),
    _threshold("route_policy.gpu_threshold", "GPU threshold", terraform=None, may_be_unset=has_no_gpu),
    _threshold("route_policy.mem_threshold", "Memory threshold"),
    EditableField(
        "storage_mount_policy",
        "NAS directories mounted",
        Section.STORAGE,
        Effect.NEXT_SIGN_IN,
        lambda: OptionField([("ANY", "Personal and shared"), ("USER", "Personal only"), ("SHARE", "Shared only")]),
        reason_not_applicable=not_on_standby,
        cascades=True,
    ),
    EditableField(
        "image_type",
        "Image type",
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: OptionField(
            [
                ("gold", "Marketplace image"),
                ("public", "Public image"),
                ("private", "Private image"),
                ("shared", "Shared image"),
                ("other", "Other"),
            ]
        ),
    ),
    EditableField(
        "image_id",
        "Image ID",
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: _image_text(min_length=1),
        help="1 to 128 characters, no spaces. Old applications may fail to connect after a change of image.",
    ),
    EditableField(
        "image_product_id",
        "Image product ID",
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: _image_text(min_length=0),
        help="0 to 128 characters, no spaces. Needed for a Marketplace image.",
    ),
    EditableField(
        "system_disk_type",
        "System disk type",
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: OptionField(
            [
                ("ESSD", "ESSD, Extreme SSD"),
                ("SSD", "SSD, Ultra-high I/O"),
                ("GPSSD", "GPSSD, General-purpose SSD"),
                ("SAS", "SAS, High I/O"),
                ("SATA", "SATA, Common I/O"),
            ]
        ),
    ),
    EditableField(
        "system_disk_size",
        "System disk size",
        Section.IMAGE,
        Effect.NEW_SERVERS,
        lambda: WholeNumberField(10, 32768),
        help="10 to 32768, and not less than the image needs.",
        unit="GB",
    ),
    EditableField(
        "ou_name",
        "Organisational unit",
        Section.DIRECTORY,
        Effect.NEW_SERVERS,
        lambda: FreeTextField(255),
        help="0 to 255 characters. Only where a directory is connected.",
        reason_not_applicable=directory_only,
    ),
)

BY_PATH: Mapping[str, EditableField] = {field.path: field for field in FIELDS}
STATUS = BY_PATH["server_group_status"]
MAX_SESSION = "route_policy.max_session"
IMAGE_PATHS = ("image_type", "image_id", "image_product_id")
"""They belong together: one image has one type and, from the Marketplace, one product."""


def snapshot(group: ServerGroup) -> dict[str, Value]:
    """The value of every editable field, by path."""
    return {field.path: group.value(field.path) for field in FIELDS}


def siblings(field: EditableField) -> tuple[EditableField, ...]:
    """The fields that are sent in the same nested object, the field itself included; none for a plain member."""
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
    """The body of the PATCH: exactly the changed fields.

    Nobody has documented whether a partial `route_policy` is merged or replaces the stored one, so that a change to
    one threshold takes the others along as they were read a moment ago.
    """
    body: dict[str, object] = {}
    for path, value in changes.items():
        parent, _, member = path.rpartition(".")
        if parent:
            known = {f.path: group.value(f.path) for f in FIELDS if f.path.startswith(f"{parent}.")}
            merged = {p: v for p, v in (known | dict(changes)).items() if p in known and v is not None}
            body[parent] = {p.rpartition(".")[2]: v for p, v in merged.items()}
        else:
            body[member] = value
    return body
