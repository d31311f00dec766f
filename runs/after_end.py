"""The one way to reach what receives reports of deals that ended: tell it, read it, pass on what a person dismisses."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import Priority

from domain.after_end import SALES_KINDS, LateReport, LateView
from domain.after_end_start import AfterEndStart
from domain.messages import Outcome, SalesEvent, SignedMessage
from domain.record import Record
from domain.unclaimed import Unclaimed
from runs import names, outcomes
from runs.calls import NotFound, ask, begin_or_tell
from runs.lookup import Lookup, Status


class AfterEndDesk:
    """The receivers of all companies."""

    def __init__(self, client: Client) -> None:
        """Reach them through ``client``, connected to the deals' namespace."""
        self._client = client
        self._lookup = Lookup(client)

    async def report(self, company: str, report: LateReport) -> None:
        """Tell a company's receiver what was reported of a deal that ended; it runs from then on.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such message.
        """
        await self._start(company, names.REPORT_LATE, report)

    async def report_unclaimed(self, company: str, report: Unclaimed) -> None:
        """Tell a company's receiver what no deal takes. Raises as ``report``."""
        await self._start(company, names.REPORT_UNCLAIMED, report)

    async def report_of_sales(self, event: SalesEvent) -> bool:
        """Tell a company's receiver what Sales reports of a quote whose deal runs no more.

        Returns:
            False where it is of no deal that came to an end of its own, or counts for none after its end.

        Raises:
            NoAnswer: Temporal does not answer.
            Rejected: Temporal takes no such message.
        """
        if event.kind not in SALES_KINDS:
            return False
        last = await self._lookup.last_run(names.deal_id(event.company, event.quote_number))
        if last is None or last.status is not Status.COMPLETED:
            return False
        await self.report(event.company, LateReport(quote_number=event.quote_number, event=event))
        return True

    async def read(self, company: str, *, patience: float | None = None) -> LateView:
        """What stands open after the end of a company's deals; nothing where nothing was ever reported.

        ``patience`` in seconds.

        Raises:
            NoAnswer: Temporal or every worker is down.
            Unreadable: what runs under the id is not ours.
        """
        try:
            workflow_id, what = names.after_end_id(company), _called(company)
            return await ask(self._client, workflow_id, names.STATE, LateView, what=what, patience=patience)
        except NotFound:
            return LateView(company=company)

    async def tell(self, company: str, message: SignedMessage) -> Outcome | None:
        """Pass on what a person signed.

        Returns:
            What became of it; None where it is recorded but not known within five seconds.

        Raises:
            NoAnswer: Temporal is down and nothing was recorded.
        """
        await self._start(company, names.COMMAND, message)
        workflow_id = names.after_end_id(company)
        return await outcomes.awaited(self._client, workflow_id, message.message_id, what=_called(company))

    async def outcome(self, company: str, message_id: str) -> Outcome | None:
        """What became of a message, if it was heard. Raises as ``runs.calls.ask_for``."""
        return await outcomes.known(self._client, names.after_end_id(company), message_id, what=_called(company))

    async def _start(self, company: str, signal: str, message: Record) -> None:
        await begin_or_tell(
            self._client,
            names.AFTER_END,
            AfterEndStart(company=company),
            names.after_end_id(company),
            signal,
            message,
            priority=Priority(fairness_key=company),
            summary=f"What is reported after the end of deals of {company.upper()}",
        )


def _called(company: str) -> str:
    return f"What stands open after the end of deals of {company.upper()}"
