"""Plays what is said to the product of a deal that is ordered: less of it, money back, an invoice that is contested.

A rep, a credit clerk and an accounts receivable manager look at the deals whose plan has work for them. Each look
depends on nothing but what the product shows, so it does not matter who did the step before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from decimal import Decimal
from typing import Any
from urllib.parse import quote as quoted

import httpx

from sandbox.desk.autopilot import Autopilot
from sandbox.desk.finance_desk import FinanceDesk
from sandbox.desk.plans import Plan
from sandbox.desk.product import Product
from sandbox.desk.rep import Rep
from sandbox.desk.requests import DeskError
from sandbox.entra.directory import Directory, Person

_AGAIN_AFTER_SECONDS = 3.0
_REASON = "Played by the sandbox."
_PROPOSED, _PREPARED = "proposed", "prepared"


class Clerks:
    """People who follow a deal after its order."""

    def __init__(
        self, autopilot: Autopilot, rep: Rep, finance: FinanceDesk, directory: Directory, product: Product
    ) -> None:
        self._autopilot = autopilot
        self._rep = rep
        self._finance = finance
        self._directory = directory
        self._product = product
        self._said: dict[Hashable, float] = {}

    def forget(self) -> None:
        """Forget what was said: the deals are gone."""
        self._said.clear()

    async def look(self, http: httpx.AsyncClient, seller: Person) -> None:
        """A seller looks at the deals they own, and has others do their part."""
        for number, plan in list(self._autopilot.config.plans.items()):
            if not (plan.reduce or plan.refund or plan.dispute) or not self._rep.exists(number):
                continue
            quote = self._rep.latest(number)
            if quote["rep"] != seller.name:
                continue
            case = await self._product.get(http, seller, f"/cases/{quote['company']}/{quoted(number, safe='')}")
            if case is None or not case["order_number"]:
                continue
            for wanted, step in (
                (plan.reduce, self._reduce),
                (plan.refund, self._refund),
                (plan.dispute, self._dispute),
            ):
                if wanted:
                    await step(http, seller, case, plan)

    async def _reduce(self, http: httpx.AsyncClient, seller: Person, case: dict[str, Any], plan: Plan) -> None:
        """Less is needed: said once the product has seen the first shipment, until the lines are smaller."""
        shipped = any(Decimal(line["shipped"]) for line in case["lines"])
        smaller = case["order_change"] or any(Decimal(line["cancelled"]) for line in case["lines"])
        if not shipped or smaller:
            return
        lines = [{"line_no": int(line), "quantity": str(quantity)} for line, quantity in plan.reduce.items()]
        await self._say(http, seller, _deal(case), "change_order", {"lines": lines, "reason": _REASON})

    async def _refund(self, http: httpx.AsyncClient, seller: Person, case: dict[str, Any], plan: Plan) -> None:
        """Credit is left: one proposes to pay it back, another approves, and what was prepared is posted in Finance."""
        if case["refunds"]:
            (refund, *_) = case["refunds"]
            if refund["status"] == _PROPOSED:
                approver = self._holder("ar_manager", case["company"])
                await self._say(http, approver, _deal(case), "refund_approve", {"refund": str(refund["n"])})
            elif refund["status"] == _PREPARED:
                await self._once(("post", refund["journal"]), self._post_journal(case["company"], refund["journal"]))
            return
        credit = next((d for d in case["documents"] if Decimal(d["open_amount"] or 0) < 0), None)
        if case["explanation"]["waiting_for"] == "unapplied" and credit is not None:
            args = {"of": credit["number"], "amount": str(-Decimal(credit["open_amount"])), "reason": _REASON}
            await self._say(http, self._holder("credit_clerk", case["company"]), _deal(case), "refund_propose", args)

    async def _dispute(self, http: httpx.AsyncClient, seller: Person, case: dict[str, Any], plan: Plan) -> None:
        """The customer contests the invoice when the first letter comes; somebody looks, and it is found to stand."""
        path = f"/collections/{case['company']}/{quoted(case['customer_account'], safe='')}"
        account = await self._product.get(http, seller, path)
        if account is None or not account["state"]["letters_written"]:
            return
        contested = {entry["invoice"] for entry in account["state"]["history"] if entry["event"] == "dispute_open"}
        for invoice in account["state"]["invoices"]:
            if invoice["quote_number"] != case["quote_number"] or invoice["settled_at"]:
                continue
            if invoice["dispute"]:
                args = {"invoice": invoice["number"], "outcome": "uphold", "reason": _REASON}
                await self._say(http, self._holder("ar_manager", case["company"]), path, "dispute_resolve", args)
            elif invoice["number"] not in contested:
                args = {"invoice": invoice["number"], "amount": plan.dispute, "reason": _REASON}
                await self._say(http, seller, path, "dispute_open", args)

    def _post_journal(self, company: str, journal: str) -> Callable[[], Awaitable[None]]:
        async def post() -> None:
            try:
                self._finance.post(company, "postPaymentJournal", {"JournalBatchNumber": journal})
            except DeskError as error:
                self._product.note(self._holder("ar_manager", company), f"journal {journal}: {error.message}")

        return post

    async def _say(self, http: httpx.AsyncClient, person: Person, path: str, name: str, args: dict[str, Any]) -> None:
        async def say() -> None:
            await self._product.command(http, person, path, name, args)

        await self._once((path, name), say)

    async def _once(self, key: Hashable, do: Callable[[], Awaitable[None]]) -> None:
        """Do it, and not again before the product has had time to show it."""
        now = asyncio.get_running_loop().time()
        if self._said.get(key, 0) <= now:
            self._said[key] = now + _AGAIN_AFTER_SECONDS
            await do()

    def _holder(self, role: str, company: str) -> Person:
        """Who holds a role in a company."""
        return next(person for person in self._directory.people.values() if f"{role}.{company}" in person.roles)


def _deal(case: dict[str, Any]) -> str:
    return f"/cases/{case['company']}/{quoted(case['quote_number'], safe='')}"
