"""Plays rep, customer, warehouse and accounts receivable by themselves, each deal by its plan.

Nothing is polled: every commit in Sales or Finance names the quotes and orders it touched, and each of these is looked
at once. What the look finds to be done next is done after the delay a person would need. The look depends on nothing
but what the systems hold, so it does not matter who did the step before: the autopilot, a program or a person.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sandbox.data.model import Dataset
from sandbox.desk.back_office import BackOffice, Progress
from sandbox.desk.finance_desk import FinanceDesk
from sandbox.desk.plans import BY_HAND, REST, AutopilotConfig, Plan
from sandbox.desk.rep import UNDECIDED, Rep
from sandbox.desk.requests import DeskError, ItemRequest, LineQuantity, PaymentRequest, SettlementRequest
from sandbox.store import Change, Row

log = logging.getLogger(__name__)

_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_PROBLEMS_KEPT = 200


class Played:
    """What people did that the systems do not show: all of it lasts."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.paid: Counter[tuple[str, str]] = Counter()
        self.resubmitted: set[str] = set()

    def kept(self) -> Any:
        """All of it."""
        return self.done, self.paid, self.resubmitted

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave."""
        self.done, self.paid, self.resubmitted = kept

    def clear(self) -> None:
        """Forget it: the deals are gone."""
        for memory in (self.done, self.paid, self.resubmitted):
            memory.clear()


class Autopilot:
    """People without hands of their own: looks at what changed and does what the plan says."""

    def __init__(self, rep: Rep, office: BackOffice, finance: FinanceDesk, dataset: Dataset) -> None:
        self._rep = rep
        self._office = office
        self._finance = finance
        self._dataset = dataset
        self._own_plans = {quote.number: quote.plan for quote in dataset.quotes}
        self.config = AutopilotConfig()
        self.played = Played()
        self.problems: deque[dict[str, Any]] = deque(maxlen=_PROBLEMS_KEPT)
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._quotes_to_look_at: set[str] = set()
        self._orders_to_look_at: set[tuple[str, str]] = set()
        self._looking: asyncio.Handle | None = None
        self._submitting: asyncio.Task[None] | None = None
        self._playing = asyncio.Event()
        self._undecided: set[str] = set()
        self._room = asyncio.Event()

    # --- switching -------------------------------------------------------------------------------------------------

    def configure(self, config: AutopilotConfig) -> None:
        """Play by this from now on; when it is switched on, everything that is there already is looked at."""
        self.config = config
        if not config.enabled:
            self._playing.clear()
            self._drop_timers()
            return
        self._playing.set()
        self._quotes_to_look_at.update(quote["quotenumber"] for quote in self._rep.quotes())
        self._orders_to_look_at.update((row["company"], row["SalesOrderNumber"]) for row in self._office.orders())
        self._look_soon()
        if self._submitting is None and self._own_plans:
            self._submitting = asyncio.create_task(self._submit_planned(), name="submit planned quotes")

    async def stop(self) -> None:
        """Stop playing. What was still to be looked at is looked at when it is switched on again, as all there is."""
        self._drop_timers()
        if self._looking:
            self._looking.cancel()
            self._looking = None
        self._quotes_to_look_at.clear()
        self._orders_to_look_at.clear()
        if self._submitting:
            self._submitting.cancel()
            await asyncio.gather(self._submitting, return_exceptions=True)

    def plan(self, number: str) -> Plan:
        """The plan of a deal: the one configured for it, else the data set's, else the default; else by hand."""
        configured = self.config.plans.get(number) or self._own_plans.get(number)
        return configured or self.config.default_plan or BY_HAND

    def will_submit(self, number: str) -> bool:
        """Whether a quote of the data set is still to be submitted."""
        return self.submitting and number in self._own_plans and self.plan(number).submit

    def will_pay(self, company: str, invoice: str, plan: Plan) -> bool:
        """Whether the customer still pays something of an invoice by this plan."""
        return self.played.paid[company, invoice] < len(plan.payments)

    def forget(self) -> None:
        """Start anew: the deals are gone."""
        self.config = AutopilotConfig()
        self._submitting = None
        self._playing.clear()
        for memory in (self.played, self._undecided, self.problems):
            memory.clear()

    def kept(self) -> AutopilotConfig:
        """By what it plays: what lasts. The same object until it is configured anew."""
        return self.config

    def take_back(self, kept: AutopilotConfig) -> None:
        """Go on from what `kept` gave, once it is configured."""
        self.config = kept

    @property
    def submitting(self) -> bool:
        """Whether planned quotes are still being submitted."""
        return self._submitting is not None and not self._submitting.done()

    # --- noticing --------------------------------------------------------------------------------------------------

    def sales_changed(self, changes: list[Change]) -> None:
        """Listener of Dataverse's commits."""
        if not self.config.enabled:
            return
        for change in changes:
            row = change.after
            if row is None:
                continue
            if change.table == "quote":
                self._quotes_to_look_at.add(row["quotenumber"])
                self._count_undecided(row)
            elif change.table == "salesorder" and row.get("q2c_financeordernumber"):
                before = change.before or {}
                if before.get("q2c_financeordernumber") != row["q2c_financeordernumber"]:
                    company = self._rep.company_of(row)
                    self._orders_to_look_at.add((company, row["q2c_financeordernumber"]))
        self._look_soon()

    def finance_changed(self, changes: list[Change]) -> None:
        """Listener of Finance's commits."""
        if not self.config.enabled:
            return
        for change in changes:
            number = self._office.order_of(change)
            if number is not None:
                self._orders_to_look_at.add(number)
        self._look_soon()

    def _count_undecided(self, row: Row) -> None:
        """Keep count of the quotes that were submitted and neither approved nor rejected yet."""
        if row["statecode"] == 0 and row.get("q2c_approvalstatus") in UNDECIDED:
            self._undecided.add(row["quotenumber"])
        else:
            self._undecided.discard(row["quotenumber"])
            self._room.set()

    def _look_soon(self) -> None:
        if self._looking is None and (self._quotes_to_look_at or self._orders_to_look_at):
            self._looking = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = None
        quotes, self._quotes_to_look_at = self._quotes_to_look_at, set()
        orders, self._orders_to_look_at = self._orders_to_look_at, set()
        for number in quotes:
            self._look_at_quote(number)
        for company, number in orders:
            self._look_at_order(company, number)

    # --- rep and customer ------------------------------------------------------------------------------------------

    def _look_at_quote(self, number: str) -> None:
        quote, plan, delays = self._rep.latest(number), self.plan(number), self.config.delays
        key = quote["quoteid"]
        if quote["state"] == "draft" and quote["approval"] == "approved" and plan.activate:
            self._later(("activate", key), delays.activate, lambda: self._activate(number))
        elif quote["state"] == "draft" and quote["approval"] == "rejected" and plan.after_rejection == "resubmit":
            if number not in self.played.resubmitted:
                self._later(("resubmit", key), delays.activate, lambda: self._resubmit(number, plan))
        elif quote["state"] == "active" and plan.accept == "accept":
            self._later(("accept", key), delays.accept, lambda: self._accept(number, quote["company"], plan))
        elif quote["state"] == "active" and plan.accept == "decline":
            self._later(("decline", key), delays.accept, lambda: self._answer(number, self._rep.lose))

    def _activate(self, number: str) -> None:
        quote = self._rep.latest(number)
        if quote["state"] == "draft" and quote["approval"] == "approved":
            self._rep.activate(number)

    def _accept(self, number: str, company: str, plan: Plan) -> None:
        """The customer says yes; what was bought dearer meanwhile has its new cost by then."""
        for item, cost in plan.unit_costs.items():
            self._office.change_item(company, item, ItemRequest(unit_cost=cost))
        self._answer(number, self._rep.accept)

    def _answer(self, number: str, answer: Callable[[str], Any]) -> None:
        if self._rep.latest(number)["state"] == "active":
            answer(number)

    def _resubmit(self, number: str, plan: Plan) -> None:
        quote = self._rep.latest(number)
        if quote["state"] == "draft" and quote["approval"] == "rejected":
            self.played.resubmitted.add(number)
            self._rep.lower_discount(number, plan.resubmit_discount_pct)
            self._rep.submit(number)

    async def _submit_planned(self) -> None:
        """The reps submit the quotes the data set brought along, in its order, at the configured pace."""
        for planned in self._dataset.quotes:
            await self._playing.wait()
            while len(self._undecided) >= self.config.undecided_at_most:
                self._room.clear()
                await self._room.wait()
            quote = self._rep.latest(planned.number)
            if self.plan(planned.number).submit and (quote["state"], quote["approval"]) == ("draft", "none"):
                self._run(("submit", planned.number), partial(self._rep.submit, planned.number), 0)
            await asyncio.sleep(1 / self.config.submits_per_second)

    # --- warehouse and accounts receivable -------------------------------------------------------------------------

    def _look_at_order(self, company: str, number: str) -> None:
        """Do the next thing of an order: invoice what was shipped, else ship the next part; and pay what is open."""
        quote = self._quote_of(company, number)
        if quote is None:
            return  # Sales does not know the order yet, if it ever will; the write-back brings us here again.
        plan, delays, progress = self.plan(quote), self.config.delays, self._office.progress(company, number)
        if not progress.confirmed or progress.canceled:
            return
        slips, invoices = progress.slips, len(progress.invoices)
        if progress.to_invoice and plan.invoice:
            key = ("invoice", company, number, invoices)
            self._later(key, delays.invoice, lambda: self._invoice(company, number, invoices))
        elif (
            progress.to_ship and slips < len(plan.shipments) and not (plan.reduce and slips and not progress.cancelled)
        ):
            part = plan.shipments[slips]
            self._later(("ship", company, number, slips), delays.ship, lambda: self._ship(company, number, slips, part))
        if plan.returns and invoices and self._look_at_return(company, number, plan, progress):
            return
        for invoice, open_amount in progress.invoices.items():
            paid = self.played.paid[company, invoice]
            if open_amount > 0 and paid < len(plan.payments):
                self._later_pay(company, progress.customer, progress.currency, invoice, plan.payments[paid])

    def _look_at_return(self, company: str, number: str, plan: Plan, progress: Progress) -> bool:
        """Take back what the customer sends back, and credit it once the rest is paid; whether that comes first."""
        if not progress.returned:
            invoice = next(iter(progress.invoices))
            lines = [{"LineNumber": int(line), "Quantity": quantity} for line, quantity in plan.returns.items()]
            back = partial(self._send_back, company, number, invoice, lines)
            self._later(("return", company, number), self.config.delays.pay, back)
            return True
        if progress.to_credit and not sum(progress.invoices.values(), Decimal(0)):
            credit = partial(self._credit_return, company, number)
            self._later(("credit", company, number), self.config.delays.invoice, credit)
        return False

    def _send_back(self, company: str, number: str, invoice: str, lines: list[dict[str, Any]]) -> None:
        """Goods of an invoice come back: a return order for them, received at once."""
        if self._office.progress(company, number).returned:
            return
        wanted = {"InvoiceId": invoice, "Lines": lines, "ReasonCode": "DEFECT"}
        announced = self._finance.post(company, "returnOrder", wanted)["ReturnOrderNumber"]
        self._finance.post(company, "receiveReturn", {"ReturnOrderNumber": announced})

    def _credit_return(self, company: str, number: str) -> None:
        for returned in self._office.progress(company, number).to_credit:
            self._finance.post(company, "creditReturn", {"ReturnOrderNumber": returned})

    def _quote_of(self, company: str, number: str) -> str | None:
        """The quote an order is of: as Sales says, or as the reference on the order says."""
        reference = self._office.reference_of(company, number)
        return self._rep.number_of_order(number) or (reference if self._rep.exists(reference) else None)

    def _ship(self, company: str, number: str, slips: int, part: str | dict[str, Decimal]) -> None:
        if self._office.progress(company, number).slips != slips:
            return
        lines = None
        if isinstance(part, dict):
            lines = [LineQuantity(int(line), quantity) for line, quantity in part.items()]
        self._office.ship(company, number, lines)

    def _invoice(self, company: str, number: str, invoices: int) -> None:
        progress = self._office.progress(company, number)
        if len(progress.invoices) == invoices and progress.to_invoice:
            self._office.invoice(company, number)

    def _later_pay(self, company: str, customer: str, currency: str, invoice: str, part: str) -> None:
        count = self.played.paid[company, invoice]

        def pay() -> None:
            if self.played.paid[company, invoice] != count:
                return
            open_amount = self._office.open_amount(company, invoice)
            amount = open_amount if part == REST else Decimal(part)
            settled = min(amount, open_amount)
            if settled <= 0:
                return
            self.played.paid[company, invoice] += 1
            try:
                self._office.pay(
                    PaymentRequest(company, customer, amount, currency, [SettlementRequest(invoice, settled)])
                )
            except DeskError:
                self.played.paid[company, invoice] -= 1
                raise

        self._later(("pay", company, invoice, count), self.config.delays.pay, pay)

    # --- doing -----------------------------------------------------------------------------------------------------

    def _later(self, key: tuple[Hashable, ...], delay: float, action: Callable[[], Any], attempt: int = 0) -> None:
        """Do something once, after a delay; asked again meanwhile, it stays once."""
        if key not in self._timers:
            self._timers[key] = asyncio.get_running_loop().call_later(delay, self._run, key, action, attempt)

    def _run(self, key: tuple[Hashable, ...], action: Callable[[], Any], attempt: int) -> None:
        self._timers.pop(key, None)
        if not self.config.enabled:
            return
        try:
            action()
        except DeskError as error:
            # A person who is refused (a credit hold, say) tries again later.
            delay = _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]
            self.problems.append(
                {"at": datetime.now(UTC).isoformat(), "step": str(key[0]), "of": str(key[-1]), "problem": error.message}
            )
            self._later(key, delay, action, attempt + 1)
        else:
            self.played.done[str(key[0])] += 1

    def _drop_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
