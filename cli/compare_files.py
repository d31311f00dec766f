"""Every difference as files: CSV and XLSX for a spreadsheet, HTML to read; written row by row, however many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final

from cleansing.files import ListFile
from ledger.comparison_runs import KeptDifference

COLUMNS: Final = (
    "class",
    "key",
    "field",
    "finance",
    "sales",
    "missing_in",
    "sales_ids",
    "owner",
    "first_seen_at",
    "age_days",
)
MOST_IN_HTML: Final = 10_000
_STYLE: Final = (
    "body{font:14px system-ui;margin:2rem}table{border-collapse:collapse}th{background:#f4f4f4}"
    "td,th{border:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top}"
)

Row = Sequence[str]


def row_of(found: KeptDifference, now: datetime) -> Row:
    """A difference as a line of a report."""
    return (
        found.kind.value,
        found.key,
        found.field,
        found.finance_value,
        found.sales_value,
        found.lacking or "",
        found.sales_ids,
        found.owner.value,
        found.first_seen_at.isoformat().replace("+00:00", "Z"),
        str(found.age_days(now)),
    )


class Files:
    """The three files of a report, open for writing."""

    def __init__(self, take: Sequence[Callable[[Row], None]]) -> None:
        """Hand each row to ``take``."""
        self._take = take

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows to every file."""
        for row in rows:
            for take in self._take:
                take(row)


@contextmanager
def files(folder: Path, title: str, summary: str) -> Iterator[Files]:
    """Files in a folder, whole once the block ends.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield Files(
            (
                stack.enter_context(ListFile(folder / "differences", COLUMNS)).write,
                stack.enter_context(_html(folder / "differences.html", title, summary)),
            )
        )


@contextmanager
def _html(path: Path, title: str, summary: str) -> Iterator[Callable[[Row], None]]:
    with path.open("w", encoding="utf-8") as file:
        head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in COLUMNS)
        file.write(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{_STYLE}</style><h1>{escape(title)}</h1><p>{escape(summary)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>\n"
        )
        written = 0

        def take(row: Row) -> None:
            nonlocal written
            written += 1
            if written <= MOST_IN_HTML:
                file.write(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n")

        yield take
        file.write("</tbody></table>")
        if written > MOST_IN_HTML:
            file.write(f"<p>{written - MOST_IN_HTML:,} more are in differences.csv and differences.xlsx.</p>")
        file.write("</html>\n")
