"""The contract: which operations there are, and whether a request fits one. It is read from openapi.yaml."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dashboard.simulator.errors import Code
from dashboard.simulator.strict import NotJsonError, Schema, read_json, unknown_members

DOCUMENT = Path(__file__).with_name("openapi.yaml")
METHODS = ("get", "put", "post", "delete", "patch")


class UnfitError(Exception):
    """A request that does not fit the contract; the message is one sentence about the first thing wrong."""


class NoBodyError(UnfitError):
    """A request that has no body where the contract wants one."""


@dataclass(frozen=True)
class Parameter:
    name: str
    where: str
    required: bool
    schema: Schema

    @property
    def is_integer(self) -> bool:
        return self.schema.schema.get("type") == "integer"

    @property
    def default(self) -> str | int | None:
        default: str | int | None = self.schema.schema.get("default")
        return default

    def read(self, given: Mapping[str, str]) -> str | int | None:
        if self.name not in given:
            if self.required:
                raise UnfitError(f"{self.name} is missing")
            return self.default
        text = given[self.name]
        value = int(text) if self.is_integer and re.fullmatch("-?[0-9]{1,18}", text) else text
        if complaint := self.schema.complaint(value, self.name):
            raise UnfitError(complaint)
        return value


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    name: str
    method: str
    template: str
    service: str
    is_open: bool
    """Whether the operation needs no credential (signing in)."""
    action: str | None
    """The IAM action it needs, if any."""
    writes: bool
    needs: tuple[str, ...]
    """The actions it needs besides."""
    invalid: Code
    parameters: tuple[Parameter, ...]
    body: Schema | None

    @property
    def members(self) -> Mapping[str, Any]:
        """The schemas of the body's members, by name."""
        members: Mapping[str, Any] = self.body.schema["properties"] if self.body else {}
        return members

    def read_parameters(self, where: str, given: Mapping[str, str]) -> dict[str, str | int]:
        """The parameters of the path or of the query, typed; absent ones without a default are left out."""
        declared = (parameter for parameter in self.parameters if parameter.where == where)
        values = {parameter.name: parameter.read(given) for parameter in declared}
        return {name: value for name, value in values.items() if value is not None}

    def read_body(self, raw: bytes, *, refuse_unknown: bool) -> Any:
        if self.body is None:
            return None
        if not raw:
            raise NoBodyError("the request has no body")
        try:
            value = read_json(raw)
        except NotJsonError as error:
            raise UnfitError(str(error)) from None
        if complaint := self.body.complaint(value, ""):
            raise UnfitError(complaint)
        if refuse_unknown and (unknown := unknown_members(self.body.schema, value)):
            raise UnfitError(f"{unknown[0]} is not known")
        return value


@dataclass(frozen=True)
class Place:
    """A path of the contract, with its operations by method."""

    template: str
    pattern: re.Pattern[str]
    operations: Mapping[str, Operation]


@dataclass(frozen=True)
class Contract:
    places: tuple[Place, ...]

    def find(self, path: str) -> tuple[Place, dict[str, str]] | None:
        """The place of a path and the texts that stand for its parameters; None for an unknown path."""
        for place in self.places:
            if match := place.pattern.fullmatch(path):
                return place, match.groupdict()
        return None

    def operation(self, name: str) -> Operation:
        operations = (operation for place in self.places for operation in place.operations.values())
        return next(operation for operation in operations if operation.name == name)


@cache
def load_contract() -> Contract:
    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    paths: Mapping[str, Any] = _resolved(document["paths"], document)
    # A path with fewer parameters is the more particular one.
    ordered = sorted(paths.items(), key=lambda item: item[0].count("{"))
    return Contract(tuple(_place(template, item) for template, item in ordered))


def _resolved(node: Any, document: Mapping[str, Any]) -> Any:
    """The node with every `$ref` replaced by what it points to; the document has no cycles."""
    if isinstance(node, list):
        return [_resolved(part, document) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" not in node:
        return {key: _resolved(part, document) for key, part in node.items()}
    target: Any = document
    for step in node["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return _resolved(target, document)


def _place(template: str, item: Mapping[str, Any]) -> Place:
    shared = item.get("parameters", [])
    operations = {
        method.upper(): _operation(method.upper(), template, shared, item[method])
        for method in METHODS
        if method in item
    }
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
    return Place(template, re.compile(pattern), operations)


def _operation(method: str, template: str, shared: Iterable[Any], item: Mapping[str, Any]) -> Operation:
    content = item.get("requestBody", {}).get("content", {})
    return Operation(
        name=item["operationId"],
        method=method,
        template=template,
        service=item["tags"][0],
        is_open=item.get("security") == [],
        action=item.get("x-action"),
        writes=item.get("x-level") in {"Write", "Tagging"},
        needs=tuple(item.get("x-needs", ())),
        invalid=Code[item["x-invalid"]],
        parameters=tuple(map(_parameter, [*shared, *item.get("parameters", [])])),
        body=Schema(content["application/json"]["schema"]) if content else None,
    )


def _parameter(item: Mapping[str, Any]) -> Parameter:
    return Parameter(item["name"], item["in"], item.get("required", False), Schema(item["schema"]))
