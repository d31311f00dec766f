"""What the demo shows in the terminal: where to click, the deals as they move, the verdict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.stack import StackInfo
from runs.search import DealRow

ROWS_AT_MOST = 40
STAGES = ("opportunity", "quote", "credit", "order", "fulfilment", "invoice", "payment")
WAITS = {
    "": "…",
    "none": "works",
    "approval": "approver",
    "rep": "sales rep",
    "customer": "customer",
    "credit": "credit manager",
    "shipment": "warehouse",
    "invoice": "invoice",
    "payment": "payment",
    "finance": "Finance",
    "sales": "Sales",
    "operator": "[red]operator (parked)[/]",
}


DECIDING_ROLES = ("sales_manager", "sales_director", "cfo", "credit_manager", "ops")


def where_to_click(info: StackInfo, *, auto: bool) -> RenderableType:
    """Addresses, and who to sign in as: the first holder of each deciding role; a password is the user's name."""
    holders = {role.partition(".")[0]: name for name, roles in reversed(info.users.items()) for role in roles}
    people = ", ".join(f"{holders[role]} ({role.replace('_', ' ')})" for role in DECIDING_ROLES if role in holders)
    table = Table.grid(padding=(0, 2))
    table.add_row("[b]Approvals, cases[/]", info.web, f"sign in as {people}")
    table.add_row("[b]Temporal Web[/]", info.temporal_ui, "one run a deal: summary, details, named steps")
    table.add_row("[b]Desk[/]", info.desk, "play sales rep, warehouse, accounts receivable")
    text = (
        "People are played; the run ends with a verdict."
        if auto
        else "You decide: open the inbox. Ctrl-C ends everything."
    )
    return Panel(Group(table, Text(text, style="dim")), title="Quote to Cash", expand=False)


def deals_table(rows: Sequence[DealRow], titles: Mapping[str, str], expected: int) -> RenderableType:
    """The deals as they stand: one row each, or where there are many one row a stage."""
    if expected > ROWS_AT_MOST:
        return _by_stage(rows, expected)
    table = Table(title=f"{sum(row.ended for row in rows)} of {expected} deals ended")
    for heading in ("Quote", "Shows", "Stage", "Waits for"):
        table.add_column(heading)
    table.add_column("Amount", justify="right")
    for row in rows:
        table.add_row(
            row.quote,
            titles.get(row.quote, ""),
            _progress(row.stage, ended=row.ended),
            "[green]ended[/]" if row.ended else WAITS.get(row.waiting_for, row.waiting_for),
            f"{row.amount or 0:,.2f}",
        )
    return table


def _progress(stage: str, *, ended: bool) -> str:
    done = len(STAGES) if stage == "closed" else STAGES.index(stage) if stage in STAGES else 0
    bar = "[green]" + "●" * done + "[/]" + ("" if ended or done == len(STAGES) else "[yellow]●[/]")
    rest = len(STAGES) - done - (0 if ended or done == len(STAGES) else 1)
    return f"{bar}[dim]{'○' * rest}[/] {stage}"


def _by_stage(rows: Sequence[DealRow], expected: int) -> RenderableType:
    counts: Counter[tuple[str, str]] = Counter()
    amounts: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        key = ("ended", "") if row.ended else (row.stage, row.waiting_for)
        counts[key] += 1
        amounts[key] += row.amount or 0
    table = Table(title=f"{len(rows)} of {expected} deals submitted")
    for heading in ("Stage", "Waits for"):
        table.add_column(heading)
    for heading in ("Deals", "Amount"):
        table.add_column(heading, justify="right")
    order = {stage: position for position, stage in enumerate((*STAGES, "closed", "ended"))}
    for stage, waiting in sorted(counts, key=lambda key: (order.get(key[0], -1), key[1])):
        waits = "" if stage == "ended" else WAITS.get(waiting, waiting)
        table.add_row(stage or "…", waits, str(counts[stage, waiting]), f"{amounts[stage, waiting]:,.2f}")
    return table


def verdict(summary: Mapping[str, Any]) -> RenderableType:
    """The summary, as a person reads it."""
    table = Table.grid(padding=(0, 2))
    approvals, credit, money = summary["approvals"], summary["credit"], summary["money"]
    waiting = ", ".join(f"{count} in {stage}" for stage, count in summary["waiting"].items()) or "none"
    rows = {
        "Deals": f"{summary['deals']}: {summary['closed']} closed, {summary['rejected']} rejected, "
        f"{summary['expired']} expired; waiting: {waiting}",
        "Parked on the way": f"{summary['parked']}",
        "Orders in Finance": f"{summary['orders_in_finance']}, {summary['duplicate_orders']} twice",
        "Approvals": f"{approvals['none']} none, {approvals['level1']} level 1, {approvals['level2']} level 2, "
        f"{approvals['level3']} level 3; {approvals['steps']} steps",
        "Credit": f"{credit['held']} held, {credit['released_by_person']} released by a person",
        "Money": f"net {Decimal(money['net']):,}, tax {Decimal(money['tax']):,}, total {Decimal(money['total']):,}, "
        f"invoiced {Decimal(money['invoiced']):,}, paid {Decimal(money['paid']):,}",
        "Requests": f"{summary['requests']['dataverse']} Dataverse, {summary['requests']['finance']} Finance, "
        f"{summary['requests']['throttled']} throttled",
        "Temporal": f"{summary['temporal']['actions_per_case_p50']} Actions, "
        f"{summary['temporal']['events_per_case_p50']} events a deal (median)",
        "Seconds": f"{summary['seconds']}",
    }
    for name, text in rows.items():
        table.add_row(f"[b]{name}[/]", text)
    found = summary["mismatches"]
    if not found:
        return Panel(table, title="[green]Every deal ended as its input says, and both systems agree[/]", expand=False)
    listed = Text("\n".join(found[:50]), style="red")
    return Panel(Group(table, Text(), listed), title=f"[red]{len(found)} mismatches[/]", expand=False)
