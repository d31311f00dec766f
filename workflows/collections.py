"""What is collected from one account that is billed: an entity that lives forever and rests while nothing is due.

Deals tell it their invoices. On the day a level may be reached it reads Finance again, lets the pure rules decide
(``domain.collecting``), writes letters down, tells the credit ledger and the owners of the quotes. People say that an
invoice is disputed, promised or at rest by signed messages, which are judged and written to the audit as everywhere.
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.collection_signatures import (
        CollectedInSales,
        CollectionActivities,
        HoldOrders,
        OpenItemsOf,
        ShowCollected,
    )
    from domain.audit import CODE, WORDS, AuditKind, AuditRecord, Outbox
    from domain.calendar import local_date
    from domain.causes import Cause
    from domain.collecting import Looked, held_reason, looked, next_look, notices_of, told, waits_of
    from domain.collection_words import said_to_account
    from domain.collections import (
        Account,
        CollectionsStart,
        CollectionsView,
        InvoicesShown,
        OrdersHeld,
    )
    from domain.collections_in_sales import mark_of, to_show
    from domain.dunning import DunningPlan
    from domain.messages import CustomerChanged, SignedMessage, VerifiedMessage
    from domain.money import format_money
    from domain.notices import Notice
    from domain.people import SYSTEM
    from domain.views import WaitingFor
    from runs import attributes, names
    from workflows.audit import deliver_apart
    from workflows.hearing import heard, is_long_enough
    from workflows.notices_courier import Courier
    from workflows.published import Published
    from workflows.spoken import DROPPED_FULL, LONGEST_DETAIL, SpokenTo
    from workflows.steps import attempt, cause_of

MOST_NEWS = 100
"""Messages of deals that wait to be taken; beyond them they are counted, and Finance is read instead."""
MOST_BYTES = 700_000
"""Of an account as the next run begins with it: a third of what Temporal takes in one payload."""
LOOK_AGAIN = timedelta(minutes=10)
"""How long it rests where Finance or the credit ledger did not answer."""
TOGETHER = timedelta(seconds=5)
"""How long it waits for more once something was told that asks for a look."""
SHOWN = 30
FOREIGN = "foreign"
RECORDED = "what is collected"


@workflow.defn(name=names.COLLECTIONS)
class Collections(SpokenTo):
    """One account's invoices, levels and letters."""

    most_unheard = 200  # there is a run for each account, not for each company

    @workflow.init
    def __init__(self, start: CollectionsStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        self._start = start
        self._plan = start.plan
        self._account = start.state or Account(company=start.company, account=start.account)
        self._held_told = start.held_told
        self._ledger_knows = start.ledger_knows
        """Not in the first run: one before it may have been terminated while it held orders."""
        self._changed = start.changed
        self._in_sales = dict(start.shown)
        self._put_off: set[str] = set()
        self._put_off_until = workflow.now()
        self._news: list[InvoicesShown] = []
        self._courier = Courier(workflow.info().run_id, start.notices)
        self._published = Published()
        self._failing = ""
        self._not_before = workflow.now()

    @workflow.run
    async def run(self, start: CollectionsStart) -> None:
        """Take what is told, look when it is time, forever; one that is cancelled holds no orders any more."""
        self._telling = asyncio.create_task(self._courier.deliver())
        try:
            await self._go_on()
        except asyncio.CancelledError:
            if self._held_told:
                await self._tell_ledger("")
            raise

    async def _go_on(self) -> None:
        while True:
            self._take_news()
            self._show()
            if self._long_enough():
                self._go_on_anew()
            if self._unheard:
                await self._hear_some()
            elif self._is_due(workflow.now()):
                await self._look()
            elif (stale := self._stale_in_sales()) is not None:
                await self._show_in_sales(*stale)
            else:
                await self._rest()

    async def _rest(self) -> None:
        planned = self._next_look()
        at = min(planned or self._put_off_until, self._put_off_until) if self._put_off else planned

        def awake() -> bool:
            later = self._next_look()
            sooner = later is not None and (planned is None or later < planned)
            return bool(self._unheard or self._news) or sooner or is_long_enough(heard=self._something)

        try:
            await workflow.wait_condition(
                awake,
                timeout=None if at is None else max(at - workflow.now(), timedelta(0)),
                timeout_summary="Read what is open in Finance" if at is not None else None,
            )
        except TimeoutError:
            return

    def _next_look(self) -> datetime | None:
        """When Finance is read next; None: not before something is heard."""
        if self._changed or self._held_told != held_reason(self._account, self._plan):
            return self._not_before
        due = next_look(self._account, self._plan, workflow.now())
        return None if due is None else max(due, self._not_before)

    def _is_due(self, now: datetime) -> bool:
        due = self._next_look()
        return due is not None and due <= now

    def _go_on_anew(self) -> None:
        workflow.continue_as_new(
            self._start.model_copy(
                update={
                    "plan": self._plan,
                    "state": _carried(self._account),
                    "held_told": self._held_told,
                    "ledger_knows": self._ledger_knows,
                    "changed": self._changed,
                    "shown": self._in_sales,
                    "notices": self._courier.pending,
                    **self._spoken(),
                }
            )
        )

    # Finance

    async def _look(self) -> None:
        """Read Finance and let the rules decide; nothing is decided on what was read before."""
        self._something = True
        self._changed = False
        try:
            found = await attempt(
                CollectionActivities.read_open_items,
                OpenItemsOf(
                    company=self._start.company,
                    account=self._start.account,
                    known=tuple(invoice.number for invoice in self._account.invoices),
                ),
                queue=names.FINANCE_QUEUE,
                summary=f"Read what is open of {self._start.account}",
            )
        except ActivityError as error:
            self._failed(error)
            self._changed = True
            return
        before, now = self._account, workflow.now()
        self._take_news()
        try:
            result = looked(self._account, found, now)
            _to_come(result.after, found.plan, now)
        except (ValueError, ArithmeticError) as error:  # Finance holds what no rule takes, e.g. a currency of its own
            self._rests(f"{Cause.UNEXPECTED}: what Finance holds cannot be judged: {error}")
            self._changed = True
            return
        self._failing = ""
        self._plan, self._account = found.plan, result.after
        self._courier.take(None, lambda: notices_of(result.after, result.raised, now))
        self._courier.take(None, lambda: self._waits_since(before))
        await self._hold_orders()
        for n, what, facts in _written(before, result):
            await self._write_down(n, what, facts)

    def _waits_since(self, before: Account) -> tuple[Notice, ...]:
        """What whoever collects is told."""
        return tuple(waits_of(before, self._account, workflow.now()))

    async def _hold_orders(self) -> None:
        """Have the credit ledger hold orders, or let them through, where that has changed."""
        reason = held_reason(self._account, self._plan)
        if reason == self._held_told and self._ledger_knows:
            return
        changed = reason != self._held_told
        if not await self._tell_ledger(reason):
            return
        self._ledger_knows, self._held_told = True, reason
        if changed:
            text = reason or "collections let the customer's orders through again"
            self._account = self._account.with_entry(
                workflow.now(), SYSTEM, "orders_held" if reason else "orders_released", text
            )

    async def _tell_ledger(self, reason: str) -> bool:
        """Tell the credit ledger why orders are held, if they are; whether it was told."""
        event_id = f"{workflow.info().run_id}/{workflow.uuid4()}"
        try:
            await attempt(
                CollectionActivities.hold_orders,
                HoldOrders(
                    company=self._start.company,
                    account=self._start.account,
                    held=OrdersHeld(event_id=event_id, reason=reason, at=workflow.now()),
                ),
                queue=names.DEAL_QUEUE,
                summary="Have new orders held" if reason else "Let new orders through",
            )
        except ActivityError as error:
            self._failed(error)
            return False
        return True

    # Sales

    def _stale_in_sales(self) -> tuple[str, str] | None:
        """A deal of which Sales does not show what is collected, and what it is to show."""
        now = workflow.now()
        if self._put_off_until <= now:
            self._put_off.clear()
        today = local_date(now, self._plan.calendar.timezone)
        return to_show(self._account, self._plan, today, self._in_sales, self._put_off)

    async def _show_in_sales(self, quote_number: str, text: str) -> None:
        """Have the rep read in Sales what is collected for a deal; what fails is tried again later."""
        self._something = True
        try:
            await attempt(
                CollectedInSales.show_collected,
                ShowCollected(deal_id=names.deal_id(self._start.company, quote_number), text=text),
                queue=names.DATAVERSE_QUEUE,
                summary=f"Show in Sales what is collected for {quote_number}",
            )
        except ActivityError as error:
            cause, message = cause_of(error)
            self._put_off.add(quote_number)
            self._put_off_until = workflow.now() + LOOK_AGAIN
            workflow.logger.warning("Sales does not show what is collected", extra={"cause": cause, "reason": message})
            return
        if text:
            self._in_sales[quote_number] = mark_of(text)
        else:
            self._in_sales.pop(quote_number, None)

    def _failed(self, error: ActivityError) -> None:
        self._rests(": ".join(cause_of(error)))

    def _rests(self, why: str) -> None:
        """Look again after a while; people see why."""
        self._failing = why[:LONGEST_DETAIL]
        self._not_before = workflow.now() + LOOK_AGAIN
        workflow.logger.warning("collections wait: %s", self._failing)

    # Deals and events

    def _take_news(self) -> None:
        for news in self._news:
            self._account = told(self._account, news, self._plan, workflow.now())
            self._something = True
        self._news.clear()

    invoices_shown = heard(
        names.INVOICES_SHOWN,
        InvoicesShown,
        lambda account: account._keep_news,
        "A deal's invoices, and what is open on them",
    )

    def _keep_news(self, news: InvoicesShown) -> None:
        if (news.company, news.account) != (self._start.company, self._start.account):
            self._count(FOREIGN)
        elif len(self._news) >= MOST_NEWS:
            self._count(DROPPED_FULL)
            self._changed = True
        else:
            now = workflow.now()
            _to_come(told(self._account, news, self._plan, now), self._plan, now)  # raises where it cannot be taken
            self._news.append(news)

    customer_changed = heard(
        names.CUSTOMER_CHANGED,
        CustomerChanged,
        lambda account: account._note_change,
        "A payment was posted, or came back",
    )

    def _note_change(self, change: CustomerChanged) -> None:
        self._something = True
        came_back = change.freed is None and any(not invoice.is_open for invoice in self._account.invoices)
        if came_back or self._account.highest():
            self._changed = True
            self._not_before = max(self._not_before, workflow.now() + TOGETHER)

    # People

    async def _proved(self) -> list[tuple[SignedMessage, VerifiedMessage]]:
        messages = await super()._proved()
        self._take_news()
        return messages

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        now = workflow.now()
        today = local_date(now, self._plan.calendar.timezone)
        verdict = said_to_account(self._account, said, self._plan, today=today, now=now)
        before, self._account = self._account, verdict.after
        self._changed = self._changed or (verdict.code is None and not self._ledger_knows)
        self._courier.take(None, lambda: self._waits_since(before))
        text = verdict.text if verdict.code is None else verdict.detail
        if self._answer(said, verdict.code, text):
            await self._write_said(
                message,
                said,
                verdict.code,
                text,
                record_id=self._record_id(),
                event=said.name or "collections",
                of=RECORDED,
                facts={"account": self._start.account, "invoice": verdict.invoice},
            )

    # The audit

    def _record_id(self) -> str:
        return names.collections_record_id(self._company, *self._next_record())

    async def _write_down(self, event: str, what: str, facts: dict[str, str]) -> None:
        """Have it stored by a process of its own, which tries for as long as it takes."""
        record_id, known = self._record_id(), {"account": self._start.account} | facts
        record = AuditRecord(
            record_id=record_id,
            n=1,
            company=self._company[:CODE],
            kind=AuditKind.TRANSITION,
            event=event[:CODE],
            at=workflow.now(),
            actor=SYSTEM,
            what=what[:WORDS],
            policy_version=self._plan.named[:CODE],
            facts={name: value[:CODE] for name, value in known.items() if value},
        )
        await deliver_apart(Outbox(pending=(record,)), record_id, f"An audit record of {RECORDED}")

    # What it shows

    def _show(self) -> None:
        """Current details and search attributes, as far as they differ from what was shown before."""
        today = local_date(workflow.now(), self._plan.calendar.timezone)
        overdue = self._account.overdue(today)
        currency = next(iter(overdue), "")
        level = self._account.highest()
        self._published.publish(
            {
                attributes.COMPANY: self._start.company,
                attributes.CUSTOMER: self._start.account,
                attributes.WAITING_FOR: WaitingFor.PAYMENT if overdue else WaitingFor.NOTHING,
                attributes.STAGE: self._plan.levels[min(level, len(self._plan.levels)) - 1].id if level else None,
                attributes.AMOUNT: overdue[currency] if overdue else None,
                attributes.CURRENCY: currency or None,
                attributes.DEADLINE: self._next_look() if overdue else None,
            }
        )
        sums = ", ".join(format_money(amount, code) for code, amount in overdue.items()) or "nothing"
        lines = [f"**{self._start.account}** in {self._start.company.upper()}: {sums} overdue", ""]
        shown = [invoice for invoice in self._account.invoices if invoice.is_open][:SHOWN]
        if shown:
            lines += ["| Invoice | Due | Open | Level | Paused |", "|---|---|---|---|---|"]
            lines += [
                f"| {i.number} | {i.due_on} | {format_money(i.open_amount, i.currency)} | {i.level or ''} "
                f"| {i.paused(today) or ''} |"
                for i in shown
            ]
        if self._held_told:
            lines.append(f"\n**New orders are held**: {self._held_told}")
        if self._failing:
            lines.append(f"\n**Could not be read**: {self._failing}")
        workflow.set_current_details("\n".join(lines))

    @workflow.query(name=names.STATE, description="Invoices, levels, letters, and what comes next")
    def state(self) -> CollectionsView:
        """The account as it stands."""
        account = self._account
        for news in self._news:
            account = told(account, news, self._plan, workflow.now())
        return CollectionsView(
            state=account,
            plan=self._plan,
            today=local_date(workflow.now(), self._plan.calendar.timezone),
            next_look=self._next_look(),
            held=self._held_told,
            failing=self._failing,
        )


def _carried(account: Account) -> Account:
    """An account that fits what goes from run to run in one payload: old letters and entries fall out first."""
    while account.letters and len(account.model_dump_json().encode()) > MOST_BYTES:
        account = account.model_copy(update={"letters": account.letters[1:]})
    while account.history and len(account.model_dump_json().encode()) > MOST_BYTES:
        account = account.model_copy(update={"history": account.history[len(account.history) // 2 + 1 :]})
    return account


def _to_come(account: Account, plan: DunningPlan, now: datetime) -> None:
    """Make sure that what comes next of an account can be computed, before it takes the place of what can.

    Raises:
        ValueError: it holds a currency that is none.
        ArithmeticError: a day is beyond every calendar.
    """
    next_look(account, plan, now)
    to_show(account, plan, local_date(now, plan.calendar.timezone), {})
    for currency, amount in account.overdue(date.max).items():
        format_money(amount, currency)


def _written(before: Account, result: Looked) -> list[tuple[str, str, dict[str, str]]]:
    """What a look changed, as the audit has it: each letter, with the invoices whose level it raised."""
    records = []
    for letter in result.letters:
        raised = [one for one in result.raised if one.invoice.currency == letter.currency]
        numbers = ", ".join(one.invoice.number for one in raised[:10])
        more = f" and {len(raised) - 10} more" if len(raised) > 10 else ""
        text = (
            f"letter {letter.n} ({letter.level}) over {format_money(letter.to_pay, letter.currency)}: {numbers}{more}"
        )
        records.append(("letter_written", text, {"letter": str(letter.n), "level": letter.level}))
    known = {invoice.number: invoice for invoice in before.invoices}
    for invoice in result.after.invoices:
        was = known.get(invoice.number)
        if was is not None and not was.is_open and invoice.is_open:
            text = f"{format_money(invoice.open_amount, invoice.currency)} of {invoice.number} is open again"
            records.append(("reopened", text, {"invoice": invoice.number}))
    return records
