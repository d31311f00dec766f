"""Letters to customers as PDF on A4.

What draws it would be a third of the time in which the site starts: it is loaded with the first letter asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.enums import Align, TableCellFillMode, XPos, YPos
from fpdf.fonts import FontFace

from domain.collections import Letter
from web import letters
from web.languages import current, gettext

_WIDTHS: Final = (30, 32, 22, 18, 28, 28, 24)


@letters.spoken
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
    pdf.set_title(letters.title(letter))
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
    _line(pdf, letters.subject(letter))
    pdf.set_font(family, size=9)
    _line(pdf, letters.account_line(letter))
    pdf.ln(3)
    pdf.set_font(family, size=11)
    for text in letters.paragraphs(letter):
        pdf.multi_cell(0, 6, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.ln(2)
    _table(pdf, letter, family)
    pdf.ln(3)
    pdf.set_font(family, size=11)
    for name, said in letters.sums(letter):
        pdf.cell(130, 7, name, align="R")
        pdf.cell(0, 7, said, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)
    pdf.set_font(family, size=8)
    _line(pdf, letters.closing(letter))
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
        raise letters.CannotPrint(f"the font of Q2C_WEB_LETTER_FONT_FILE cannot be used: {error}") from error
    return "letter"


def _check_signs(letter: Letter) -> None:
    texts = (
        letter.customer_name,
        *letter.address,
        *letter.sender,
        *(cell for row in letters.rows(letter) for cell in row),
    )
    for text in texts:
        try:
            text.replace("–", "-").encode("latin-1")
        except UnicodeEncodeError as error:
            raise letters.CannotPrint(
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
        for row in ([gettext(name) for name in letters.COLUMNS], *letters.rows(letter)):
            cells = table.row()
            for text in row:
                cells.cell(_plain(pdf, text))
