"""When a customer is reminded of what is overdue, as data: levels with their days, letters, fees and what they block.

The file is checked before it decides anything: levels that could never be reached, that stand in the wrong order or
name what is not known are refused. A company's plan travels with the run that keeps it, with version and hash, so that
each letter names the rules it was written under.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints, model_validator

from domain.approvals import BusinessHours
from domain.money import is_money
from domain.record import Record
from domain.values import Company, Currency, Number

MOST_LEVELS: Final = 9
LONGEST_DAYS: Final = 366
"""Days after which a level is out of reach: what is overdue for longer is not collected by letters."""


class LetterKind(StrEnum):
    """Which wording a letter has."""

    REMINDER = "reminder"
    NOTICE = "notice"
    FINAL = "final"
    HAND_OVER = "hand_over"


LevelId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]


class DunningLevel(Record):
    """One level: when it is reached, what is written, and whether orders are held from then on."""

    id: LevelId
    days: int = Field(ge=1, le=LONGEST_DAYS, description="Calendar days after the due date")
    letter: LetterKind
    fee: dict[Currency, Number] = Field(default_factory=dict, description="Named in the letter, by currency")
    blocks_orders: bool = False

    def fee_in(self, currency: str) -> Decimal:
        """The fee in a currency; 0 where none is named for it."""
        return self.fee.get(currency, Decimal(0))

    @model_validator(mode="after")
    def _possible(self) -> DunningLevel:
        for currency, amount in self.fee.items():
            if amount <= 0:
                raise ValueError(f"fee.{currency}: must be above 0; leave the currency out for no fee")
            if not is_money(amount, currency):
                raise ValueError(f"fee.{currency}: {amount} has more decimals than the currency")
        return self


class DunningRules(Record):
    """The levels of one company, or of all that have none of their own."""

    levels: tuple[DunningLevel, ...] = Field(min_length=1, max_length=MOST_LEVELS)
    min_amount: dict[Currency, Number] = Field(default_factory=dict)
    sender: tuple[Annotated[str, StringConstraints(min_length=1, max_length=80)], ...] = Field(
        (), max_length=8, description="At the head of every letter: who writes, and how to reach them"
    )
    tolerance_units: int = Field(1, ge=0, le=1_000_000)
    longest_promise_days: int = Field(30, ge=1, le=LONGEST_DAYS)
    longest_pause_days: int = Field(90, ge=1, le=LONGEST_DAYS)

    @model_validator(mode="after")
    def _whole(self) -> DunningRules:
        ids = [level.id for level in self.levels]
        if len(set(ids)) != len(ids):
            raise ValueError(f"levels: ids must differ, got {', '.join(ids)}")
        for before, level in zip(self.levels, self.levels[1:], strict=False):
            if level.days == before.days:
                raise ValueError(
                    f"levels: {level.id} is never reached at {level.days} days, {before.id} takes its day: "
                    "give it a later day"
                )
            if level.days < before.days:
                raise ValueError(f"levels: {level.id} ({level.days} days) must come before {before.id} ({before.days})")
            if before.blocks_orders and not level.blocks_orders:
                raise ValueError(
                    f"levels: {level.id} would let orders through that {before.id} holds: set its blocks_orders"
                )
        for currency, amount in self.min_amount.items():
            if amount < 0:
                raise ValueError(f"min_amount.{currency}: must not be negative")
        return self


class DunningPolicy(Record):
    """When customers are reminded, as the file holds it."""

    version: str = Field(min_length=1, max_length=100)
    default: DunningRules
    companies: dict[Company, DunningRules] = Field(default_factory=dict)

    def plan(self, company: str, calendar: BusinessHours) -> DunningPlan:
        """The rules of a company, pinned with version, hash and its calendar."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()
        return DunningPlan(
            version=self.version,
            hash=digest,
            rules=self.companies.get(company, self.default),
            calendar=calendar,
        )


class DunningPlan(Record):
    """The rules that count for one company at one version."""

    version: str
    hash: str = Field(description="SHA-256 (hex) of the whole file's content")
    rules: DunningRules
    calendar: BusinessHours = Field(description="Working days of the company: on them a level is reached")

    @property
    def levels(self) -> tuple[DunningLevel, ...]:
        """The levels, the first in front."""
        return self.rules.levels

    @property
    def named(self) -> str:
        """Version and the start of the hash, as records name them."""
        return f"{self.version}+{self.hash[:8]}"


def misfits(policy: DunningPolicy, companies: Collection[str]) -> list[tuple[str, str]]:
    """Where the file does not fit the others: field and what to change. Empty: it fits."""
    return [
        (f"companies.{company}", "no business unit is mapped to it in entity_map.yaml; correct its name or remove it")
        for company in policy.companies
        if company not in companies
    ]
