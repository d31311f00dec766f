"""What a deal tells the credit ledger of the account that is billed for it."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.messages import CustomerChanged, LedgerNote
from runs import names
from workflows.quote_to_cash.record import DealRecord
from workflows.steps import tell


async def tell_ledger(record: DealRecord, signal: str, entry: str = "", *, follows: bool = False) -> None:
    """Tell the ledger that the order is in Finance, or that no credit is needed any more.

    Args:
        record: the deal.
        signal: which of the two.
        entry: of what was reserved for a larger order; empty: the deal's own.
        follows: the order is to be looked at again whenever credit becomes less.
    """
    account = record.state.credit_account
    if not account:
        return
    handle = workflow.get_external_workflow_handle(names.ledger_id(record.state.company, account))
    try:
        note = LedgerNote(deal_id=entry or record.deal_id, at=workflow.now(), follows=follows)
        await tell(handle, signal, note)
    except FailureError as error:  # no ledger runs: then nothing is reserved there either
        workflow.logger.info("the credit ledger does not run: %s", error)


async def tell_credit_freed(record: DealRecord, reason: str) -> None:
    """Tell the ledger that the order takes less of the customer's credit than before: deals on hold may look again."""
    account = record.state.credit_account
    if not account:
        return
    handle = workflow.get_external_workflow_handle(names.ledger_id(record.state.company, account))
    event_id = f"{record.deal_id}/freed/{record.state.version}"
    try:
        await tell(handle, names.CUSTOMER_CHANGED, CustomerChanged(event_id=event_id, reason=reason))
    except FailureError as error:  # no ledger runs: then nobody is on hold there either
        workflow.logger.info("the credit ledger does not run: %s", error)
