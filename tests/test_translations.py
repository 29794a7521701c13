"""Every text of a page can be translated: it is marked, it is a whole sentence, and the catalogue has it."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Comment, Doctype
from django.conf import settings
from django.template.base import Lexer, Token, TokenType

ROOT = Path(settings.BASE_DIR)
CATALOGUE = Path("dashboard", "locale", "en", "LC_MESSAGES", "django.po")
OPTIONS = ("--locale", "en", "--no-location", "--no-obsolete")
TEMPLATES = ROOT / "templates"

# The catalogue


def messages(catalogue: str) -> set[str]:
    """The messages of a catalogue with their contexts and plural forms, without comments and translations."""
    joined = re.sub(r'"\n"', "", catalogue)
    entries = (re.findall(r"^msg(?:ctxt|id|id_plural) .*$", entry, re.MULTILINE) for entry in joined.split("\n\n"))
    return {"\n".join(lines) for lines in entries if lines} - {'msgid ""'}


def test_the_catalogue_has_every_message_and_no_other(tmp_path: Path) -> None:
    """`make messages` updates it. The command runs on a copy, because it writes beside the sources."""
    for name in ("dashboard", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", tmp_path)
    committed = messages((ROOT / CATALOGUE).read_text())

    command = [sys.executable, "manage.py", "makemessages", "--settings", "dashboard.settings", *OPTIONS]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)  # noqa: S603 (ours)

    assert len(committed) > 100
    assert committed == messages((tmp_path / CATALOGUE).read_text())


def test_messages_are_read_with_context_and_plural_forms() -> None:
    catalogue = """msgid ""\nmsgstr "Language: en"\n
#, fuzzy\nmsgctxt "theme"\nmsgid "Dark"\nmsgstr ""\n
msgid ""\n"a "\n"long one"\nmsgid_plural "ones"\nmsgstr[0] ""\n"""

    assert messages(catalogue) == {'msgctxt "theme"\nmsgid "Dark"', 'msgid "a long one"\nmsgid_plural "ones"'}


# Texts in templates

SPOKEN = ("alt", "aria-label", "aria-description", "data-label", "placeholder", "title")
"""Attributes whose value a person reads or hears."""
NAMES = re.compile(r"\b(Streamwarden|CSV|JSON Lines|XLSX|HTTP|UTC|GB|ms|auto|\w+_\w+)\b|&\w+;")
"""Names, units and values of attributes that are the same in every language."""
CONSTANT = re.compile(r'(?:\|(?:default|default_if_none|yesno)|\b(?:label|any|title|text)[:=])[:=]?"([^"]*)"')
"""A text in the arguments of a tag or filter. `_("...")` is translated."""


def untranslated(source: str) -> list[str]:
    """The texts of a template that stand outside the translation tags."""
    tokens = list(without_translated(Lexer(source).tokenize()))
    constants = [text for token in tokens if token.token_type != TokenType.TEXT for text in texts_in(token.contents)]
    markup = "".join(token.contents for token in tokens if token.token_type == TokenType.TEXT)
    return [text for text in (*constants, *shown_texts(markup)) if re.search(r"[^\W\d_]", NAMES.sub("", text))]


def texts_in(tag: str) -> list[str]:
    return CONSTANT.findall(tag.replace("|default_if_none:", "|default:"))


def without_translated(tokens: list[Token]) -> Iterator[Token]:
    """Leave out comments and what stands between the tags that translate."""
    end = ""
    for token in tokens:
        name = token.contents.split(maxsplit=1)[0] if token.token_type == TokenType.BLOCK else ""
        if end:
            end = "" if name == end else end
        elif name in {"blocktranslate", "comment"}:
            end = f"end{name}"
        elif token.token_type != TokenType.COMMENT:
            yield token


def shown_texts(markup: str) -> Iterator[str]:
    soup = BeautifulSoup(markup, "html.parser")
    for node in soup.find_all(string=True):
        if not isinstance(node, Comment | Doctype) and node.parent and node.parent.name not in {"code", "pre"}:
            yield node.strip()
    for tag in soup.find_all(True):
        yield from (str(tag[name]) for name in SPOKEN if name in tag.attrs)


@pytest.mark.parametrize(
    "template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_every_text_of_a_template_is_translated(template: Path) -> None:
    assert untranslated(template.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Text</p>",
        "<p>{{ count }} groups</p>",
        '<a title="Text">{% translate "Text" %}</a>',
        '<td data-label="Text"></td>',
        '{% include "a.html" with label="Text" %}',
        '{{ name|default:"no name" }}',
        '{{ value|yesno:"on,off" }}',
        "{% if a %}Text{% endif %}",
    ],
)
def test_a_text_outside_the_tags_is_found(source: str) -> None:
    assert len(untranslated(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        '<p>{% translate "Text" %}</p>',
        "<p>{% blocktranslate trimmed %} <b>Text</b> {% endblocktranslate %}, 12 GB, {{ text }}</p>",
        "{# Text #}{% comment %}Text{% endcomment %}",
        '<a title="{% translate "Text" %}" href="/text/" class="text"></a>',
        '{% include "a.html" with label=_("Text") %}{{ name|default:_("no name") }}{{ name|default:"" }}',
        "<code>workspace:baseResource:list</code>",
    ],
)
def test_a_translated_text_is_not_reported(source: str) -> None:
    assert untranslated(source) == []


# Texts in Python

FUNCTIONS = re.compile(r"_|n?p?gettext(_lazy)?|ngettext(_lazy)?")
PYTHON = sorted((ROOT / "dashboard").rglob("*.py"))


def is_translation(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and bool(FUNCTIONS.fullmatch(node.func.id))


def fragments(source: str) -> list[str]:
    """The calls whose text is not one constant, and the translations that are joined to another text.

    A translator needs the whole sentence: another language has another order of words.
    """
    found: list[ast.AST] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call() if is_translation(node):
                texts = node.args[:-1] if len(node.args) > 1 else node.args
                found += [node] if not all(is_whole(text) for text in texts) else []
            case ast.BinOp(op=ast.Add()) if is_translation(node.left) or is_translation(node.right):
                found.append(node)
            case ast.FormattedValue() if is_translation(node.value):
                found.append(node)
    return [ast.unparse(node) for node in found]


def is_whole(text: ast.expr) -> bool:
    """Whether it is a constant without blanks at its ends, which would join it to another text."""
    return isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value == text.value.strip() != ""


@pytest.mark.parametrize("module", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_translated_texts_are_whole_sentences(module: Path) -> None:
    assert fragments(module.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        '_(f"{n} groups")',
        '_("a" + b)',
        "_(text)",
        '_("Ask ") + who',
        """f'{_("Ask")} {who}'""",
        'gettext_lazy("a {}".format(b))',
    ],
)
def test_a_fragment_is_found(source: str) -> None:
    assert fragments(source) != []


@pytest.mark.parametrize(
    "source",
    [
        '_("One sentence.")',
        '_("%(n)d groups") % {"n": n}',
        'ngettext("%(n)d group", "%(n)d groups", n)',
        "_unrelated(f'{a}')",
    ],
)
def test_a_whole_sentence_is_not_reported(source: str) -> None:
    assert fragments(source) == []
