"""The images, disk types and names that a group can use, as the cloud offers them."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.utils.translation import gettext

from dashboard.cloud.catalogue import Image, VolumeType
from dashboard.cloud.client import client_for
from dashboard.cloud.endpoints import IMAGE_QUERIES
from dashboard.cloud.error_messages import Explanation, explain
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project
from dashboard.cloud.request_limits import RequestThreadPool

T = TypeVar("T")


@dataclass(frozen=True)
class Choices(Generic[T]):
    """The offered values. If they cannot be read, `problem` says why, and the person types the value."""

    offered: tuple[T, ...]
    problem: Explanation | None = None


def read_images(project: Project) -> Choices[Image]:
    """The usable images of all types, sorted by name. If one type cannot be read, there is no list."""
    client = client_for(project)
    try:
        with RequestThreadPool(max_workers=len(IMAGE_QUERIES)) as pool:
            images = [image for some in pool.map(client.list_images, IMAGE_QUERIES) for image in some]
    except CloudError as error:
        return Choices((), explain(error))
    return Choices(tuple(sorted(images, key=lambda image: (image.is_withdrawn, (image.name or image.id).casefold()))))


def read_disk_types(project: Project) -> Choices[VolumeType]:
    try:
        return Choices(client_for(project).list_volume_types())
    except CloudError as error:
        return Choices((), explain(error))


def find_image(project: Project, image_type: str, image_id: str) -> Image | None:
    """Find an image. None: it is not in the list of its type, or the list cannot be read."""
    if image_type not in IMAGE_QUERIES:
        return None
    try:
        images = client_for(project).list_images(image_type)
    except CloudError:
        return None
    return next((image for image in images if image.id == image_id), None)


def name_problem(project: Project, name: str) -> str:
    """The reason why the cloud refuses a name for a group. Empty: it accepts the name, or does not respond."""
    try:
        details = client_for(project).validate_name(name)
    except CloudError:
        return ""
    if details.is_valid is not False:
        return ""
    if details.broken_rule == "duplicate":
        return gettext("Another group has this name.")
    return gettext("The cloud does not accept this name.")
