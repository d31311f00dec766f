"""Finance as one object, for the sandbox's own people: the same rules as over HTTP, called in-process.

Values of this interface are Python's: Decimal amounts, `date` days, enum members as text, columns by their published
names. What Finance refuses is raised (`FinanceError`) or, for the posting service, answered with Success = False.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.finance import credit
from sandbox.finance.behaviour import Behaviour
from sandbox.finance.books import Books
from sandbox.finance.errors import MalformedRequest
from sandbox.finance.events import BusinessEvents, Delivery
from sandbox.finance.model import SALES_ORDERS, EntitySet, FilterRules
from sandbox.finance.odata_service import ODataService
from sandbox.finance.operations import OPERATIONS
from sandbox.finance.posting import run_operation
from sandbox.finance.reads import row_of
from sandbox.finance.seeding import Environment
from sandbox.finance.totals import calculate_totals
from sandbox.finance.writes import delete_row
from sandbox.odata.filters import compile_filter
from sandbox.store import Clock, Database, Row


class Finance(Environment):
    """One Finance environment with all its companies."""

    def __init__(self, origin: str, *, clock: Clock | None = None, retry_delay: float = 1.0) -> None:
        """Make an environment without companies.

        Args:
            origin: Scheme, host and port it is served at, without trailing slash: also the audience of its tokens.
            clock: The sandbox's time.
            retry_delay: Seconds between attempts to deliver a business event.
        """
        self.origin = origin.rstrip("/")
        self.db = Database(clock)
        self.events = BusinessEvents(self.db, retry_delay=retry_delay)
        self.books = Books(self.db, self.events)
        self.behaviour = Behaviour()
        self.odata = ODataService(self.books, self.origin, "", self.behaviour)
        self.high_utilization: int | None = None
        """While set, every request is answered 429 with this Retry-After, in seconds."""
        self.applications: set[str] = set()
        """Client ids registered under Microsoft Entra applications: tokens of others are refused."""
        self.readers: set[str] = set()
        """Those of them that may only read."""

    # --- reading and writing -----------------------------------------------------------------------------------------

    def delete(self, set_name: str, key: Sequence[Any]) -> None:
        """Delete the row with this key; errors as for `create`."""
        entity = self._entity(set_name)
        row = self._row(entity, tuple(key))
        company = self._company_for(entity, row[entity.properties[entity.company].stored] if entity.company else "")
        delete_row(self.books, entity, company, row)

    def get(self, set_name: str, key: Sequence[Any]) -> dict[str, Any] | None:
        """The row with this key, None when there is none."""
        entity = self._entity(set_name)
        row = row_of(self.books, entity, list(key))
        return None if row is None else entity.project(None)(row)

    def query(
        self,
        set_name: str,
        filter: str | None = None,
        *,
        select: Sequence[str] | None = None,
        **equal: Any,
    ) -> list[dict[str, Any]]:
        """Rows of a set in all companies, oldest first.

        Args:
            set_name: Entity set.
            filter: `$filter` text.
            select: Columns wanted; None for all.
            **equal: Column = value, found by index where there is one.

        Raises:
            MalformedRequest: A column does not exist.
        """
        entity = self._entity(set_name)
        unknown = equal.keys() - entity.properties.keys()
        if unknown:
            raise MalformedRequest(f"{set_name} has no column {sorted(unknown)[0]}.")
        stored = {entity.properties[name].stored: value for name, value in equal.items()}
        rows: Iterable[Row] = self.books.table(entity.table).find(**stored)
        if filter:
            rows = filter_rows(entity, filter, rows)
        project = entity.project(None if select is None else tuple(select))
        return [project(row) for row in rows]

    def post(self, operation: str, request: Mapping[str, Any] | None, *, user: str = "sandbox") -> dict[str, Any]:
        """Call an operation of the posting service; its answer, with Success false when it was refused.

        Args:
            operation: One of `sandbox.finance.operations.OPERATIONS`.
            request: The members of `_request`.
            user: Who calls.

        Raises:
            sandbox.finance.posting.BadServiceRequest: The request does not have the contract's types.
        """
        return run_operation(self.books, operation, OPERATIONS[operation], request, user)

    # --- jobs and people ---------------------------------------------------------------------------------------------

    def run_totals_job(self, company: str | None = None) -> int:
        """Run the batch job Calculate sales totals; how many orders it calculated.

        Args:
            company: Of one company, or of all.
        """
        stale = [
            row
            for row in self.books.find(SALES_ORDERS, AreTotalsCalculated="No")
            if company in (None, row["dataAreaId"])
        ]
        with self.db.transaction():
            for row in stale:
                calculate_totals(self.books, self.company(row["dataAreaId"]), row)
        return len(stale)

    def place_hold(self, company: str, number: str, reason: str) -> None:
        """Put an order on credit hold by hand: only a release takes it away.

        Raises:
            PostingRefused: No such order.
        """
        target = self.company(company)
        with self.db.transaction():
            order = self.books.order(target, number)
            credit.place_hold(self.books, target, order, "ForcedHold", "NotApplicable", reason)
            changes = {"CredManInCreditControl": "Yes", "CredManReleasedFromCreditControl": "No"}
            self.books.update(SALES_ORDERS, order, changes)

    def exposure(self, company: str, account: str) -> credit.Exposure:
        """What a customer owes and has on confirmed orders, in the company's currency, tax included."""
        return credit.exposure(self.books, self.company(company), account, None)

    # --- events and life ---------------------------------------------------------------------------------------------

    def set_endpoint(self, url: str | None) -> None:
        """Send business events to this URL (the secret is part of it); None stops sending."""
        self.events.set_endpoint(url)

    async def ping_endpoint(self) -> bool:
        """Send the test event of endpoint activation; True when it was answered with success."""
        return await self.events.ping(self.odata.default_company)

    def clear(self) -> None:
        """Forget companies, rows, numbers, events and settings; endpoint and registered applications stay."""
        self.books.clear()
        self.odata.default_company = ""
        self.high_utilization = None
        self.behaviour.reset()
        self.events.delivery = Delivery()
        self.events.history.clear()
        self.events.error_log.clear()

    async def aclose(self) -> None:
        """Stop delivering business events."""
        await self.events.aclose()


def filter_rows(entity: EntitySet, text: str, rows: Iterable[Row]) -> list[Row]:
    """The rows a `$filter` accepts.

    Raises:
        sandbox.odata.filters.FilterError: The filter is not valid.
    """
    matches = compile_filter(text, FilterRules(entity)).matches
    return [row for row in rows if matches(row)]
