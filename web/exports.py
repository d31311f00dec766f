"""Lists as files for a spreadsheet: exact decimals, a currency beside each amount, and no cell that is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeVar

from starlette.responses import Response

from domain.money import format_amount

MOST_ROWS: Final = 5_000
"""Rows of one file."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV Injection)."""

Cell = str | int | Decimal | datetime | None
T = TypeVar("T")
Columns = Mapping[str, Callable[[T], Cell]]
"""The columns of a list: each heading with what stands below it in a row."""


def csv_file(name: str, columns: Columns[T], rows: Iterable[T], *, more: bool = False) -> Response:
    """A download of rows.

    Args:
        name: of the file, without ending.
        columns: of the file. Text is made harmless; numbers are written as they are; moments in UTC.
        rows: in their order.
        more: there are others, which the file does not hold; its last row says so.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    written = 0
    for row in rows:
        writer.writerow([_cell(cell_of(row)) for cell_of in columns.values()])
        written += 1
    if more:
        writer.writerow([f"There are more than these {written:,}. Narrow the list with its filters."])
    # The mark at the beginning has spreadsheets read the file as UTF-8.
    return Response(
        "\ufeff" + text.getvalue(),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}-{datetime.now(UTC):%Y-%m-%d}.csv"'},
    )


def amount_cell(value: Decimal | None, currency: str) -> Decimal | None:
    """An amount with the decimals of its currency, as a number."""
    return None if value is None else Decimal(format_amount(value, currency).replace(",", ""))


def _cell(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case datetime():
            return cell.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case Decimal():
            return format(cell, "f")
        case int():
            return str(cell)
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
