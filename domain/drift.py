"""The price-drift rule: what a move of Finance's prices between approval and order means (lifecycle 4.3, S37).

The quoted prices are a promise: within its validity a quote is ordered at them, whatever Finance lists by then. What
was approved is a margin, though, and a margin is worth what the goods cost today. So the quote is judged once more at
its own list and floor prices and at today's cost: where that reaches a level of the matrix that has not approved it,
that level is asked before there is an order. A list price that fell is told to the rep; a product that Finance sells
no longer, or a rise that met an acceptance after the quote's validity, waits for a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from domain.approvals import BusinessHours, Change
from domain.assessment import QuoteAssessment
from domain.discount import approval_plan, asked_levels
from domain.money import format_amount, told_apart
from domain.phrases import Phrase, counted, listed, phrase
from domain.policy import Policy, Tested
from domain.price_look import (
    AskedAnew,
    PinnedItem,
    PinnedPrices,
    PriceDrift,
    PriceLook,
    Tier,
    Verdict,
)
from domain.pricing import FinancePrice, PricedQuote, price_hash, price_quote
from domain.quote import QuoteLine, QuoteSnapshot
from domain.reapproval import terms_of
from domain.record import Record

MOST_PINNED: Final = 100
"""Items pinned one by one; of a quote with more only the digest of their prices and the sums are kept."""
LINES_TOLD: Final = 20
"""Lines named whose prices moved; of more, their number is said."""
_CHANGES_TOLD: Final = 10


def pin(priced: PricedQuote, prices: Mapping[str, FinancePrice]) -> PinnedPrices:
    """What a quote is pinned to that was priced so.

    Args:
        priced: The quote at these prices.
        prices: Finance's, by item as the quote writes it.
    """
    items = tuple(
        PinnedItem(item=item, list_price=price.list_price, floor_price=price.floor_price, cost=price.cost)
        for item, price in sorted(prices.items())
    )
    return PinnedPrices(
        price_hash=priced.price_hash,
        priced_on=priced.priced_on,
        list_net=priced.list_net,
        margin_pct=priced.margin_pct,
        items=items if len(items) <= MOST_PINNED else None,
    )


class Approved(Record):
    """What was approved, as far as a second look compares with it."""

    pinned: PinnedPrices
    tiers: tuple[Tier, ...]
    expires_at: datetime | None


class Question(Record):
    """A quote that is looked at once more, with what Finance says of its customer."""

    snapshot: QuoteSnapshot
    approved: Approved
    payment_days: int
    customer_account: str
    customer_group: str = ""
    accepted_at: datetime | None


def look(
    asked: Question,
    current: Mapping[str, FinancePrice],
    policy: Policy,
    *,
    calendar: BusinessHours,
    remembered: Mapping[str, FinancePrice] | None = None,
) -> PriceLook:
    """Compare Finance's prices with those a quote was approved at.

    Args:
        asked: The quote, and what was approved of it.
        current: Finance's prices now, by item as the quote writes it; an item that is not among them is gone.
        policy: The rules in force, judged as of the day the quote was priced.
        calendar: Working time of the company, for a request that has to be made.
        remembered: The prices then, where too many are pinned one by one and this process knows them still.

    Raises:
        NoApprover: a level is reached that nobody in the company may decide.
    """
    pinned = asked.approved.pinned
    digest = price_hash(current)
    if digest == pinned.price_hash:  # what was pinned could be sold
        return PriceLook(verdict=Verdict.SAME, price_hash=digest)
    then = _then(pinned, remembered)
    lines = tuple(_moved(asked.snapshot.lines, then, current))
    blocked = [line for line in lines if line.blocked]
    found = PriceLook(
        verdict=Verdict.BLOCKED,
        price_hash=digest,
        lines=tuple(sorted(lines, key=_told_first)[:LINES_TOLD]),
        moved_lines=len(lines),
        rose=sum(line.current > line.pinned for line in lines if not line.blocked),
        fell=sum(line.current < line.pinned for line in lines if not line.blocked),
        cost_moved=sum(line.current_cost != line.pinned_cost for line in lines if not line.blocked),
        blocked_lines=len(blocked),
        list_net_then=pinned.list_net,
        margin_then=pinned.margin_pct,
    )
    if blocked:
        return found
    return _judged(found, asked, current, honoured(then, current), policy, calendar)


def _judged(
    found: PriceLook,
    asked: Question,
    current: Mapping[str, FinancePrice],
    promised: Mapping[str, FinancePrice],
    policy: Policy,
    calendar: BusinessHours,
) -> PriceLook:
    """The look with its verdict; every product can be sold."""
    approved = asked.approved
    listed = _priced(asked, current)
    kept = _priced(asked, promised)
    seen = found.model_copy(update={"list_net_now": listed.list_net, "margin_now": kept.margin_pct})
    rose = seen.rose > 0 or (seen.moved_lines == 0 and listed.list_net > approved.pinned.list_net)
    fell = seen.fell > 0 or (seen.moved_lines == 0 and listed.list_net < approved.pinned.list_net)
    if rose and _too_late(asked):
        return seen.model_copy(update={"verdict": Verdict.REQUOTE})
    if new_tiers(kept, policy, approved.tiers):
        pinned = pin(kept, promised).model_copy(update={"price_hash": seen.price_hash})
        anew = _anew(asked, kept, pinned, policy, calendar)
        return seen.model_copy(update={"verdict": Verdict.ASK, "anew": anew})
    return seen.model_copy(update={"verdict": Verdict.FELL if fell else Verdict.HONOURED})


def new_tiers(priced: PricedQuote, policy: Policy, approved: Collection[Tier]) -> tuple[Tier, ...]:
    """The levels that a priced quote needs, and that were not asked when it was approved."""
    needed = (Tier(chain=level.chain, level=level.level) for level in asked_levels(priced, policy))
    return tuple(tier for tier in needed if tier not in approved)


def honoured(then: Mapping[str, PinnedItem] | None, current: Mapping[str, FinancePrice]) -> dict[str, FinancePrice]:
    """Finance's prices as the quote is judged by them: list and floor as pinned, cost as it is.

    What is not pinned item by item is judged as it is now, which never asks fewer people where prices rose.
    """
    if then is None:
        return dict(current)
    return {
        item: price.model_copy(update={"list_price": pinned.list_price, "floor_price": pinned.floor_price})
        if (pinned := then.get(item))
        else price
        for item, price in current.items()
    }


def _then(pinned: PinnedPrices, remembered: Mapping[str, FinancePrice] | None) -> dict[str, PinnedItem] | None:
    if pinned.items is not None:
        return {entry.item: entry for entry in pinned.items}
    if remembered is None:
        return None
    return {
        item: PinnedItem(item=item, list_price=price.list_price, floor_price=price.floor_price, cost=price.cost)
        for item, price in remembered.items()
    }


def _moved(
    lines: Sequence[QuoteLine], then: Mapping[str, PinnedItem] | None, current: Mapping[str, FinancePrice]
) -> Iterator[PriceDrift]:
    """One entry for each line concerned, by line number."""
    for line in sorted(lines, key=lambda line: line.line_no):
        item = line.item or ""
        price, pinned = current.get(item), (then or {}).get(item)
        blocked = price is None or price.blocked or not price.released
        if price is not None and pinned is None:
            pinned = PinnedItem(item=item, list_price=price.list_price, cost=price.cost)
        moved = price and pinned and (price.list_price, price.cost) != (pinned.list_price, pinned.cost)
        if blocked or moved:
            yield PriceDrift(
                line_no=line.line_no,
                item=price.item if price else item,
                pinned=pinned.list_price if pinned else Decimal(0),
                current=price.list_price if price else Decimal(0),
                pinned_cost=pinned.cost if pinned else None,
                current_cost=price.cost if price else None,
                blocked=blocked,
            )


def unsold_lines(lines: Sequence[QuoteLine], current: Mapping[str, FinancePrice]) -> tuple[PriceDrift, ...]:
    """The lines whose product Finance takes no order for, by line number, whatever was approved."""
    return tuple(line for line in _moved(lines, None, current) if line.blocked)


def _told_first(line: PriceDrift) -> bool:
    return not line.blocked


def _priced(asked: Question, prices: Mapping[str, FinancePrice]) -> PricedQuote:
    return price_quote(
        asked.snapshot,
        prices,
        payment_days=asked.payment_days,
        on=asked.approved.pinned.priced_on,
        customer_group=asked.customer_group,
    )


def _too_late(asked: Question) -> bool:
    """Whether the customer accepted when the quote's prices held no longer."""
    expires_at = asked.approved.expires_at
    return expires_at is not None and asked.accepted_at is not None and asked.accepted_at > expires_at


def _anew(
    asked: Question,
    kept: PricedQuote,
    pinned: PinnedPrices,
    policy: Policy,
    calendar: BusinessHours,
) -> AskedAnew:
    """What is asked once more. Levels that approved before are named too: what they said may cover them."""
    snapshot = asked.snapshot
    plan = approval_plan(
        kept,
        requester=snapshot.owner,
        makers=snapshot.makers,
        company=snapshot.company,
        calendar=calendar,
        policy=policy,
    )
    return AskedAnew(
        plan=plan,
        terms=terms_of(kept, policy, customer_account=asked.customer_account),
        pinned=pinned,
        makers=snapshot.makers,
        makers_known=snapshot.makers_known,
    )


def asked_anew(found: QuoteAssessment, anew: AskedAnew) -> QuoteAssessment:
    """The assessment of a quote whose prices moved, as it is asked once more: the same content at today's cost."""
    return found.model_copy(
        update={
            "list_net": anew.pinned.list_net,
            "discount_pct": anew.terms.disc_pct,
            "margin_pct": anew.pinned.margin_pct,
            "price_hash": anew.pinned.price_hash,
            "pinned": anew.pinned,
            "plan": anew.plan,
            "terms": anew.terms,
            "makers": anew.makers,
            "makers_known": anew.makers_known,
        }
    )


def in_words(seen: PriceLook) -> Phrase:
    """What a look found and what follows, in a sentence that tells no cost and no margin."""
    moved = listed(_parts(seen) or (phrase("Finance's prices moved"),))
    match seen.verdict:
        case Verdict.SAME:
            return phrase("Finance's prices are those the quote was approved at")
        case Verdict.BLOCKED:
            return phrase("Finance takes no order for {items}", items=seen.blocked)
        case Verdict.REQUOTE:
            return phrase(
                "Since the approval {moved}, and the quote was accepted after its validity: it has to be quoted anew",
                moved=moved,
            )
        case Verdict.ASK:
            return phrase(
                "Since the approval {moved}: the quoted prices hold, and a higher level is asked before the order",
                moved=moved,
            )
        case Verdict.FELL:
            return phrase("Since the approval {moved}: the quoted prices are kept", moved=moved)
        case Verdict.HONOURED:
            return phrase(
                "Since the approval {moved}: the quoted prices hold, and no further approval is needed", moved=moved
            )


def _parts(seen: PriceLook) -> tuple[Phrase, ...]:
    """What moved, and how much."""
    found = (
        counted("the list price of {count} line rose", "the list price of {count} lines rose", seen.rose),
        counted("the list price of {count} line fell", "the list price of {count} lines fell", seen.fell),
        counted("the cost of {count} line moved", "the cost of {count} lines moved", seen.cost_moved),
    )
    return tuple(moved for moved in found if moved.count)


def changes(seen: PriceLook, currency: str) -> tuple[Change, ...]:
    """What moved, for who decides once more: the margin, then line by line."""
    then, now = seen.margin_then, seen.margin_now
    told = []
    if then is not None and now is not None and then != now:
        text = f"Margin {told_apart(then, now)} % → {told_apart(now, then)} % at today's cost"
        told.append(Change(tested=Tested.MARGIN_PCT, text=text))
    for line in seen.lines[:_CHANGES_TOLD]:
        if line.current_cost is not None and line.pinned_cost is not None and line.current_cost != line.pinned_cost:
            costs = f"{format_amount(line.pinned_cost, currency)} → {format_amount(line.current_cost, currency)}"
            told.append(Change(tested=Tested.MARGIN_PCT, text=f"Line {line.line_no} {line.item}: cost {costs}"))
        if line.current != line.pinned:
            listed = f"{format_amount(line.pinned, currency)} → {format_amount(line.current, currency)}"
            told.append(Change(text=f"Line {line.line_no} {line.item}: list price {listed}, the quoted one holds"))
    if (more := seen.moved_lines - _CHANGES_TOLD) > 0:
        told.append(Change(text=f"Prices of {more} more line{'' if more == 1 else 's'} moved"))
    return tuple(told)
