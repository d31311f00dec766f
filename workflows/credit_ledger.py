"""The single writer of a customer's credit: two deals that ask at the same instant can never both take the last of it.

Deals read Finance themselves and ask with what they read; the ledger adds what other deals hold that Finance does not
show yet, applies the rule to the newest reading it was given, and remembers. It keeps the queue of held deals and wakes
those whom a payment, a release or a higher limit may have helped. A reservation whose deal is gone is found when it
stands in another deal's way. It is rebuilt from nothing by the deals' next questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.signatures import AskEnded, CreditActivities, WakeDeals
    from domain.collections import OrdersHeld
    from domain.credit import MOST_DEALS, BookFull, CreditBook, EntryStatus, reserve
    from domain.credit_facts import CreditFacts
    from domain.credit_groups import GROUPS
    from domain.credit_ledger import (
        MOST_GROUPS,
        CreditAnswer,
        GroupNote,
        LedgerRequest,
        LedgerStart,
        News,
        Onward,
        newest,
        outdated,
    )
    from domain.credit_parts import without
    from domain.credit_review import LedgerState, RebuildBook, RebuiltBook, rebuilt, unusable
    from domain.credit_rule import CLOCK_SKEW, FutureFacts, StaleFacts
    from domain.credit_watch import checked, due_for_check, next_check
    from domain.digest import Digest
    from domain.messages import CustomerChanged, LedgerNote
    from runs import names
    from workflows.hearing import heard, is_long_enough, taken
    from workflows.steps import attempt, cause_of, tell
    from workflows.understanding import understood

SEEN = 500
"""Events of the customer remembered, so that one delivered twice wakes nobody twice."""
AT_ONCE = 100
"""Deals woken or asked about in one activity."""
LOOK_AGAIN = timedelta(seconds=30)
"""How long the ledger waits before it tries again to reach deals."""
SHOWN = 50
"""Deals in the current details; the query ``state`` has all."""


@workflow.defn(name=names.CREDIT_LEDGER)
class CreditLedger:
    """One customer's reservations in one company."""

    @workflow.init
    def __init__(self, start: LedgerStart) -> None:
        """Make the state before the first question is answered."""
        self._start = start
        self._book = start.book
        self._seen = Digest(start.seen, SEEN)
        self._wake = dict(start.wake)
        self._tally = dict(start.tally)
        self._facts: CreditFacts | None = None
        self._changed_at = start.changed_at
        self._collections_hold = start.collections_hold
        self._groups = start.groups
        self._followed = dict.fromkeys(start.followed)
        self._since = workflow.now()
        self._gone: dict[str, datetime] = {}
        self._onward = start.handed_on
        self._not_before = workflow.now()
        self._failing = ""
        self._heard = False
        self._news = News()
        self._planned: tuple[CreditBook, datetime | None] = (self._book, next_check(self._book))

    @workflow.run
    async def run(self, start: LedgerStart) -> None:
        """Answer forever; wake deals whose credit may have come free; ask about those not heard of for long."""
        self._caught_up = asyncio.create_task(self._keep_up())
        self._described = asyncio.create_task(self._keep_described())
        while True:
            await self._rest()
            self._heard = True
            now = workflow.now()
            if now < self._not_before:
                continue
            if self._onward:
                await self._hand_on()
            elif self._wake:
                await self._wake_some()
            elif due := due_for_check(self._book, now, AT_ONCE):
                await self._ask_about(due)

    async def _rest(self) -> None:
        """Until there is something to do. A run that is long enough ends here, and the next one goes on."""
        planned = self._next()
        if not self._long_enough() and (planned is None or planned > workflow.now()):
            try:
                await workflow.wait_condition(
                    lambda: self._long_enough() or self._earlier_than(planned),
                    timeout=planned - workflow.now() if planned else None,
                    timeout_summary="Ask whether the deals that hold credit still run" if planned else None,
                )
            except TimeoutError:
                pass
        if self._long_enough():
            self._catch_up()
            workflow.continue_as_new(
                self._start.model_copy(
                    update={
                        "book": self._book,
                        "seen": self._seen.packed(),
                        "wake": self._wake,
                        "changed_at": self._changed_at,
                        "collections_hold": self._collections_hold,
                        "tally": self._tally,
                        "groups": self._groups,
                        "followed": tuple(self._followed),
                        "handed_on": self._onward,
                    }
                )
            )

    def _next(self) -> datetime | None:
        """When there is something to do; None: only when something is heard."""
        if self._planned[0] is not self._book:
            self._planned = self._book, next_check(self._book)
        due = self._not_before if self._wake or self._onward else self._planned[1]
        return None if due is None else max(due, self._not_before)

    def _earlier_than(self, planned: datetime | None) -> bool:
        due = self._next()
        return due is not None and (due <= workflow.now() or planned is None or due < planned)

    def _long_enough(self) -> bool:
        """Whether the history should end; never before something happened, so that each run gets somewhere."""
        return is_long_enough(heard=self._heard)

    async def _wake_some(self) -> None:
        """Wake held deals; those that have ended need no credit any more."""
        deals = dict(list(self._wake.items())[:AT_ONCE])
        for deal_id in deals:
            del self._wake[deal_id]
        try:
            ended = await attempt(
                CreditActivities.wake_deals,
                WakeDeals(deals=deals, nonce=str(workflow.uuid4())),
                queue=names.DEAL_QUEUE,
                summary=f"Wake {len(deals)} held deal{'s' if len(deals) != 1 else ''}",
            )
        except ActivityError as error:
            self._wake = deals | self._wake
            self._note(error)
            return
        self._failing = ""
        self._count("woken", len(deals) - len(ended.deal_ids))
        self._free(ended.deal_ids)

    async def _ask_about(self, deal_ids: tuple[str, ...]) -> None:
        """Find out which of the deals are gone, and free what they held."""
        try:
            ended = await attempt(
                CreditActivities.find_ended,
                AskEnded(deal_ids=deal_ids),
                queue=names.DEAL_QUEUE,
                summary=f"Ask whether {len(deal_ids)} deal{'s' if len(deal_ids) != 1 else ''} still run",
            )
        except ActivityError as error:
            self._note(error)
            return
        self._failing = ""
        self._free(ended.deal_ids)
        self._book = checked(self._book, deal_ids, workflow.now())

    def _free(self, deal_ids: Iterable[str]) -> None:
        self._catch_up()
        for deal_id in deal_ids:
            if self._book.entry(deal_id) is not None:
                self._count("freed")
                self._give_back(deal_id, f"the reservation of {deal_id}, which has ended, was freed")
        self._catch_up()

    def _give_back(self, deal_id: str, reason: str) -> None:
        self._changed_at = workflow.now()
        self._followed.pop(deal_id, None)
        self._gone.pop(deal_id, None)
        self._gone[deal_id] = self._changed_at
        while len(self._gone) > MOST_DEALS:
            first = next(iter(self._gone))
            self._since = self._gone.pop(first)
        self._news.ended.add(deal_id)
        self._news.reason = reason

    async def _keep_up(self) -> None:
        """Take what was heard into the book: once for all that a moment brought, however much that is."""
        while True:
            await workflow.wait_condition(lambda: bool(self._news))
            self._catch_up()

    def _catch_up(self) -> None:
        news, self._news = self._news, News()
        if not news:
            return
        with taken(self._count):
            self._book, woken = news.into(self._book)
            self._wake.update(dict.fromkeys(woken, news.reason))

    # --- what deals and the intake say -----------------------------------------------------------------------------

    @workflow.update(name=names.RESERVE, description="Reserve credit for one deal's order, or join the queue")
    def reserve(self, *message: Any) -> CreditAnswer:
        """Decide on one order, on the newest reading of Finance. An impossible question is answered, never raised."""
        self._heard = True
        ask = understood(message, LedgerRequest)
        if ask is None:
            answer = CreditAnswer(decision=None, refused="this is no question, or one with impossible numbers")
        else:
            answer = self._decide(ask)
        self._count(next((why for why in ("stale", "later", "refused") if getattr(answer, why)), "decided"))
        return answer

    def _decide(self, ask: LedgerRequest) -> CreditAnswer:
        try:
            return self._decided(ask)
        except StaleFacts as reason:
            return CreditAnswer(decision=None, stale=str(reason))
        except (BookFull, FutureFacts) as reason:
            return CreditAnswer(decision=None, later=str(reason))
        except Exception as error:  # noqa: BLE001 - what is raised here fails every task, and blocks all the deals
            workflow.logger.warning("a question could not be decided", exc_info=True)
            return CreditAnswer(decision=None, refused=f"{type(error).__name__}: {error}"[:500])

    def _decided(self, ask: LedgerRequest) -> CreditAnswer:
        self._catch_up()
        facts = newest(self._facts, ask.facts)
        book, decision = reserve(
            self._book,
            ask.deal_id,
            ask.order_number,
            ask.amount,
            self._held(ask, facts),
            ask.terms,
            workflow.now(),
            ask.release,
        )
        self._facts = facts
        self._joins(ask.group)
        if ask.follows:
            self._follow(ask.deal_id)
        if why := outdated(facts, decision, self._changed_at):
            return CreditAnswer(decision=None, stale=why)
        kept = ask.keeps if decision.passed else ask.queues
        before = self._book.entry(ask.deal_id)
        if not ask.keeps and decision.passed and before is not None and before.status is EntryStatus.RESERVED:
            self._give_back(ask.deal_id, f"{ask.deal_id} gave credit back: its credit group refuses it")
            return CreditAnswer(decision=decision)
        self._book = book if kept else without(book, ask.deal_id)
        return CreditAnswer(decision=decision)

    def _held(self, ask: LedgerRequest, facts: CreditFacts) -> CreditFacts:
        """The facts with what collections say of the customer's new orders, which Finance does not know."""
        if ask.follows or facts.collections_hold == self._collections_hold:
            return facts
        return facts.model_copy(update={"collections_hold": self._collections_hold})

    orders_held = heard(
        names.ORDERS_HELD,
        OrdersHeld,
        lambda ledger: ledger._hold_orders,
        "Collections hold the customer's orders, or not any more",
    )
    order_visible = heard(
        names.ORDER_VISIBLE,
        LedgerNote,
        lambda ledger: ledger._is_visible,
        "A deal's order is in Finance: Finance counts it now",
    )
    give_back = heard(names.RELEASE, LedgerNote, lambda ledger: ledger._take_back, "A deal needs no credit any more")
    customer_changed = heard(
        names.CUSTOMER_CHANGED,
        CustomerChanged,
        lambda ledger: ledger._change,
        "A payment, a new limit or a block of the customer",
    )
    in_group = heard(
        names.IN_GROUP,
        GroupNote,
        lambda ledger: ledger._is_in_group,
        "The customer shares its credit limit with others",
    )

    def _hold_orders(self, held: OrdersHeld) -> None:
        """Hold the customer's new orders for what is overdue; where that is over, wake those that wait."""
        self._heard = True
        was, self._collections_hold = self._collections_hold, held.reason
        if was and not held.reason:
            self._changed_at = workflow.now()
            self._news.free(None)
            self._news.reason = "collections do not hold the customer's orders any more"

    def _is_visible(self, note: LedgerNote) -> None:
        """Note that Finance shows a deal's order from now on."""
        self._heard = True
        self._news.visible.setdefault(note.deal_id, min(note.at, workflow.now()))
        if note.follows:
            self._follow(note.deal_id)
        self._pass_on({"visible": {**self._onward.visible, note.deal_id: note.at}})

    def _take_back(self, note: LedgerNote) -> None:
        """Give back what a deal holds, and wake those it may help."""
        self._heard = True
        self._give_back(note.deal_id, f"{note.deal_id} gave credit back")
        self._pass_on({"ended": (*self._onward.ended, note.deal_id)})

    def _change(self, change: CustomerChanged) -> None:
        """Wake the held deals a change may help."""
        self._heard = True
        if change.event_id in self._seen:
            return
        self._seen.add(change.event_id)
        self._changed_at = workflow.now()
        self._news.free(change.freed)
        self._news.reason = change.reason[:200]
        if change.lowers:
            self._wake.update(dict.fromkeys(self._followed, self._news.reason))
            self._followed.clear()
        lowers = self._onward.lowers or change.lowers
        self._pass_on({"changed": self._news.reason or "its credit changed", "lowers": lowers})

    def _follow(self, deal_id: str) -> None:
        """Wake a deal whose order is confirmed when credit becomes less, once: who looks again says so again."""
        if len(self._followed) < MOST_DEALS:
            self._followed[deal_id] = None
        else:
            self._count("not followed")

    def _is_in_group(self, note: GroupNote) -> None:
        """From now on, hand news on to the group's ledger."""
        self._heard = True
        self._joins(note.group)

    def _joins(self, group: str) -> None:
        if group and group not in self._groups[:1]:
            self._groups = (group, *(each for each in self._groups if each != group))[:MOST_GROUPS]

    def _pass_on(self, more: dict[str, Any]) -> None:
        """Note what the ledgers of the customer's groups have to hear; what finds no room there is counted."""
        if not self._groups:
            return
        onward = self._onward.model_copy(update=more)
        if onward.notes > max(MOST_DEALS, self._onward.notes):
            self._count("not handed on")
        else:
            self._onward = onward

    async def _hand_on(self) -> None:
        """Tell the ledgers of the customer's groups; where one does not run, nobody waits for credit there."""
        onward, self._onward = self._onward, Onward()
        for group in self._groups:
            handle = workflow.get_external_workflow_handle(names.ledger_id(GROUPS, group))
            notes = [
                (names.ORDER_VISIBLE, LedgerNote(deal_id=deal, at=at, follows=deal in self._followed))
                for deal, at in onward.visible.items()
            ]
            notes += [(names.RELEASE, LedgerNote(deal_id=deal, at=workflow.now())) for deal in onward.ended]
            try:
                for signal, note in notes:
                    await tell(handle, signal, note)
                if onward.changed:
                    event_id = f"{self._start.company}/{self._start.customer_account}/{workflow.uuid4()}"
                    change = CustomerChanged(event_id=event_id, reason=onward.changed, lowers=onward.lowers)
                    await tell(handle, names.CUSTOMER_CHANGED, change)
            except FailureError as error:
                workflow.logger.info("the ledger of credit group %s does not run: %s", group, error)
        self._count("handed on", onward.notes + bool(onward.changed))

    @workflow.signal(name=names.DROPPED, description="Messages that nobody sealed for this run were dropped")
    def dropped(self, *message: Any) -> None:
        """Do nothing: what the run waits for is looked at, and with it how long the run is."""

    @workflow.update(name=names.REBUILD, description="Make the book anew from what the deals claim")
    def rebuild(self, *message: Any) -> RebuiltBook:
        """Take the place of the book in one step: no deal is answered in between."""
        self._heard = True
        rebuild = understood(message, RebuildBook)
        if rebuild is None:
            return RebuiltBook(refused="this is nothing a book can be made anew from")
        try:
            return self._rebuilt(rebuild)
        except Exception as error:  # noqa: BLE001 - what is raised here fails every task, and blocks all the deals
            workflow.logger.warning("the book could not be made anew", exc_info=True)
            return RebuiltBook(refused=f"{type(error).__name__}: {error}"[:500])

    def _rebuilt(self, rebuild: RebuildBook) -> RebuiltBook:
        self._catch_up()
        now = workflow.now()
        if why := unusable(rebuild, now, self._since):
            return RebuiltBook(refused=why)
        gone = [deal for deal, at in self._gone.items() if at + CLOCK_SKEW >= rebuild.read_at]
        self._book, told = rebuilt(self._book, rebuild, gone, now)
        self._changed_at = now
        self._news.free(None)
        self._news.reason = "the credit ledger was rebuilt"
        self._count("rebuilt")
        return told

    # --- what it shows ---------------------------------------------------------------------------------------------

    @workflow.query(name=names.STATE, description="Reservations and held deals")
    def state(self) -> CreditBook:
        """The customer's book."""
        return self._book

    @workflow.query(name=names.LEDGER, description="The book, and the credit groups the ledger was told")
    def ledger(self) -> LedgerState:
        """The ledger as it stands."""
        return LedgerState(book=self._book, groups=self._groups)

    @workflow.query(name=names.TALLY, description="Questions decided, refused or too early; deals woken and freed")
    def tally(self) -> dict[str, int]:
        """How often what happened."""
        return self._tally

    def _count(self, what: str, number: int = 1) -> None:
        self._heard = True
        if number:
            self._tally[what] = self._tally.get(what, 0) + number
            meter = workflow.metric_meter()
            counter = meter.create_counter("q2c_credit_ledger", "Questions to credit ledgers, deals woken and freed")
            counter.add(number, {"what": what, "company": self._start.company})

    def _note(self, error: ActivityError) -> None:
        cause, message = cause_of(error)
        self._failing = f"{cause}: {message}"
        self._not_before = workflow.now() + LOOK_AGAIN
        workflow.logger.warning("the ledger could not reach deals", extra={"cause": cause, "reason": message})

    async def _keep_described(self) -> None:
        """Show the book as it stands: once for all that a moment brought, however much that is."""
        while True:
            book, failing, hold = self._book, self._failing, self._collections_hold
            self._describe()

            def changed(book: CreditBook = book, failing: str = failing, hold: str = hold) -> bool:
                return self._book is not book or self._failing != failing or self._collections_hold != hold

            await workflow.wait_condition(changed)

    def _describe(self) -> None:
        entries = self._book.entries
        held = sum(entry.status is EntryStatus.HELD for entry in entries)
        lines = [
            f"**Credit of {self._start.customer_account}** in {self._start.company.upper()}: "
            f"{len(entries) - held} reserved, {held} on hold",
            "",
        ]
        if entries:
            lines += ["| Deal | Order | Amount | Status | Over by |", "|---|---|---|---|---|"]
            lines.extend(
                f"| {entry.deal_id} | {entry.order_number} | {entry.amount:,} | "
                f"{_STATUS[entry.status]}{', in Finance' if entry.visible_at else ''} | {entry.over_by or ''} |"
                for entry in entries[:SHOWN]
            )
        if len(entries) > SHOWN:
            lines.append(f"\nand {len(entries) - SHOWN:,} more: query `{names.STATE}`")
        if self._collections_hold:
            lines.append(f"\n**New orders are held**: {self._collections_hold}")
        if self._failing:
            lines.append(f"\n**Deals could not be reached**: {self._failing}")
        workflow.set_current_details("\n".join(lines))


_STATUS = {EntryStatus.RESERVED: "reserved", EntryStatus.HELD: "on hold"}
