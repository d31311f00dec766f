"""What the commands of `q2c collections` do, with Temporal's client: only those commands wait for it to load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from cli import inputs
from cli.output import fail, result, result_as_json
from domain.collections import CollectionsView, Letter, WatchedInvoice
from domain.money import format_money
from runs.calls import RunError
from runs.collections import AccountFilter, CollectionsDesk
from web import letters, letters_pdf
from workers.settings import Settings, SettingsError
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect

T = TypeVar("T")


def list_accounts(company: str, *, overdue: bool, limit: int, as_json: bool) -> None:
    """List accounts, the one that began last in front."""
    wanted = AccountFilter(company=company, overdue=overdue)
    page = _ask(lambda desk: desk.accounts(wanted, limit=limit))
    if as_json:
        result_as_json(page.model_dump(mode="json", exclude={"next_cursor"}) | {"more": bool(page.next_cursor)})
        return
    for row in page.items:
        sums = format_money(row.overdue, row.currency) if row.overdue is not None else "nothing overdue"
        result(f"{row.company} {row.account}: {sums}{f', level {row.level}' if row.level else ''}")
    if not page.items:
        result("no accounts")
    if page.next_cursor:
        result(f"and more than these {limit}: raise --limit")


def show(company: str, account: str, *, as_json: bool) -> None:
    """Show an account."""
    view = _ask(lambda desk: desk.view(company, account))
    if as_json:
        result_as_json(view.model_dump(mode="json"))
        return
    result("\n".join(_lines(view)))


def letter(company: str, account: str, number: int, out: Path, *, as_json: bool) -> None:
    """Write a letter to a file, in the form its name ends in."""
    if out.suffix.lower() not in (".pdf", ".html"):
        fail(f"{out}: must end in .pdf or .html")
    found = _ask(lambda desk: desk.view(company, account)).state.letter(number)
    if found is None:
        fail(f"account {account} of {company} has no letter {number}")
    try:
        out.write_bytes(_content(found, out, inputs.settings()))
    except letters.CannotPrint as error:
        fail(f"{out}: {error}")
    except OSError as error:
        fail(f"{out}: {error.strerror}")
    if as_json:
        result_as_json({"file": str(out), "letter": found.model_dump(mode="json")})
        return
    result(f"{out}: {letters.subject(found)}, {format_money(found.to_pay, found.currency)}")


def _content(found: Letter, out: Path, settings: Settings) -> bytes:
    if out.suffix.lower() == ".html":
        return letters.as_html(found).encode()
    return letters_pdf.as_pdf(found, settings.web.letter_font_file)


def _lines(view: CollectionsView) -> list[str]:
    state, levels = view.state, view.plan.levels
    lines = [f"{state.account} {state.customer.name}".strip()]
    lines += [f"orders are held: {view.held}"] if view.held else []
    for invoice in state.invoices:
        if invoice.is_open:
            level = levels[min(invoice.level, len(levels)) - 1].id if invoice.level else "no level"
            amount = format_money(invoice.open_amount, invoice.currency)
            lines.append(f"{invoice.number}: {amount} open, due {invoice.due_on}, {level}{_paused(invoice, view)}")
    for one in state.letters:
        lines.append(f"letter {one.n} of {one.on}: {one.level}, {format_money(one.to_pay, one.currency)}")
    return lines


def _paused(invoice: WatchedInvoice, view: CollectionsView) -> str:
    paused = invoice.paused(view.today)
    return f", paused: {paused}" if paused else ""


def _ask(question: Callable[[CollectionsDesk], Awaitable[T]]) -> T:
    """The answer to a question; what a person can fix ends the command with one message."""

    async def asked() -> T:
        client = await connect(start_telemetry("q2c-collections", environment={}), inputs.settings().codec)
        return await question(CollectionsDesk(client))

    try:
        return asyncio.run(asked())
    except (RunError, SettingsError, TemporalUnusable) as error:
        fail(str(error))
