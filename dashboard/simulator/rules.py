"""Rules of UpdateServerGroup that combine several members, the group and the tenant.

The documents state these conditions (API reference, 1.1, 1.2, 1.4, 2.6), but not the error codes. They do not say that
stored values count either; since a PATCH of one member works, they must.
"""

from dataclasses import dataclass

from dashboard.simulator.catalogue import IMAGES_BY_ID, SimulatedProject
from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.groups import Groups
from dashboard.simulator.responses import Document
from dashboard.simulator.switches import Switches

CASCADING = ("app_type", "storage_mount_policy")
"""The cloud applies a change of these on the primary to its standby as well (Terraform's documents)."""
IMAGE_MEMBERS = frozenset(("image_id", "image_type", "image_product_id"))


@dataclass(frozen=True)
class Proposal:
    """A PATCH before it is applied."""

    body: Document
    after: Document
    """The group after the PATCH."""
    groups: Groups
    """All groups of the project by id, before the PATCH."""
    project: SimulatedProject
    switches: Switches

    def touches(self, *members: str) -> bool:
        return any(member in self.body for member in members)


def refuse_empty(proposal: Proposal) -> None:
    if not proposal.body and proposal.switches["empty_patch"] == "refuse":
        raise SimulatedError(Code.EMPTY_PATCH)


def refuse_taken_name(proposal: Proposal) -> None:
    """A name is unique in its project. The group's own name is allowed: Terraform sends it unchanged."""
    if not proposal.touches("name"):
        return
    if set(proposal.groups.named(proposal.body["name"])) - {proposal.after["id"]}:
        raise SimulatedError(Code.NAME_TAKEN, proposal.body["name"])


def refuse_routing_of_single_session(proposal: Proposal) -> None:
    if proposal.touches("route_policy") and proposal.after["is_vdi"]:
        raise SimulatedError(Code.NOT_MULTI_SESSION)


def refuse_sessions_over_quota(proposal: Proposal) -> None:
    wanted = proposal.body.get("route_policy", {}).get("max_session", 0)
    quota = int(proposal.switches["max_session_quota"])
    if wanted > quota:
        raise SimulatedError(Code.TOO_MANY_SESSIONS, f"at most {quota}")


def refuse_unknown_image(proposal: Proposal) -> None:
    is_unknown = proposal.touches("image_id") and proposal.body["image_id"] not in IMAGES_BY_ID
    if is_unknown and proposal.switches["unknown_image"] == "refuse":
        raise SimulatedError(Code.IMAGE_UNKNOWN)


def refuse_wrong_product_id(proposal: Proposal) -> None:
    if not proposal.touches(*IMAGE_MEMBERS):
        return
    is_gold = proposal.after.get("image_type") == "gold"
    if is_gold and not proposal.after.get("image_product_id"):
        raise SimulatedError(Code.PRODUCT_ID_MISSING)
    if (
        not is_gold
        and proposal.body.get("image_product_id")
        and proposal.switches["product_id_without_gold"] == "refuse"
    ):
        raise SimulatedError(Code.PRODUCT_ID_UNWANTED)


def refuse_wrong_disk(proposal: Proposal) -> None:
    if not proposal.touches("image_id", "system_disk_size"):
        return
    size = proposal.after["system_disk_size"]
    image = IMAGES_BY_ID.get(proposal.after["image_id"])
    if image and size < image.min_disk:
        raise SimulatedError(Code.DISK_TOO_SMALL, f"{size} GB, the image needs {image.min_disk} GB")
    if size > int(proposal.switches["system_disk_maximum"]):
        raise SimulatedError(Code.DISK_TOO_LARGE, f"{size} GB")


def refuse_ou_without_directory(proposal: Proposal) -> None:
    connected = {"by_project": bool(proposal.project.directory), "connected": True, "none": False}
    if proposal.body.get("ou_name") and not connected[proposal.switches["directory"]]:
        raise SimulatedError(Code.OU_WITHOUT_DIRECTORY)


def refuse_deviating_standby(proposal: Proposal) -> None:
    if proposal.switches["standby_deviation"] == "accept":
        return
    for primary_id in proposal.after["primary_server_group_ids"]:
        primary = proposal.groups.get(primary_id, {})
        for member in CASCADING:
            if proposal.touches(member) and proposal.body[member] != primary.get(member):
                raise SimulatedError(Code.STANDBY_DEVIATES, f"{member} is {primary.get(member)}")


RULES = (
    refuse_empty,
    refuse_taken_name,
    refuse_routing_of_single_session,
    refuse_sessions_over_quota,
    refuse_unknown_image,
    refuse_wrong_product_id,
    refuse_wrong_disk,
    refuse_ou_without_directory,
    refuse_deviating_standby,
)


def check(proposal: Proposal) -> None:
    """Raises SimulatedError for the first rule that the PATCH breaks."""
    for rule in RULES:
        rule(proposal)
