"""How records of Sales and Finance find each other: what `entity_map.yaml` says."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from domain.record import Record
from domain.values import Company


class EntityMap(Record):
    """How records of Sales and Finance find each other."""

    version: str = Field(min_length=1)
    business_units: dict[str, Company] = Field(
        description="Name or id of a quote's owning business unit → legal entity"
    )
    payment_terms: dict[int, str] = Field(description="Dataverse paymenttermscode → name of Finance's payment terms")
    cash_discounts: dict[int, str] = Field(
        default_factory=dict,
        description="Dataverse paymenttermscode → code of Finance's cash discount that it promises",
    )
    countries: dict[str, str] = Field(
        default_factory=dict, description="Country, as reps write it in a ship-to address → Finance's country/region"
    )
    order_numbers: dict[Company, Literal["manual", "automatic"]] = Field(
        description="manual: we send the sales order number; automatic: Finance numbers, we find by requisition number"
    )
    refund_journals: dict[Company, str] = Field(
        default_factory=dict,
        description="Name of the payment journal in which refunds are prepared; absent: they are entered by hand",
    )
    shadow: tuple[Company, ...] = Field((), description="Companies whose quotes are decided about, and nothing written")

    @model_validator(mode="after")
    def _shadows_are_companies(self) -> Self:
        if unknown := sorted(set(self.shadow) - set(self.business_units.values())):
            raise ValueError(f"shadow: no business unit is mapped to {', '.join(unknown)}")
        return self

    def company_of(self, business_unit: str) -> str | None:
        """The legal entity of a business unit, its name compared without regard to case; None: not mapped."""
        wanted = business_unit.strip().casefold()
        return next((company for name, company in self.business_units.items() if name.casefold() == wanted), None)

    def country_of(self, text: str) -> str | None:
        """Finance's country of what a rep wrote, in any case, or of its own code; None: not mapped."""
        wanted = text.strip().casefold()
        written = {name.casefold(): country for name, country in self.countries.items()}
        codes = {country.casefold(): country for country in self.countries.values()}
        return written.get(wanted) or codes.get(wanted)
