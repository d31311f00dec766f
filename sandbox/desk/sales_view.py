"""What Sales shows of quotes, orders and invoices, in words: for the desk's pages, its JSON and the autopilot.

Amounts are in the currency of the document, at that currency's decimals. A quote is known by its number; of its
revisions the latest speaks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sandbox.data.ids import row_id
from sandbox.data.model import round_to_currency
from sandbox.dataverse import Dataverse
from sandbox.desk.requests import DeskError

APPROVAL_STATUS = {
    100000000: "none",
    100000001: "requested",
    100000002: "pending",
    100000003: "approved",
    100000004: "rejected",
}
CREDIT_STATUS = {100000000: "notchecked", 100000001: "passed", 100000002: "held", 100000003: "released"}
QUOTE_STATE = {0: "draft", 1: "active", 2: "won", 3: "closed"}
QUOTE_STATUS = {1: "in progress", 2: "in progress", 3: "open", 4: "won", 5: "lost", 6: "canceled", 7: "revised"}
ORDER_STATE = {0: "active", 1: "submitted", 2: "canceled", 3: "fulfilled", 4: "invoiced"}
FULFILMENT = {
    100000000: "none",
    100000001: "confirmed",
    100000002: "partial",
    100000003: "shipped",
    100000004: "invoiced",
    100000005: "closed",
}
PAYMENT_STATUS = {100000000: "open", 100000001: "partial", 100000002: "paid"}


class SalesView:
    """Reads Sales."""

    def __init__(self, dataverse: Dataverse) -> None:
        self._dataverse = dataverse

    def quotes(self) -> list[dict[str, Any]]:
        """The latest revision of every quote, oldest first, in short."""
        return [self._summary(row) for row in _latest_of(self._dataverse.rows("quote"))]

    def quotes_of(self, company: str, customer: str) -> list[dict[str, Any]]:
        """The latest revision of every quote of a customer, oldest first, in short."""
        rows = self._dataverse.rows("quote", customerid=row_id("account", company, customer))
        return [self._summary(row) for row in _latest_of(rows)]

    def latest(self, number: str) -> dict[str, Any]:
        """The latest revision of a quote, in short.

        Raises:
            DeskError: 404, there is none of this number.
        """
        return self._summary(self._latest(number))

    def finance_order_of(self, quote_id: str) -> str | None:
        """The number Finance gave the order of a won quote, once it is written back to Sales."""
        orders = self._dataverse.rows("salesorder", quoteid=quote_id)
        return next((row["q2c_financeordernumber"] for row in orders if row.get("q2c_financeordernumber")), None)

    def exists(self, number: str) -> bool:
        """Whether a quote of this number exists."""
        return bool(self._dataverse.rows("quote", quotenumber=number))

    def quote(self, number: str) -> dict[str, Any]:
        """A quote family as Sales shows it: latest revision with lines, earlier revisions, orders, invoices."""
        family = self._family(number)
        quote = family[-1]
        summary = self._summary(quote)
        code = summary["currency"]
        lines = [
            {
                "line": line.get("lineitemnumber"),
                "item": self._item_number(line),
                "description": line.get("productdescription") or line.get("description"),
                "quantity": line["quantity"],
                "price": line.get("priceperunit"),
                "price_overridden": bool(line.get("ispriceoverridden")),
                "discount": round_to_currency(line.get("manualdiscountamount") or Decimal(0), code),
                "tax": round_to_currency(line.get("tax") or Decimal(0), code),
                "amount": round_to_currency(line.get("extendedamount") or Decimal(0), code),
            }
            for line in self._lines_of(quote["quoteid"])
        ]
        orders = [row for revision in family for row in self._dataverse.rows("salesorder", quoteid=revision["quoteid"])]
        return summary | {
            "expires_on": quote.get("expireson"),
            "approval_reason": quote.get("q2c_approvalreason"),
            "case": quote.get("q2c_caseid"),
            "lines": lines,
            "revisions": [{"revision": row["revisionnumber"], **self._state(row)} for row in family],
            "opportunity": self._opportunity(quote),
            "orders": [self._order(row) for row in orders],
        }

    def number_of_order(self, finance_order: str) -> str | None:
        """The quote behind an order of Finance, once Sales knows the order's number."""
        order = next(iter(self._dataverse.rows("salesorder", q2c_financeordernumber=finance_order)), None)
        if order is None or not order.get("_quoteid_value"):
            return None
        number: str = self._by_id(order["_quoteid_value"])["quotenumber"]
        return number

    # --- pieces ----------------------------------------------------------------------------------------------------

    def _family(self, number: str) -> list[dict[str, Any]]:
        family = sorted(self._dataverse.rows("quote", quotenumber=number), key=lambda row: row["revisionnumber"])
        if not family:
            raise DeskError(f"no quote {number}", field="quotenumber", status=404)
        return family

    def _latest(self, number: str) -> dict[str, Any]:
        return self._family(number)[-1]

    def _by_id(self, quote_id: str) -> dict[str, Any]:
        row: dict[str, Any] = self._dataverse.rows("quote", quoteid=quote_id)[0]
        return row

    def _lines_of(self, quote_id: str) -> list[dict[str, Any]]:
        return sorted(
            self._dataverse.rows("quotedetail", quoteid=quote_id), key=lambda row: row.get("lineitemnumber") or 0
        )

    def _item_number(self, line: dict[str, Any]) -> str | None:
        if not line.get("_productid_value"):
            return None
        product = self._dataverse.rows("product", productid=line["_productid_value"])[0]
        number: str = product["productnumber"]
        return number

    def company_of(self, quote: dict[str, Any]) -> str:
        """Legal entity, lower case, of a quote or order: the name of its owning business unit."""
        name: str = self._referenced("businessunits", quote["_owningbusinessunit_value"])["name"]
        return name.lower()

    def _referenced(self, entity_set: str, row_id: str | None) -> dict[str, Any]:
        """The row a lookup points to; nothing where it is empty, as other programs may leave it."""
        return (self._dataverse.get(entity_set, row_id) or {}) if row_id else {}

    def _identity(self, quote: dict[str, Any]) -> dict[str, Any]:
        return {
            "quoteid": quote["quoteid"],
            "quotenumber": quote["quotenumber"],
            "revision": quote["revisionnumber"],
        }

    def _state(self, quote: dict[str, Any]) -> dict[str, Any]:
        return {
            "state": QUOTE_STATE[quote["statecode"]],
            "status": QUOTE_STATUS[quote["statuscode"]],
            "approval": APPROVAL_STATUS.get(quote.get("q2c_approvalstatus") or 100000000),
            "credit": CREDIT_STATUS.get(quote.get("q2c_creditstatus") or 100000000),
        }

    def _summary(self, quote: dict[str, Any]) -> dict[str, Any]:
        account = self._referenced("accounts", quote.get("_customerid_value"))
        owner = self._referenced("systemusers", quote.get("_ownerid_value"))
        code: str = self._referenced("transactioncurrencies", quote.get("_transactioncurrencyid_value")).get(
            "isocurrencycode", ""
        )
        return {
            **self._identity(quote),
            "company": self.company_of(quote),
            "name": quote["name"],
            "customer": account.get("accountnumber") or "",
            "customer_name": account.get("name") or "",
            "rep": (owner.get("domainname") or "").partition("@")[0],
            **self._state(quote),
            "net": round_to_currency(quote.get("totalamountlessfreight") or Decimal(0), code),
            "tax": round_to_currency(quote.get("totaltax") or Decimal(0), code),
            "total": round_to_currency(quote.get("totalamount") or Decimal(0), code),
            "currency": code,
        }

    def _opportunity(self, quote: dict[str, Any]) -> dict[str, Any] | None:
        if not quote.get("_opportunityid_value"):
            return None
        row = self._dataverse.rows("opportunity", opportunityid=quote["_opportunityid_value"])[0]
        state = {0: "open", 1: "won", 2: "lost"}[row["statecode"]]
        return {"opportunityid": row["opportunityid"], "state": state, "actual_value": row.get("actualvalue")}

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        invoices = self._dataverse.rows("invoice", salesorderid=order["salesorderid"])
        shown = self._dataverse.rows("q2c_deal", q2c_salesorderid=order["salesorderid"])
        deal = next((row for row in shown if not row.get("_q2c_invoiceid_value")), {})
        of_invoice = {row["_q2c_invoiceid_value"]: row for row in shown if row.get("_q2c_invoiceid_value")}
        return {
            "salesorderid": order["salesorderid"],
            "ordernumber": order["ordernumber"],
            "finance_order": order.get("q2c_financeordernumber"),
            "state": ORDER_STATE[order["statecode"]],
            "statuscode": order["statuscode"],
            "fulfilment": FULFILMENT.get(deal.get("q2c_fulfilmentstatus") or 100000000),
            "total": order.get("totalamount"),
            "invoices": [
                {
                    "finance_invoice": invoice.get("q2c_financeinvoicenumber"),
                    "total": invoice.get("totalamount"),
                    "open": of_invoice.get(invoice["invoiceid"], {}).get("q2c_openamount"),
                    "payment": PAYMENT_STATUS.get(
                        of_invoice.get(invoice["invoiceid"], {}).get("q2c_paymentstatus") or 100000000
                    ),
                    "statecode": invoice["statecode"],
                    "statuscode": invoice["statuscode"],
                }
                for invoice in invoices
            ],
        }


def _latest_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The latest revision of each quote number, in the order of first entry."""
    latest: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = latest.get(row["quotenumber"])
        if known is None or known["revisionnumber"] <= row["revisionnumber"]:
            latest[row["quotenumber"]] = row
    return list(latest.values())
