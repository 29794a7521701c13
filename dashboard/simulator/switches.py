"""A switch for each question that the documents leave open. The first value is the default.

The numbers are sections of the API reference that explain the question.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Switch:
    name: str
    values: tuple[str, ...]
    question: str

    @property
    def default(self) -> str:
        return self.values[0]


SWITCHES = {
    switch.name: switch
    for switch in (
        Switch("route_policy", ("merge", "replace"), "What a partial route_policy does to the stored one (1.2)."),
        Switch("update_time", ("moves", "stays"), "Whether update_time moves on a PATCH (1.4)."),
        Switch("unknown_members", ("ignore", "refuse"), "What happens to body members that no document names (1.1)."),
        Switch("empty_patch", ("accept", "refuse"), "Whether {} is a PATCH: all members are optional (1.1)."),
        Switch("no_body", ("WKS.00129901", "WKS.0001"), "The error code of a PATCH without a body (3.2)."),
        Switch("system_disk_maximum", ("32768", "1024"), "The effective maximum of a system disk in GB (1.1, 8)."),
        Switch("unknown_image", ("accept", "refuse"), "Whether an image that IMS does not know is refused (9)."),
        Switch("product_id_without_gold", ("accept", "refuse"), "Whether only gold images have a product id (1.1)."),
        Switch("standby_deviation", ("refuse", "accept"), "A standby PATCH that deviates from its primary (1.4)."),
        Switch(
            "sessions_when_off",
            ("keep", "disconnect", "sign_out"),
            "What happens to the open sessions of a group that is switched off (6, 9).",
        ),
        Switch("image_permission", ("image_fields", "always"), "When a PATCH needs ims:images:list (7)."),
        Switch("name_match", ("partial", "exact"), "How lists match a group's name (2.1)."),
        Switch("list_order", ("seeded", "name", "newest"), "The order of group lists (9)."),
        Switch("secondary_default", ("all", "primary"), "Lists without is_secondary_server_group (2.1, 8)."),
        Switch("app_group_count", ("number", "text"), "The type of app_group_count in ListTenantServerGroups (2.3)."),
        Switch("zero_counts", ("list", "omit"), "Whether aps_status lists states without a server (2.4)."),
        Switch(
            "query_end_time",
            ("start", "end"),
            "Whether query_end_time limits the start or the end of a session (2.10, 8).",
        ),
        Switch(
            "newest_members",
            ("return", "omit"),
            "Whether ShowServerGroup returns route_policy, image_type, image_product_id and ip_virtual (2.2, 8).",
        ),
        Switch("image_min_disk", ("disk", "zero"), "The value of image_min_disk in ShowServerGroup (2.2, 8)."),
        Switch("flavor_link", ("hrel", "href"), "The member of a flavour's link that has the address (2.2, 8)."),
        Switch(
            "wrong_method", ("405", "404"), "A known path with another method: WKS's 405 or APIGW's 404 (3.2, 3.3)."
        ),
        Switch("project_mismatch", ("403", "401", "404"), "A token of another project (3.3)."),
        Switch(
            "directory", ("by_project", "connected", "none"), "Whether the tenant is connected to a directory (1.1)."
        ),
        Switch("max_session_quota", ("1024", "100"), "The tenant's maximum of sessions on one server (1.2, 2.5)."),
        Switch("key_lock", ("on", "off"), "Whether more than five failures in a row lock an access key (4.2)."),
    )
}


class WrongSwitchError(ValueError):
    """An unknown switch or value. The message lists the known ones."""


class Switches:
    """The current values."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        return self._values.get(name, SWITCHES[name].default)

    def all(self) -> dict[str, str]:
        return {name: self[name] for name in SWITCHES}

    def set(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name not in SWITCHES:
                raise WrongSwitchError(f"There is no switch {name}. The switches are {', '.join(SWITCHES)}.")
            if value not in SWITCHES[name].values:
                raise WrongSwitchError(f"{name} must be one of {', '.join(SWITCHES[name].values)}.")
        self._values |= values

    def reset(self) -> None:
        self._values = {}
