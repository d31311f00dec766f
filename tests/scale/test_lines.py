"""A deal of many lines costs no more history than one of few, whatever dies on the way.

Ten and twenty thousand lines take minutes: `uv run python -m bench.large_deals`.
"""

from __future__ import annotations

import pytest

from domain.fulfilment import MOST_LINES_SHOWN
from tests.large import carry
from tests.stack import Deal, Stack, money

LINES = 1_000
MOST_HISTORY = 250_000
"""Bytes; two million are allowed to ten thousand lines, which need 160,000."""
MOST_ANSWER = 50_000


def numbers_shown(stack: Stack, deal: Deal) -> list[int]:
    """The numbers of the order's lines, page by page, of which all was shipped and invoiced."""
    numbers: list[int] = []
    total = LINES
    while len(numbers) < total:
        page = stack.person("otto").get(f"/order-lines/{deal.company}/{deal.quote}", offset=len(numbers))
        numbers += [n["line_no"] for n in page["lines"] if n["ordered"] == n["shipped"] == n["invoiced"] != "0"]
        assert page["offset"] < len(numbers), page
        total = page["total_lines"]
    return numbers


@pytest.mark.timeout(420)
def test_a_thousand_lines_go_from_submission_to_paid_though_the_worker_is_killed_at_60_per_cent(stack: Stack) -> None:
    large = carry(stack, LINES, kill_at=0.6)
    deal, case = large.deal, large.case
    assert 0 < large.killed_at < LINES
    assert large.history_bytes < MOST_HISTORY, large
    assert large.state_bytes < MOST_ANSWER and large.timeline_bytes < MOST_ANSWER, large
    (order,) = deal.orders()
    held = stack.desk.get(f"/orders/usmf/{order['SalesOrderNumber']}")["lines"]
    assert sorted(row["CustomersLineNumber"] for row in held) == list(range(1, LINES + 1))
    assert (case["line_count"], len(case["lines"]), case["exceptions"]) == (LINES, MOST_LINES_SHOWN, [])
    assert numbers_shown(stack, deal) == list(range(1, LINES + 1))
    assert money(case["paid"]) == money(case["total"]) and money(case["open_amount"]) == 0
    (shown,) = deal.sales()["orders"]
    assert [(i["payment"], money(i["total"])) for i in shown["invoices"]] == [("paid", money(case["total"]))]
