"""Lines of customer payment journals that pay money back: found by their mark, made once, never posted by us.

A line's debit on a customer's account is money that leaves. Source: the entity sets CustomerPaymentJournalHeaders and
CustomerPaymentJournalLines of the metadata; Microsoft Learn, "Refund payment processing in Customer payment journal".
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import Field

from dynamics.core.connection import Connection, Listing
from dynamics.core.rows import Exact, ReadRow, YesNo
from dynamics.finance import queries
from dynamics.finance.queries import same_text
from dynamics.finance.records import Transaction

_LINES, _HEADERS = "CustomerPaymentJournalLines", "CustomerPaymentJournalHeaders"


@dataclass(frozen=True, slots=True)
class RefundLine:
    """A line to be made. Money in the currency of what it pays back."""

    mark: str
    account: str
    of: str
    is_note: bool
    amount: Decimal
    currency: str


class FoundLine(ReadRow):
    """CustomerPaymentJournalLines: a line that pays back."""

    journal: str = Field(alias="JournalBatchNumber")
    account: str = Field("", alias="AccountDisplayValue")
    reference: str = Field("", alias="PaymentReference")
    text: str = Field("", alias="TransactionText")
    amount: Exact = Field(Decimal(0), alias="DebitAmount")
    posted: YesNo = False


class Journal(ReadRow):
    """CustomerPaymentJournalHeaders."""

    number: str = Field(alias="JournalBatchNumber")
    name: str = Field("", alias="JournalName")
    description: str = Field("", alias="Description")
    posted: YesNo = Field(False, alias="IsPosted")


class Refunds:
    """Finds and prepares lines through a connection to Finance."""

    def __init__(self, finance: Connection) -> None:
        """Nothing is sent yet."""
        self._finance = finance

    async def source(self, company: str, record: int) -> Transaction | None:
        """The payment or credit note of a record, as it stands now; None where there is none."""
        rows = await self._all(Transaction, queries.transactions(company, [record]))
        return next((row for row in rows if row.record == record), None)

    async def lines(self, company: str, account: str, of: str) -> tuple[FoundLine, ...]:
        """The lines that pay back a document of an account, posted or not, whichever deal made them."""
        found = await self._all(FoundLine, [queries.journal_lines(company, account, _text(of))])
        mine = [line for line in found if same_text(line.text, _text(of)) and same_text(line.account, account)]
        if not mine:
            return ()
        numbers = sorted({line.journal for line in mine})
        reading = await self._finance.read({number: queries.journal(company, number) for number in numbers})
        headers = {number: reading.one(Journal, number) for number in numbers}
        posted = {number for number, header in headers.items() if header is not None and header.posted}
        return tuple(line.model_copy(update={"posted": line.journal in posted}) for line in mine)

    async def prepare(self, company: str, name: str, line: RefundLine) -> str:
        """Make the line in a journal of its own that is not posted; the journal's number.

        A journal that an earlier attempt made without its line is taken.

        Args:
            company: Legal entity.
            name: JournalName: a journal name of customer payments, whose set-up gives the offset account.
            line: What is to be paid back. Whoever calls has looked that it is not there.

        Raises:
            Refused: X++ refused the journal or the line.
            UnknownOutcome: no answer came; the same call finds what was made.
        """
        description = f"Refund {line.mark}"
        found = await self._all(Journal, [queries.journals_described(company, description)])
        journal = next((j for j in found if same_text(j.description, description) and not j.posted), None)
        if journal is None:
            body = {"dataAreaId": company, "JournalName": name, "Description": description}
            written = await self._finance.odata.post(f"{_HEADERS}?cross-company=true", body, representation=True)
            journal = self._finance.row(Journal, written.row)
        await self._finance.odata.post(
            f"{_LINES}?cross-company=true", _body(company, journal.number, line), representation=True
        )
        return journal.number

    async def _all(self, kind: type[Any], listings: list[Listing]) -> tuple[Any, ...]:
        return (await self._finance.read(collections={"rows": listings})).all(kind, "rows")


def _text(of: str) -> str:
    return f"Refund of {of}"


def _body(company: str, journal: str, line: RefundLine) -> dict[str, Any]:
    return {
        "dataAreaId": company,
        "JournalBatchNumber": journal,
        "AccountType": "Cust",
        "AccountDisplayValue": line.account,
        "DebitAmount": line.amount,
        "CurrencyCode": line.currency,
        "PaymentReference": line.mark,
        "TransactionText": _text(line.of),
        **({"MarkedInvoice": line.of, "MarkedInvoiceCompany": company} if line.is_note else {}),
    }
