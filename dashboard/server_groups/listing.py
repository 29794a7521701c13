"""The list of groups as a person asked for it: filtered, sorted and paged over the whole set, never over one page.

The cloud cannot filter by status and sorts in an order nobody documented, so all its pages are read and the rest is
done here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from dashboard.cloud.resources import ServerGroup

PAGE_SIZE = 50

SORTS: Mapping[str, Callable[[ServerGroup], str | int | None]] = {
    "name": lambda group: _folded(group.name),
    "status": lambda group: group.server_group_status,
    "app_type": lambda group: group.app_type,
    "image": lambda group: _folded(group.image_name),
    "disk": lambda group: group.system_disk_size,
    "servers": lambda group: group.app_server_count,
    "app_groups": lambda group: group.app_group_count,
}


def _folded(text: str | None) -> str | None:
    return None if text is None else text.casefold()


def _sorted(groups: Sequence[ServerGroup], sort: str) -> list[ServerGroup]:
    """By a column, `-` before its name for the other way round. Unknown values come last either way."""
    value = SORTS[sort.removeprefix("-")]
    known = sorted(
        ((key, group) for group in groups if (key := value(group)) is not None),
        key=lambda pair: pair[0],
        reverse=sort.startswith("-"),
    )
    return [*(group for _, group in known), *(group for group in groups if value(group) is None)]


@dataclass(frozen=True)
class Query:
    """What stands in the address. A value that makes no sense is as good as none: a pasted link never breaks."""

    q: str = ""
    status: str = ""
    app_type: str = ""
    role: str = ""
    tag: str = ""
    image: str = ""
    sort: str = "name"
    page: int = 1

    @classmethod
    def from_get(cls, get: Mapping[str, str]) -> "Query":
        texts = {name: get.get(name, "").strip()[:200] for name in ("q", "app_type", "tag", "image")}
        sort = get.get("sort", "name")
        page = get.get("page", "1")
        return cls(
            **texts,
            status=get.get("status", "") if get.get("status") in {"on", "off"} else "",
            role=get.get("role", "") if get.get("role") in {"primary", "standby"} else "",
            sort=sort if sort.removeprefix("-") in SORTS else "name",
            page=max(1, int(page)) if page.isascii() and page.isdigit() and 0 < len(page) < 6 else 1,
        )

    def link(self, **changed: str | int) -> str:
        """The query string of this view with some of it changed; what is at its default is left out."""
        asked = replace(self, **{"page": 1, **changed})  # type: ignore[arg-type]  # names and types are Query's own
        default = Query()
        parts = {name: value for name, value in vars(asked).items() if value != getattr(default, name)}
        return f"?{urlencode(parts)}"

    @property
    def here(self) -> str:
        """The query string of this view itself."""
        return self.link(page=self.page)

    @property
    def is_filtered(self) -> bool:
        """Whether anything besides the text narrows the list."""
        return any((self.status, self.app_type, self.role, self.tag, self.image))

    def wants(self, group: ServerGroup) -> bool:
        return (
            self._matches_text(group)
            and (not self.status or group.server_group_status is (self.status == "on"))
            and (not self.app_type or group.app_type == self.app_type)
            and (not self.role or self.role == role(group))
            and (not self.image or group.image_name == self.image)
            and (not self.tag or any(self.tag in {tag.key, f"{tag.key}={tag.value}"} for tag in group.tags))
        )

    def _matches_text(self, group: ServerGroup) -> bool:
        wanted = self.q.casefold()
        texts = (group.name or "", group.description or "", group.id)
        return not wanted or any(wanted in text.casefold() for text in texts)


def role(group: ServerGroup) -> str:
    """`standby` where a group names its primary, `primary` where it names a standby, else empty."""
    if group.primary_server_group_ids:
        return "standby"
    return "primary" if group.secondary_server_group_ids else ""


@dataclass(frozen=True)
class Counts:
    """Of the groups in the latest response; what it lacks is not counted."""

    groups: int
    on: int
    off: int


@dataclass(frozen=True)
class Listing:
    """One page of the groups asked for, with what the page around it shows.

    `older` are the ids of those that the latest response lacks.
    """

    query: Query
    groups: tuple[ServerGroup, ...]
    older: frozenset[str] = field(repr=False)
    found: int
    counts: Counts
    app_types: tuple[str, ...] = field(repr=False)
    images: tuple[str, ...] = field(repr=False)
    tags: tuple[str, ...] = field(repr=False)

    @property
    def first(self) -> int:
        return (self.query.page - 1) * PAGE_SIZE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.groups) - 1

    @property
    def previous(self) -> str:
        return self.query.link(page=self.query.page - 1) if self.query.page > 1 else ""

    @property
    def next(self) -> str:
        return self.query.link(page=self.query.page + 1) if self.last < self.found else ""


def list_groups(groups: tuple[ServerGroup, ...], query: Query, older: tuple[ServerGroup, ...] = ()) -> Listing:
    """The groups of the latest response, together with `older` ones that it lacks."""
    both = (*groups, *older)
    wanted = _sorted(_sorted([group for group in both if query.wants(group)], "name"), query.sort)
    pages = max(1, -(-len(wanted) // PAGE_SIZE))
    query = replace(query, page=min(query.page, pages))
    start = (query.page - 1) * PAGE_SIZE
    return Listing(
        query=query,
        groups=tuple(wanted[start : start + PAGE_SIZE]),
        older=frozenset(group.id for group in older),
        found=len(wanted),
        counts=Counts(
            groups=len(groups),
            on=sum(group.server_group_status is True for group in groups),
            off=sum(group.server_group_status is False for group in groups),
        ),
        app_types=_distinct(group.app_type for group in both),
        images=_distinct(group.image_name for group in both),
        tags=_distinct(f"{tag.key}={tag.value}" for group in both for tag in group.tags),
    )


def _distinct(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({text for text in texts if text}, key=str.casefold))
