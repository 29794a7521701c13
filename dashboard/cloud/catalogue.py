"""Choices for the fields of a group: disk types, images, limits, names (workspace-api.md 2.5, 2.6, 2.8 and 5)."""

from dataclasses import dataclass
from typing import Self

from dashboard.cloud import parsing


@dataclass(frozen=True)
class Image:
    """An image of IMS. `min_disk` is the smallest system disk in GB; `product_id` is set for Marketplace images."""

    id: str
    image_type: str
    name: str | None = None
    product_id: str | None = None
    min_disk: int | None = None
    os_version: str | None = None
    is_withdrawn: bool = False

    @classmethod
    def from_api(cls, data: object, image_type: str) -> Self | None:
        image = parsing.members(data)
        image_id = parsing.text(image, "id")
        if not image_id:
            return None
        return cls(
            id=image_id,
            image_type=image_type,
            name=parsing.text(image, "name"),
            product_id=parsing.text(image, "__productcode"),
            min_disk=parsing.integer(image, "min_disk"),
            os_version=parsing.text(image, "__os_version"),
            is_withdrawn=parsing.text(image, "__is_offshelved") == "true",
        )


@dataclass(frozen=True)
class VolumeType:
    """A disk type that the cloud offers. `sold_out_zones` are those of `zones` without free disks."""

    volume_type: str
    name: str | None = None
    zones: tuple[str, ...] = ()
    sold_out_zones: tuple[str, ...] = ()

    @classmethod
    def from_api(cls, data: object) -> Self | None:
        volume = parsing.members(data)
        volume_type = parsing.text(volume, "volume_type")
        if not volume_type:
            return None
        specs = parsing.members(volume.get("volume_type_extra_specs"))
        return cls(
            volume_type=volume_type,
            name=_english(volume),
            zones=_comma_separated(specs, "availability_zone"),
            sold_out_zones=_comma_separated(specs, "sold_out_availability_zone"),
        )


@dataclass(frozen=True)
class Restrict:
    """The limits of the tenant: sessions on one server, and server groups."""

    max_session: int | None = None
    max_group_count: int | None = None

    @classmethod
    def from_api(cls, data: object) -> Self:
        restrict = parsing.members(data)
        return cls(parsing.integer(restrict, "max_session"), parsing.integer(restrict, "max_group_count"))


@dataclass(frozen=True)
class NameCheck:
    """Whether the cloud allows a name. If not, `broken_rule` is `naming` or `duplicate`."""

    is_valid: bool | None
    broken_rule: str | None = None

    @classmethod
    def from_api(cls, data: object) -> Self:
        details = parsing.members(data)
        return cls(parsing.flag(details, "result"), parsing.text(details, "validate_rule"))


def _english(volume: parsing.Members) -> str | None:
    names = parsing.each(volume, "name", parsing.members)
    return next((parsing.text(name, "value") for name in names if name.get("language") == "en-us"), None)


def _comma_separated(data: parsing.Members, name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in (parsing.text(data, name) or "").split(",") if part.strip())
