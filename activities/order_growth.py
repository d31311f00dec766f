"""A larger order, looked at before Finance is told: what it comes to, who has to approve it, and credit for the rest.

The look changes nothing in Finance or Sales; credit for the difference is reserved in the customer's ledger where
nothing else is in the way. Looked at again, it comes to what is true then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.billing_view import approved_lines, line_ledger, order_lines
from activities.change_signatures import LargerLooked, LargerOrderActivities, LookAtLarger
from activities.credit import CreditDesk
from activities.credit_groups import shared_credit
from activities.failures import for_deal, refused
from activities.finance_view import credit_facts, finance_prices, payment_days
from activities.postings import Postings
from activities.signatures import FailureType, ReserveCredit
from activities.snapshots import SalesQuotes
from domain.assessing import credit_amount
from domain.authority import NoApprover
from domain.calendar import local_date
from domain.changing import cuts
from domain.credit_facts import CreditDecision, CreditFacts
from domain.credit_groups import GroupCredit
from domain.exchange import NoRate
from domain.growing import (
    Judged,
    Judging,
    LargerOrder,
    RaisedLine,
    Sizes,
    beside_quote,
    check_units,
    judge,
    resized,
    sizes_of,
    too_late,
)
from domain.line_change import LineChange
from domain.lines import LineLedger, LineViolation
from domain.money import minor_unit
from domain.policy import Policy
from domain.pricing import FinancePrice, price_problems
from domain.quote import QuoteSnapshot
from domain.reapproval import with_coverage
from domain.refusals import Refusal
from domain.tax import FinanceTotal, TaxUnknown, finance_total, ordered_nets
from dynamics.finance.client import Finance
from dynamics.finance.prices import finance_terms
from dynamics.finance.records import CreditRead
from policies import business_hours


class LargerOrders(LargerOrderActivities):
    """Looks at what orders would come to."""

    def __init__(
        self, quotes: SalesQuotes, finance: Finance, policy: Policy, credit: CreditDesk, postings: Postings
    ) -> None:
        """Bring the clients and the rules together.

        Args:
            quotes: Reads quotes from Sales.
            finance: Client of Finance.
            policy: The rules in force.
            credit: Asks the customer's credit ledger.
            postings: Reads what Finance posted.
        """
        self._quotes = quotes
        self._finance = finance
        self._policy = policy
        self._credit = credit
        self._postings = postings

    @activity.defn(name="look_at_larger")
    async def look_at_larger(self, look: LookAtLarger) -> LargerLooked:
        """Look at an order as it would be; where nobody has to approve, reserve credit for the difference."""
        with for_deal():
            try:
                return await self._look(look)
            except LineViolation as violation:
                return LargerLooked(refused=f"{violation.code}: {violation}")
            except NoApprover as nobody:
                return LargerLooked(refused=f"{Refusal.LARGER_NOT_APPROVED}: {nobody}")
            except (NoRate, TaxUnknown) as missing:
                raise refused(FailureType.REFUSED, str(missing)) from missing

    async def _look(self, look: LookAtLarger) -> LargerLooked:
        quote = await self._quotes.approved(look.quote, look.approved_hash)
        ledger = await self._ledger(look, quote)
        sizes = _possible(ledger, look, quote)
        if not sizes.larger:
            return LargerLooked()
        today = local_date(datetime.now(UTC), self._policy.calendar(look.quote.company).timezone)
        quote = await self._quotes.with_makers(quote, look.submitted_by)
        standing, larger = (resized(quote, quantities) for quantities in (sizes.standing, sizes.wanted))
        read = await self._finance.read_credit(
            look.quote.company,
            look.customer_account,
            today=today,
            currency=quote.currency,
            items=[line.item for line in quote.lines if line.item],
            shared=True,
        )
        if read.pricing is None or read.customer is None:
            return LargerLooked(refused=f"{Refusal.LARGER_ORDER}: Finance has no customer {look.customer_account}")
        now, prices = (finance_prices(snapshot, read.pricing, today=today) for snapshot in (standing, larger))
        prices = {**now, **prices}
        if problems := price_problems(larger, prices):
            return LargerLooked(refused=f"{Refusal.LARGER_ORDER}: {problems[0].message}")
        judged = self._judged(look, standing, larger, prices, read, today)
        before, after = (self._total(snapshot, read) for snapshot in (standing, larger))
        found = _found(judged, larger, before, after, look, beside_quote(quote, sizes.wanted))
        raised = _raised(quote, larger, sizes)
        if found.plan.asked and found.asked_for != look.approved:
            return LargerLooked(larger=found, raised=raised)
        decision = await self._reserve(look, read, before, after, quote.currency, today)
        if not decision.passed:
            text = f"{Refusal.LARGER_NO_CREDIT}: {found.words(quote.currency)}: {decision.text}"
            return LargerLooked(refused=text)
        return LargerLooked(larger=found, raised=raised, decision=decision)

    async def _ledger(self, look: LookAtLarger, quote: QuoteSnapshot) -> tuple[LineLedger, ...]:
        read = await self._postings.read(look.quote.company, look.order_number)
        return line_ledger(read, order_lines(read.lines, read.rests), approved_lines(quote))

    def _judged(
        self,
        look: LookAtLarger,
        standing: QuoteSnapshot,
        larger: QuoteSnapshot,
        prices: dict[str, FinancePrice],
        read: CreditRead,
        today: date,
    ) -> Judged:
        assert read.pricing is not None
        by = Judging(
            pinned=look.pinned,
            prices=prices,
            payment_days=payment_days(larger, read.pricing),
            customer_account=look.customer_account,
            customer_group=read.customer.group if read.customer else "",
            today=today,
            asked_by=look.asked_by,
        )
        return judge(
            standing, larger, by, self._policy, calendar=business_hours(self._policy, look.quote.company, today)
        )

    def _total(self, snapshot: QuoteSnapshot, read: CreditRead) -> FinanceTotal:
        rate = self._policy.credit.tax_rate_pct.get(snapshot.company, Decimal(0))
        return finance_total(snapshot, read.tax, estimate_pct=rate)

    async def _reserve(
        self,
        look: LookAtLarger,
        read: CreditRead,
        before: FinanceTotal,
        after: FinanceTotal,
        currency: str,
        today: date,
    ) -> CreditDecision:
        """Credit for the difference; the order as it stands is among Finance's open orders already."""
        facts = credit_facts(read, self._policy, today=today)
        if facts is None:
            raise refused(FailureType.NOT_FOUND, f"Finance has no customer {look.customer_account} any more")
        group = await shared_credit(self._finance, read, facts, self._policy, today)
        amounts = [credit_amount(total, currency, read.exchange).within(facts.currency) for total in (before, after)]
        answer = await self._credit.reserve_credit(
            _question(look, facts, max(amounts[1] - amounts[0], Decimal(0)), group)
        )
        if answer.decision is None:
            raise ApplicationError(f"read Finance again: {answer.stale}", type=FailureType.TRANSIENT)
        return answer.decision


def _question(look: LookAtLarger, facts: CreditFacts, more: Decimal, group: GroupCredit | None) -> ReserveCredit:
    return ReserveCredit(
        company=look.quote.company,
        customer_account=look.credit_account,
        deal_id=look.credit,
        order_number=f"{look.order_number[:30]} +",
        amount=more,
        facts=facts,
        queues=False,
        group=group,
    )


def _possible(ledger: Sequence[LineLedger], look: LookAtLarger, quote: QuoteSnapshot) -> Sizes:
    """The quantities as they are and as they would be.

    Raises:
        LineViolation: a part of the change cannot be, or nothing more is sold at these prices.
    """
    sizes = sizes_of(ledger, look.lines)
    _, impossible = cuts(ledger, [line for line in look.lines if line.line_no not in sizes.larger])
    if impossible:
        raise impossible[0]
    if sizes.larger and (late := too_late(look.expires_at, look.asked_at)):
        raise LineViolation(Refusal.LARGER_ORDER, late)
    check_units(quote, sizes)
    return sizes


def _found(
    judged: Judged,
    larger: QuoteSnapshot,
    before: FinanceTotal,
    after: FinanceTotal,
    look: LookAtLarger,
    lines: tuple[LineChange, ...],
) -> LargerOrder:
    priced = judged.priced
    return LargerOrder(
        net=larger.net,
        tax=after.tax,
        total=after.amount,
        list_net=priced.list_net,
        discount_pct=priced.disc_pct,
        margin_pct=priced.margin_pct,
        line_count=len(larger.lines),
        content_hash=larger.content_hash(),
        more=after.amount - before.amount,
        plan=with_coverage(judged.plan, judged.terms, look.past, total=after.amount, now=datetime.now(UTC)),
        terms=judged.terms,
        makers=judged.makers,
        makers_known=larger.makers_known,
        changes=judged.changes,
        lines=lines,
    )


def _raised(quote: QuoteSnapshot, larger: QuoteSnapshot, sizes: Sizes) -> tuple[RaisedLine, ...]:
    """The lines that become larger, each at its own net price, in the order of the quote."""
    unit, nets = minor_unit(quote.currency), {line.line_no: net for line, net in ordered_nets(larger)}
    raised = []
    for line in larger.lines:
        if line.line_no in sizes.larger:
            terms = finance_terms(line.quantity, line.price or Decimal(0), nets[line.line_no], unit)
            raised.append(
                RaisedLine(
                    line_no=line.line_no,
                    quantity=line.quantity,
                    discount_per_unit=terms.discount_per_unit,
                    charges=terms.charges,
                )
            )
    return tuple(raised)
