"""Did every deal end as its input says it must, and do both systems agree? The demo's verdict, one deal at a time.

What is compared: the deal as the product sees it, the quote, order and invoices in Sales, and the order, packing slips
and invoices in Finance, which is the truth for money.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from demo.actions import HistoryCost
from demo.endings import Told, came_to, wrong_story
from demo.samples import End, Story
from demo.stories import StoryFacts
from domain.approvals import ApprovalStatus
from domain.views import DealView, Ending, Stage, WaitingFor


@dataclass(frozen=True)
class Expectation:
    """How a deal must end.

    Attributes:
        end: its end.
        net: amount before tax it must be ordered at, in the quote's currency; None: not given by the input.
        level: highest level of approval it must have needed; None: not given by the input.
        held: credit must have been refused, and released by a person.
        parked: a step must have been parked on the way.
        story: what must have happened to it beyond its straight way.
    """

    end: End
    net: Decimal | None = None
    level: int | None = None
    held: bool = False
    parked: bool = False
    story: Story | None = None


@dataclass(frozen=True)
class Outcome:
    """One deal as it stands in all three places.

    Attributes:
        quote: quote number.
        expected: how it must end.
        deal: as the product sees it; None: there is no run.
        waited_for: everything the run ever waited for, from its history.
        cost: Actions and events of the run and its approvals.
        sales: the desk's `GET /quotes/{number}`; amounts are text, as in `order`.
        order: the desk's `GET /orders/{company}/{number}`; None: Finance has none.
        facts: what is known of it elsewhere, as far as its story needs it.
    """

    quote: str
    expected: Expectation
    deal: DealView | None
    waited_for: frozenset[str]
    cost: HistoryCost
    sales: dict[str, Any]
    order: dict[str, Any] | None
    facts: StoryFacts = field(default_factory=StoryFacts)

    @property
    def came_to(self) -> str:
        """What its story came to, in words; empty where it has none, or it did not come true."""
        story = self.expected.story
        return came_to(story, self._told(self.deal)) if story and self.deal and self.order else ""

    def wrong_story(self, deal: DealView) -> list[str]:
        """What of its story did not come true."""
        return wrong_story(self.expected.story, self._told(deal)) if self.expected.story and self.order else []

    def _told(self, deal: DealView) -> Told:
        return Told(deal, self.sales, self.order or {}, self.facts)

    @property
    def rejected(self) -> bool:
        """Its last request for approval was rejected and it went no further."""
        return (
            self.deal is not None
            and self.deal.ending is not Ending.CLOSED
            and bool(self.deal.approvals)
            and self.deal.approvals[-1].status is ApprovalStatus.REJECTED
        )


def mismatches(outcome: Outcome) -> list[str]:
    """What is wrong with one deal, in words; empty when all three places agree with each other and with the input."""
    deal, expected = outcome.deal, outcome.expected
    if deal is None:
        return [f"{outcome.quote}: no run of it exists"]
    found = [*_wrong_end(outcome, deal), *_wrong_way(outcome, deal)]
    if expected.end in (End.CLOSED, End.FULFILMENT):
        found += [*_wrong_order(outcome, deal), *_wrong_mirror(outcome, deal)]
    elif outcome.order is not None or any(order["finance_order"] for order in outcome.sales["orders"]):
        found.append("was ordered")
    if expected.end is End.CLOSED:
        found += [*_wrong_money(outcome, deal), *outcome.wrong_story(deal)]
    return [f"{outcome.quote}: {text}" for text in found]


def _wrong_end(outcome: Outcome, deal: DealView) -> list[str]:
    end = outcome.expected.end
    if deal.parked is not None:
        return [f"parked in {deal.parked.step}: {deal.parked.message}"]
    if end is End.REJECTED:
        if not outcome.rejected or outcome.sales["approval"] != "rejected":
            return [f"not rejected: {deal.stage}/{deal.quote_status}, in Sales {outcome.sales['approval']}"]
    elif end is End.FULFILMENT:
        if deal.stage is not Stage.FULFILMENT or deal.explanation.waiting_for is not WaitingFor.SHIPMENT:
            return [f"not waiting for a shipment: {deal.stage}, waits for {deal.explanation.waiting_for}"]
    elif deal.ending.value != end.value:
        return [f"ended {deal.ending or 'never'} at {deal.stage} instead of {end}: {deal.explanation.text}"]
    elif end is End.EXPIRED and outcome.sales["state"] != "closed":
        return [f"expired, but {outcome.sales['state']} in Sales"]
    return []


def _wrong_way(outcome: Outcome, deal: DealView) -> list[str]:
    expected, found = outcome.expected, []
    level = max((request.highest_level for request in deal.approvals), default=0)
    if expected.level is not None and level != expected.level:
        found.append(f"approval up to level {level} instead of {expected.level}")
    if expected.held and (WaitingFor.CREDIT.value not in outcome.waited_for or deal.credit_released_by is None):
        found.append("credit was not held and released by a person")
    if expected.parked and WaitingFor.OPERATOR.value not in outcome.waited_for:
        found.append("no step was parked")
    return found


def _wrong_order(outcome: Outcome, deal: DealView) -> list[str]:
    """The order in Finance against the deal and the input."""
    if outcome.order is None:
        return [f"no order {deal.order_number!r} in Finance"]
    found = []
    if deal.credit is not None and deal.credit.over_by and deal.credit_released_by is None:
        found.append(f"ordered {deal.credit.over_by} above the credit limit without a release")
    # Lines with negative quantities are of credit notes: they take back what was sold.
    sold = [line for line in outcome.order["lines"] if Decimal(line["OrderedSalesQuantity"]) > 0]
    net = sum((Decimal(line["LineAmount"]) for line in sold), Decimal(0))
    if net != deal.net:
        found.append(f"net {deal.net} in the deal, {net} in Finance")
    if outcome.expected.net is not None and net != outcome.expected.net:
        found.append(f"net {net} in Finance, {outcome.expected.net} in the input")
    references = Counter(line["CustomersLineNumber"] for line in sold)
    if any(count > 1 for count in references.values()) or len(references) != deal.line_count:
        found.append(f"{deal.line_count} lines in the deal, in Finance {dict(references)}")
    if outcome.expected.end is End.FULFILMENT and (outcome.order["slips"] or outcome.order["invoices"]):
        found.append("shipped or invoiced though nothing was to ship")
    return found


def _wrong_mirror(outcome: Outcome, deal: DealView) -> list[str]:
    """The order in Sales against the deal."""
    orders = outcome.sales["orders"]
    if len(orders) != 1:
        return [f"{len(orders)} orders in Sales"]
    found = []
    (order,) = orders
    if order["finance_order"] != deal.order_number:
        found.append(f"Sales has order number {order['finance_order']}, the deal {deal.order_number}")
    wanted = ("confirmed",) if outcome.expected.end is End.FULFILMENT else ("invoiced", "closed")
    if order["fulfilment"] not in wanted:
        found.append(f"fulfilment in Sales is {order['fulfilment']}")
    opportunity = outcome.sales.get("opportunity")
    if opportunity and (opportunity["state"] != "won" or Decimal(opportunity["actual_value"] or 0) != deal.net):
        found.append(
            f"opportunity {opportunity['state']} with {opportunity['actual_value']}, the deal's net {deal.net}"
        )
    return found


def _wrong_money(outcome: Outcome, deal: DealView) -> list[str]:
    """Invoices and payments of a closed deal: deal, Finance and Sales."""
    if outcome.order is None or len(outcome.sales["orders"]) != 1:
        return []
    posted = {invoice["InvoiceNumber"]: invoice for invoice in outcome.order["invoices"]}
    mirrored = {invoice["finance_invoice"]: invoice for invoice in outcome.sales["orders"][0]["invoices"]}
    found = []
    invoiced = sum((Decimal(invoice["TotalInvoiceAmount"]) for invoice in posted.values()), Decimal(0))
    if not deal.invoiced - deal.credited == deal.paid == invoiced:
        credited = f", credited {deal.credited}" if deal.credited else ""
        found.append(f"invoiced {deal.invoiced}{credited} and paid {deal.paid} in the deal, {invoiced} in Finance")
    if outcome.expected.story is Story.BOUNCED:  # what is open again is judged with the story
        return found
    for number, invoice in posted.items():
        if Decimal(invoice["open"]):
            found.append(f"{invoice['open']} open on invoice {number} in Finance")
        mirror = mirrored.get(number)
        if mirror is None:
            found.append(f"invoice {number} is missing in Sales")
            continue
        total, left = Decimal(mirror["total"]), Decimal(mirror["open"] or 0)
        if total != Decimal(invoice["TotalInvoiceAmount"]) or left or mirror["payment"] != "paid":
            found.append(f"invoice {number} in Sales: {mirror['payment']}, {left} of {total} open")
    if set(mirrored) - set(posted):
        found.append(f"invoices only in Sales: {', '.join(map(str, set(mirrored) - set(posted)))}")
    return found
