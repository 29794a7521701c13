"""Read a page like a browser without JavaScript: elements, text, and the data of forms."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from bs4 import BeautifulSoup, Tag

BUTTONS = frozenset(("submit", "button"))


class Rendered(Protocol):
    @property
    def content(self) -> bytes: ...


@dataclass(frozen=True)
class Element:
    node: Tag

    @property
    def tag(self) -> str:
        return self.node.name

    @property
    def attrs(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.node.attrs.items()}

    @property
    def text(self) -> str:
        return self.node.get_text()


@dataclass
class Form:
    attrs: dict[str, str]
    fields: dict[str, str] = field(default_factory=dict)
    """The data that a browser sends, without the buttons."""
    disabled: set[str] = field(default_factory=set)


class Page:
    def __init__(self, html: str) -> None:
        self.html = html
        self.soup = BeautifulSoup(html, "html.parser", multi_valued_attributes=None)
        self.elements = [Element(node) for node in self.soup.find_all(True)]
        self.forms = [_form(node) for node in self.soup.find_all("form")]

    def all(self, tag: str, **attrs: str) -> list[Element]:
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attrs.items()}
        return [e for e in self.elements if e.tag == tag and wanted.items() <= e.attrs.items()]

    def by_id(self, element_id: str) -> Element:
        (element,) = self._with_id(element_id)
        return element

    def has_id(self, element_id: str) -> bool:
        return self._with_id(element_id) != []

    def by_class(self, name: str) -> list[Element]:
        return [element for element in self.elements if name in element.attrs.get("class", "").split()]

    def form(self, form_id: str) -> Form:
        (form,) = (form for form in self.forms if form.attrs.get("id") == form_id)
        return form

    def _with_id(self, element_id: str) -> list[Element]:
        return [element for element in self.elements if element.attrs.get("id") == element_id]


def _form(node: Tag) -> Form:
    form = Form(Element(node).attrs)
    for control in map(Element, node.find_all(("input", "select", "textarea"))):
        name = control.attrs.get("name")
        if not name or control.attrs.get("type") in BUTTONS:
            continue
        if "disabled" in control.attrs:
            form.disabled.add(name)
        else:
            form.fields.update((name, value) for value in _values(control))
    return form


def _values(control: Element) -> Iterator[str]:
    """Yield the values of a control: at most one, or several for a select."""
    match control.tag:
        case "textarea":
            yield control.text.removeprefix("\n")
        case "select":
            options = [Element(option).attrs for option in control.node.find_all("option")]
            selected = [option for option in options if "selected" in option] or options[:1]
            yield from (option.get("value", "") for option in selected)
        case _:
            yield control.attrs.get("value", "")


def words(text: str) -> str:
    """Return the text with single spaces, as a browser shows it."""
    return " ".join(text.split())


def read(response: Rendered) -> Page:
    return Page(response.content.decode())


def said(response: Rendered) -> str:
    """Return the text of the main element of a page, or all text of a partial."""
    page = read(response)
    mains = page.all("main")
    return words(mains[0].text if mains else page.soup.get_text())
