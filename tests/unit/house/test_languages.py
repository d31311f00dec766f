"""Every message of the source is in each catalogue, whole; and no template says anything that is in none."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po
from jinja2 import Environment

from web.languages import CATALOGUES, ENGLISH, LANGUAGES

ROOT = Path(__file__).parents[3]
OTHERS = [code for code in LANGUAGES if code != ENGLISH.code]
TEMPLATES = sorted((ROOT / "web" / "templates").glob("*.html"))
KEYWORDS = "_ gettext ngettext:1,2 phrase:1 counted:1,2 marked:1"
NAMES = frozenset(["Quote to Cash", "Temporal", "CSV", "PDF", "Finance", "UTC"])
"""Words that every language has: of the product, of systems and formats."""
SAID_ELSEWHERE = {
    "Quote",
    "Customer",
    "Stage",
    "Waiting for",
    "Total incl. tax",
    "Order",
    "Owner",
    "Started",
    "credit note",
}
"""Headings that are translated where the table is made, and a kind that is compared."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The messages of the source, as `poe messages` finds them."""
    found = tmp_path_factory.mktemp("messages") / "messages.pot"
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(ROOT)
        keywords = [part for keyword in KEYWORDS.split() for part in ("-k", keyword)]
        arguments = ["-F", "pyproject.toml", "--no-default-keywords", *keywords, "-o", str(found), "."]
        CommandLineInterface().run(["pybabel", "-q", "extract", *arguments])  # type: ignore[no-untyped-call]
    with found.open("rb") as file:
        return read_po(file)


@pytest.fixture(scope="module", params=OTHERS)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    with (CATALOGUES / request.param / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=request.param)


def forms(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def said(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def places(text: str) -> set[str]:
    """What stands in a message for something else, and the elements around its words."""
    return set(re.findall(r"%\(\w+\)s|\{\w+\}|</?[^>]+>", text))


def test_every_message_is_in_each_catalogue_and_nothing_else(source: Catalog, catalogue: Catalog) -> None:
    there, wanted = {forms(m) for m in catalogue if m.id}, {forms(m) for m in source if m.id}
    assert wanted - there == set(), "run `poe messages`, and translate what it adds"
    assert there - wanted == set(), "run `poe messages`: nothing says this any more"


def test_every_message_is_translated_whole(catalogue: Catalog) -> None:
    assert catalogue.num_plurals == 2
    for message in catalogue:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        assert len(said(message)) == (1 if isinstance(message.id, str) else catalogue.num_plurals), message.id
        for text in said(message):
            assert text.strip(), message.id
            assert places(text) in [places(form) for form in forms(message)], (message.id, text)
            assert text.strip() == text or message.id != text.strip(), (message.id, text)
        assert [str(error) for error in message.check(catalogue)] == []


def test_what_rules_say_can_be_filled_in(source: Catalog) -> None:
    for message in source:
        for form in forms(message) if message.id else ():
            if "%(" not in form:
                assert all(name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(form))


class Words(HTMLParser):
    """Collects the words a template says outside of messages."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("input", "br", "meta", "link", "img", "path", "rect", "circle"):
            self.within.append(tag)
        for name, value in attrs:
            if name in ("aria-label", "placeholder", "data-label", "title", "alt") and value:
                self.look(value)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            del self.within[len(self.within) - 1 - self.within[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if not {"code", "kbd", "style", "script"} & set(self.within):
            self.look(data)

    def look(self, text: str) -> None:
        for name in NAMES:
            text = text.replace(name, "")
        if re.search(r"[^\W\d_]{2}", text):
            self.found.append(" ".join(text.split()))


def without_messages(template: str) -> str:
    text = re.sub(r"\{% trans\b.*?\{% endtrans %\}", "", template, flags=re.DOTALL)
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text, flags=re.DOTALL)


def literals(template: str) -> Iterator[str]:
    """Strings within expressions that read like words, and are given to no `_`."""
    tokens = [token for token in Environment(extensions=["jinja2.ext.i18n"]).lex(template) if token[1] != "whitespace"]
    for place, (_, kind, text) in enumerate(tokens):
        if kind == "string" and re.search(r"^.[A-Z][a-z]|[a-z]{2} [a-z]{2}", text):
            if [token[2] for token in tokens[place - 2 : place]] != ["_", "("]:
                yield text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_says_nothing_outside_of_messages(path: Path) -> None:
    template = path.read_text(encoding="utf-8")
    words = Words()
    words.feed(without_messages(template))
    assert words.found == []
    headings = {
        '"Quote"',
        '"Customer"',
        '"Stage"',
        '"Waiting for"',
        '"Total incl. tax"',
        '"Order"',
        '"Owner"',
        '"Started"',
    }
    assert set(literals(template)) <= headings | {'"credit note"'}, "give it to _()"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_plural_says_what_it_counts(path: Path) -> None:
    """Jinja takes the first variable of the message otherwise, which may be a name."""
    assert set(re.findall(r"{%-?\s*pluralize\b([^%]*?)-?%}", path.read_text(encoding="utf-8"))) <= {" count "}
