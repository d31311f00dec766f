"""Letters to customers: what they say, in the language of each, and as HTML; the same however often they are made.

A letter is written down when a level is reached and rendered when somebody asks for it; nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.collections import Letter, LetterLine
from domain.dunning import LetterKind
from domain.phrases import marked
from web.languages import ENGLISH, LANGUAGES, Language, current, gettext, using
from web.pages.words import amount, inside, money, words

Asked = ParamSpec("Asked")
Made = TypeVar("Made")

_TEMPLATES: Final = Path(__file__).parent / "templates"
_SUBJECTS: Final = {
    LetterKind.REMINDER: marked("Payment reminder"),
    LetterKind.NOTICE: marked("Overdue notice"),
    LetterKind.FINAL: marked("Final notice"),
    LetterKind.HAND_OVER: marked("Hand-over for collection"),
}
_WORDS: Final = {
    LetterKind.REMINDER: marked(
        "We have not yet received your payment of the invoices below. If you have paid meanwhile, please disregard "
        "this letter. Otherwise please pay the amount now."
    ),
    LetterKind.NOTICE: marked(
        "The invoices below are still not paid although we reminded you. Please pay the amount now, or tell us at once "
        "what keeps you from it."
    ),
    LetterKind.FINAL: marked(
        "The invoices below are not paid in spite of our letters. This is our final notice before we hand the matter "
        "over for collection. Please pay the amount without delay."
    ),
    LetterKind.HAND_OVER: marked(
        "You have not paid the invoices below in spite of our final notice. We now hand the matter over for "
        "collection. Only payment of the whole amount still avoids this."
    ),
}
_HELD: Final = marked("Until the invoices are paid, we take no new orders.")
COLUMNS: Final = (
    marked("Invoice"),
    marked("Order"),
    marked("Due"),
    marked("Days overdue"),
    marked("Total"),
    marked("Open"),
    marked("Note"),
)


class CannotPrint(ValueError):
    """The font at hand cannot be used, or lacks signs of the document; the text says what to do."""


def language_of(letter: Letter) -> Language:
    """The language Finance keeps for the customer, ``de-AT`` as ``de``; English where the site has none for it."""
    return LANGUAGES.get(letter.language.lower().replace("_", "-").partition("-")[0], ENGLISH)


def spoken(
    make: Callable[Concatenate[Letter, Asked], Made],
) -> Callable[Concatenate[Letter, Asked], Made]:
    """Make something of a letter in its own language, whoever reads it."""

    @wraps(make)
    def made(letter: Letter, *args: Asked.args, **named: Asked.kwargs) -> Made:
        with using(language_of(letter)):
            return make(letter, *args, **named)

    return cast(Callable[Concatenate[Letter, Asked], Made], made)


@spoken
def subject(letter: Letter) -> str:
    """What the letter is, as its heading."""
    return gettext(_SUBJECTS[letter.kind])


@spoken
def paragraphs(letter: Letter) -> tuple[str, ...]:
    """What the letter says, a paragraph each."""
    held = (_HELD,) if letter.blocks_orders else ()
    return tuple(gettext(text) for text in (_WORDS[letter.kind], *held))


@spoken
def sums(letter: Letter) -> tuple[tuple[str, str], ...]:
    """The sums below the invoices, the last what is to be paid."""
    rows = [(gettext("Overdue"), letter.demanded)]
    if letter.fee:
        rows.append((gettext("Fee"), letter.fee))
    if letter.unapplied:
        rows.append((gettext("Received and not settled yet"), -letter.unapplied))
    rows.append((gettext("Please pay"), letter.to_pay))
    return tuple((name, money(value, letter.currency)) for name, value in rows)


def rows(letter: Letter) -> list[tuple[str, ...]]:
    """The table of invoices, in the order of `COLUMNS`."""
    found: list[tuple[str, ...]] = [
        (
            line.invoice,
            line.order_number or "–",
            line.due_on.isoformat(),
            str(line.days_overdue),
            amount(line.total, letter.currency),
            amount(line.open_amount, letter.currency),
            _note(line),
        )
        for line in letter.lines
    ]
    if letter.more:
        listed = sum((line.open_amount for line in letter.lines if not line.left_out), Decimal(0))
        rest = amount(letter.demanded - listed, letter.currency)
        found.append((gettext("%(count)s more") % {"count": letter.more}, "", "", "", "", rest, ""))
    return found


def _note(line: LetterLine) -> str:
    if line.left_out:
        return gettext("%(why)s, not demanded") % {"why": gettext(line.left_out)}
    return inside(words(line.level))


def title(letter: Letter) -> str:
    """What the letter is called in a list of files."""
    number = gettext("no. %(n)s") % {"n": letter.n}
    return f"{subject(letter)} {letter.company.upper()} {letter.account} {number}"


def account_line(letter: Letter) -> str:
    """Whose account it is about, below the heading."""
    numbers = {"account": letter.account, "n": letter.n}
    return gettext("Customer account %(account)s, letter %(n)s") % numbers


def closing(letter: Letter) -> str:
    """The small print below the sums."""
    said = {"currency": letter.currency, "version": letter.policy}
    return gettext("Amounts in %(currency)s, tax included. Rules %(version)s.") % said


@spoken
def as_html(letter: Letter, stylesheet: str = "") -> str:
    """The letter as a page of its own.

    Args:
        letter: the record.
        stylesheet: address of a style sheet; empty: none, for a file.
    """
    templates = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return templates.get_template("letter.html").render(
        letter=letter,
        subject=subject(letter),
        title=title(letter),
        paragraphs=paragraphs(letter),
        language=current().code,
        account_line=account_line(letter),
        columns=[gettext(name) for name in COLUMNS],
        rows=rows(letter),
        sums=sums(letter),
        closing=closing(letter),
        stylesheet=stylesheet,
    )
