"""The contract, read from openapi.yaml: the operations, and whether a request is valid for one."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule

from dashboard.simulator.errors import Code
from dashboard.simulator.request_checks import NotJsonError, Schema, read_json, unknown_members

DOCUMENT = Path(__file__).with_name("openapi.yaml")
METHODS = ("get", "put", "post", "delete", "patch")


class InvalidRequestError(Exception):
    """A request that does not fit the contract. The message names the first mistake."""


class MissingBodyError(InvalidRequestError):
    """A request without a body where the contract requires one."""


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
                raise InvalidRequestError(f"{self.name} is missing")
            return self.default
        text = given[self.name]
        value = int(text) if self.is_integer and re.fullmatch("-?[0-9]{1,18}", text) else text
        if complaint := self.schema.complaint(value, self.name):
            raise InvalidRequestError(complaint)
        return value


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    name: str
    service: str
    is_open: bool
    """Whether the operation needs no credential, as the sign-in does."""
    action: str | None
    """The IAM action that the operation needs, if any."""
    writes: bool
    needs: tuple[str, ...]
    """Further actions that it needs."""
    invalid: Code
    parameters: tuple[Parameter, ...]
    body: Schema | None

    @property
    def members(self) -> Mapping[str, Any]:
        """The schemas of the body's members, by name."""
        members: Mapping[str, Any] = self.body.schema["properties"] if self.body else {}
        return members

    def read_parameters(self, where: str, given: Mapping[str, str]) -> dict[str, str | int]:
        """The typed parameters of the path or the query, without those that are absent and have no default."""
        declared = (parameter for parameter in self.parameters if parameter.where == where)
        values = {parameter.name: parameter.read(given) for parameter in declared}
        return {name: value for name, value in values.items() if value is not None}

    def read_body(self, raw: bytes, *, refuse_unknown: bool) -> Any:
        if self.body is None:
            return None
        if not raw:
            raise MissingBodyError("the request has no body")
        try:
            value = read_json(raw)
        except NotJsonError as error:
            raise InvalidRequestError(str(error)) from None
        if complaint := self.body.complaint(value, ""):
            raise InvalidRequestError(complaint)
        if refuse_unknown and (unknown := unknown_members(self.body.schema, value)):
            raise InvalidRequestError(f"{unknown[0]} is not known")
        return value


PathItem = Mapping[str, Operation]
"""The operations of a path, by method."""


class Contract:
    def __init__(self, items: Mapping[str, PathItem]) -> None:
        """`items` are the path items by template, such as `/v1/{project_id}/app-servers`."""
        self._items = items
        self._operations = {operation.name: operation for item in items.values() for operation in item.values()}
        rules = [Rule(path.replace("{", "<").replace("}", ">"), endpoint=path) for path in items]
        self._routes = Map(rules, merge_slashes=False).bind("")

    def find(self, path: str) -> tuple[PathItem, Mapping[str, str]] | None:
        """The path item and the texts of its parameters; None for an unknown path."""
        try:
            template, texts = self._routes.match(path)
        except NotFound:
            return None
        return self._items[template], texts

    def operation(self, name: str) -> Operation:
        return self._operations[name]


@cache
def load_contract() -> Contract:
    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    registry = Registry().with_resource("", DRAFT202012.create_resource(document))
    paths: Mapping[str, Any] = _resolved(document["paths"], registry)
    return Contract({template: _path_item(item) for template, item in paths.items()})


def _resolved(node: Any, registry: Registry[Any]) -> Any:
    """The node with every `$ref` replaced by its target. The document has no cycles."""
    if isinstance(node, list):
        return [_resolved(part, registry) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _resolved(registry.resolver().lookup(node["$ref"]).contents, registry)
    return {key: _resolved(part, registry) for key, part in node.items()}


def _path_item(item: Mapping[str, Any]) -> PathItem:
    shared = item.get("parameters", [])
    methods = [method for method in METHODS if method in item]
    return {method.upper(): _operation(shared, item[method]) for method in methods}


def _operation(shared: Iterable[Any], item: Mapping[str, Any]) -> Operation:
    content = item.get("requestBody", {}).get("content", {})
    return Operation(
        name=item["operationId"],
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
