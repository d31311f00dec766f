"""What `q2c shadow` does: puts side by side what the ledger keeps of shadow mode."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from cli import inputs
from cli.output import fail, note, result, result_as_json
from domain import shadow
from domain.shadow import Difference, ShadowLook, ShadowQuote
from ledger import shadow as kept
from ledger.database import DATABASE_ERRORS, Database, open_database

T = TypeVar("T")

SHOWN = 40
COLUMNS = (
    *("company", "quote", "revision", "decision", "reasons", "discount_pct", "margin_pct", "net", "total", "currency"),
    *("credit", "would_write", "people", "differences", "details", "order", "policy_version"),
)


def report(company: str, since: datetime | None, file: Path | None, *, as_json: bool) -> int:
    """Print the report; the exit code."""
    begin = since.replace(tzinfo=UTC) if since else datetime.min.replace(tzinfo=UTC)

    async def read(database: Database) -> list[ShadowLook]:
        return [look async for some in kept.looks(database, company, begin) for look in some]

    quotes = shadow.report(_asked(read), datetime.now(UTC))
    if file is not None:
        _write(file, quotes)
    if as_json:
        result_as_json([quote.model_dump(mode="json") for quote in quotes])
    else:
        _print(quotes)
    return int(any(quote.differences for quote in quotes))


def forget(company: str, *, as_json: bool) -> None:
    """Remove what is kept of a company."""
    removed = _asked(lambda database: kept.forget(database, company))
    if as_json:
        result_as_json({"company": company, "removed": removed})
    else:
        result(f"{removed:,} looks at quotes of {company.upper()} removed")


def _asked(question: Callable[[Database], Awaitable[T]]) -> T:
    url = inputs.settings().ledger.url.get_secret_value()

    async def asked() -> T:
        database = await open_database(url)
        try:
            return await question(database)
        finally:
            await database.close()

    try:
        return asyncio.run(asked())
    except DATABASE_ERRORS as error:
        fail(str(error))


def row_of(quote: ShadowQuote) -> dict[str, str]:
    """A quote as a row of a file."""
    of, order = quote.decided, quote.decided.order
    row = of.model_dump(mode="json", include={"discount_pct", "margin_pct", "net", "total", "currency", "credit"})
    row |= {"company": quote.company, "quote": quote.quote, "revision": quote.revision, "decision": str(of.decision)}
    row |= {"reasons": "; ".join(of.reasons), "would_write": "; ".join(of.would_write)}
    row |= {"people": "; ".join(quote.people), "differences": "; ".join(quote.differences)}
    row |= {"details": "; ".join(quote.details), "order": order.number if order else ""}
    row["policy_version"] = of.policy_version
    # A spreadsheet takes what begins with these for a formula.
    return {name: f"'{text}" if str(text)[:1] in "=+-@" else text for name, text in row.items()}


def _write(file: Path, quotes: list[ShadowQuote]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=COLUMNS)
        writer.writeheader()
        writer.writerows(row_of(quote) for quote in quotes)


def _print(quotes: list[ShadowQuote]) -> None:
    console = Console(file=sys.stdout, highlight=False, markup=False)
    rows = Table("Company", "Quote", "Would have been", "Why, or who is asked", "Credit", "People", "Differs", box=None)
    for quote in sorted(quotes, key=lambda quote: not quote.differences)[:SHOWN]:
        of = quote.decided
        differs = ", ".join(quote.differences)
        told = (*of.reasons, *of.would_write[:1])
        rows.add_row(
            quote.company.upper(),
            f"{quote.quote} rev {quote.revision}",
            str(of.decision),
            "\n".join(told),
            of.credit,
            "\n".join(quote.people),
            "\n".join((differs, *quote.details)) if differs else "",
        )
    if quotes:
        console.print(rows)
    if len(quotes) > SHOWN:
        note(f"and {len(quotes) - SHOWN:,} more: --csv FILE writes all")
    found = Counter(difference for quote in quotes for difference in quote.differences)
    counted = ", ".join(f"{found[kind]:,} {kind}" for kind in Difference if found[kind])
    result(f"{len(quotes):,} quotes" + (f": {counted}" if counted else ", no difference"))
