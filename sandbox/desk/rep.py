"""Plays the sales rep, and the customer who answers: what the Sales app does when its buttons are pressed.

Submitting is the product's convention: the column `q2c_approvalstatus` of a draft quote is set to requested. Accepting
is "Create Order": the quote is won, then converted. Revising an active quote closes it as revised and makes the next
revision; a draft is simply edited. Everything runs under Dataverse's own rules, as the rep's user.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.data.ids import row_id
from sandbox.data.install import list_price, price_list_of
from sandbox.data.model import Company, Dataset, PlannedQuote, round_to_currency, spread
from sandbox.dataverse import Dataverse, DataverseError
from sandbox.desk.requests import DeskError, LineRequest, QuoteRequest, ReviseRequest
from sandbox.desk.sales_view import QUOTE_STATE, SalesView

NOT_REQUESTED = 100000000
REQUESTED = 100000001
UNDECIDED = frozenset({REQUESTED, 100000002})
"""Approval statuses of a quote that waits for the product or its approvers."""
PAYMENT_TERMS = {"Net 30": 1, "2% 10, Net 30": 2, "Net 45": 3, "Net 60": 4}
_CURRENCY = "_transactioncurrencyid_value"
_LOST, _CANCELED, _REVISED = 5, 6, 7
_VALID_DAYS = 30
_SHIP_TO = {
    "street": "shipto_line1",
    "city": "shipto_city",
    "state": "shipto_stateorprovince",
    "postal_code": "shipto_postalcode",
    "country": "shipto_country",
    "name": "shipto_name",
    "contact": "shipto_contactname",
    "phone": "shipto_telephone",
}


class Rep(SalesView):
    """The desk's hands inside Sales."""

    def __init__(self, dataverse: Dataverse, dataset: Dataset) -> None:
        super().__init__(dataverse)
        self._dataset = dataset

    # --- writing ---------------------------------------------------------------------------------------------------

    def create_quote(self, request: QuoteRequest) -> dict[str, Any]:
        """Enter a draft quote with its lines, and an opportunity for it if asked.

        Raises:
            DeskError: company, customer, rep, item or payment terms do not exist (names the field), or Sales refuses.
        """
        company = self._company(request.company)
        rep = self._rep(request.rep)
        account = self._account(company, request.customer)
        company = self._selling(company, account)
        name = request.name or f"{account['name']}: {self._describe(request.lines)}"
        common = {
            "customerid_account@odata.bind": f"/accounts({account['accountid']})",
            "pricelevelid@odata.bind": f"/pricelevels({self._price_list(company)})",
            "transactioncurrencyid@odata.bind": (
                f"/transactioncurrencies({row_id('transactioncurrency', company.currency)})"
            ),
            "ownerid@odata.bind": self._owner(request, rep),
        }
        body: dict[str, Any] = common | self._entered(company, request) | {"name": name[:300]}
        with _sales_refusals(), self._dataverse.change_set(rep):
            if request.beside:
                opportunity = self._latest(request.beside).get("_opportunityid_value")
                if opportunity is None:
                    raise DeskError(f"quote {request.beside} has no opportunity", field="beside", status=409)
                body["opportunityid@odata.bind"] = f"/opportunities({opportunity})"
            elif request.opportunity:
                opportunity = self._create_opportunity(name, common, rep)
                body["opportunityid@odata.bind"] = f"/opportunities({opportunity})"
            self._dataverse.create("quotes", body, user=rep)
            self._unnumber(body["quoteid"], request.lines, rep)
        return self._identity(self._by_id(body["quoteid"]))

    def _entered(self, company: Company, request: QuoteRequest) -> dict[str, Any]:
        """What the rep entered, as columns of the quote."""
        today = self._dataverse.now().astimezone(ZoneInfo(company.time_zone)).date()
        body: dict[str, Any] = {
            "quoteid": str(uuid.uuid4()),
            "expireson": (request.expires_on or today + timedelta(days=_VALID_DAYS)).isoformat(),
            "q2c_approvalstatus": NOT_REQUESTED,
            "quote_details": self._lines(company, request.lines, request.header_discount_pct),
        }
        if request.number:
            body["quotenumber"] = request.number
        if request.requested_delivery is not None:
            # A form shows days in the user's time zone: the day begins there.
            begins = datetime.combine(request.requested_delivery, time(), ZoneInfo(company.time_zone))
            body["requestdeliveryby"] = f"{begins.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if request.customer_reference is not None:
            body["q2c_customerreference"] = request.customer_reference
        if request.description is not None:
            body["description"] = request.description
        if request.ship_to is not None:
            given = {column: getattr(request.ship_to, name) for name, column in _SHIP_TO.items()}
            body |= {column: value for column, value in given.items() if value}
        return body | self._header(request.header_discount_pct, request.payment_terms)

    def _owner(self, request: QuoteRequest, rep: str) -> str:
        """Whose quote it is: the rep's, or a team's."""
        if request.owner_team is None:
            return f"/systemusers({rep})"
        team = next(iter(self._dataverse.rows("team", name=request.owner_team)), None)
        if team is None:
            raise DeskError(f"no team {request.owner_team}", field="owner_team", status=404)
        return f"/teams({team['teamid']})"

    def _unnumber(self, quote_id: str, lines: Sequence[LineRequest], rep: str) -> None:
        """Take the numbers of lines away that were entered without one."""
        if all(line.numbered for line in lines):
            return
        rows = sorted(self._dataverse.rows("quotedetail", quoteid=quote_id), key=lambda row: row["sequencenumber"])
        for row, line in zip(rows, lines, strict=True):
            if not line.numbered:
                self._dataverse.update("quotedetails", row["quotedetailid"], {"lineitemnumber": None}, user=rep)

    def submit(self, number: str) -> dict[str, Any]:
        """Ask for approval of the draft."""
        quote = self._draft(number)
        self._update(quote, {"q2c_approvalstatus": REQUESTED})
        return self._identity(quote)

    def activate(self, number: str) -> dict[str, Any]:
        """Activate the draft: it is sent to the customer and can no longer be edited."""
        quote = self._draft(number)
        self._update(quote, {"statecode": 1, "statuscode": 2})
        return self._identity(quote)

    def accept(self, number: str) -> dict[str, Any]:
        """The customer says yes: the quote is won and becomes an order in Sales."""
        quote = self._active(number)
        self._close_activity("WinQuote", quote, 4, "Accepted by the customer")
        columns = {"AllColumns": False, "Columns": ["salesorderid", "ordernumber"]}
        order = self._act("ConvertQuoteToSalesOrder", {"QuoteId": quote["quoteid"], "ColumnSet": columns}, quote)
        return self._identity(quote) | {"salesorderid": order["salesorderid"], "ordernumber": order["ordernumber"]}

    def lose(self, number: str) -> dict[str, Any]:
        """The customer says no."""
        return self._close(number, _LOST, "Declined by the customer")

    def cancel(self, number: str) -> dict[str, Any]:
        """The rep withdraws the quote."""
        return self._close(number, _CANCELED, "Withdrawn by the rep")

    def revise(self, number: str, request: ReviseRequest) -> dict[str, Any]:
        """Close the quote as revised, unless it is closed already, and make the next revision, changed as asked.

        Raises:
            DeskError: the quote is won, or Sales refuses.
        """
        quote = self._latest(number)
        if quote["statecode"] == 2:
            raise DeskError(f"quote {number} is won and cannot be revised", field="quotenumber", status=409)
        if quote["statecode"] != 3:
            self._close_activity("CloseQuote", quote, _REVISED, "Revised")
        revised = self._act("ReviseQuote", {"QuoteId": quote["quoteid"], "ColumnSet": {"AllColumns": True}}, quote)
        self._edit(self._by_id(revised["quoteid"]), request)
        return self._identity(self._by_id(revised["quoteid"]))

    def edit(self, number: str, request: ReviseRequest) -> dict[str, Any]:
        """Change a draft in place, as a rep does before submitting or after a rejection.

        Raises:
            DeskError: the quote is not a draft, or Sales refuses.
        """
        quote = self._draft(number)
        self._edit(quote, request)
        return self._identity(quote)

    def lower_discount(self, number: str, percent: Decimal) -> dict[str, Any]:
        """Reduce every line's discount of a draft to `percent` of quantity × price, as a rep does after a rejection."""
        quote = self._draft(number)
        lines = [
            LineRequest(
                item=self._item_number(line),
                quantity=line["quantity"],
                price=line["priceperunit"] if line.get("ispriceoverridden") else None,
                discount_pct=percent,
                description=line.get("productdescription") or line.get("description") or "",
            )
            for line in self._lines_of(quote["quoteid"])
        ]
        self._edit(quote, ReviseRequest(lines=lines, header_discount_pct=Decimal(0)))
        return self._identity(quote)

    def enter_planned(self, planned: PlannedQuote) -> None:
        """Enter a draft quote of the data set."""
        lines = [
            LineRequest(
                item=line.item,
                quantity=line.quantity,
                price=line.price,
                discount_amount=line.discount,
                tax=line.tax,
                description=line.description,
            )
            for line in planned.lines
        ]
        self.create_quote(
            QuoteRequest(
                company=planned.company,
                customer=planned.customer,
                rep=planned.rep,
                lines=lines,
                payment_terms="Net 30",
                name=planned.name,
                number=planned.number,
            )
        )

    # --- pieces ----------------------------------------------------------------------------------------------------

    def _company(self, company: str) -> Company:
        try:
            return self._dataset.company(company.lower())
        except KeyError:
            raise DeskError(f"no company {company}", field="company", status=404) from None

    def _rep(self, name: str) -> str:
        known = {*(person.name for person in self._dataset.people), *(user.name for user in self._dataset.sales_users)}
        if name not in known:
            raise DeskError(f"no person {name}", field="rep", status=404)
        return row_id("systemuser", name)

    def _account(self, company: Company, number: str) -> dict[str, Any]:
        found = self._dataverse.rows("account", accountid=row_id("account", company.id, number))
        if not found:  # of a population: there ids are not made from account numbers
            unit = row_id("businessunit", company.id)
            named = self._dataverse.rows("account", accountnumber=number) if number else []
            found = [row for row in named if row.get("_owningbusinessunit_value") == unit]
        if not found:
            raise DeskError(f"no customer {number} in company {company.id}", field="customer", status=404)
        return found[0]

    def _selling(self, company: Company, row: dict[str, Any]) -> Company:
        """A company as it sells in the currency of an account or a quote."""
        currency = next(iter(self._dataverse.rows("transactioncurrency", transactioncurrencyid=row[_CURRENCY])))
        return replace(company, currency=currency["isocurrencycode"])

    def _price_list(self, selling: Company) -> str:
        home = self._dataset.company(selling.id)
        price_list = price_list_of(home, selling.currency)
        if not self._dataverse.rows("pricelevel", pricelevelid=price_list):
            raise DeskError(f"{home.id} has no price list in {selling.currency}", field="customer", status=409)
        return price_list

    def _describe(self, lines: Sequence[LineRequest]) -> str:
        parts = [f"{line.quantity} × {line.item or line.description[:40]}" for line in lines[:3]]
        return ", ".join(parts) + (" …" if len(lines) > 3 else "") if parts else "empty quote"

    def _header(self, discount_pct: Decimal | None, payment_terms: str | None) -> dict[str, Any]:
        header: dict[str, Any] = {}
        if discount_pct is not None:
            header["discountpercentage"] = discount_pct
        if payment_terms is not None:
            if payment_terms not in PAYMENT_TERMS:
                known = ", ".join(PAYMENT_TERMS)
                raise DeskError(f"{payment_terms!r} is not one of {known}", field="payment_terms")
            header["paymenttermscode"] = PAYMENT_TERMS[payment_terms]
        return header

    def _lines(
        self, company: Company, lines: Sequence[LineRequest], header_discount_pct: Decimal | None
    ) -> list[dict[str, Any]]:
        """Bodies of quote lines: discount as money off the line, and the document's tax spread over the lines."""
        discounts = [self._discount(company, line, place) for place, line in enumerate(lines)]
        nets = [
            round_to_currency((self._price(company, line) or Decimal(0)) * line.quantity, company.currency) - discount
            for line, discount in zip(lines, discounts, strict=True)
        ]
        share = 1 - (header_discount_pct or Decimal(0)) / 100
        tax = round_to_currency(sum(nets, Decimal(0)) * share * company.tax_pct / 100, company.currency)
        taxes = spread(tax, [max(net, Decimal(0)) for net in nets], company.currency)
        bodies = []
        for position, (line, discount) in enumerate(zip(lines, discounts, strict=True)):
            body: dict[str, Any] = {
                "quantity": line.quantity,
                "manualdiscountamount": discount,
                "tax": taxes[position] if line.tax is None else line.tax,
                "lineitemnumber": line.number or position + 1,
                "sequencenumber": position + 1,
            }
            if line.item is None:
                body |= {"isproductoverridden": True, "productdescription": line.description}
            else:
                body |= {
                    "productid@odata.bind": f"/products({self._product(company, line.item, position)})",
                    "uomid@odata.bind": f"/uoms({row_id('uom', self._unit(company, line.item))})",
                }
                if line.description:
                    body["description"] = line.description
            if line.price is not None:
                body |= {"ispriceoverridden": True, "priceperunit": line.price}
            bodies.append(body)
        return bodies

    def _product(self, company: Company, number: str, position: int) -> str:
        product = row_id("product", number)
        if not self._dataverse.rows("product", productid=product):
            raise DeskError(f"no item {number}", field=f"lines[{position}].item", status=404)
        return product

    def _unit(self, company: Company, number: str) -> str:
        items = (item for item in self._dataset.items if item.company == company.id and item.number == number)
        return next((item.unit for item in items), "ea")

    def _price(self, company: Company, line: LineRequest) -> Decimal | None:
        if line.price is not None or line.item is None:
            return line.price
        home = self._dataset.company(company.id)
        items = (item for item in self._dataset.items if item.company == company.id and item.number == line.item)
        return next((list_price(home, item, company.currency) for item in items), None)

    def _discount(self, company: Company, line: LineRequest, position: int) -> Decimal:
        if line.discount_amount is not None and line.discount_pct is not None:
            raise DeskError("give discount_pct or discount_amount, not both", field=f"lines[{position}].discount_pct")
        if line.discount_amount is not None:
            return line.discount_amount
        base = round_to_currency((self._price(company, line) or Decimal(0)) * line.quantity, company.currency)
        return round_to_currency(base * (line.discount_pct or Decimal(0)) / 100, company.currency)

    def _create_opportunity(self, name: str, common: dict[str, Any], rep: str) -> str:
        opportunity = str(uuid.uuid4())
        body = common | {
            "opportunityid": opportunity,
            "name": name[:300],
            "parentaccountid@odata.bind": common["customerid_account@odata.bind"],
        }
        self._dataverse.create("opportunities", body, user=rep)
        return opportunity

    def _edit(self, quote: dict[str, Any], request: ReviseRequest) -> None:
        """Write what the request names into a draft; a draft that was asked about becomes one that was not."""
        company = self._selling(self._company(self.company_of(quote)), quote)
        changes = self._header(request.header_discount_pct, request.payment_terms)
        if request.expires_on is not None:
            changes["expireson"] = request.expires_on.isoformat()
        if quote.get("q2c_approvalstatus") != NOT_REQUESTED:
            changes["q2c_approvalstatus"] = NOT_REQUESTED
        with _sales_refusals(), self._dataverse.db.transaction():
            if changes:
                self._update(quote, changes)
            if request.lines is not None:
                header_pct = request.header_discount_pct
                if header_pct is None:
                    header_pct = quote.get("discountpercentage")
                self._replace_lines(quote, self._lines(company, request.lines, header_pct))

    def _replace_lines(self, quote: dict[str, Any], bodies: Sequence[dict[str, Any]]) -> None:
        rep = self._acting(quote)
        for line in self._lines_of(quote["quoteid"]):
            self._dataverse.delete("quotedetails", line["quotedetailid"], user=rep)
        for body in bodies:
            bound = body | {"quoteid@odata.bind": f"/quotes({quote['quoteid']})"}
            self._dataverse.create("quotedetails", bound, user=rep)

    def _close(self, number: str, status: int, subject: str) -> dict[str, Any]:
        quote = self._latest(number)
        if quote["statecode"] in (2, 3):
            raise DeskError(f"quote {number} is {QUOTE_STATE[quote['statecode']]} already", status=409)
        self._close_activity("CloseQuote", quote, status, subject)
        return self._identity(self._by_id(quote["quoteid"]))

    def _close_activity(self, action: str, quote: dict[str, Any], status: int, subject: str) -> None:
        close = {
            "@odata.type": "Microsoft.Dynamics.CRM.quoteclose",
            "subject": subject,
            "quoteid@odata.bind": f"/quotes({quote['quoteid']})",
        }
        self._act(action, {"Status": status, "QuoteClose": close}, quote)

    def _act(self, action: str, body: dict[str, Any], quote: dict[str, Any]) -> dict[str, Any]:
        with _sales_refusals():
            answer: dict[str, Any] | None = self._dataverse.action(action, body, user=self._acting(quote))
        return answer or {}

    def _update(self, quote: dict[str, Any], changes: dict[str, Any]) -> None:
        with _sales_refusals():
            self._dataverse.update("quotes", quote["quoteid"], changes, user=self._acting(quote))

    @staticmethod
    def _acting(quote: dict[str, Any]) -> str:
        """Who presses the buttons of a quote: its owner, or for a team's quote the rep who entered it."""
        owned_by_team = quote.get("@ownerid") == "team"
        user: str = quote["_createdby_value" if owned_by_team else "_ownerid_value"]
        return user

    def _draft(self, number: str) -> dict[str, Any]:
        return self._in_state(number, 0)

    def _active(self, number: str) -> dict[str, Any]:
        return self._in_state(number, 1)

    def _in_state(self, number: str, state: int) -> dict[str, Any]:
        quote = self._latest(number)
        if quote["statecode"] != state:
            actual = QUOTE_STATE[quote["statecode"]]
            raise DeskError(f"quote {number} is {actual}, not {QUOTE_STATE[state]}", field="quotenumber", status=409)
        return quote


@contextmanager
def _sales_refusals() -> Iterator[None]:
    """What Sales refuses becomes the desk's refusal, in Sales' words."""
    try:
        yield
    except DataverseError as error:
        status = 409 if error.status < 500 else error.status
        raise DeskError(f"{error.message} ({error.code})", status=status, system="dataverse") from error
