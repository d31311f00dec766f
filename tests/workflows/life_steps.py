"""One deal's life in steps that are drawn: what people do in Sales, in Finance and here, and what becomes of reports.

A step is a text, so that a sequence can be read, kept and given again. What cannot be done at the moment is refused by
Finance, Sales or the deal, as it would be to anybody: that is part of the life.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from domain.messages import Outcome
from domain.views import DealView, Ending, WaitingFor
from runs import names, outcomes
from runs.calls import NoAnswer, NotFound, Unreadable
from sandbox.desk.requests import (
    DeskError,
    LineQuantity,
    LineRequest,
    NewCustomerRequest,
    PaymentRequest,
    QuoteRequest,
    SettlementRequest,
)
from tests.deadlines import PATIENCE
from tests.workflows.life_world import COMPANY, LifeWorld, eventually

FOUND_BY_SWEEPS = frozenset(
    {
        "SalesInvoicePostedBusinessEvent",
        "Q2CPackingSlipPostedBusinessEvent",
        "Q2CCustPaymentPostedBusinessEvent",
        "Q2CCustPaymentReversedBusinessEvent",
    }
)
"""What the feeds find where the event is lost; everything else is seen when a day has passed."""
CREDIT_LIMIT = Decimal(1_000_000)
ORDERED = ("P100", 10), ("P250", 4)


@dataclass
class Life:
    """One deal, and what was done to it."""

    world: LifeWorld
    customer: str
    quote: str
    order: str = ""
    done: list[str] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    """Run and id of each message of a person."""
    payments: list[str] = field(default_factory=list)
    returns: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    """What reports that never arrived were of."""
    ended_before: int = 0
    """How many steps were done when the deal was first seen to have ended; 0: it never was."""

    @classmethod
    def submitted(cls, world: LifeWorld, *, discount: int = 5, limit: Decimal = CREDIT_LIMIT, of: str = "") -> Life:
        """A quote that was submitted, of a customer of its own unless one is named."""
        account = of or f"T-{uuid.uuid4().hex[:10].upper()}"
        if not of:
            customer = NewCustomerRequest(company=COMPANY, account=account, name=account, credit_limit=limit)
            world.sandbox.desk.add_customer(customer)
        lines = [LineRequest(item=item, quantity=Decimal(n), discount_pct=Decimal(discount)) for item, n in ORDERED]
        made = world.sandbox.desk.rep.create_quote(
            QuoteRequest(company=COMPANY, customer=account, rep="rita", lines=lines)
        )
        world.sandbox.desk.rep.submit(made["quotenumber"])
        return cls(world, account, made["quotenumber"])

    async def waits_for(self, what: WaitingFor) -> None:
        """Until the deal waits for this."""
        await self.until(lambda view: view.explanation.waiting_for is what, f"waiting for {what}")

    async def accepted(self) -> None:
        """The rep sends the approved quote, and the customer accepts it."""
        await self.waits_for(WaitingFor.REP)
        self.world.sandbox.desk.rep.activate(self.quote)
        self.world.sandbox.desk.rep.accept(self.quote)

    @classmethod
    async def begin(cls, world: LifeWorld, limit: Decimal = CREDIT_LIMIT) -> Life:
        """A deal whose order is confirmed."""
        life = cls.submitted(world, limit=limit)
        await life.accepted()
        view = await life.until(lambda view: view.order_status not in ("none", "creating"), "ordered")
        life.order = view.order_number
        return life

    # --- how it stands ---------------------------------------------------------------------------------------------

    @property
    def deal_id(self) -> str:
        """Workflow id of the deal."""
        return names.deal_id(COMPANY, self.quote)

    async def view(self) -> DealView | None:
        """The deal as it shows itself; None while it does not."""
        try:
            return await self.world.deals.state(COMPANY, self.quote)
        except (NotFound, NoAnswer, Unreadable):
            return None

    async def over(self) -> DealView:
        """What the deal's run came to, once it has cleaned up after itself."""
        handle = self.world.client.get_workflow_handle(self.deal_id, result_type=DealView)
        return await asyncio.wait_for(handle.result(), PATIENCE)

    async def until(self, ready: Callable[[DealView], bool], what: str) -> DealView:
        """The deal as soon as it is so."""
        found: list[DealView] = []

        async def look() -> bool:
            view = await self.view()
            found[:] = [view] if view else []
            return view is not None and ready(view)

        try:
            await eventually(look, what)
        except AssertionError as error:
            raise AssertionError(f"{self.quote} after {self.story}: {error}; {found}") from None
        return found[0]

    @property
    def story(self) -> str:
        """What was done so far."""
        return "; ".join(self.done)

    def in_finance(self) -> dict[str, Any]:
        """The order as Finance shows it."""
        return self.world.sandbox.desk.office.order(COMPANY, self.order)

    def invoices(self) -> list[tuple[str, Decimal]]:
        """Open invoices, and what is open on each; the oldest first."""
        rows = self.in_finance()["invoices"]
        return [(row["InvoiceNumber"], row["open"]) for row in rows if row["open"] > 0]

    # --- steps -----------------------------------------------------------------------------------------------------

    async def do(self, step: str) -> None:
        """Do one step; what refuses it is noted."""
        name, *numbers = step.split()
        try:
            told = STEPS[name](self, *(int(number) for number in numbers))
            if told is not None:
                await told
        except DeskError as error:
            step += f" (refused: {error.message[:80]})"
        self.done.append(step)
        if self.world.works and not self.ended_before:
            view = await self.view()
            self.ended_before = len(self.done) if view and view.ending is not Ending.RUNNING else 0

    def ship(self, line: int, quantity: int) -> None:
        """A packing slip over a line."""
        self.world.sandbox.desk.office.ship(COMPANY, self.order, [LineQuantity(line=line, quantity=Decimal(quantity))])

    def ship_rest(self) -> None:
        """A packing slip over all that remains."""
        self.world.sandbox.desk.office.ship(COMPANY, self.order)

    def pick(self, line: int) -> None:
        """A picking list over one piece of a line: until it is unpicked, Finance cancels that piece for nobody."""
        self.world.sandbox.desk.office.pick(COMPANY, self.order, [LineQuantity(line=line, quantity=Decimal(1))])

    def unpick(self) -> None:
        """The goods go back."""
        self.world.sandbox.desk.office.unpick(COMPANY, self.order)

    def unship(self, quantity: int) -> None:
        """The last packing slip is corrected."""
        slips = self.in_finance()["slips"]
        if slips:
            lines = [{"LineNumber": slips[-1]["line"], "Quantity": quantity}]
            self._post("cancelPackingSlip", PackingSlipId=slips[-1]["slip"], Lines=lines)

    def invoice(self) -> None:
        """An invoice over what is delivered and not invoiced."""
        self.world.sandbox.desk.office.invoice(COMPANY, self.order)

    def uninvoice(self) -> None:
        """The last open invoice is taken back, unless goods of it came back that a credit note is due for."""
        if (open_now := self.invoices()) and not self.returns:
            self._post("cancelInvoice", InvoiceId=open_now[-1][0], ReasonCode="DEFECT")

    def credit(self, line: int, quantity: int) -> None:
        """A credit note over part of the first open invoice, without goods."""
        if open_now := self.invoices():
            lines = [{"LineNumber": line, "Quantity": quantity}]
            self._post(
                "creditNote", SalesOrderId=self.order, InvoiceId=open_now[0][0], Lines=lines, ReasonCode="DEFECT"
            )

    def give_back(self, line: int, quantity: int) -> None:
        """The customer announces a return and sends the goods."""
        rows = [row for row in self.in_finance()["invoices"] if row["TotalInvoiceAmount"] > 0]
        if rows:
            lines = [{"LineNumber": line, "Quantity": quantity}]
            made = self._post("returnOrder", InvoiceId=rows[-1]["InvoiceNumber"], Lines=lines, ReasonCode="DEFECT")
            self.returns.append(made["ReturnOrderNumber"])
            self._post("receiveReturn", ReturnOrderNumber=self.returns[-1])

    def credit_return(self) -> None:
        """What came back is credited."""
        if self.returns:
            self._post("creditReturn", ReturnOrderNumber=self.returns.pop())

    def pay(self, percent: int) -> None:
        """The customer pays so much of what is open; what is beyond it stays on the account."""
        open_now = self.invoices()
        whole = sum((amount for _, amount in open_now), Decimal(0))
        amount = left = (whole * percent / 100).quantize(Decimal("0.01"))
        if amount <= 0:
            return
        parts = []
        for number, open_amount in open_now:
            share = min(left, open_amount)
            if share > 0:
                parts.append(SettlementRequest(invoice=number, amount=share))
                left -= share
        request = PaymentRequest(company=COMPANY, customer=self.customer, amount=amount, settlements=parts)
        self.payments.append(self.world.sandbox.desk.office.pay(request)["PaymentId"])

    def bounce(self) -> None:
        """The bank takes the last payment back."""
        if self.payments:
            self.world.sandbox.desk.office.reverse_payment(COMPANY, self.payments.pop(), "bounced")

    def by_hand(self, line: int, quantity: int) -> None:
        """Somebody changes a line in Finance."""
        self.world.sandbox.desk.finance_desk.change_line(COMPANY, self.order, line, Decimal(quantity))

    def cancel_by_hand(self) -> None:
        """Somebody cancels what remains in Finance."""
        self.world.sandbox.desk.office.cancel_remainder(COMPANY, self.order)

    async def change(self, line: int, quantity: int) -> None:
        """The rep makes a line smaller here."""
        lines = [{"line_no": line, "quantity": str(quantity)}]
        await self.say("rita", self.deal_id, "change_order", lines=lines, reason="less is needed")

    async def cancel(self) -> None:
        """Operations cancel the order here."""
        await self.say("otto", self.deal_id, "cancel_order", reason="the customer withdrew")

    async def retry(self) -> None:
        """Operations have what failed tried again."""
        await self.say("otto", self.deal_id, "retry", reason="mended")

    async def dispute(self, amount: int) -> None:
        """The customer doubts part of an invoice."""
        await self._of_account("dispute_open", amount=str(amount), reason="damaged")

    async def uphold(self) -> None:
        """The invoice stands."""
        await self._of_account("dispute_resolve", outcome="uphold", reason="delivered")

    async def keep(self) -> None:
        """What settles nothing stays on the customer's account."""
        await self.say("amy", self.deal_id, "credit_keep", reason="for the next order")

    def hold(self) -> None:
        """From now on no report arrives."""
        self.world.post.holds = True

    async def arrive(self, copies: int) -> None:
        """What was held arrives, so often."""
        await self._arrive(lambda letters: letters, copies)

    async def overtake(self, copies: int) -> None:
        """What was held arrives in the opposite order, so often."""
        await self._arrive(lambda letters: letters[::-1], copies)

    async def lose(self) -> None:
        """What was held never arrives."""
        await self.settled()
        self.lost |= {letter.kind for letter in self.world.post.held}
        self.world.post.held.clear()
        self.world.post.holds = False

    async def twice(self) -> None:
        """From now on each report arrives twice."""
        self.world.post.copies = 2

    async def stop(self) -> None:
        """The worker stops."""
        await self.world.stop_work()

    async def start(self) -> None:
        """A worker starts."""
        await self.world.start_work()

    async def sweep(self) -> None:
        """The feeds look at both systems."""
        if self.world.works:
            await self.world.sweep()

    async def rest(self) -> None:
        """A moment passes."""
        await asyncio.sleep(0.3)

    # --- what steps are made of ------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Until Dynamics has sent what it has to say."""
        await self.world.sandbox.dataverse.webhooks.drain()
        await self.world.sandbox.finance.events.drain()

    async def _arrive(self, order: Callable[[list[Any]], list[Any]], copies: int) -> None:
        await self.settled()
        post = self.world.post
        letters, post.held, post.holds = order(post.held), [], False
        for letter in letters * copies:
            await post.deliver(letter)

    def _post(self, operation: str, **members: Any) -> dict[str, Any]:
        return self.world.sandbox.desk.finance_desk.post(COMPANY, operation, members)

    async def _of_account(self, action: str, **args: Any) -> None:
        if open_now := self.invoices():
            audience = names.collections_id(COMPANY, self.customer)
            who = "rita" if action == "dispute_open" else "amy"
            await self.say(who, audience, action, invoice=open_now[0][0], **args)

    async def say(self, name: str, audience: str, action: str, **args: Any) -> None:
        """What a person says, signed; what becomes of it is looked up in the end."""
        message = self.world.sign(name, audience, action, **args)
        if await outcomes.send(self.world.client, audience, names.COMMAND, message):
            self.said.append((audience, message.message_id))

    async def become(self, audience: str, message_id: str) -> Outcome | None:
        """What became of a message."""
        return await outcomes.known(self.world.client, audience, message_id, what=audience)

    async def a_day_passes(self) -> None:
        """For the deal alone."""
        handle = self.world.client.get_workflow_handle(self.deal_id)
        await self.world.env.fast_forward(handle, timedelta(hours=25))


STEPS: dict[str, Callable[..., Awaitable[None] | None]] = {
    name: getattr(Life, name)
    for name in (
        *("ship", "ship_rest", "pick", "unpick", "unship", "invoice", "uninvoice", "credit", "give_back"),
        *("credit_return", "pay", "bounce", "by_hand", "cancel_by_hand", "change", "cancel", "dispute", "uphold"),
        *("keep", "retry", "hold", "arrive", "overtake", "lose", "twice", "stop", "start", "sweep", "rest"),
    )
}

_LINES, _FEW, _COPIES = st.integers(1, 2), st.integers(1, 5), st.integers(1, 2)


def _step(name: str, *numbers: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    return st.tuples(*numbers).map(lambda drawn: " ".join((name, *(str(number) for number in drawn))))


A_STEP = st.one_of(
    _step("ship", _LINES, _FEW),
    _step("ship", _LINES, _FEW),
    _step("ship_rest"),
    _step("invoice"),
    _step("invoice"),
    _step("pay", st.sampled_from((30, 100, 100, 120))),
    _step("pay", st.sampled_from((30, 100, 100, 120))),
    _step("bounce"),
    _step("credit", _LINES, _FEW),
    _step("give_back", _LINES, _FEW),
    _step("credit_return"),
    _step("uninvoice"),
    _step("unship", _FEW),
    _step("pick", _LINES),
    _step("unpick"),
    _step("by_hand", _LINES, st.integers(1, 12)),
    _step("change", _LINES, st.integers(0, 9)),
    _step("cancel"),
    _step("cancel_by_hand"),
    _step("dispute", st.integers(1, 200)),
    _step("uphold"),
    _step("hold"),
    _step("arrive", _COPIES),
    _step("overtake", _COPIES),
    _step("lose"),
    _step("twice"),
    _step("stop"),
    _step("start"),
    _step("sweep"),
    _step("rest"),
)
LIVES = st.lists(A_STEP, min_size=4, max_size=14)
