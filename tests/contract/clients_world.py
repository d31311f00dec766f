"""The product's clients pointed at the running sandbox, and people to play with it over the desk."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote as encoded
from uuid import UUID

import httpx

from dynamics.core.auth import Credentials
from dynamics.core.budget import Budget
from dynamics.core.circuit import Circuit
from dynamics.core.errors import System
from dynamics.core.literals import key, query
from dynamics.core.transport import Endpoint
from dynamics.finance.client import Finance, FinanceSettings
from dynamics.sales.changes import SalesChanges
from dynamics.sales.client import Dataverse, DataverseSettings
from dynamics.sales.records import Quote
from tests.contract.dataverse_world import LiveSandbox


@dataclass
class Clients:
    """Both clients, and the desk."""

    dataverse: Dataverse
    finance: Finance
    desk: httpx.AsyncClient
    live: LiveSandbox
    manual: bool
    """usmf's sales orders take the numbers they are given."""

    @property
    def changes(self) -> SalesChanges:
        """What changed in Sales, in small pages."""
        return SalesChanges(self.dataverse.odata, page_rows=50)

    async def play(self, method: str, path: str, body: Any = None) -> Any:
        """Do something at the desk; its answer."""
        answer = await self.desk.request(method, path, json=body)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def quote(self, *lines: dict[str, Any], **header: Any) -> Quote:
        """A submitted draft of rita's for US-001."""
        body = {"company": "usmf", "customer": "US-001", "rep": "rita", "lines": list(lines)} | header
        made = await self.play("POST", "/quotes", body)
        await self.act(made["quotenumber"], "submit")
        return await self.dataverse.read_quote(UUID(made["quoteid"]))

    async def act(self, number: str, action: str) -> Any:
        """Do something to a quote at the desk, whatever signs its number has."""
        return await self.play("POST", f"/quotes/{encoded(number, safe='')}/{action}")

    async def accepted(self, quote: Quote) -> Quote:
        """The quote after it was activated and accepted."""
        await self.act(quote.number, "activate")
        await self.act(quote.number, "accept")
        return await self.dataverse.read_quote(quote.id)

    async def deal_row(self, deal_id: str) -> dict[str, Any]:
        """What Sales shows of a deal in its row, the links of its relations included."""
        return await self.dataverse.odata.get(key("q2c_deals", q2c_caseid=deal_id))

    async def shown_open(self, order_id: UUID) -> dict[str, tuple[Decimal, int]]:
        """What Sales shows as open on an order's invoices, and their payment status, by the invoices' numbers."""
        of = f"_q2c_salesorderid_value eq {order_id} and _q2c_invoiceid_value ne null"
        rows = await self.dataverse.odata.all_rows(query("q2c_deals", filter=of))
        return {row["q2c_name"]: (row["q2c_openamount"], row["q2c_paymentstatus"]) for row in rows}

    async def fault(self, system: str, method: str, path: str, **effect: Any) -> None:
        """Make the next matching request go wrong."""
        times = effect.pop("times", 1)
        fault = {"system": system, "method": method, "path": path, "effect": effect, "probability": 1.0, "times": times}
        await self.play("PUT", "/faults", [fault])

    async def requests(self) -> list[dict[str, Any]]:
        """Every request the sandbox has seen from the product's side."""
        log: list[dict[str, Any]] = await self.play("GET", "/requests")
        return [entry for entry in log if entry["system"] in ("dataverse", "finance")]


def credentials(live: LiveSandbox, secret: str | None = None) -> Credentials:
    info = live.info
    return Credentials(
        f"{info.entra}/{info.tenant}",
        info.client_id,
        info.client_secret if secret is None else secret,
        ca_file=info.ca_file,
        instance_discovery=False,
    )


@asynccontextmanager
async def clients_of(
    live: LiveSandbox,
    *,
    budget: Budget | None = None,
    rate: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
    manual: bool = False,
    **endpoint: Any,
) -> AsyncIterator[Clients]:
    """Fresh clients of a running sandbox, Dataverse's with a budget, Finance's with a rate; no fault outlives them.

    Their circuits go by the clock.

    Finance numbers sales orders itself, in all companies; with ``manual``, usmf takes the numbers it is given.
    """
    info, who = live.info, credentials(live)
    options = {"ca_file": info.ca_file} | endpoint
    manual_numbers = frozenset({"usmf"} if manual else ())
    async with (
        Dataverse(
            DataverseSettings(Endpoint(info.dataverse, **options), who),
            budget=budget,
            circuit=Circuit(System.DATAVERSE, clock=clock),
        ) as dataverse,
        Finance(
            FinanceSettings(Endpoint(info.finance, **options), who, manual_numbers=manual_numbers),
            budget=Budget(rate) if rate < math.inf else None,
            circuit=Circuit(System.FINANCE, clock=clock),
        ) as finance,
        httpx.AsyncClient(base_url=info.desk, timeout=30) as desk,
    ):
        clients = Clients(dataverse, finance, desk, live, manual)
        await clients.play("DELETE", "/faults")
        await clients.play("PUT", "/companies/usmf", {"order_numbers": "manual" if manual else "automatic"})
        yield clients
        await clients.play("PUT", "/companies/usmf", {"order_numbers": "automatic"})
        await clients.play("DELETE", "/faults")
