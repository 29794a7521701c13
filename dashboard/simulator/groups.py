"""The groups of a project at one moment."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from dashboard.simulator.data import SeededGroups
from dashboard.simulator.responses import Document


@dataclass(frozen=True, eq=False)
class Groups(Mapping[str, Document]):
    """Groups by id, in the order of lists. The document of an unchanged group is made when it is read."""

    seeded: SeededGroups
    ids: Sequence[str]
    documents: Mapping[str, Document | None]
    """The documents of changed and added groups; None for a removed group."""

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __getitem__(self, group_id: str) -> Document:
        if group_id not in self.documents:
            return self.seeded[group_id].document
        document = self.documents[group_id]
        if document is None:
            raise KeyError(group_id)
        return document

    def __contains__(self, group_id: object) -> bool:
        if group_id in self.documents:
            return self.documents[str(group_id)] is not None
        return group_id in self.seeded.samples

    def without(self, hidden: AbstractSet[str]) -> "Groups":
        ids = [group_id for group_id in self.ids if group_id not in hidden]
        return Groups(self.seeded, ids, {**self.documents, **dict.fromkeys(hidden)})

    def name(self, group_id: str) -> str:
        """The name alone. It does not need the document, so that a search by name is fast."""
        document = self.documents.get(group_id)
        name: str = document["name"] if document else self.seeded.samples[group_id].name
        return name

    def named(self, name: str) -> list[str]:
        """The ids of the groups with this name."""
        return [group_id for group_id in self.ids if self.name(group_id) == name]
