"""A submitted quote, assessed: can it be taken, what is it worth at Finance's prices, and who has to approve it.

Pure: what Sales and Finance say is read before, and given. Each question is asked only where the ones before it found
nothing wrong, so that a rep is told what to correct and not what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import Field

from domain.approvals import BusinessHours
from domain.assessment import DealPolicy, Problem, QuoteAssessment
from domain.calendar import end_of_day, local_date
from domain.credit_facts import CreditDecision, CreditFacts
from domain.credit_rule import decide_credit
from domain.deposits import DepositFacts
from domain.discount import approval_plan
from domain.drift import pin
from domain.exchange import Exchange, NoRate
from domain.money import Money
from domain.people import Person
from domain.phrases import phrase
from domain.policy import Policy
from domain.pricing import FinancePrice, PricedQuote, price_problems
from domain.quote import QuoteSnapshot
from domain.quote_header import QuoteHeader
from domain.reapproval import terms_of
from domain.record import Record
from domain.tax import FinanceTotal, SalesTax, difference, finance_total
from domain.validation import bounded, validate_quote
from domain.what_if import Explained, Proposal, explain

DEFAULT_VALIDITY: Final = timedelta(days=30)
"""How long a quote without an expiry date is valid from its submission: a deal never waits forever."""


class CustomerFacts(Record):
    """A customer as Finance knows it in a company."""

    account: str = Field(description="As Finance writes it: the key the deal uses from now on")
    currency: str = Field(description="Sales currency")
    on_hold: str = Field("No", description="OnHoldStatus symbol, of the customer or of who is billed for it")
    payment_terms: str = ""
    payer: str = Field(description="Account that is billed and whose credit counts")
    group: str = Field("", description="CustomerGroupId")


class FinanceFacts(Record):
    """What Finance says of a quote's customer, items, terms and credit, at one moment."""

    customer: CustomerFacts | None = Field(description="None: Finance does not know the account in this company")
    exchange: Exchange
    released: Mapping[str, bool] = Field(description="Item as the quote writes it → not stopped for sales")
    prices: Mapping[str, FinancePrice] = Field(description="By item as the quote writes it, in the quote's currency")
    unpriced: Problem | None = Field(None, description="Why Finance's prices could not be put as the quote's are")
    payment_days: Mapping[str, int] = Field(description="Name of payment terms in lower case → days until due")
    credit: CreditFacts | None = Field(None, description="None: without customer")
    tax: SalesTax = Field(SalesTax(), description="Finance's, for the customer and the items of the quote")


def assess(
    snapshot: QuoteSnapshot,
    facts: FinanceFacts | None,
    policy: Policy,
    *,
    calendar: BusinessHours,
    now: datetime,
    namesakes: int = 0,
) -> QuoteAssessment:
    """Assess a draft that asks for approval.

    Args:
        snapshot: The quote as read from Sales.
        facts: What Finance says; None where the quote names no account to ask for.
        policy: The rules in force.
        calendar: Working time of the company, public holidays included.
        now: UTC.
        namesakes: Other active accounts of Sales with the customer's account number.

    Returns:
        The assessment: with problems where the quote goes back to the rep, else priced and with its plan.

    Raises:
        NoApprover: nobody in the company may decide a step that is needed.
        PolicyError: the company has no calendar.
    """
    found = from_quote(snapshot)
    problems = _problems(snapshot, facts, policy, now, namesakes)
    if problems or facts is None or facts.customer is None:
        return found.model_copy(update={"problems": problems})
    priced = _proposal(snapshot, facts, facts.customer, policy, now).priced()
    plan = approval_plan(
        priced,
        requester=snapshot.owner,
        makers=snapshot.makers,
        company=snapshot.company,
        calendar=calendar,
        policy=policy,
    )
    return found.model_copy(
        update={
            **_priced(priced),
            "pinned": pin(priced, facts.prices),
            "customer_account": facts.customer.account,
            "credit_account": facts.customer.payer,
            "payment_terms": _terms(snapshot, facts.customer),
            "exchange_rate": facts.exchange.source(snapshot.currency, facts.exchange.accounting_currency),
            "expires_at": _expires_at(snapshot, policy, now),
            "plan": plan,
            "terms": terms_of(priced, policy, customer_account=facts.customer.account) if plan.needed else None,
            "deal_policy": _deal_policy(snapshot, facts, facts.customer, policy),
            "soft_credit": _soft_credit(snapshot, facts, policy, now),
            "total_differs": _total_differs(snapshot, facts, policy),
        }
    )


class QuotePreview(QuoteHeader):
    """A quote as the rules would take it now, before anybody is asked."""

    owner: Person
    state: str = Field(description="draft, active, won or closed")
    problems: tuple[Problem, ...] = Field((), description="Not empty: it would go back to the rep")
    explained: Explained | None = Field(None, description="None where there are problems")


class PreviewAnswer(Record):
    """What was found of a quote that somebody asked about."""

    preview: QuotePreview | None = Field(description="None: the company has no such quote")


def preview(
    snapshot: QuoteSnapshot, facts: FinanceFacts | None, policy: Policy, *, now: datetime, namesakes: int = 0
) -> QuotePreview:
    """What would be found if a quote were submitted now. Arguments as of ``assess``, which it agrees with."""
    problems = _problems(snapshot, facts, policy, now, namesakes)
    explained, figures = None, {}
    if not problems and facts is not None and facts.customer is not None:
        proposal = _proposal(snapshot, facts, facts.customer, policy, now)
        explained = explain(proposal, policy)
        figures = {**_priced(proposal.priced()), "customer_account": facts.customer.account}
    header = from_quote(snapshot).header_fields
    return QuotePreview(
        **header | {name: value for name, value in figures.items() if name in header},
        owner=snapshot.owner,
        state=snapshot.state,
        problems=problems,
        explained=explained,
    )


def _terms(snapshot: QuoteSnapshot, customer: CustomerFacts) -> str:
    """Name of the payment terms that will apply: the quote's, else the customer's."""
    return snapshot.payment_terms or customer.payment_terms


def _proposal(
    snapshot: QuoteSnapshot, facts: FinanceFacts, customer: CustomerFacts, policy: Policy, now: datetime
) -> Proposal:
    return Proposal(
        snapshot=snapshot,
        prices=facts.prices,
        payment_days=facts.payment_days.get(_terms(snapshot, customer).casefold(), 0),
        on=local_date(now, policy.calendar(snapshot.company).timezone),
        requester=snapshot.owner,
        makers=snapshot.makers,
        customer_group=customer.group,
    )


def from_quote(snapshot: QuoteSnapshot) -> QuoteAssessment:
    """What the quote itself says, before Finance is asked."""
    return QuoteAssessment(
        company=snapshot.company,
        quote_number=snapshot.quote_number,
        quote_id=snapshot.quote_id,
        revision=snapshot.revision,
        name=snapshot.name,
        customer_account=snapshot.customer_account or "",
        customer_name=snapshot.customer_name,
        customer_reference=snapshot.customer_reference,
        currency=snapshot.currency,
        payment_terms=snapshot.payment_terms,
        owner=snapshot.owner,
        submitted_by=snapshot.submitted_by,
        makers=snapshot.makers,
        makers_known=snapshot.makers_known,
        opportunity_id=snapshot.opportunity_id,
        requested_delivery=snapshot.requested_delivery,
        net=snapshot.net,
        tax=snapshot.tax,
        total=snapshot.total,
        line_count=len(snapshot.lines),
        snapshot_hash=snapshot.content_hash(),
    )


def credit_amount(total: FinanceTotal, currency: str, exchange: Exchange) -> Money:
    """What a quote takes of its customer's credit: what Finance will ask for it, in the company's accounting currency.

    Args:
        total: What it comes to in Finance.
        currency: The quote's.
        exchange: Finance's rates.

    Raises:
        NoRate: Finance has no rate for it.
    """
    asked = Money(amount=total.amount, currency=currency)
    return exchange.convert(asked, exchange.accounting_currency).rounded()


def _problems(
    snapshot: QuoteSnapshot, facts: FinanceFacts | None, policy: Policy, now: datetime, namesakes: int
) -> tuple[Problem, ...]:
    """What is wrong with the quote; then what is wrong with its prices and terms."""
    customer = facts.customer if facts else None
    problems = validate_quote(
        snapshot,
        today=local_date(now, policy.calendar(snapshot.company).timezone),
        customer_currency=customer.currency if customer else None,
        customer_blocked=customer is not None and customer.on_hold in policy.credit.blocking_statuses,
        released_items=facts.released if facts else None,
        namesakes=namesakes,
    )
    if problems or facts is None or customer is None:
        return problems
    if facts.unpriced is not None:
        return (facts.unpriced,)
    if problems := price_problems(snapshot, facts.prices):
        return bounded(problems)
    terms = _terms(snapshot, customer)
    if terms and terms.casefold() not in facts.payment_days:
        said = phrase(
            "Finance has no payment terms {terms} in {company}. Have them added there, or map the quote's payment "
            "terms to others in entity_map.yaml.",
            terms=repr(terms),
            company=snapshot.company,
        )
        return (Problem.of("UNMAPPED_PAYMENT_TERM", "payment_terms", said),)
    return ()


def _priced(priced: PricedQuote) -> dict[str, Any]:
    return {
        "list_net": priced.list_net,
        "discount_pct": priced.disc_pct,
        "margin_pct": priced.margin_pct,
        "price_hash": priced.price_hash,
    }


def _deal_policy(snapshot: QuoteSnapshot, facts: FinanceFacts, customer: CustomerFacts, policy: Policy) -> DealPolicy:
    """The part of the policy that the deal itself is pinned to."""
    order = DepositFacts(
        account=customer.account,
        group=customer.group,
        terms=_terms(snapshot, customer),
        currency=snapshot.currency,
        total=_total(snapshot, facts, policy).amount,
    )
    units = policy.tolerances.money.line_units
    return DealPolicy(
        version=policy.version,
        deposit=policy.deposits.due(snapshot.company, order, tolerance_units=units),
        over_delivery_pct=policy.tolerances.over_delivery_pct.get(snapshot.company, Decimal(0)),
        release_valid_days=policy.credit.release.valid_days,
        release_deviation_pct=policy.credit.release.deviation_pct,
        rechecks_credit=policy.credit.recheck_confirmed,
    )


def _total(snapshot: QuoteSnapshot, facts: FinanceFacts, policy: Policy) -> FinanceTotal:
    return finance_total(snapshot, facts.tax, estimate_pct=policy.credit.tax_rate_pct.get(snapshot.company, Decimal(0)))


def _total_differs(snapshot: QuoteSnapshot, facts: FinanceFacts, policy: Policy) -> str:
    """How Finance's total differs from the quoted one, in words; empty within the tolerance of the policy."""
    total = _total(snapshot, facts, policy)
    tolerance = policy.tolerances.money
    if tolerance.same_document(total.amount, snapshot.total, snapshot.currency, len(snapshot.lines)):
        return ""
    return difference(snapshot, total)


def _soft_credit(snapshot: QuoteSnapshot, facts: FinanceFacts, policy: Policy, now: datetime) -> CreditDecision | None:
    """How credit looks at submission; it informs, and holds nothing. None where it cannot be said."""
    if facts.credit is None:
        return None
    try:
        this_order = credit_amount(_total(snapshot, facts, policy), snapshot.currency, facts.exchange)
    except NoRate:
        return None
    return decide_credit(
        facts.credit,
        this_order=this_order.within(facts.credit.currency),
        this_order_number="",
        reservations=Decimal(0),
        policy=policy,
        now=now,
    )


def _expires_at(snapshot: QuoteSnapshot, policy: Policy, now: datetime) -> datetime:
    """The end of the first day on which the quote ends, in the company's time zone; UTC."""
    zone = policy.calendar(snapshot.company).timezone
    ends = [day for day in (snapshot.expires_on, snapshot.effective_to) if day is not None]
    return end_of_day(min(ends, default=local_date(now, zone) + DEFAULT_VALIDITY), zone)
