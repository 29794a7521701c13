"""IMS ListImages (API reference, 5). IMS uses `market` where server groups use `gold`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from dashboard.simulator.catalogue import IMAGES, MARKETPLACE_OWNER, SampleImage
from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.responses import Document, SimulatedResponse, json_response
from dashboard.simulator.tenant import SimulatedCall

_FIRST_MADE = datetime(2024, 11, 5, 9, 14, 2, tzinfo=UTC)
_DAYS_APART = 43
_VISIBILITY = {"market": "public", "gold": "public", "private": "private", "shared": "shared"}
_EXACT = ("__imagetype", "__isregistered", "__os_type", "__platform", "id", "name", "owner", "status", "visibility")
_PARTNER = "b7a41f0c2d9e4c1f8e5a6d3b0c9f7e21"


def list_images(call: SimulatedCall) -> SimulatedResponse:
    """One page after a marker. The response has neither a total nor a link to the next page."""
    if not call.caller.projects:
        raise SimulatedError(Code.PROJECT_UNAVAILABLE)
    found = [image for image in _images(call.caller.projects[0]) if _matches(image, call.query)]
    found.sort(key=lambda image: str(image.get(call.query["sort_key"], "")), reverse=call.query["sort_dir"] == "desc")
    start = _start(found, call.query.get("marker"))
    return json_response({"images": [_public(image) for image in found[start : start + call.query["limit"]]]})


def _start(found: list[Document], marker: str | None) -> int:
    if marker is None:
        return 0
    ids = [image["id"] for image in found]
    if marker not in ids:
        raise SimulatedError(Code.INVALID_IMS, f"no image {marker} to start after")
    return ids.index(marker) + 1


def _matches(image: Document, query: Mapping[str, Any]) -> bool:
    flags = {"protected": "true" if image["protected"] else "false"}
    return (
        all(query.get(name, image[name]) == image[name] for name in _EXACT)
        and query.get("protected", flags["protected"]) == flags["protected"]
        and query.get("min_disk", image["min_disk"]) == image["min_disk"]
        and query.get("architecture", "x86") == "x86"
        and query.get("tag", "") in {"", *image["tags"]}
        and ("member_status" not in query or query["member_status"] == image["_membership"])
        and query.get("enterprise_project_id", "0") in {"0", "all_granted_eps"}
    )


def _public(image: Document) -> Document:
    return {name: value for name, value in image.items() if name != "_membership"}


@cache
def _images(project: str) -> tuple[Document, ...]:
    return tuple(_document(image, project, number) for number, image in enumerate(IMAGES.values()))


def _document(image: SampleImage, project: str, number: int) -> Document:
    """An image in IMS. Members that begin with underscores are texts, even `true` (API reference, 5.2)."""
    made = _FIRST_MADE + timedelta(days=_DAYS_APART * number, hours=number)
    owners = {"private": project, "shared": _PARTNER}
    return {
        "id": image.key,
        "name": image.name,
        "status": image.status,
        "__imagetype": image.kind,
        "__os_type": image.system,
        "__os_version": image.version,
        "__os_bit": "64",
        "__platform": "Windows" if image.system == "Windows" else "Ubuntu",
        **({"__productcode": image.product_code} if image.product_code else {}),
        **({"__is_offshelved": "true" if image.withdrawn else "false"} if image.kind == "market" else {}),
        "__image_size": str(image.min_disk * 200_000_000),
        "__image_source_type": "uds",
        "__isregistered": "true",
        "container_format": "bare",
        "disk_format": "zvhd2",
        "min_disk": image.min_disk,
        "min_ram": 0,
        "size": 0,
        "owner": owners.get(image.kind, MARKETPLACE_OWNER),
        "visibility": _VISIBILITY[image.kind],
        "protected": _VISIBILITY[image.kind] == "public",
        "enterprise_project_id": "0",
        "virtual_env_type": "FusionCompute",
        "self": f"/v2/images/{image.key}",
        "file": f"/v2/images/{image.key}/file",
        "tags": [],
        "active_at": _second(made + timedelta(minutes=30)),
        "created_at": _second(made),
        "updated_at": _second(made + timedelta(minutes=32)),
        "_membership": image.membership if image.kind == "shared" else None,
    }


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
