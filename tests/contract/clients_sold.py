"""Quotes that became orders in both systems, and what people do with them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from activities import signatures as ask_for
from domain.fulfilment import Billing
from dynamics.core.literals import query
from tests.contract.clients_work import Work
from tests.contract.clients_world import Clients


@dataclass
class Sold:
    """A quote that became an order in both systems."""

    work: Work
    order_number: str
    sales_order_id: str
    approved_hash: str
    digest: str

    async def ship(self, *lines: tuple[int, int]) -> None:
        """Ship so much of Finance's lines (by creation number); without any, all that is left."""
        body = {"lines": [{"line": line, "quantity": quantity} for line, quantity in lines]} if lines else {}
        await self.work.clients.play("POST", f"/orders/usmf/{self.order_number}/ship", body)

    async def invoice(self) -> str:
        posted = await self.work.clients.play("POST", f"/orders/usmf/{self.order_number}/invoice", {})
        return str(posted["InvoiceId"])

    async def billing(
        self, *invoices: str, known: tuple[str, ...] = (), before: Billing | None = None, paid: str = ""
    ) -> Billing:
        """What Finance holds, with the invoices that were told of before, what was read before, and a payment told."""
        assert self.work.quote is not None
        ref = ask_for.BillingRef(
            company="usmf",
            order_number=self.order_number,
            quote=self.work.quote,
            approved_hash=self.approved_hash,
            ordered=self.digest,
            invoices=(*invoices, *known, *(i.invoice_number for i in (before.invoices if before else ()))),
            records=tuple(i.record for i in before.invoices) if before else (),
            payments=tuple(p.record for p in before.payments) if before else (),
            payments_told=(paid,) if paid else (),
        )
        return await self.work.run(self.work.finance.read_billing, ref)

    async def show(self, billing: Billing) -> None:
        """Tell Sales what was shipped and invoiced."""
        assert self.work.quote is not None
        await self.work.run(
            self.work.sales.record_shipment,
            ask_for.RecordShipment(
                sales_order_id=self.sales_order_id,
                complete=True,
                slips=tuple(slip.slip for slip in billing.slips),
            ),
        )
        await self.work.run(
            self.work.sales.record_invoice,
            ask_for.RecordInvoice(
                company="usmf",
                sales_order_id=self.sales_order_id,
                quote_id=self.work.quote.quote_id,
                order_number=self.order_number,
                invoices=billing.invoices,
                order_invoiced=True,
            ),
        )


async def customer(clients: Clients, **more: Any) -> str:
    """A new customer in both systems; its account number."""
    account = f"T-{uuid4().hex[:8].upper()}"
    body = {"company": "usmf", "account": account, "name": account, "credit_limit": "100000"} | more
    await clients.play("POST", "/customers", body)
    return account


async def account_id(clients: Clients, account: str) -> str:
    rows = await clients.dataverse.odata.all_rows(
        query("accounts", select="accountid", filter=f"accountnumber eq '{account}'")
    )
    return str(rows[0]["accountid"])


async def sold(work: Work, *lines: dict[str, Any], account: str = "US-004") -> Sold:
    """Assess, approve, accept, order, record."""
    found = await work.assess(*lines, customer=account)
    return await ordered(work, found)


async def ordered(work: Work, found: Any) -> Sold:
    assert work.quote is not None and found.problems == ()
    approved = ask_for.MarkQuote(quote=work.quote, approval_status="approved", deal_id="c")
    await work.run(work.sales.mark_quote, approved)
    await work.accept()
    number = f"Q2C-{uuid4().hex[:12].upper()}"
    create = ask_for.CreateOrder(
        quote=work.quote,
        approved_hash=found.snapshot_hash,
        order_number=number,
        customer_account=found.customer_account,
    )
    created = await work.run(work.finance.create_order, create)
    await work.run(work.finance.confirm_order, ask_for.ConfirmOrder(company="usmf", order_number=created.order_number))
    recorded = await work.run(work.sales.record_order, to_record(work.quote, created))
    return Sold(work, created.order_number, recorded.sales_order_id, found.snapshot_hash, created.lines.digest)


def to_record(quote: ask_for.QuoteRef, created: ask_for.CreatedOrder) -> ask_for.RecordOrder:
    """What Sales is told of an order that was made without an opportunity, within the credit limit."""
    return ask_for.RecordOrder(
        quote=quote,
        sales_order_id=None,
        order_number=created.order_number,
        opportunity_id=None,
        revenue=created.net,
        credit_status="passed",
    )
