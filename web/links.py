"""Ways into Dynamics 365: the addresses of records in Sales, and of lists in Finance, where they are opened by people.

Finance opens a single record only by an address that it made itself (Microsoft Learn: "Create shareable, secured URLs
(deep links)": the record's context is encrypted), so a link goes to the list of the company, and names what to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from domain.phrases import Phrase, phrase


@dataclass(frozen=True)
class Link:
    """A link and how it reads."""

    said: Phrase
    address: str


@dataclass(frozen=True)
class Dynamics:
    """Where people open the two systems; an empty origin has no links."""

    sales: str
    finance: str

    def records(self, *, quote_id: str = "", opportunity_id: str = "", sales_order_id: str = "") -> list[Link]:
        """Records in Sales by id (Microsoft Learn: "Open apps, forms, views, dialogs, and reports with a URL")."""
        wanted = (
            (phrase("Quote in Sales"), "quote", quote_id),
            (phrase("Opportunity in Sales"), "opportunity", opportunity_id),
            (phrase("Order in Sales"), "salesorder", sales_order_id),
        )
        return [
            Link(said, f"{self.sales}/main.aspx?{urlencode({'etn': table, 'pagetype': 'entityrecord', 'id': row})}")
            for said, table, row in wanted
            if self.sales and row
        ]

    def lists(self, company: str, *, customer: str = "", order: str = "") -> list[Link]:
        """Lists in Finance in which to find a customer and an order."""
        wanted = (
            (phrase("Customers in Finance: find {customer}", customer=customer), "CustTableListPage", customer),
            (phrase("Orders in Finance: find {order}", order=order), "SalesTableListPage", order),
        )
        return [
            Link(said, f"{self.finance}/?{urlencode({'cmp': company.upper(), 'mi': menu_item})}")
            for said, menu_item, number in wanted
            if self.finance and number
        ]
