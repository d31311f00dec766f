"""What the demo shows: where to click, the deals as they move, the verdict.

On a terminal the addresses and the deals stay in sight, fitted to its size. Where the output is no terminal (a log, a
pipe) each change of a deal is one line.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic
from typing import Any, Protocol

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.stack import StackInfo
from domain.money import format_money
from runs.search import DealRow

DEALS_ONE_BY_ONE = 40
"""Up to so many deals are shown one by one, more of them counted by stage."""
WIDE = 100
"""Columns from which the stages are drawn as well as named."""
SPARE_LINES = 2
SUMMARY_EVERY_SECONDS = 5.0
STAGES = ("opportunity", "quote", "credit", "order", "fulfilment", "invoice", "payment")
ENDED, AT_WORK = "ended", "in progress"
WAITS = {
    "approval": "approver",
    "rep": "sales rep",
    "customer": "customer",
    "credit": "credit manager",
    "shipment": "warehouse",
    "invoice": "invoice",
    "payment": "payment",
    "unapplied": "receivables",
    "finance": "Finance",
    "sales": "Sales",
    "operator": "operator (parked)",
}
DECIDED = frozenset({"approval", "credit", "operator", "unapplied"})
"""What a deal waits for when somebody has to decide in the product."""
PLAYS = {"approve": ("sales_manager", "sales_director", "cfo"), "credit": ("credit_manager",), "operate": ("ops",)}
"""What people are signed in for, and the roles that do it."""


class Screen(Protocol):
    """Where the deals are shown."""

    def show(self, rows: Sequence[DealRow]) -> None:
        """Show how the deals stand now."""


@contextmanager
def screen(
    console: Console, info: StackInfo, titles: Mapping[str, str], expected: int, *, auto: bool
) -> Iterator[Screen]:
    """The screen that fits what the console is.

    Args:
        console: where people look.
        info: addresses and people.
        titles: what each deal shows, by quote number.
        expected: how many deals there will be.
        auto: whether people are played.
    """
    head = where_to_click(info, auto=auto)
    if console.is_terminal and not console.is_dumb_terminal:
        board = _Board(head, titles, expected)
        with Live(board, console=console, refresh_per_second=4) as live:
            board.live = live
            yield board
    else:
        console.print(head, soft_wrap=True)
        yield _Lines(console, titles, expected)


def where_to_click(info: StackInfo, *, auto: bool) -> RenderableType:
    """Addresses, and who to sign in as: the first holder of each deciding role."""
    holders = {role.partition(".")[0]: name for name, roles in reversed(info.users.items()) for role in roles}
    people = []
    for purpose, roles in PLAYS.items():
        names = [holders[role] for role in roles if role in holders]
        people += [f"{', '.join(names)} ({purpose})"] if names else []
    table = Table.grid(padding=(0, 2))
    table.add_row("[b]Approvals, deals[/]", info.web)
    table.add_row("", f"sign in as {'; '.join(people)}; no password is asked")
    table.add_row("[b]Temporal Web[/]", info.temporal_ui)
    table.add_row("[b]Desk[/]", f"{info.desk}  (sales rep, warehouse, receivables)")
    end = "People are played; the run ends with a verdict." if auto else "You decide. Ctrl-C ends everything."
    return Group(table, Text(end, style="dim"))


@dataclass
class _Board:
    """Addresses and deals, fitted to the terminal."""

    head: RenderableType
    titles: Mapping[str, str]
    expected: int
    rows: Sequence[DealRow] = ()
    live: Live | None = None

    def show(self, rows: Sequence[DealRow]) -> None:
        self.rows = rows
        if self.live is not None:
            self.live.update(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        taken = len(console.render_lines(self.head, options, pad=False))
        yield self.head
        yield deals_table(
            self.rows,
            self.titles,
            self.expected,
            width=options.max_width,
            height=console.height - taken - SPARE_LINES,
        )


@dataclass
class _Lines:
    """One line for each change of a deal; of many deals their number by stage, now and then."""

    console: Console
    titles: Mapping[str, str]
    expected: int
    _shown: dict[str, tuple[str, str]] = field(default_factory=dict)
    _summary: str = ""
    _summary_at: float = -SUMMARY_EVERY_SECONDS

    def show(self, rows: Sequence[DealRow]) -> None:
        if self.expected > DEALS_ONE_BY_ONE:
            self._show_summary(rows)
            return
        for row in rows:
            waits = _waits(row)
            # A run writes nothing more at its end, so where it was listed last says nothing.
            state = ("", ENDED) if row.ended else (row.stage, waits if waits == AT_WORK else f"waiting for {waits}")
            if self._shown.get(row.quote) != state:
                self._shown[row.quote] = state
                title = self.titles.get(row.quote, "")
                self._print(f"{row.quote}  {state[0]:<11}  {state[1]:<29}  {_amount(row):>14}  {title}".rstrip())

    def _show_summary(self, rows: Sequence[DealRow]) -> None:
        counts = Counter(ENDED if row.ended else row.stage for row in rows)
        order = (*STAGES, "closed", ENDED)
        parts = ", ".join(f"{stage} {counts[stage]}" for stage in order if counts[stage])
        text = f"{len(rows)} of {self.expected} deals: {parts}"
        if text != self._summary and monotonic() - self._summary_at >= SUMMARY_EVERY_SECONDS:
            self._summary, self._summary_at = text, monotonic()
            self._print(text)

    def _print(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)


def deals_table(
    rows: Sequence[DealRow], titles: Mapping[str, str], expected: int, *, width: int, height: int
) -> RenderableType:
    """The deals as they stand: one row each, or where there are many one row per stage.

    Args:
        rows: the deals, by quote number.
        titles: what each shows.
        expected: how many there will be.
        width: columns there are.
        height: lines there are, headings included; where the deals do not fit, those that ended are left out
            first, then those that wait for nobody who decides.
    """
    if expected > DEALS_ONE_BY_ONE:
        return _by_stage(rows, expected)
    room = max(1, height - 3)
    shown = list(rows)
    if len(rows) > room:
        chosen = sorted(rows, key=lambda row: (row.ended, row.waiting_for not in DECIDED))[: room - 1]
        shown = [row for row in rows if row in chosen]
    table = _table(f"{sum(row.ended for row in rows)} of {expected} deals ended")
    for heading in ("Quote", "Shows", "Stage", "Waiting for"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=1 if heading == "Shows" else None)
    table.add_column("Amount", justify="right", no_wrap=True)
    for row in shown:
        table.add_row(
            row.quote,
            titles.get(row.quote, ""),
            _progress(row, drawn=width >= WIDE),
            _waiting(row),
            _amount(row),
        )
    if len(shown) < len(rows):
        return Group(table, Text(f" … and {len(rows) - len(shown)} more, see the approvals site", style="dim"))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 1), expand=True)


def _amount(row: DealRow) -> str:
    return "" if row.amount is None else format_money(row.amount, row.currency)


def _waits(row: DealRow) -> str:
    return ENDED if row.ended else WAITS.get(row.waiting_for, AT_WORK)


def _waiting(row: DealRow) -> Text:
    return Text(_waits(row), style="green" if row.ended else "red" if row.waiting_for == "operator" else "")


def _progress(row: DealRow, *, drawn: bool) -> Text:
    if row.ended:
        return Text("")  # a run writes nothing more at its end, so where it was listed last says nothing
    if not drawn:
        return Text(row.stage)
    done = STAGES.index(row.stage) if row.stage in STAGES else 0
    left = len(STAGES) - done - 1
    return Text.assemble(("●" * done, "green"), ("●", "yellow"), ("○" * left, "dim"), f" {row.stage}")


def _by_stage(rows: Sequence[DealRow], expected: int) -> RenderableType:
    counts: Counter[tuple[str, str]] = Counter()
    amounts: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows:
        key = (ENDED, "") if row.ended else (row.stage, row.waiting_for)
        counts[key] += 1
        if row.amount is not None:
            amounts[key][row.currency] += row.amount
    table = _table(f"{len(rows)} of {expected} deals submitted")
    for heading in ("Stage", "Waiting for"):
        table.add_column(heading)
    for heading in ("Deals", "Amount"):
        table.add_column(heading, justify="right")
    order = {stage: position for position, stage in enumerate((*STAGES, "closed", ENDED))}
    for stage, waiting in sorted(counts, key=lambda key: (order.get(key[0], -1), key[1])):
        waits = "" if stage == ENDED else WAITS.get(waiting, AT_WORK)
        totals = (format_money(total, currency) for currency, total in sorted(amounts[stage, waiting].items()))
        table.add_row(stage or "…", waits, str(counts[stage, waiting]), ", ".join(totals))
    return table


def verdict(summary: Mapping[str, Any]) -> RenderableType:
    """The summary, as a person reads it."""
    found = summary["mismatches"]
    table = Table.grid(padding=(0, 2))
    for name, text in _findings(summary):
        table.add_row(f"[b]{name}[/]", text)
    if not found:
        return Group(Text("Every deal ended as its input says, and both systems agree.", style="green"), table)
    return Group(Text(f"{len(found)} mismatches", style="red"), table, Text("\n".join(found[:50]), style="red"))


def _findings(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    approvals, credit, money = summary["approvals"], summary["credit"], summary["money"]
    waiting = ", ".join(f"{count} in {stage}" for stage, count in summary["waiting"].items()) or "none"
    yield (
        "Deals",
        f"{summary['deals']}: {summary['closed']} closed, {summary['rejected']} rejected, {summary['expired']} "
        f"expired; waiting: {waiting}",
    )
    yield "Parked on the way", f"{summary['parked']}"
    yield "Orders in Finance", f"{summary['orders_in_finance']}, {summary['duplicate_orders'] or 'no'} duplicates"
    yield (
        "Approvals",
        f"{approvals['none']} none, {approvals['level1']} level 1, {approvals['level2']} level 2, "
        f"{approvals['level3']} level 3; {approvals['steps']} steps",
    )
    yield "Credit", f"{credit['held']} held, {credit['released_by_person']} released by a person"
    for number, told in summary["stories"].items():
        yield number, told["came_to"] or told["story"] + ": not as it must"
    yield "Money", ", ".join(f"{name} {Decimal(money[name]):,}" for name in ("net", "tax", "total"))
    yield "", ", ".join(f"{name} {Decimal(money[name]):,}" for name in ("invoiced", "paid"))
    yield (
        "Requests",
        f"{summary['requests']['dataverse']} Dataverse, {summary['requests']['finance']} Finance, "
        f"{summary['requests']['throttled']} throttled",
    )
    temporal = summary["temporal"]
    yield (
        "Temporal",
        f"{temporal['actions_per_case_p50']} Actions, {temporal['events_per_case_p50']} events per deal (median)",
    )
    yield "Time", f"{summary['seconds']} s"
