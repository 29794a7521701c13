"""A page as a browser without JavaScript has it: its elements, its words, and what its forms would send."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Protocol

VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"))


class Rendered(Protocol):
    @property
    def content(self) -> bytes: ...


@dataclass
class Element:
    tag: str
    attrs: dict[str, str]
    text: str = ""


@dataclass
class Form:
    attrs: dict[str, str]
    fields: dict[str, str] = field(default_factory=dict)
    """What submitting it without its buttons sends."""
    disabled: set[str] = field(default_factory=set)


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.elements: list[Element] = []
        self.forms: list[Form] = []
        self._open: list[Element] = []
        self._form: Form | None = None
        self._select: tuple[str, bool] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)
        match tag:
            case "form":
                self._form = Form(element.attrs)
                self.forms.append(self._form)
            case "input":
                self._put(element, element.attrs.get("value", ""))
            case "select":
                self._select = (element.attrs.get("name", ""), "disabled" in element.attrs)
                if "disabled" in element.attrs and self._form:
                    self._form.disabled.add(self._select[0])
            case "option" if self._select and self._form and not self._select[1]:
                value = element.attrs.get("value", "")
                if "selected" in element.attrs:
                    self._form.fields[self._select[0]] = value
                else:
                    self._form.fields.setdefault(self._select[0], value)

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            element = self._open.pop()
            if element.tag == "textarea":
                self._put(element, element.text.removeprefix("\n"))
            if element.tag == tag:
                break
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def _put(self, element: Element, value: str) -> None:
        name = element.attrs.get("name")
        if not name or self._form is None or element.attrs.get("type") in {"submit", "button"}:
            return
        if "disabled" in element.attrs:
            self._form.disabled.add(name)
        else:
            self._form.fields[name] = value

    def all(self, tag: str, **attrs: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag
            and all(element.attrs.get(name.rstrip("_").replace("_", "-")) == value for name, value in attrs.items())
        ]

    def by_id(self, element_id: str) -> Element:
        (element,) = (element for element in self.elements if element.attrs.get("id") == element_id)
        return element

    def has_id(self, element_id: str) -> bool:
        return any(element.attrs.get("id") == element_id for element in self.elements)

    def by_class(self, name: str) -> list[Element]:
        return [element for element in self.elements if name in element.attrs.get("class", "").split()]

    def form(self, form_id: str) -> Form:
        (form,) = (form for form in self.forms if form.attrs.get("id") == form_id)
        return form


def words(text: str) -> str:
    """The text with every run of blanks as one, as a reader sees it."""
    return " ".join(text.split())


def read(response: Rendered) -> Page:
    return Page(response.content.decode())


def said(response: Rendered) -> str:
    """The words of the page's main part, or of all of a partial."""
    page = read(response)
    mains = page.all("main")
    return words(mains[0].text) if mains else words(" ".join(e.text for e in page.elements))
