"""The one way to reach a customer's credit ledger."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from domain.collections import OrdersHeld
from domain.credit_groups import Member
from domain.credit_ledger import CreditAnswer, GroupNote, LedgerRequest, LedgerStart
from domain.messages import CreditRecheck, CustomerChanged, LedgerNote
from domain.record import Record
from runs import names
from runs.calls import NoAnswer, begin_or_tell, tell
from runs.lookup import Lookup

PATIENCE = 20.0
"""Seconds a question may take, from its turn in this process's queue."""
IN_FLIGHT = 4
"""Questions this process puts to one ledger at a time: a run takes ten at once, from all processes together."""
AT_ONCE = 20
"""Deals woken at the same time."""
_FINAL = frozenset(
    {
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.UNIMPLEMENTED,
    }
)
"""What asking again does not change. All else passes: ten questions are in flight ("workflow update limit"), the run
has just gone on as a new one, its task failed on the way."""


class LedgerRefused(ValueError):
    """The ledger takes a question to be impossible; the text says why. Asking again gets the same answer."""


class Ledgers:
    """The credit ledgers, as deals' activities and the intake reach them."""

    def __init__(self, client: Client) -> None:
        """Reach ledgers through ``client``."""
        self._client = client
        self._lookup = Lookup(client)
        self._gates: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def reserve(self, company: str, account: str, request: LedgerRequest) -> CreditAnswer:
        """Ask a customer's ledger for credit; it is started where it does not run yet.

        Questions of this process queue here, a few at a time to each ledger. Asking again replaces what was asked.

        Args:
            company: legal entity, lower case.
            account: customer account in Finance.
            request: the deal's question.

        Returns:
            The decision, or that the facts were too old.

        Raises:
            LedgerRefused: the question is impossible.
            NoAnswer: the ledger could not be asked in time, or says that it must be asked later.
        """
        ledger_id = names.ledger_id(company, account)
        gate = self._gates.setdefault(ledger_id, asyncio.Semaphore(IN_FLIGHT))
        start = LedgerStart(company=company, customer_account=account)
        async with gate:
            reserved = await self._ask(ledger_id, start, request)
        if reserved.refused:
            raise LedgerRefused(reserved.refused)
        if reserved.later:
            raise NoAnswer(reserved.later)
        return reserved

    async def _ask(self, ledger_id: str, first: LedgerStart, request: LedgerRequest) -> CreditAnswer:
        """Put the question until the ledger takes it; by its id, it is taken once."""
        request_id, tries = str(uuid.uuid4()), 0
        until = time.monotonic() + PATIENCE
        while (left := until - time.monotonic()) > 0:
            start: WithStartWorkflowOperation[Any, None] = WithStartWorkflowOperation(
                names.CREDIT_LEDGER,
                first,
                id=ledger_id,
                task_queue=names.DEAL_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                priority=Priority(fairness_key=first.company),
                static_summary=f"Credit of **{first.customer_account}** in {first.company.upper()}",
            )
            try:
                answered: CreditAnswer = await self._client.execute_update_with_start_workflow(
                    names.RESERVE,
                    request,
                    start_workflow_operation=start,
                    id=request_id,
                    result_type=CreditAnswer,
                    rpc_timeout=timedelta(seconds=left),
                )
            except WorkflowUpdateFailedError as error:
                raise LedgerRefused(str(error.cause or error)) from error
            except WorkflowUpdateRPCTimeoutOrCancelledError:
                await _taken_note_of(start)
                break
            except RPCError as error:
                await _taken_note_of(start)
                if error.status in _FINAL and "workflow task" not in error.message.lower():
                    raise
            else:
                return answered
            await asyncio.sleep(min(0.05 * 2**tries, 1.0) * random.uniform(0.5, 1.5))  # noqa: S311  # spreads them
            tries += 1
        raise NoAnswer(f"The credit ledger of {first.customer_account} does not answer. Try again in a moment.")

    async def changed(self, company: str, account: str, change: CustomerChanged) -> bool:
        """Tell a customer's ledger that credit may have come free.

        Returns:
            False where no ledger runs: then no deal of the customer waits for credit either.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await tell(self._client, names.ledger_id(company, account), names.CUSTOMER_CHANGED, change)

    async def hold(self, company: str, account: str, held: OrdersHeld) -> None:
        """Tell a customer's ledger that collections hold its orders, or not any more; it is started where need be.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such run or message.
        """
        await self._tell(company, account, names.ORDERS_HELD, held)

    async def _tell(self, company: str, account: str, signal: str, message: Record) -> None:
        """Signal a customer's ledger, which is started where it does not run yet."""
        await begin_or_tell(
            self._client,
            names.CREDIT_LEDGER,
            LedgerStart(company=company, customer_account=account),
            names.ledger_id(company, account),
            signal,
            message,
            priority=Priority(fairness_key=company),
            summary=f"Credit of **{account}** in {company.upper()}",
        )

    async def introduce(self, members: Iterable[Member], group: str) -> None:
        """Tell the ledgers of all who share a limit that they do: what they hear frees credit of the others as well.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such run or message.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def told(member: Member) -> None:
            async with slots:
                await self._tell(member.company, member.account, names.IN_GROUP, GroupNote(group=group))

        await asyncio.gather(*(told(member) for member in members))

    async def give_back(self, company: str, account: str, deal_id: str) -> None:
        """Tell a ledger that a deal needs no credit there.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        note = LedgerNote(deal_id=deal_id, at=datetime.now(UTC))
        await tell(self._client, names.ledger_id(company, account), names.RELEASE, note)

    async def wake(self, deals: Mapping[str, str], nonce: str) -> list[str]:
        """Ask held deals to look at credit again.

        Args:
            deals: why, by workflow id.
            nonce: of this waking: the same again wakes no deal twice.

        Returns:
            Those that do not run any more.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def woken(deal_id: str, reason: str) -> bool:
            async with slots:
                recheck = CreditRecheck(message_id=f"{nonce}/{deal_id}", reason=reason)
                return await tell(self._client, deal_id, names.CREDIT_RECHECK, recheck)

        told = await asyncio.gather(*(woken(deal_id, reason) for deal_id, reason in deals.items()))
        return [deal_id for deal_id, taken in zip(deals, told, strict=True) if not taken]

    async def ended(self, deal_ids: Sequence[str]) -> list[str]:
        """Those of the deals whose run has ended, however, or is gone.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await self._lookup.ended(deal_ids)


async def _taken_note_of(start: WithStartWorkflowOperation[Any, None]) -> None:
    """Take the failure out of the start too: the SDK keeps a second one there, and asyncio logs what nobody took."""
    with suppress(RPCError):
        await start.workflow_handle()
