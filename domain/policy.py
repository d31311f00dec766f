"""The policies as validated data: who must approve what, when credit is refused, who holds which authority.

The rules' numbers live in YAML (room ``policies``); these models say what such a file may hold, refuse what makes no
sense before it can decide anything, and name file, field and remedy when they do. A policy is one immutable value with
a version and a hash, which every decision records.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from domain.credit_facts import CreditReason
from domain.customers_policy import CustomerPolicy
from domain.deposits import DepositPolicy
from domain.entity_map import EntityMap
from domain.money import DocumentTolerance
from domain.people import Person
from domain.quorum import Quorum
from domain.record import Record
from domain.rights import Action, Granted, RightsPolicy
from domain.scope import Scope
from domain.values import Company, Currency, Day, Number, Percent


def _weekday(value: int) -> int:
    if not 0 <= value <= 6:
        raise ValueError("must be a day from 0 (Monday) to 6 (Sunday)")
    return value


def _clock_time(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError(f"{value!r} is not a time as HH:MM, e.g. 09:00")
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{value!r} is not an IANA name, e.g. America/New_York") from error
    return value


def _country(value: str) -> str:
    if value and not re.fullmatch("[A-Z]{2}", value):
        raise ValueError(f"{value!r} is not a country: give the two capital letters of ISO 3166-1, e.g. US")
    return value


Weekday = Annotated[int, AfterValidator(_weekday)]
ClockTime = Annotated[str, AfterValidator(_clock_time)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Country = Annotated[str, AfterValidator(_country)]


class PolicyError(ValueError):
    """A policy that cannot be used: the text names the file, the field and what to do."""


class Tested(StrEnum):
    """What a rule of the discount matrix may test."""

    DISCOUNT_PCT = "disc_pct"
    MARGIN_PCT = "margin_pct"
    NET = "net"
    PAYMENT_DAYS = "payment_days"
    BELOW_FLOOR = "below_floor"


class Condition(Record):
    """One test of a rule, e.g. disc_pct > 10.

    A test of ``net`` needs an amount for every currency quotes are written in: a quote in a currency that is not
    listed counts as reaching it, so that a missing line asks one person too many and never one too few.
    """

    value: Tested
    op: Literal[">", ">=", "<", "<="] | None = Field(
        None, description="Absent only for below_floor, which is yes or no"
    )
    than: Number | dict[Currency, Number] | None = Field(None, description="For net: an amount per currency")

    @model_validator(mode="after")
    def _complete(self) -> Condition:
        if self.value is Tested.BELOW_FLOOR:
            if self.op is not None or self.than is not None:
                raise ValueError("below_floor is yes or no: leave out op and than")
        elif self.op is None or self.than is None:
            raise ValueError(f"{self.value} needs op (>, >=, < or <=) and than (a number)")
        elif isinstance(self.than, dict) != (self.value is Tested.NET):
            raise ValueError("than is an amount per currency for net, a plain number for everything else")
        return self


class MatrixRule(Record):
    """A rule of the discount matrix: when any of its conditions holds for what it is about, it asks for its step."""

    id: str = Field(min_length=1)
    only: Scope = Scope()
    when: tuple[Condition, ...] = Field(min_length=1, max_length=10)
    chain: str = Field(min_length=1)
    level: int = Field(ge=1, le=9)
    role: str = Field(min_length=1)
    comment_required: bool = False


class SegregationOfDuties(Record):
    """Written into the policy so that its readers see it; it cannot be switched off."""

    requester_may_approve: Literal[False] = False
    co_owner_may_approve: Literal[False] = False
    same_person_two_levels: Literal["another_holder_else_count_once"] = "another_holder_else_count_once"


_MOST_HOURS = 2_000


def _level(rule: MatrixRule) -> int:
    return rule.level


class DiscountPolicy(Record):
    """The discount matrix (lifecycle 4.1): every matching rule contributes its step."""

    version: str = Field(min_length=1)
    rules: tuple[MatrixRule, ...] = Field(min_length=1, max_length=100)
    closure: Literal["lower_levels_of_same_chain_included"] = "lower_levels_of_same_chain_included"
    sla_business_hours: dict[int, Number] = Field(description="Per level, in business hours of the legal entity")
    on_timeout: dict[int, Literal["escalate", "expire"]] = Field(description="Per level; never approve")
    quorum: dict[str, dict[int, Quorum]] = Field(
        default_factory=dict, description="By chain and level: how many are asked and must approve; left out: one"
    )
    max_age_days: int = Field(ge=1, le=366, description="A request older than this expires, as it does with its quote")
    reminders_pct: tuple[int, ...] = Field(
        (), max_length=5, description="Remind who is asked when so much of a level's hours is over, in per cent"
    )
    sod: SegregationOfDuties = SegregationOfDuties()

    @model_validator(mode="after")
    def _whole(self) -> DiscountPolicy:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise ValueError(f"rules: ids must differ, got {', '.join(ids)}")
        for chain in self.chains:
            self.ladder(chain)
        for level in {rule.level for rule in self.rules}:
            for name, table in (("sla_business_hours", self.sla_business_hours), ("on_timeout", self.on_timeout)):
                if level not in table:
                    raise ValueError(f"{name}: add a value for level {level}")
        self._check_quorum()
        if any(hours <= 0 for hours in self.sla_business_hours.values()):
            raise ValueError("sla_business_hours: must be above 0")
        if list(self.reminders_pct) != sorted({pct for pct in self.reminders_pct if 0 < pct < 100}):
            raise ValueError("reminders_pct: give whole numbers from 1 to 99, each once and ascending, e.g. [50, 80]")
        if any(hours > _MOST_HOURS for hours in self.sla_business_hours.values()):
            raise ValueError(f"sla_business_hours: must be at most {_MOST_HOURS:,}, a year of work")
        return self

    def _check_quorum(self) -> None:
        for chain, levels in self.quorum.items():
            if chain not in self.chains:
                raise ValueError(f"quorum.{chain}: no rule has this chain, there are {', '.join(self.chains)}")
            highest = len(self.ladder(chain))
            for level in levels:
                if not 1 <= level <= highest:
                    raise ValueError(f"quorum.{chain}.{level}: the chain has levels 1 to {highest}")

    def quorum_of(self, chain: str, level: int) -> Quorum:
        """How many are asked to decide a level of a chain, and how many must approve it."""
        return self.quorum.get(chain, {}).get(level, "one")

    @property
    def chains(self) -> tuple[str, ...]:
        """The chains, in the order their rules are written."""
        return tuple(dict.fromkeys(rule.chain for rule in self.rules))

    def ladder(self, chain: str) -> tuple[str, ...]:
        """The roles of a chain from level 1 upwards.

        Raises:
            ValueError: a level is missing, or two rules name different roles for one level.
        """
        roles: dict[int, str] = {}
        for rule in self.rules:
            if rule.chain == chain and roles.setdefault(rule.level, rule.role) != rule.role:
                raise ValueError(
                    f"rules: level {rule.level} of chain {chain!r} has two roles, {roles[rule.level]} and {rule.role} "
                    f"(rule {rule.id}): give it one"
                )
        if sorted(roles) != list(range(1, len(roles) + 1)):
            missing = next(level for level in range(1, max(roles) + 1) if level not in roles)
            above = min((rule for rule in self.rules if rule.chain == chain and rule.level > missing), key=_level)
            raise ValueError(
                f"rules: chain {chain!r} needs a rule for every level from 1 to {max(roles)}: rule {above.id} skips "
                f"level {missing}, add a rule for it or lower the levels"
            )
        return tuple(roles[level] for level in sorted(roles))


class CreditLimits(Record):
    """When credit is refused, beside the limit itself. Amounts in the customer's currency; None: not tested."""

    threshold_pct: Number | None = Field(None, gt=0, le=100, description="Share of the limit that may be used")
    overdue_days: int | None = Field(
        None, ge=0, le=3650, description="Refuse when the oldest open invoice is later than this"
    )
    overdue_amount: Number | None = Field(None, ge=0, description="Refuse above this overdue amount, if also …")
    overdue_amount_threshold_pct: Percent | None = Field(
        None, description="… exposure is above this share of the limit"
    )
    single_order: Number | None = Field(None, gt=0, description="Refuse a single order above this")

    def over(self, base: CreditLimits) -> CreditLimits:
        """These limits where set, and elsewhere those of ``base``."""
        return base.model_copy(update=self.model_dump(exclude_none=True))


class ReleaseDefaults(Record):
    """What a release of a hold covers unless the credit manager says otherwise."""

    valid_days: int = Field(ge=1, le=90)
    deviation_pct: Percent


class RaisedTerms(StrEnum):
    """Terms of a quote that may be better than the customer's own."""

    PAYMENT_TERMS = "payment_terms"
    CASH_DISCOUNT = "cash_discount"


class CreditPolicy(Record):
    """The credit rule's numbers (lifecycle 4.2): default, then customer group, then customer; the narrower wins."""

    version: str = Field(min_length=1)
    default: CreditLimits
    groups: dict[str, CreditLimits] = Field(default_factory=dict, description="By Finance customer group")
    customers: dict[Company, dict[str, CreditLimits]] = Field(default_factory=dict, description="By company, account")
    blocking_statuses: tuple[str, ...] = Field(description="OnHoldStatus symbols of CustomersV3 that stop an order")
    without_credit_management: tuple[Company, ...] = Field(
        (), description="Companies that do not run credit management: 0.00 means unlimited there. OData does not tell"
    )
    limit_grace_days: int = Field(ge=0, le=3650, description="Days an expired limit still counts")
    freshness_seconds: int = Field(gt=0, le=300, description="Facts older than this decide nothing")
    tax_rate_pct: dict[Company, Percent] = Field(
        description="Tax to assume on an open order whose totals Finance has not calculated yet"
    )
    release: ReleaseDefaults
    raised_terms: tuple[RaisedTerms, ...] = Field((), description="Terms better than the customer's that hold an order")
    recheck_confirmed: bool = Field(True, description="Credit of a confirmed order is looked at until it is shipped")

    @model_validator(mode="after")
    def _default_complete(self) -> CreditPolicy:
        if self.default.threshold_pct is None:
            raise ValueError("default.threshold_pct: say how much of the limit may be used, e.g. 100")
        return self


class CreditTerms(Record):
    """What the policy says of one customer's credit, small enough to travel with a question to the ledger."""

    policy_version: str
    limits: CreditLimits
    blocking_statuses: tuple[str, ...]
    limit_grace_days: int
    freshness_seconds: int
    timezone: str = Field(description="Of the company: on which day a limit expires")
    raised: tuple[CreditReason, ...] = Field(
        (), max_length=2, description="In what an order's terms are better than the customer's own, where that counts"
    )


class AuthorityPolicy(Record):
    """Who holds which role in which company, in the order they are asked."""

    version: str = Field(min_length=1)
    people: dict[str, Person]
    companies: dict[Company, dict[str, tuple[str, ...]]] = Field(description="Company → role → keys of people")

    @model_validator(mode="after")
    def _known(self) -> AuthorityPolicy:
        for company, roles in self.companies.items():
            for role, keys in roles.items():
                unknown = [key for key in keys if key not in self.people]
                if unknown:
                    raise ValueError(f"companies.{company}.{role}: not under people: {', '.join(unknown)}")
                if len(set(keys)) != len(keys):
                    raise ValueError(f"companies.{company}.{role}: names a person twice")
        oids = [person.oid.lower() for person in self.people.values()]
        if len(set(oids)) != len(oids):
            raise ValueError("people: two people have the same oid; give each their own Entra object id")
        return self

    def holders(self, company: str, role: str) -> tuple[Person, ...]:
        """Holders of a role in a company, in the order they are asked; empty where there is none."""
        return tuple(self.people[key] for key in self.companies.get(company, {}).get(role, ()))


class WorkingCalendar(Record):
    """Working time of a company, as the file says it: rules for any year, no list of dates that ends."""

    timezone: Timezone = Field(description="IANA name")
    workdays: tuple[Weekday, ...] = Field(min_length=1, description="0 = Monday")
    opens: ClockTime = Field(description="HH:MM local")
    closes: ClockTime = Field(description="HH:MM local")
    country: Country = Field("", description="ISO 3166-1, two letters: whose public holidays are free; empty: nobody's")
    subdivision: str = Field("", description="State, province or canton with holidays of its own, e.g. BY; or empty")
    closed: tuple[Day, ...] = Field((), description="Days off besides")
    open: tuple[Day, ...] = Field((), description="Public holidays on which the company works")

    @model_validator(mode="after")
    def _fits(self) -> WorkingCalendar:
        if not self.opens < self.closes:
            raise ValueError("opens: must be before closes")
        if self.subdivision and not self.country:
            raise ValueError("subdivision: name its country as well")
        return self


class PublishedCalendars(Record):
    """Working time per company, as the file holds it."""

    version: str = Field(min_length=1)
    companies: dict[Company, WorkingCalendar]


class TolerancePolicy(Record):
    """How far the two systems may differ, and how far a shipment may exceed its order line."""

    version: str = Field(min_length=1)
    money: DocumentTolerance = DocumentTolerance()
    over_delivery_pct: dict[Company, Percent] = Field(default_factory=dict, description="Absent: none allowed")


class Policy(Record):
    """All policies of an installation at one version."""

    version: str = Field(
        description="Newest version of its files and the start of its hash, e.g. 2026-11-01#3+0f3c9a7b"
    )
    hash: str = Field(description="SHA-256 (hex) of the whole content")
    discount: DiscountPolicy
    credit: CreditPolicy
    authority: AuthorityPolicy
    calendars: PublishedCalendars
    entity_map: EntityMap
    tolerances: TolerancePolicy
    rights: RightsPolicy
    customers: CustomerPolicy
    deposits: DepositPolicy

    def calendar(self, company: str) -> WorkingCalendar:
        """Working time of a company.

        Raises:
            PolicyError: the company has no calendar.
        """
        calendar = self.calendars.companies.get(company)
        if calendar is None:
            raise PolicyError(f"calendars.yaml: company {company!r} has no calendar; add it under companies")
        return calendar

    def granted(self, person: Person, action: Action, company: str) -> Granted:
        """What the table of rights says of a person, with the roles of their token, an action and a company."""
        roles = self.authority.companies.get(company, {})
        named = [role for role in roles if any(person.is_same(p) for p in self.authority.holders(company, role))]
        return self.rights.granted(person, action, company, named=named, policy_version=self.version)

    def approvers(self, company: str) -> tuple[Person, ...]:
        """Who is named for a role of a company that decides approvals, each once."""
        deciding = {right.role for right in self.rights.rights if Action.DECIDE_APPROVAL in right.may}
        roles = (role for role in self.authority.companies.get(company, {}) if role in deciding)
        found = (person for role in roles for person in self.authority.holders(company, role))
        return tuple({person.oid.lower(): person for person in found}.values())

    def credit_terms(self, company: str, account: str, group: str = "") -> CreditTerms:
        """What the policy says of one customer's credit.

        Raises:
            PolicyError: the company has no calendar.
        """
        credit = self.credit
        limits = credit.groups.get(group, CreditLimits()).over(credit.default)
        limits = credit.customers.get(company, {}).get(account, CreditLimits()).over(limits)
        return CreditTerms(
            policy_version=self.version,
            limits=limits,
            blocking_statuses=credit.blocking_statuses,
            limit_grace_days=credit.limit_grace_days,
            freshness_seconds=credit.freshness_seconds,
            timezone=self.calendar(company).timezone,
        )


def assemble(
    discount: DiscountPolicy,
    credit: CreditPolicy,
    authority: AuthorityPolicy,
    calendars: PublishedCalendars,
    entity_map: EntityMap,
    tolerances: TolerancePolicy,
    rights: RightsPolicy,
    customers: CustomerPolicy,
    deposits: DepositPolicy,
) -> Policy:
    """One policy of its files, with version and hash, checked across them.

    Raises:
        PolicyError: the files do not fit each other.
    """
    files = (discount, credit, authority, calendars, entity_map, tolerances, rights, customers, deposits)
    found = misfits(discount, credit, authority, calendars, entity_map, rights)
    if found:
        raise PolicyError("\n".join(f"{file}: {text}" for file, text in found))
    digest = hashlib.sha256("\n".join(file.model_dump_json() for file in files).encode()).hexdigest()
    return Policy(
        version=f"{max(file.version for file in files)}+{digest[:8]}",
        hash=digest,
        discount=discount,
        credit=credit,
        authority=authority,
        calendars=calendars,
        entity_map=entity_map,
        tolerances=tolerances,
        rights=rights,
        customers=customers,
        deposits=deposits,
    )


def misfits(
    discount: DiscountPolicy,
    credit: CreditPolicy,
    authority: AuthorityPolicy,
    calendars: PublishedCalendars,
    entity_map: EntityMap,
    rights: RightsPolicy,
) -> list[tuple[str, str]]:
    """Where files do not fit each other: the name of the file to change, and what to change. Empty: they fit."""
    companies = set(entity_map.business_units.values())
    found = [
        (file, f"{field}: add {', '.join(sorted(companies - have))}, which entity_map.yaml maps a business unit to")
        for file, field, have in (
            ("calendars.yaml", "companies", set(calendars.companies)),
            ("approvers.yaml", "companies", set(authority.companies)),
            ("credit.yaml", "tax_rate_pct", set(credit.tax_rate_pct)),
            ("entity_map.yaml", "order_numbers", set(entity_map.order_numbers)),
        )
        if companies - have
    ]
    deciding = {right.role for right in rights.rights if Action.DECIDE_APPROVAL in right.may and right.of == "any"}
    undecided = {rule.role: rule.id for rule in reversed(discount.rules) if rule.role not in deciding}
    return found + [
        ("rights.yaml", f"rights: give {role} approval.decide, which rule {rule} of discount.yaml asks")
        for role, rule in undecided.items()
    ]
