"""Dataverse as this product uses it: quotes read whole, and what is written on them.

Every operation is one HTTP request in an undisturbed run; where a second may be needed, its docstring says when. All
writes may be repeated: a PATCH says `If-Match: *` so that it never creates. What Sales shows of the order in Finance is
written by `dynamics.sales.mirror`.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from cachetools import TTLCache

from dynamics.core.auth import Credentials, TokenSource
from dynamics.core.batch import ChangeSet, Write
from dynamics.core.budget import Budget
from dynamics.core.circuit import Circuit
from dynamics.core.connection import Connection, Listing
from dynamics.core.errors import NotFound, System
from dynamics.core.literals import key, query
from dynamics.core.odata import Row
from dynamics.core.transport import Endpoint
from dynamics.sales import queries
from dynamics.sales.accounts import Accounts
from dynamics.sales.mirror import SalesMirror
from dynamics.sales.options import ApprovalChoice, CreditChoice, QuoteState, QuoteStatus
from dynamics.sales.records import AttachedFile, LineIdentity, Quote, QuoteLine, QuoteOfOpportunity, SalesOrder
from dynamics.sales.writes import ours

MAX_BATCH = 1000
"""Operations in one batch (Microsoft Learn: "Execute batch operations using the Web API")."""

ORGANIZATION_SECONDS = 3600.0
"""How long settings of the organisation are remembered."""


@dataclass(frozen=True, slots=True)
class DataverseSettings:
    """Which Dataverse, as which application."""

    endpoint: Endpoint
    credentials: Credentials


class Dataverse(Connection):
    """Operations on Dynamics 365 Sales. Use as an async context manager, or call `aclose`."""

    system = System.DATAVERSE
    service_path = "api/data/v9.2"
    max_batch = MAX_BATCH
    trial = "WhoAmI"

    def __init__(
        self,
        settings: DataverseSettings,
        *,
        tokens: TokenSource | None = None,
        budget: Budget | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            settings: Where and who.
            tokens: Another source of tokens than the client's secret, e.g. a managed identity.
            budget: How many requests a second this process may send; None: without limit.
            circuit: The way to the system; None: one of its own.
        """
        super().__init__(settings.endpoint, settings.credentials, tokens=tokens, budget=budget, circuit=circuit)
        self._price_decimals: TTLCache[None, int] = TTLCache(1, ORGANIZATION_SECONDS)
        self.accounts = Accounts(self)
        self.mirror = SalesMirror(self, price_decimals=self.price_decimals)

    # --- reads -----------------------------------------------------------------------------------------------------

    async def who_am_i(self) -> UUID:
        """The systemuser the application acts as. Raises Refused (403) where there is no application user."""
        return UUID(str((await self.odata.get("WhoAmI"))["UserId"]))

    async def organization_type(self) -> str:
        """What kind of environment this is: `Customer` is production, `CustomerTest` a sandbox; empty: not said."""
        kind = "Microsoft.Dynamics.CRM.EndpointAccessType'Default'"
        found = await self.odata.get(f"RetrieveCurrentOrganization(AccessType=@kind)?@kind={kind}")
        return str(found["Detail"].get("OrganizationType") or "")

    async def business_units(self) -> dict[UUID, str]:
        """Names of the business units by id; a name is the legal entity's id."""
        rows = await self.odata.all_rows(query("businessunits", select="businessunitid,name"))
        return {UUID(str(row["businessunitid"])): str(row["name"]) for row in rows}

    async def price_decimals(self) -> int:
        """Decimals of prices in this organisation (PricingDecimalPrecision, 0 to 10), read once an hour."""
        if None not in self._price_decimals:
            rows = (await self.odata.page(query("organizations", select="pricingdecimalprecision"))).rows
            self._price_decimals[None] = int(rows[0]["pricingdecimalprecision"])
        return self._price_decimals[None]

    async def read_quote(self, quote_id: UUID) -> Quote:
        """One revision of a quote with lines, customer, opportunity, people and the orders made from it.

        Other active accounts with the customer's number are counted as well; nine stand for more.

        One batch; more than 5,000 lines come in pages, one request more for each.

        Raises:
            NotFound: the quote was deleted.
        """
        reading = await self.read(
            {"quote": queries.quote(quote_id)},
            {
                "lines": [queries.quote_lines(quote_id)],
                "namesakes": [Listing(queries.namesakes(quote_id), ("accountid",))],
            },
        )
        quote = reading.one(Quote, "quote")
        if quote is None:
            raise NotFound(f"quote {quote_id} does not exist", system=self.system, operation="GET quotes")
        customer = str(quote.customer.id) if quote.customer else ""
        others = [row for row in reading.rows("namesakes") if row["accountid"] != customer]
        return quote.model_copy(update={"lines": reading.all(QuoteLine, "lines"), "namesakes": len(others)})

    async def find_quote(self, quote_number: str) -> UUID | None:
        """The id of a quote's latest revision; None: there is no quote of this number, or it may not be read."""
        rows = (await self.odata.page(queries.latest_revision(quote_number))).rows
        return UUID(str(rows[0]["quoteid"])) if rows else None

    async def quotes_of(self, opportunity_id: UUID) -> tuple[QuoteOfOpportunity, ...]:
        """The newest quotes of an opportunity, at most twenty."""
        rows = (await self.odata.page(queries.quotes_of(opportunity_id))).rows
        return tuple(
            QuoteOfOpportunity.read(row, system=self.system, operation="GET quotes of an opportunity") for row in rows
        )

    async def files_of(self, record_id: UUID) -> tuple[AttachedFile, ...]:
        """The newest files on a record, at most twenty, without their content."""
        rows = (await self.odata.page(queries.files_of(record_id))).rows
        return tuple(AttachedFile.read(row, system=self.system, operation="GET files of a record") for row in rows)

    async def line_identities(self, quote_id: UUID) -> tuple[LineIdentity, ...]:
        """What identifies the lines of a quote; one request per 5,000."""
        reading = await self.read(collections={"lines": [queries.quote_line_identities(quote_id)]})
        return reading.all(LineIdentity, "lines")

    # --- writes on quotes ------------------------------------------------------------------------------------------

    async def set_quote_approval(
        self,
        quote_id: UUID,
        status: ApprovalChoice,
        *,
        reason: str,
        deal_id: str,
        credit: CreditChoice | None = None,
        etag: str | None = None,
    ) -> None:
        """Tell the rep where approval (and credit, where given) of a quote stands.

        Args:
            quote_id: The revision.
            status: The approval's state.
            reason: Shown to the rep; cut to the column's 4,000 characters.
            deal_id: Workflow id of the deal.
            credit: The credit state; None leaves it.
            etag: Write only if the quote is unchanged since it was read.

        Raises:
            Stale: with `etag`, somebody changed the quote.
            NotFound: the quote was deleted.
        """
        body: Row = {
            "q2c_approvalstatus": int(status),
            "q2c_approvalreason": reason[:4000],
            "q2c_caseid": deal_id,
            **({} if credit is None else {"q2c_creditstatus": int(credit)}),
        }
        await self.odata.patch(key("quotes", quote_id), ours("quotes", body), if_match=etag or "*")

    async def close_quote(self, quote_id: UUID, status: QuoteStatus, subject: str) -> None:
        """Close an active quote as lost, cancelled or revised.

        `Status` is always given: what -1 stands for differs between sources. Expiry has no status of its own and is
        `CANCELED` with a subject that says so.

        Raises:
            Refused: the quote is not active.
        """
        await self.odata.action("CloseQuote", {"Status": int(status), "QuoteClose": _quote_close(quote_id, subject)})

    async def convert_quote(self, quote: Quote) -> SalesOrder:
        """The salesorder of an accepted quote, made only if the quote as read has none.

        An active quote is won first, in the same change set. The caller has read the quote just before: that is the
        read before the write.
        """
        if quote.order is not None:
            return quote.order
        columns = {"AllColumns": False, "Columns": queries.ORDER_LOGICAL_NAMES}
        convert = Write("POST", "ConvertQuoteToSalesOrder", {"QuoteId": str(quote.id), "ColumnSet": columns})
        close = _quote_close(quote.id, f"Accepted: {quote.number}")
        win = Write("POST", "WinQuote", {"Status": int(QuoteStatus.WON), "QuoteClose": close})
        writes = (win, convert) if quote.state is QuoteState.ACTIVE else (convert,)
        answer = (await self.odata.batch([ChangeSet(writes)]))[0]
        return self.row(SalesOrder, answer.check()[-1].value())


def _quote_close(quote_id: UUID, subject: str) -> Row:
    """The closing activity of a quote."""
    return {
        "@odata.type": "Microsoft.Dynamics.CRM.quoteclose",
        "subject": subject[:200],
        "quoteid@odata.bind": f"/quotes({quote_id})",
    }
