"""The one way to reach what is collected from a customer's account: tell it, ask it, list all accounts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import structlog
from pydantic import Field
from temporalio.client import Client, WorkflowExecution
from temporalio.common import Priority
from temporalio.service import RPCError, RPCStatusCode

from domain.collections import CollectionsStart, CollectionsView, InvoicesShown
from domain.messages import CustomerChanged, Outcome, SignedMessage
from domain.money import shown_decimals
from domain.record import Record
from domain.views import WaitingFor
from runs import attributes, names, outcomes, query
from runs.calls import BadSearch, NotFound, answer, ask, begin_or_tell, tell
from runs.cursors import Cursors

log = structlog.get_logger(__name__)


class AccountRow(Record):
    """An account as the list knows it, from its search attributes."""

    company: str
    account: str
    level: str = Field("", description="Id of the highest level that an open invoice has reached; empty: none")
    overdue: Decimal | None = Field(None, description="Overdue in `currency`; of several currencies the first")
    currency: str = ""
    next_look: datetime | None = Field(None, description="When Finance is read next; null: when something is heard")
    workflow_id: str = ""

    @classmethod
    def of(cls, run: WorkflowExecution) -> AccountRow:
        """The row of a run.

        Raises:
            ValueError: the run is none of ours.
        """
        company, account = names.parse_collections_id(run.id)
        overdue, currency = attributes.AMOUNT.of(run), attributes.CURRENCY.of(run) or ""
        return cls(
            company=company,
            account=account,
            level=attributes.STAGE.of(run) or "",
            overdue=None if overdue is None else shown_decimals(overdue, currency),
            currency=currency,
            next_look=attributes.DEADLINE.of(run),
            workflow_id=run.id,
        )


class AccountPage(Record):
    """A page of accounts and where the next begins."""

    items: tuple[AccountRow, ...]
    unreadable: int = Field(0, description="Runs of this page that could not be read and are left out")
    next_cursor: str = Field("", description="Give it back as `cursor` to read on; empty at the end")


class AccountFilter(Record):
    """Which accounts are wanted; empty means all."""

    company: str = ""
    readable: tuple[str, ...] | None = Field(None, description="Companies the reader may see; None: all")
    account: str = Field("", description="Beginning of the account number")
    level: str = ""
    overdue: bool = Field(False, description="Only accounts of which something is overdue")

    def query(self) -> str:
        """The visibility query."""
        conditions = [query.of_type(names.COLLECTIONS), query.RUNNING]
        if self.company:
            conditions.append(query.equals(attributes.COMPANY, self.company))
        if self.readable is not None:
            conditions.append(query.among(attributes.COMPANY, self.readable))
        if self.account:
            conditions.append(query.begins_with(attributes.CUSTOMER, self.account))
        if self.level:
            conditions.append(query.equals(attributes.STAGE, self.level))
        if self.overdue:
            conditions.append(query.equals(attributes.WAITING_FOR, WaitingFor.PAYMENT))
        return query.all_of(*conditions)


class CollectionsDesk:
    """What is collected from all accounts."""

    def __init__(self, client: Client, cursor_key: bytes = b"") -> None:
        """Reach it through ``client``; ``cursor_key`` marks cursors of the list as ours."""
        self._client = client
        self._cursors = Cursors(cursor_key or secrets.token_bytes(32))

    async def show(self, start: CollectionsStart, news: InvoicesShown) -> None:
        """Tell an account its invoices; it begins to run where it does not yet.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such run or message.
        """
        await begin_or_tell(
            self._client,
            names.COLLECTIONS,
            start,
            names.collections_id(start.company, start.account),
            names.INVOICES_SHOWN,
            news,
            priority=Priority(priority_key=4, fairness_key=start.company),
            summary=f"What is open of **{start.account}** in {start.company.upper()}",
            search_attributes=attributes.typed(
                {
                    attributes.COMPANY: start.company,
                    attributes.CUSTOMER: start.account,
                    attributes.WAITING_FOR: WaitingFor.NOTHING,
                }
            ),
        )

    async def changed(self, company: str, account: str, change: CustomerChanged) -> bool:
        """Tell an account that a payment was posted or came back; False where nothing is collected from it.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        return await tell(self._client, names.collections_id(company, account), names.CUSTOMER_CHANGED, change)

    async def view(self, company: str, account: str) -> CollectionsView:
        """An account as it stands.

        Raises:
            NotFound: nothing is collected from it.
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        workflow_id = names.collections_id(company, account)
        return await ask(self._client, workflow_id, names.STATE, CollectionsView, what=_called(account))

    async def say(self, company: str, account: str, message: SignedMessage) -> Outcome | None:
        """Pass on what a person signed.

        Returns:
            What became of it; None where it is recorded but not known within five seconds.

        Raises:
            NotFound: nothing is collected from this account.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        workflow_id = names.collections_id(company, account)
        if not await outcomes.send(self._client, workflow_id, names.COMMAND, message):
            raise NotFound(f"{_called(account)} not found.")
        return await outcomes.awaited(self._client, workflow_id, message.message_id, what=_called(account))

    async def outcome(self, company: str, account: str, message_id: str) -> Outcome | None:
        """What became of a message, if it was heard. Raises as ``runs.calls.ask_for``."""
        workflow_id = names.collections_id(company, account)
        return await outcomes.known(self._client, workflow_id, message_id, what=_called(account))

    async def accounts(self, wanted: AccountFilter, *, limit: int, cursor: str = "") -> AccountPage:
        """A page of accounts, the one that began last in front.

        Raises:
            BadSearch: the cursor is none of ours.
            NoAnswer: Temporal does not answer.
        """
        rows = self._client.list_workflows(wanted.query(), page_size=limit, next_page_token=self._cursors.token(cursor))
        try:
            await answer(rows.fetch_next_page())
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise BadSearch(f"Invalid query: {error.message}") from error
            raise
        runs = list(rows.current_page or [])
        found = _rows_of(runs)
        return AccountPage(
            items=tuple(found),
            unreadable=len(runs) - len(found),
            next_cursor=self._cursors.cursor(rows.next_page_token),
        )


def _rows_of(runs: Sequence[WorkflowExecution]) -> list[AccountRow]:
    rows: list[AccountRow] = []
    for run in runs:
        try:
            rows.append(AccountRow.of(run))
        except ValueError as error:
            log.debug("account cannot be read", workflow_id=run.id, reason=str(error))
    return rows


def _called(account: str) -> str:
    return f"Account {account}"
