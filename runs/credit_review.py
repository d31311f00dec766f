"""The one way to reach what compares a company's credit ledgers with its deals and Finance, and what it compares."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from domain.credit_claims import CreditClaim
from domain.credit_ledger import LedgerStart
from domain.credit_review import LedgerState, RebuildBook, RebuiltBook
from domain.credit_review_said import CreditReviewStart, CreditReviewView
from domain.messages import Outcome, SignedMessage
from domain.views import Stage
from runs import attributes, names, outcomes, query
from runs.calls import NoAnswer, NotFound, Unreadable, answer, ask, ask_for, begin_or_tell, listed, rejected
from runs.ledgers import LedgerRefused
from runs.lookup import Lookup

MOST_DEALS = 2_000
"""Deals of a company that are asked what they claim."""
AT_ONCE = 20
"""Deals asked at the same time."""
PATIENCE = timedelta(seconds=20)


class CreditReviews:
    """The reviews of all companies."""

    def __init__(self, client: Client) -> None:
        """Reach them through ``client``, connected to the deals' namespace."""
        self._client = client
        self._lookup = Lookup(client)

    async def ensure(self, companies: Mapping[str, str]) -> None:
        """Make sure that each company's ledgers are compared every night; a running review is left alone.

        Args:
            companies: time zones by legal entity, lower case.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        for company, timezone in companies.items():
            begun = self._client.start_workflow(
                names.CREDIT_REVIEW,
                CreditReviewStart(company=company, timezone=timezone),
                id=names.credit_review_id(company),
                task_queue=names.DEAL_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                priority=Priority(fairness_key=company),
                static_summary=_called(company),
            )
            try:
                await answer(begun)
            except RPCError as error:
                raise rejected(error) from error

    async def read(self, company: str) -> CreditReviewView:
        """What the last review found; nothing where there was none.

        Raises:
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        workflow_id, what = names.credit_review_id(company), _called(company)
        try:
            return await ask(self._client, workflow_id, names.STATE, CreditReviewView, what=what)
        except NotFound:
            return CreditReviewView(company=company)

    async def tell(self, company: str, message: SignedMessage, *, timezone: str) -> Outcome | None:
        """Pass on what a person signed; the company's review begins to run where it does not yet.

        Args:
            company: legal entity, lower case.
            message: what was signed.
            timezone: of the company, IANA name.

        Returns:
            What became of it; None where it is recorded and not known within five seconds.

        Raises:
            NoAnswer: Temporal is down and nothing was recorded.
        """
        workflow_id = names.credit_review_id(company)
        await begin_or_tell(
            self._client,
            names.CREDIT_REVIEW,
            CreditReviewStart(company=company, timezone=timezone),
            workflow_id,
            names.COMMAND,
            message,
            priority=Priority(fairness_key=company),
            summary=_called(company),
        )
        return await outcomes.awaited(self._client, workflow_id, message.message_id, what=_called(company))

    # --- what is compared ------------------------------------------------------------------------------------------

    async def ledgers(self, company: str) -> AsyncIterator[str]:
        """The accounts of a company that have a credit ledger, in no order.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        asked = query.all_of(query.of_type(names.CREDIT_LEDGER), query.RUNNING)
        async for run in listed(self._client, asked):
            try:
                of, account = names.parse_ledger_id(run.id)
            except ValueError:
                continue
            if of == company:
                yield account

    async def asking_deals(self, company: str) -> tuple[list[str], int]:
        """Running deals of a company between acceptance and order; and how many of them were too many.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        asked = query.all_of(
            query.of_type(names.QUOTE_TO_CASH),
            query.RUNNING,
            query.equals(attributes.COMPANY, company),
            query.among(attributes.STAGE, (Stage.CREDIT, Stage.ORDER)),
        )
        found = [run.id async for run in listed(self._client, asked)]
        return found[:MOST_DEALS], max(0, len(found) - MOST_DEALS)

    async def claims(self, deal_ids: Sequence[str]) -> list[CreditClaim]:
        """What running deals claim; those that claim nothing, have ended or are gone are left out.

        Raises:
            NoAnswer: Temporal or every worker is down.
            Unreadable: a deal cannot answer.
        """
        found, silent = await self.claims_of_those_that_answer(deal_ids)
        if silent:
            raise next(iter(silent.values()))
        return found

    async def claims_of_those_that_answer(
        self, deal_ids: Sequence[str]
    ) -> tuple[list[CreditClaim], dict[str, NoAnswer | Unreadable]]:
        """The same, and by its id why a deal does not answer.

        Raises:
            NoAnswer: Temporal is down.
        """
        slots = asyncio.Semaphore(AT_ONCE)
        found: list[CreditClaim] = []
        silent: dict[str, NoAnswer | Unreadable] = {}

        async def claim(deal_id: str) -> None:
            async with slots:
                try:
                    told = await ask_for(self._client, deal_id, names.CLAIM, CreditClaim, what=f"Deal {deal_id}")
                except NotFound:
                    return
                except (NoAnswer, Unreadable) as error:
                    silent[deal_id] = error
                    return
            if told is not None:
                found.append(told)

        ended = set(await self._lookup.ended(deal_ids))  # one that was terminated would still say what it held
        await asyncio.gather(*(claim(deal_id) for deal_id in deal_ids if deal_id not in ended))
        return sorted(found, key=lambda claim: claim.deal_id), silent

    async def ledger(self, company: str, account: str) -> LedgerState | None:
        """A customer's ledger as it stands; None where there is none. Raises as ``claims``."""
        what = f"The credit ledger of {account}"
        try:
            return await ask(self._client, names.ledger_id(company, account), names.LEDGER, LedgerState, what=what)
        except NotFound:
            return None

    async def rebuild(self, company: str, account: str, rebuild: RebuildBook) -> RebuiltBook:
        """Make a ledger's book anew; one that does not run yet begins with it.

        Raises:
            LedgerRefused: the ledger cannot.
            NoAnswer: Temporal does not answer.
        """
        ledger_id = names.ledger_id(company, account)
        begun = self._client.start_workflow(
            names.CREDIT_LEDGER,
            LedgerStart(company=company, customer_account=account),
            id=ledger_id,
            task_queue=names.DEAL_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            priority=Priority(fairness_key=company),
            static_summary=f"Credit of **{account}** in {company.upper()}",
        )
        await answer(begun)
        try:
            told: RebuiltBook = await self._client.get_workflow_handle(ledger_id).execute_update(
                names.REBUILD, rebuild, id=str(uuid.uuid4()), result_type=RebuiltBook, rpc_timeout=PATIENCE
            )
        except WorkflowUpdateFailedError as error:
            raise LedgerRefused(str(error.cause or error)) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise NoAnswer(f"The credit ledger of {account} does not answer. Try again in a moment.") from error
        return told


def _called(company: str) -> str:
    return f"Credit ledgers of {company.upper()}, compared with deals and Finance"
