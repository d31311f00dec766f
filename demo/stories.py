"""What happens to a deal of the demo beyond its straight way: what the demo does for it, and what it must come to.

Warehouse, reps and accounts receivable are played by the sandbox. The demo is time and the bank: it lets an invoice
become overdue, and takes a payment back once its deal has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from temporalio.client import Client

from demo.desk import Desk
from demo.recorded import move_clock
from demo.samples import CUSTOMERS, SAMPLE_COMPANY, SampleDeal, Story
from domain.after_end import LateEntry
from domain.collections import CollectionsView, WatchedInvoice
from runs.after_end import AfterEndDesk
from runs.calls import NoAnswer, NotFound
from runs.collections import CollectionsDesk
from runs.names import collections_id
from runs.search import DealRow

LIMIT: Final = "50000.00"
REMINDED_AFTER: Final = timedelta(days=8)
"""Days after the due date on which the first letter is written, whatever weekday it is (dunning.yaml: five)."""
DEMANDED_AFTER: Final = timedelta(days=14)
"""Days after the dispute was settled on which the next letter is written (dunning.yaml: ten)."""
_HOME: Final = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class StoryFacts:
    """What is known of a deal outside its run, its quote and its order.

    Attributes:
        late: what stands open of it after its end.
        account: what is collected from its customer.
    """

    late: LateEntry | None = None
    account: CollectionsView | None = None


@dataclass
class Stories:
    """The stories among the deals of a demo."""

    client: Client
    desk: Desk
    deals: Mapping[str, SampleDeal]
    _told: dict[str, SampleDeal] = field(default_factory=dict)
    _bounced: set[str] = field(default_factory=set)
    _letters_due: dict[str, int] = field(default_factory=dict)
    _paid: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Only deals with a story matter here."""
        self._told = {number: deal for number, deal in self.deals.items() if deal.story}

    async def prepare(self) -> None:
        """Make the stories' customers in both systems."""
        wanted = {deal.request["customer"] for deal in self._told.values()}
        for account in sorted(wanted & CUSTOMERS.keys()):
            body = {"company": SAMPLE_COMPANY, "account": account, "name": CUSTOMERS[account], "credit_limit": LIMIT}
            await self.desk.post("/customers", body)

    async def go_on(self, rows: Mapping[str, DealRow]) -> None:
        """Do what is next: each thing once, as soon as what it follows from is seen.

        Raises:
            DeskRefused: the sandbox refuses it; what was not done is tried again with the next look.
            httpx.TransportError: it does not answer.
        """
        for number, deal in self._told.items():
            row = rows.get(number)
            if row is None:
                continue
            if deal.story is Story.BOUNCED and row.ended and number not in self._bounced:
                await self._bounce(number)
            elif deal.story is Story.DUNNED and not row.ended:
                await self._let_due(number, deal.request["customer"])

    async def ended(self) -> bool:
        """Whether nothing more comes of deals that have ended: what the bank took back stands open."""
        bounced = [number for number, deal in self._told.items() if deal.story is Story.BOUNCED]
        return all([(await self.facts(number)).late is not None for number in bounced])

    async def facts(self, number: str) -> StoryFacts:
        """What is known of a deal outside its run, as far as its story needs it."""
        deal = self._told.get(number)
        if deal is not None and deal.story is Story.BOUNCED:
            return StoryFacts(late=await self._late(number))
        if deal is not None and deal.story is Story.DUNNED:
            return StoryFacts(account=await self._account(deal.request["customer"]))
        return StoryFacts()

    async def _bounce(self, number: str) -> None:
        """The bank returns what was paid, unless somebody took it back already."""
        quote = await self.desk.get(f"/quotes/{number}")
        order = await self.desk.get(f"/orders/{SAMPLE_COMPANY}/{quote['orders'][0]['finance_order']}")
        paid = [payment["PaymId"] for invoice in order["invoices"] for payment in invoice["payments"]]
        for payment in paid:
            await self.desk.post(f"/payments/{SAMPLE_COMPANY}/{payment}/reverse", {"reason": "Returned by the bank"})
        self._bounced.add(number)

    async def _let_due(self, number: str, customer: str) -> None:
        account = await self._account(customer)
        invoice = _invoice_of(account, number)
        if account is None or invoice is None or invoice.settled_at:
            return
        written = account.state.letters_written
        done = self._letters_due.get(number, 0)
        if not written and done < 1:
            await self._move(customer, account.today, invoice.due_on + REMINDED_AFTER)
            self._letters_due[number] = 1
        elif written == 1 and invoice.restarted_on and not invoice.dispute and done < 2:
            await self._move(customer, account.today, invoice.restarted_on + DEMANDED_AFTER)
            self._letters_due[number] = 2
        elif written > 1 and number not in self._paid:
            part = {"invoice": invoice.number, "amount": str(invoice.open_amount)}
            body = {"company": SAMPLE_COMPANY, "customer": customer, "amount": part["amount"], "settlements": [part]}
            await self.desk.post("/payments", body)
            self._paid.add(number)

    async def _move(self, customer: str, today: date, to: date) -> None:
        """Move the clock of one account to noon of a day; its own may be ahead of ours already."""
        now = datetime.now(UTC)
        noon = datetime.combine(now.astimezone(_HOME).date() + (to - today), time(12), _HOME)
        await move_clock(self.client, collections_id(SAMPLE_COMPANY, customer), noon)

    async def _late(self, number: str) -> LateEntry | None:
        try:
            view = await AfterEndDesk(self.client).read(SAMPLE_COMPANY)
        except NoAnswer:
            return None
        return next((entry for entry in view.entries if entry.deal.quote_number == number), None)

    async def _account(self, customer: str) -> CollectionsView | None:
        try:
            return await CollectionsDesk(self.client).view(SAMPLE_COMPANY, customer)
        except (NoAnswer, NotFound):
            return None


def _invoice_of(account: CollectionsView | None, number: str) -> WatchedInvoice | None:
    found = account.state.invoices if account else ()
    return next((invoice for invoice in found if invoice.quote_number == number), None)
