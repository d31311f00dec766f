"""Letters to customers as a person reads them: HTML and PDF of one record, the same however often they are made.

A letter is written down when a level is reached and rendered when somebody asks for it; nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar, cast

from fpdf import FPDF
from fpdf.enums import Align, TableCellFillMode, XPos, YPos
from fpdf.fonts import FontFace
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
_COLUMNS: Final = (
    marked("Invoice"),
    marked("Order"),
    marked("Due"),
    marked("Days overdue"),
    marked("Total"),
    marked("Open"),
    marked("Note"),
)
_WIDTHS: Final = (30, 32, 22, 18, 28, 28, 24)


class CannotPrint(ValueError):
    """The font at hand cannot be used, or lacks signs of the document; the text says what to do."""


def language_of(letter: Letter) -> Language:
    """The language Finance keeps for the customer, ``de-AT`` as ``de``; English where the site has none for it."""
    return LANGUAGES.get(letter.language.lower().replace("_", "-").partition("-")[0], ENGLISH)


def _spoken(
    make: Callable[Concatenate[Letter, Asked], Made],
) -> Callable[Concatenate[Letter, Asked], Made]:
    """Make something of a letter in its own language, whoever reads it."""

    @wraps(make)
    def spoken(letter: Letter, *args: Asked.args, **named: Asked.kwargs) -> Made:
        with using(language_of(letter)):
            return make(letter, *args, **named)

    return cast(Callable[Concatenate[Letter, Asked], Made], spoken)


@_spoken
def subject(letter: Letter) -> str:
    """What the letter is, as its heading."""
    return gettext(_SUBJECTS[letter.kind])


@_spoken
def paragraphs(letter: Letter) -> tuple[str, ...]:
    """What the letter says, a paragraph each."""
    held = (_HELD,) if letter.blocks_orders else ()
    return tuple(gettext(text) for text in (_WORDS[letter.kind], *held))


@_spoken
def sums(letter: Letter) -> tuple[tuple[str, str], ...]:
    """The sums below the invoices, the last what is to be paid."""
    rows = [(gettext("Overdue"), letter.demanded)]
    if letter.fee:
        rows.append((gettext("Fee"), letter.fee))
    if letter.unapplied:
        rows.append((gettext("Received and not settled yet"), -letter.unapplied))
    rows.append((gettext("Please pay"), letter.to_pay))
    return tuple((name, money(value, letter.currency)) for name, value in rows)


def _rows(letter: Letter) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
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
        rows.append((gettext("%(count)s more") % {"count": letter.more}, "", "", "", "", rest, ""))
    return rows


def _note(line: LetterLine) -> str:
    if line.left_out:
        return gettext("%(why)s, not demanded") % {"why": gettext(line.left_out)}
    return inside(words(line.level))


def _title(letter: Letter) -> str:
    number = gettext("no. %(n)s") % {"n": letter.n}
    return f"{subject(letter)} {letter.company.upper()} {letter.account} {number}"


def _account(letter: Letter) -> str:
    numbers = {"account": letter.account, "n": letter.n}
    return gettext("Customer account %(account)s, letter %(n)s") % numbers


def _closing(letter: Letter) -> str:
    said = {"currency": letter.currency, "version": letter.policy}
    return gettext("Amounts in %(currency)s, tax included. Rules %(version)s.") % said


@_spoken
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
        title=_title(letter),
        paragraphs=paragraphs(letter),
        language=current().code,
        account_line=_account(letter),
        columns=[gettext(name) for name in _COLUMNS],
        rows=_rows(letter),
        sums=sums(letter),
        closing=_closing(letter),
        stylesheet=stylesheet,
    )


@_spoken
def as_pdf(letter: Letter, font: Path | None = None) -> bytes:
    """The letter as a PDF on A4; the same letter gives the same bytes.

    Args:
        letter: the record.
        font: a TrueType font; None: Helvetica, which every reader has and which holds Western European signs.

    Raises:
        CannotPrint: the font at hand lacks signs of the letter, or cannot be read.
    """
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime.combine(letter.on, time(12), UTC))
    pdf.set_title(_title(letter))
    pdf.set_lang(current().code)
    pdf.set_margins(14, 16)
    pdf.set_auto_page_break(True, 18)
    family = font_of(pdf, font)
    if font is None:
        _check_signs(letter)
    pdf.add_page()
    pdf.set_font(family, size=9)
    for line in letter.sender:
        _line(pdf, line, align="R")
    pdf.ln(6)
    pdf.set_font(family, size=11)
    for line in (letter.customer_name or letter.account, *letter.address):
        _line(pdf, line)
    pdf.ln(6)
    _line(pdf, f"{letter.on.isoformat()}", align="R")
    pdf.set_font(family, size=15)
    _line(pdf, subject(letter))
    pdf.set_font(family, size=9)
    _line(pdf, _account(letter))
    pdf.ln(3)
    pdf.set_font(family, size=11)
    for text in paragraphs(letter):
        pdf.multi_cell(0, 6, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.ln(2)
    _table(pdf, letter, family)
    pdf.ln(3)
    pdf.set_font(family, size=11)
    for name, said in sums(letter):
        pdf.cell(130, 7, name, align="R")
        pdf.cell(0, 7, said, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)
    pdf.set_font(family, size=8)
    _line(pdf, _closing(letter))
    return bytes(pdf.output())


def font_of(pdf: FPDF, font: Path | None) -> str:
    """The family a document is set in: that of a file, or one that every reader has.

    Raises:
        CannotPrint: the file is no font.
    """
    if font is None:
        return "helvetica"
    try:
        pdf.add_font("letter", fname=str(font))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise CannotPrint(f"the font of Q2C_WEB_LETTER_FONT_FILE cannot be used: {error}") from error
    return "letter"


def _check_signs(letter: Letter) -> None:
    texts = (letter.customer_name, *letter.address, *letter.sender, *(cell for row in _rows(letter) for cell in row))
    for text in texts:
        try:
            text.replace("–", "-").encode("latin-1")
        except UnicodeEncodeError as error:
            raise CannotPrint(
                f"{text[:80]!r} has signs that the built-in font lacks: download the HTML letter, or have a TrueType "
                "font set as Q2C_WEB_LETTER_FONT_FILE"
            ) from error


def _plain(pdf: FPDF, text: str) -> str:
    """A text without the signs that only a font of its own has."""
    return text if pdf.is_ttf_font else text.replace("–", "-")


def _line(pdf: FPDF, text: str, align: str = "L") -> None:
    pdf.multi_cell(0, 5.5, _plain(pdf, text), align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _table(pdf: FPDF, letter: Letter, family: str) -> None:
    pdf.set_font(family, size=8)
    aligned = (Align.L, Align.L, Align.L, Align.R, Align.R, Align.R, Align.L)
    with pdf.table(
        col_widths=_WIDTHS,
        text_align=aligned,
        line_height=5,
        padding=1,
        cell_fill_mode=TableCellFillMode.NONE,
        headings_style=FontFace(family=family, emphasis=""),
    ) as table:
        for row in ([gettext(name) for name in _COLUMNS], *_rows(letter)):
            cells = table.row()
            for text in row:
                cells.cell(_plain(pdf, text))
