"""Lists as files for a spreadsheet: CSV and XLSX, row by row, and no cell that is a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import xlsxwriter

ROWS_OF_A_SHEET: Final = 1_000_000
"""A sheet of Excel holds 1,048,576; what goes beyond is on another one."""
_BEGINS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")

Cell = str | int | float | None


class ListFile:
    """A list as `NAME.csv` and `NAME.xlsx`, complete once it is closed."""

    def __init__(self, target: Path, columns: Sequence[str], *, rows_of_a_sheet: int = ROWS_OF_A_SHEET) -> None:
        """Open both files.

        Args:
            target: without its ending.
            columns: headings.
            rows_of_a_sheet: after which another sheet begins.
        """
        self._columns, self._most = columns, rows_of_a_sheet
        self._stack = ExitStack()
        text = self._stack.enter_context(Path(f"{target}.csv").open("w", encoding="utf-8", newline=""))
        self._csv = csv.writer(text)
        self._csv.writerow(columns)
        # Constant memory: a row that is written is on disk. No text is read as a number, a formula or a link.
        self._book = self._stack.enter_context(
            xlsxwriter.Workbook(
                f"{target}.xlsx",
                {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False},
            )
        )
        self._bold = self._book.add_format({"bold": True})
        self._sheet: Any = None
        self.rows = 0
        self._begin_sheet()

    def __enter__(self) -> Self:
        """The files, which are closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self._end_sheet()
        self._stack.close()

    def write(self, cells: Sequence[Cell]) -> None:
        """Write one row."""
        if self.rows and self.rows % self._most == 0:
            self._end_sheet()
            self._begin_sheet()
        self._csv.writerow([_inert(cell) for cell in cells])
        line = self.rows % self._most + 1
        for column, cell in enumerate(cells):
            if isinstance(cell, str):
                self._sheet.write_string(line, column, cell)
            elif cell is not None:
                self._sheet.write_number(line, column, cell)
        self.rows += 1

    def _end_sheet(self) -> None:
        written = (self.rows - 1) % self._most + 1 if self.rows else 0
        self._sheet.autofilter(0, 0, written, len(self._columns) - 1)

    def _begin_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        for column, heading in enumerate(self._columns):
            self._sheet.write_string(0, column, heading, self._bold)


def write_lists(
    folder: Path, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[Cell]]]
) -> Iterator[tuple[str, int]]:
    """Write rows to the list of each one's name; gives the lists with their number of rows.

    Args:
        folder: where, made if it is not there.
        columns: of all of them.
        rows: the name of its list before each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lists: dict[str, ListFile] = {}
    with ExitStack() as stack:
        for name, cells in rows:
            if name not in lists:
                lists[name] = stack.enter_context(ListFile(folder / name, columns))
            lists[name].write(cells)
    yield from sorted((name, written.rows) for name, written in lists.items())


def _inert(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula: what could begin one gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_BEGINS_FORMULA) else cell
