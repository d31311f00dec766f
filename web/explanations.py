"""What the rules would ask of a quote before it is submitted, for a page and for the API: who may see what of it."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from domain.assessing import QuotePreview
from domain.assessment import Problem
from domain.people import Person
from domain.record import Record
from domain.rights import Action
from domain.what_if import Offer, Step
from runs.reviews import Reviews
from web.access import Access
from web.addresses import Deal
from web.confidential import reasons_for


class QuoteExplanation(Record):
    """What a quote would need if it were submitted now. Money in its currency."""

    company: str
    quote: str
    revision: int
    name: str = ""
    customer: str = Field("", description="Finance customer account")
    customer_name: str = ""
    state: str = Field(description="draft, active, won or closed in Sales")
    currency: str
    net: Decimal
    total: Decimal
    discount_pct: Decimal = Field(description="The worst line's or the header's, in per cent")
    margin_pct: Decimal | None = Field(None, description="Null where the caller may not see margins")
    problems: tuple[Problem, ...] = Field(description="Why it would go back; then nothing below is known")
    policy_version: str = ""
    people: str = Field("", description='Who would be asked, e.g. "Mona Meyer, then Dirk Dorn"; "nobody"')
    working_days: Decimal = Field(Decimal(0), description="That they have at most, to half a day")
    steps: tuple[Step, ...] = ()
    largest_discount_for_nobody: Decimal | None = Field(
        None, description="On every line at list price, in per cent; null: every discount needs somebody"
    )
    cheaper: tuple[Offer, ...] = Field((), description="What would need fewer levels, nobody first")
    tried: bool = Field(True, description="False: it has too many lines to try other discounts")

    @classmethod
    def of(cls, found: QuotePreview, *, shows_margin: bool) -> QuoteExplanation:
        """What is told of a quote, without margins for who may not see them."""
        explained = found.explained
        shown = cls(
            company=found.company,
            quote=found.quote_number,
            revision=found.revision,
            name=found.name,
            customer=found.customer_account,
            customer_name=found.customer_name,
            state=found.state,
            currency=found.currency,
            net=found.net,
            total=found.total,
            discount_pct=found.discount_pct,
            margin_pct=found.margin_pct if shows_margin and explained else None,
            problems=found.problems,
        )
        if explained is None:
            return shown
        offers = (
            offer.model_copy(update={"steps": _steps(offer.steps, shows_margin=shows_margin)})
            for offer in explained.cheaper
        )
        return shown.model_copy(
            update={
                "policy_version": explained.policy_version,
                "people": explained.people,
                "working_days": explained.working_days,
                "steps": _steps(explained.steps, shows_margin=shows_margin),
                "largest_discount_for_nobody": explained.largest_discount_for_nobody,
                "cheaper": tuple(offers),
                "tried": explained.tried,
            }
        )


async def explanation_for(person: Person, deal: Deal, access: Access, reviews: Reviews) -> QuoteExplanation:
    """What a quote would need if it were submitted now.

    Args:
        person: who asks.
        deal: company and number of the quote.
        access: says who may read it.
        reviews: read the quote.

    Raises:
        Problem: 403, the person may not read deals of the company.
        NotFound: the company has no such quote.
        RunError: Dynamics does not answer, or not in time.
    """
    access.check_readable(person, deal.company)
    found = await reviews.preview(deal.company, deal.quote)
    return QuoteExplanation.of(found, shows_margin=access.may(person, Action.READ_MARGIN, deal.company))


def _steps(steps: tuple[Step, ...], *, shows_margin: bool) -> tuple[Step, ...]:
    return tuple(
        step.model_copy(update={"reasons": reasons_for(step.reasons, shows_margin=shows_margin)}) for step in steps
    )
