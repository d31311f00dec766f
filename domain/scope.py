"""Which quotes a rule of the discount matrix is about: companies, groups of customers and products, and a period."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from domain.record import Record
from domain.values import Company, Day

GroupName = Annotated[str, Field(min_length=1, max_length=100)]


class Scope(Record):
    """Which quotes a rule is about; what is left out does not narrow it, and all that is given has to fit."""

    companies: tuple[Company, ...] = Field((), description="Legal entities, lower case")
    customer_groups: tuple[GroupName, ...] = Field((), description="CustomerGroupId in Finance, in any case")
    product_groups: tuple[GroupName, ...] = Field(
        (), description="ProductGroupId of released products in Finance: the rule tests their lines alone"
    )
    valid_from: Day | None = Field(None, description="First day, in the company's time zone")
    valid_until: Day | None = Field(None, description="Last day, in the company's time zone")

    @model_validator(mode="after")
    def _can_be_met(self) -> Scope:
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise ValueError("valid_until: is before valid_from; swap them or remove the rule")
        for name in ("companies", "customer_groups", "product_groups"):
            values = [value.casefold() for value in getattr(self, name)]
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: names one twice; keep one")
        return self

    def fits(self, company: str, customer_group: str, day: date) -> bool:
        """Whether a quote of a company and a group of customers is in it on a day; which products is asked by line."""
        return (
            (not self.companies or company in self.companies)
            and (not self.customer_groups or _among(customer_group, self.customer_groups))
            and (self.valid_from is None or day >= self.valid_from)
            and (self.valid_until is None or day <= self.valid_until)
        )

    def has_product(self, group: str) -> bool:
        """Whether a rule of this scope tests lines of a group of products."""
        return not self.product_groups or _among(group, self.product_groups)


def _among(name: str, names: tuple[str, ...]) -> bool:
    return name.casefold() in {each.casefold() for each in names}
