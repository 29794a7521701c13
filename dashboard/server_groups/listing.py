"""The list of groups, filtered, sorted and paged over the whole set.

The cloud cannot filter by status, and its order is not documented. So the client reads all pages, and this module
filters and sorts the groups.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator

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
    """Sort by a column. A `-` before its name reverses the order. Unknown values are last in both orders."""
    value = SORTS[sort.removeprefix("-")]
    known = sorted(
        ((key, group) for group in groups if (key := value(group)) is not None),
        key=lambda pair: pair[0],
        reverse=sort.startswith("-"),
    )
    return [*(group for _, group in known), *(group for group in groups if value(group) is None)]


@dataclass(frozen=True)
class Query:
    """The filters, sorting and page in an address. An invalid value is ignored, so that each pasted link works."""

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
        """The query string of this view with some values changed.

        Unlike `{% querystring %}`, it leaves out default and invalid values, so that a view has one address.
        """
        wanted = replace(self, **{"page": 1, **changed})  # type: ignore[arg-type]  # names and types are Query's own
        default = Query()
        parts = {name: value for name, value in vars(wanted).items() if value != getattr(default, name)}
        return f"?{urlencode(parts)}"

    @property
    def here(self) -> str:
        """The query string of this view."""
        return self.link(page=self.page)

    @property
    def is_filtered(self) -> bool:
        """Whether a filter other than the text is set."""
        return any((self.status, self.app_type, self.role, self.tag, self.image))

    def matches(self, group: ServerGroup) -> bool:
        return (
            self._matches_text(group)
            and (not self.status or group.server_group_status is (self.status == "on"))
            and (not self.app_type or group.app_type == self.app_type)
            and (not self.role or self.role == role(group))
            and (not self.image or group.image_name == self.image)
            and (not self.tag or any(self.tag in {tag.key, f"{tag.key}={tag.value}"} for tag in group.tags))
        )

    def _matches_text(self, group: ServerGroup) -> bool:
        part = self.q.casefold()
        texts = (group.name or "", group.description or "", group.id)
        return not part or any(part in text.casefold() for text in texts)


def role(group: ServerGroup) -> str:
    """`standby` if a group names its primary, `primary` if it names a standby, else empty."""
    if group.primary_server_group_ids:
        return "standby"
    return "primary" if group.secondary_server_group_ids else ""


@dataclass(frozen=True)
class Counts:
    """The numbers of groups in the latest response."""

    groups: int
    on: int
    off: int


@dataclass(frozen=True)
class Listing:
    """One page of the matching groups, with counts and the values of the filters.

    `older` holds the ids of groups that are only in an earlier response.
    """

    query: Query
    page: Page[ServerGroup]
    older: frozenset[str] = field(repr=False)
    counts: Counts
    app_types: tuple[str, ...] = field(repr=False)
    images: tuple[str, ...] = field(repr=False)
    tags: tuple[str, ...] = field(repr=False)

    @property
    def groups(self) -> Sequence[ServerGroup]:
        return list(self.page)

    @property
    def previous(self) -> str:
        return self.query.link(page=self.page.previous_page_number()) if self.page.has_previous() else ""

    @property
    def next(self) -> str:
        return self.query.link(page=self.page.next_page_number()) if self.page.has_next() else ""


def list_groups(groups: tuple[ServerGroup, ...], query: Query, older: tuple[ServerGroup, ...] = ()) -> Listing:
    """List the groups of the latest response, and the `older` ones that are only in an earlier response."""
    both = (*groups, *older)
    wanted = _sorted(_sorted([group for group in both if query.matches(group)], "name"), query.sort)
    page = Paginator(wanted, PAGE_SIZE).get_page(query.page)
    return Listing(
        query=replace(query, page=page.number),
        page=page,
        older=frozenset(group.id for group in older),
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
