"""What a deal with a story must have come to, beyond what holds of every deal; and what it came to, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from demo.samples import Story
from demo.stories import StoryFacts
from domain.money import format_money, plain
from domain.payments import RefundStatus
from domain.refusals import Refusal
from domain.views import DealView


@dataclass(frozen=True)
class Told:
    """A deal with a story, as it stands in all places.

    Attributes:
        deal: as the product sees it.
        sales: the desk's `GET /quotes/{number}`.
        order: the desk's `GET /orders/{company}/{number}`; empty: Finance has none.
        facts: what is known of it elsewhere.
    """

    deal: DealView
    sales: Mapping[str, Any]
    order: Mapping[str, Any]
    facts: StoryFacts

    def money(self, amount: Decimal) -> str:
        """An amount in the currency of the deal."""
        return format_money(amount, self.deal.currency)


def wrong_story(story: Story, told: Told) -> list[str]:
    """What of a story did not come true, in words; empty: all of it did."""
    return list(_JUDGED[story][0](told))


def came_to(story: Story, told: Told) -> str:
    """What a story came to, in words; empty where it did not come true."""
    return "" if wrong_story(story, told) else _JUDGED[story][1](told)


def _not_reduced(told: Told) -> Iterator[str]:
    (line, *_) = told.deal.lines
    held = sum((Decimal(row["cancelled"]) for row in told.order["lines"]), Decimal(0))
    slips = [Decimal(slip["quantity"]) for slip in told.order["slips"]]
    if not 0 < line.cancelled == held:
        yield f"{line.cancelled} cancelled in the deal, {held} in Finance"
    if not line.shipped == sum(slips) == line.ordered - line.cancelled:
        yield f"{line.shipped} shipped in the deal, {slips} in Finance, of {line.ordered} less {line.cancelled}"
    if len(slips) != len({slip["slip"] for slip in told.order["slips"]}) or len(slips) < 2:
        yield f"shipped in {len(slips)} parts"


def _reduced(told: Told) -> str:
    (line, *_) = told.deal.lines
    return f"{plain(line.ordered)} ordered, {plain(line.shipped)} shipped, {plain(line.cancelled)} cancelled in Finance"


def _not_refunded(told: Told) -> Iterator[str]:
    deal = told.deal
    if [refund.status for refund in deal.refunds] != [RefundStatus.PAID]:
        yield f"refunds are {[refund.status.value for refund in deal.refunds]}"
    elif deal.refunds[0].approved_by is None or deal.refunds[0].approved_by.is_same(deal.refunds[0].proposed_by):
        yield "the refund did not take two persons"
    if not deal.refunded == deal.credited > 0 or deal.unapplied:
        yield f"{deal.credited} credited, {deal.refunded} refunded, {deal.unapplied} left"


def _refunded(told: Told) -> str:
    (refund,) = told.deal.refunds
    approved = refund.approved_by.label if refund.approved_by else ""
    return f"{told.money(refund.amount)} paid back, proposed by {refund.proposed_by.label}, approved by {approved}"


def _not_repriced(told: Told) -> Iterator[str]:
    drift = told.deal.price_drift
    if drift is None or drift.decision is None or drift.decision.action != "approved":
        yield f"nobody approved the new margin: {drift.look.verdict if drift else 'prices did not move'}"
    elif not told.deal.approvals or told.deal.approvals[-1].steps < 2:
        yield "only one person was asked about the new margin"


def _repriced(told: Told) -> str:
    drift = told.deal.price_drift
    by = drift.decision.by.label if drift and drift.decision else ""
    then, now = (drift.look.margin_then, drift.look.margin_now) if drift else (None, None)
    return f"margin {_per_cent(then)} → {_per_cent(now)}, approved by {by} before the order"


def _not_bounced(told: Told) -> Iterator[str]:
    late = told.facts.late
    if late is None or late.codes != (Refusal.PAYMENT_REVERSED_AFTER_END.value,) or not late.is_open:
        yield f"no reversed payment stands open after its end: {late.codes if late else ()}"
        return
    held = sum((Decimal(invoice["open"]) for invoice in told.order["invoices"]), Decimal(0))
    mirrored = sum((Decimal(i["open"] or 0) for order in told.sales["orders"] for i in order["invoices"]), Decimal(0))
    if not late.open_amount == held == mirrored > 0:
        yield f"{late.open_amount} open after its end, {held} in Finance, {mirrored} in Sales"


def _bounced(told: Told) -> str:
    amount = told.facts.late.open_amount if told.facts.late else Decimal(0)
    return f"{told.money(amount)} open again after the end, in Finance and in Sales"


def _not_dunned(told: Told) -> Iterator[str]:
    account = told.facts.account
    if account is None:
        yield "nothing was collected from its customer"
        return
    letters = [letter.level for letter in account.state.letters]
    if len(letters) < 2 or not account.state.letters[-1].fee:
        yield f"letters: {', '.join(letters) or 'none'}"
    invoice = next((i for i in account.state.invoices if i.quote_number == told.deal.quote_number), None)
    if invoice is None or invoice.settled_at is None:
        yield "its invoice is not settled in collections"
        return
    said = [entry.event for entry in account.state.history if entry.invoice == invoice.number]
    if not {"dispute_open", "dispute_resolve"} <= set(said):
        yield "its invoice was not contested and settled"


def _dunned(told: Told) -> str:
    letters = told.facts.account.state.letters if told.facts.account else ()
    levels, fee = [letter.level for letter in letters], letters[-1].fee if letters else Decimal(0)
    return f"{levels[0]}, contested and found to stand, {levels[-1]} with a fee of {told.money(fee)}, paid"


def _per_cent(share: Decimal | None) -> str:
    return "unknown" if share is None else f"{share:.2f} %"


_JUDGED: Final[Mapping[Story, tuple[Callable[[Told], Iterator[str]], Callable[[Told], str]]]] = {
    Story.REDUCED: (_not_reduced, _reduced),
    Story.REFUNDED: (_not_refunded, _refunded),
    Story.REPRICED: (_not_repriced, _repriced),
    Story.BOUNCED: (_not_bounced, _bounced),
    Story.DUNNED: (_not_dunned, _dunned),
}
"""By story: what did not come true of it, and what it came to."""
