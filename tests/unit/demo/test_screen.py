"""The demo stays readable on a terminal of 80 by 24, and without a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console

from demo.samples import sample_deals
from demo.screen import _Board, screen, verdict, where_to_click
from demo.stack import StackInfo
from demo.summary import summarise
from runs.search import DealRow

INFO = StackInfo(
    temporal="127.0.0.1:7233",
    temporal_ui="http://localhost:8233",
    web="http://localhost:8000",
    entra="https://localhost:8443",
    dataverse="https://localhost:8444",
    finance="https://localhost:8445",
    desk="http://localhost:8446",
    codec="http://127.0.0.1:8234",
    ca_file="ca.pem",
    tenant="t",
    client_id="c",
    client_secret="s",
    web_client_id="w",
    reader_client_id="r",
    reader_client_secret="s",
    web_client_secret="s",
    users={
        "mona": ["sales_manager.usmf"],
        "dirk": ["sales_director.usmf"],
        "dora": ["sales_director.demf"],
        "cora": ["cfo.usmf"],
        "carl": ["credit_manager.usmf"],
        "otto": ["ops"],
    },
    state_dir=".q2c",
    worker_health="http://127.0.0.1:8090",
    pids={},
)
NOTHING = (
    {"orders": {"total": 0, "duplicates": 0, "without_quote": 0}},
    {name: {"total": 0, "throttled": 0} for name in ("dataverse", "finance")},
)
"""The desk's state and requests when nothing happened."""
ADDRESSES = ("http://localhost:8000", "http://localhost:8233", "http://localhost:8446")
TITLES = {number: deal.title for number, deal in sample_deals(40)}


def row(n: int, *, ended: bool = False, waiting_for: str = "customer") -> DealRow:
    return DealRow(
        company="usmf",
        quote=f"Q-{n}",
        stage="quote",
        waiting_for=waiting_for,
        amount=Decimal("176000.00"),
        currency="USD",
        status="closed" if ended else "running",
        workflow_id=f"q2c/usmf/Q-{n}",
        run_id="r",
        started_at=datetime(2026, 11, 23, 14, tzinfo=UTC),
    )


def drawn(rows: list[DealRow], *, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, force_terminal=True, color_system=None, file=io.StringIO())
    board = _Board(where_to_click(INFO, auto=False), TITLES, len(rows), rows)
    with console.capture() as capture:
        console.print(board)
    return capture.get().splitlines()


@pytest.mark.parametrize("deals", [1, 12, 24, 40])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 50), (120, 24), (200, 60)])
def test_addresses_and_deals_fit_the_terminal(deals: int, width: int, height: int) -> None:
    lines = drawn([row(1001 + n) for n in range(deals)], width=width, height=height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert all(address in text for address in ADDRESSES)
    assert "176,000.00" in text and "customer" in text


def test_the_deals_of_the_demo_that_still_run_are_all_seen_on_80_by_24() -> None:
    text = "\n".join(drawn([row(1001 + n, ended=n < 5) for n in range(17)]))
    assert all(f"Q-{1006 + n}" in text for n in range(12))


def test_what_the_stories_came_to_is_read_on_80_columns() -> None:
    told = {
        "story": "dunned",
        "came_to": "reminder, contested and found to stand, notice with a fee of 25.00 USD, paid",
    }
    missed = {"story": "bounced", "came_to": ""}
    summary = summarise([], *NOTHING, 1) | {"stories": {"Q-1017": told, "Q-1016": missed}}
    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        console.print(verdict(summary))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert f"Q-1017 {told['came_to']}" in text and "Q-1016 bounced: not as it must" in text


def test_where_deals_do_not_fit_those_that_ended_are_left_out_first() -> None:
    rows = [row(1001 + n, ended=n < 30) for n in range(40)]
    text = "\n".join(drawn(rows))
    assert all(f"Q-{number}" in text for number in range(1031, 1041))
    assert "and 28 more" in text


def test_who_to_sign_in_as_is_the_first_holder_of_each_role() -> None:
    text = " ".join(" ".join(drawn([])).split())
    assert "sign in as mona, dirk, cora (approve); carl (credit); otto (operate); no password is asked" in text


def plain(titles: dict[str, str], expected: int, *shown: list[DealRow]) -> list[str]:
    out = io.StringIO()
    with screen(Console(file=out, width=80), INFO, titles, expected, auto=True) as to:
        for rows in shown:
            to.show(rows)
    return out.getvalue().splitlines()


def test_without_a_terminal_each_change_is_one_line() -> None:
    before, after = row(1001), row(1001).model_copy(update={"stage": "order", "waiting_for": "none"})
    lines = plain(TITLES, 1, [before], [before], [after], [after], [after.model_copy(update={"status": "closed"})])
    assert [" ".join(line.split()) for line in lines if line.startswith("Q-1001")] == [
        "Q-1001 quote waiting for customer 176,000.00 USD A step is parked and retried",
        "Q-1001 order in progress 176,000.00 USD A step is parked and retried",
        "Q-1001 ended 176,000.00 USD A step is parked and retried",
    ]
    assert all(any(address in line for line in lines) for address in ADDRESSES)
    assert not any("\x1b" in line for line in lines)


def test_totals_of_many_deals_are_kept_apart_by_currency() -> None:
    """An amount in yen and one in dollars have no sum."""
    yen = row(1).model_copy(update={"amount": Decimal("82500"), "currency": "JPY"})
    text = "\n".join(drawn([yen, *(row(n) for n in range(2, 102))], width=120))
    assert "82,500 JPY, 17,600,000.00 USD" in text


def test_without_a_terminal_many_deals_are_counted() -> None:
    lines = plain({}, 830, [row(n) for n in range(830)])
    assert "830 of 830 deals: quote 830" in lines
    assert not any(line.startswith("Q-") for line in lines)
