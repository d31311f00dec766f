"""A parallel run as a report: HTML and PDF of one record, the same however often they are made at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from fpdf import FPDF
from fpdf.enums import TableCellFillMode, XPos, YPos
from fpdf.fonts import FontFace

from domain.entities.parallel import EntityDay, ParallelPolicy, clean_in_a_row, entities_of
from domain.entities.parallel_run import ParallelState, ParallelView
from web.letters_pdf import font_of

_STYLE: Final = (
    "body{font:14px system-ui;margin:2rem;max-width:1100px}table{border-collapse:collapse;margin:1rem 0}"
    "th{background:#f4f4f4}td,th{border:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top}"
)
_DAY_COLUMNS: Final = (
    ("Day", 21),
    ("Entity", 27),
    ("Result", 44),
    ("Finance", 17),
    ("Sales", 17),
    ("Open", 13),
    ("New", 12),
    ("Gone", 12),
    ("Critical", 14),
    ("Settled", 14),
    ("Oldest", 14),
)
_ENTITY_COLUMNS: Final = (("Entity", 40), ("Whose", 40), ("Clean days", 30), ("In a row", 25), ("Open now", 25))
Row = tuple[str, ...]


class _Table(NamedTuple):
    title: str
    columns: Sequence[tuple[str, int]]
    rows: Sequence[Row]


def as_html(view: ParallelView, made_at: datetime) -> str:
    """The report as a page of its own."""
    title = _title(view.state)
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(line)}</p>" for line in _lines(view, made_at))]
    for table in _tables(view.state):
        head = "".join(f"<th>{escape(name)}</th>" for name, _ in table.columns)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in table.rows)
        parts.append(f"<h2>{table.title}</h2><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>")
    text = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>\n{text}\n</html>\n"
    )


def as_pdf(view: ParallelView, made_at: datetime, font: Path | None = None) -> bytes:
    """The report as a PDF on A4.

    Args:
        view: the run.
        made_at: UTC.
        font: a TrueType font; None: Helvetica, in which signs it lacks are question marks. The HTML has them all.

    Raises:
        CannotPrint: the font cannot be used.
    """
    pdf = FPDF(format="A4")
    pdf.set_creation_date(made_at)
    pdf.set_title(_title(view.state))
    pdf.set_lang("en")
    pdf.set_margins(3, 14)
    pdf.set_auto_page_break(True, 16)
    family = font_of(pdf, font)
    pdf.add_page()
    _line(pdf, family, 16, _title(view.state))
    for line in _lines(view, made_at):
        _line(pdf, family, 10, line)
    for table in _tables(view.state):
        pdf.ln(3)
        _line(pdf, family, 12, table.title)
        _draw(pdf, family, table)
    return bytes(pdf.output())


def _title(state: ParallelState) -> str:
    return f"Parallel run of {state.company.upper()}"


def _lines(view: ParallelView, made_at: datetime) -> Iterator[str]:
    """What the report says before its tables."""
    state, rules = view.state, view.state.rules
    yield f"Made {made_at:%Y-%m-%d %H:%M} UTC. {_status(state)}"
    yield f"Began {state.began_at:%Y-%m-%d %H:%M} UTC; {len(state.days)} days compared; days of {state.timezone}."
    if rules is not None:
        yield from _criteria(rules)
        yield f"Clean days in a row: {view.clean_days} of {rules.clean_days}."
    blocking = state.blockers(made_at) if state.status == "running" else ()
    yield from (f"It cannot end yet: {each}" for each in blocking)
    if state.status == "running" and not blocking:
        yield "The criteria hold."
    if state.proposed is not None:
        yield f"{state.proposed.person.label} ends it; a second person, with another role, has to say the same."
    for word in state.exit:
        roles = ", ".join(word.roles)
        yield f"Ended by {word.person.label} ({roles}), {word.at:%Y-%m-%d %H:%M} UTC: {word.reason}"
    yield f"SHA-256 of what was counted, as the audit names it: {view.digest}"


def _status(state: ParallelState) -> str:
    words = {"running": "It goes on.", "exited": "Two persons ended it.", "expired": "It ended without the exit."}
    return words[state.status]


def _criteria(rules: ParallelPolicy) -> Iterator[str]:
    tolerated = ", ".join(f"{count} {kind}" for kind, count in sorted(rules.tolerated.items())) or "none"
    fields = "; ".join(f"{entity}: {', '.join(sorted(names))}" for entity, names in rules.critical.fields.items())
    yield f"Criteria {rules.version}, {rules.source}"
    yield (
        f"{rules.days} days compared, of these the last {rules.clean_days} clean. On a clean day all records were "
        f"compared, and of differences there stand at most: {tolerated}."
    )
    yield from (f"Not compared: {entity}. {why}" for entity, why in sorted(rules.not_compared.items()))
    yield f"Critical: {', '.join(sorted(rules.critical.classes)) or 'no class'}. {fields}".rstrip()


def _tables(state: ParallelState) -> Iterator[_Table]:
    rules = state.rules
    if rules is None or not state.days:
        return
    yield _Table("Entities", _ENTITY_COLUMNS, [_entity(state, entity, rules) for entity in entities_of(state.days)])
    rows: list[Row] = []
    for each in state.days:
        if each.why:
            rows.append((each.day.isoformat(), "", f"not compared: {each.why}", *[""] * 8))
        rows += [_day(each.day.isoformat(), found, rules) for found in each.entities]
    yield _Table("Days", _DAY_COLUMNS, rows)


def _entity(state: ParallelState, entity: str, rules: ParallelPolicy) -> Row:
    seen = [found for each in state.days if (found := each.of(entity))]
    clean = sum(found.is_clean(rules) for found in seen)
    last = state.days[-1].of(entity)
    row = clean_in_a_row(state.days, entity, rules)
    return entity, rules.owner(entity), f"{clean} of {len(seen)}", str(row), str(last.open) if last else ""


def _day(day: str, found: EntityDay, rules: ParallelPolicy) -> Row:
    if found.status == "failed":
        return day, found.entity, f"not compared: {found.why}", *[""] * 8
    result = "clean" if found.is_clean(rules) else "not clean"
    if found.open:
        result += ": " + ", ".join(f"{count} {kind}" for kind, count in sorted(found.standing.open.items()) if count)
    standing = found.standing
    numbers = (found.finance, found.sales, found.open, found.new, found.gone, standing.critical, standing.settled)
    oldest = f"{standing.oldest_days} d" if found.open else ""
    return day, found.entity, result, *(f"{number:,}" for number in numbers), oldest


def _plain(pdf: FPDF, text: str) -> str:
    """A text without the signs that only a font of its own has."""
    return text if pdf.is_ttf_font else text.encode("latin-1", "replace").decode("latin-1")


def _line(pdf: FPDF, family: str, size: int, text: str) -> None:
    pdf.set_font(family, size=size)
    pdf.multi_cell(0, size * 0.55, _plain(pdf, text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _draw(pdf: FPDF, family: str, table: _Table) -> None:
    pdf.set_font(family, size=7)
    with pdf.table(
        col_widths=tuple(width for _, width in table.columns),
        line_height=4,
        padding=0.6,
        cell_fill_mode=TableCellFillMode.NONE,
        headings_style=FontFace(family=family, emphasis=""),
    ) as drawn:
        for row in (tuple(name for name, _ in table.columns), *table.rows):
            cells = drawn.row()
            for text in row:
                cells.cell(_plain(pdf, text))
