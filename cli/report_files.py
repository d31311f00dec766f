"""Lists of findings as files: CSV and XLSX for a spreadsheet, HTML to read; written row by row, however many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path
from typing import Final

from cleansing.files import ListFile

MOST_IN_HTML: Final = 10_000
_STYLE: Final = (
    "body{font:14px system-ui;margin:2rem}table{border-collapse:collapse}th{background:#f4f4f4}"
    "td,th{border:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top}"
)

Row = Sequence[str]


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
def files(folder: Path, name: str, columns: Sequence[str], title: str, summary: str) -> Iterator[Files]:
    """Files of a name in a folder, whole once the block ends.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield Files(
            (
                stack.enter_context(ListFile(folder / name, columns)).write,
                stack.enter_context(_html(folder / f"{name}.html", columns, title, summary)),
            )
        )


@contextmanager
def _html(path: Path, columns: Sequence[str], title: str, summary: str) -> Iterator[Callable[[Row], None]]:
    with path.open("w", encoding="utf-8") as file:
        head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in columns)
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
            file.write(f"<p>{written - MOST_IN_HTML:,} more are in {path.stem}.csv and {path.stem}.xlsx.</p>")
        file.write("</html>\n")
