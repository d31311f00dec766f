"""Overdue, letters, block and payment: S33, driven from outside through the whole product."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from runs import names
from tests.deadlines import PATIENCE
from tests.reaching import deal_row
from tests.sealing import KEYS_FILE
from tests.stack import Deal, Json, Person, Refused, Stack, line, money
from tests.time_travel import move_clock


def account(person: Person, customer: str, ready: Callable[[Json], object], what: str) -> Json:
    """What is collected from a customer, as soon as it is so."""
    deadline = time.monotonic() + PATIENCE
    shown: Json = {}
    while time.monotonic() < deadline:
        try:
            shown = person.get(f"/collections/usmf/{customer}")
        except Refused as error:
            if "404" not in str(error) and "503" not in str(error):
                raise
        else:
            if ready(shown):
                return shown
        time.sleep(0.2)
    raise AssertionError(f"{customer} is not {what}: {json.dumps(shown)[:3000]}")


async def q2c(stack: Stack, *words: str) -> str:
    """What a command of the installation prints."""
    ours = os.environ | {"TEMPORAL_ADDRESS": stack.ready["temporal"], "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE)}
    command = [sys.executable, "-m", "cli", "collections", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, env=ours, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def in_sales(deal: Deal, *parts: str) -> None:
    """Until Sales shows so much of what is collected for a deal, in one text; no part: nothing."""
    deadline = time.monotonic() + PATIENCE
    while True:
        shown = (await asyncio.to_thread(deal_row, deal))["q2c_collected"]
        if (shown is None) if not parts else all(part in str(shown) for part in parts):
            return
        assert time.monotonic() < deadline, shown
        await asyncio.sleep(0.2)


async def test_s33_an_overdue_invoice_brings_letters_holds_orders_and_payment_stops_all(
    automatic_stack: Stack, tmp_path: Path
) -> None:
    stack, amy = automatic_stack, automatic_stack.person("amy")
    customer = stack.customer()
    deal = stack.deal(line("P100", 10, "5"), customer=customer)
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    number = deal.invoice()["InvoiceId"]
    shown = account(amy, customer, lambda a: a["state"]["invoices"], "told of the invoice")
    (invoice,) = shown["state"]["invoices"]
    assert (invoice["number"], invoice["quote_number"], invoice["level"]) == (number, deal.quote, 0)
    assert shown["state"]["read_at"] is None, "before it is due Finance is not read for it"
    due = date.fromisoformat(invoice["due_on"])

    client = await stack.temporal()
    run = names.collections_id("usmf", customer)
    await move_clock(client, run, _noon(due + timedelta(days=8)))
    shown = account(amy, customer, lambda a: a["state"]["letters_written"] == 1, "reminded")
    (letter,) = shown["state"]["letters"]
    assert (letter["level"], letter["customer_name"], money(letter["demanded"])) == (
        "reminder", f"Customer {customer}", Decimal("1045.00"),
    )  # fmt: skip
    dispute = {"args": {"invoice": number, "amount": "200.00", "reason": "two are missing"}}
    assert stack.person("rita").post(f"/collections/usmf/{customer}/commands/dispute_open", dispute).accepted
    await in_sales(deal, f"{number}: reminder since ", "; 200.00 USD disputed since ", ": two are missing")
    upheld = {"args": {"invoice": number, "outcome": "uphold", "reason": "delivered"}}
    settle = f"/collections/usmf/{customer}/commands/dispute_resolve"
    assert stack.person("rita").post(settle, upheld).code == "NO_AUTHORITY"
    assert amy.post(settle, upheld).accepted

    await move_clock(client, run, _noon(due + timedelta(days=45)))
    shown = account(amy, customer, lambda a: a["held"], "holding orders")
    assert [one["level"] for one in shown["state"]["letters"]][:3] == ["reminder", "notice", "final"]
    second = stack.deal(line("P100", 1), customer=customer)
    case = second.accepted("credit")
    assert (case["credit_status"], [r["code"] for r in case["credit"]["reasons"]]) == ("held", ["CUSTOMER_BLOCKED"])
    assert number in case["explanation"]["text"], "the rep reads which invoice it is"

    rows = json.loads(await q2c(stack, "list", "--company", "usmf", "--overdue", "--json"))["items"]
    assert [money(row["overdue"]) for row in rows if row["account"] == customer] == [Decimal("1045.00")]
    assert number in await q2c(stack, "show", "usmf", customer)
    pdf = tmp_path / "letter.pdf"
    assert "Overdue notice, 1,070.00 USD" in await q2c(stack, "letter", "usmf", customer, "2", "--out", str(pdf))
    assert pdf.read_bytes().startswith(b"%PDF-")

    deal.pay("1045.00")
    deal.ends("closed")
    shown = account(amy, customer, lambda a: not a["held"], "letting orders through")
    assert shown["state"]["invoices"][0]["settled_at"] and shown["next_look"] is None
    await in_sales(deal)
    assert second.waits_for("shipment", patience=PATIENCE)["credit_status"] == "passed"


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
