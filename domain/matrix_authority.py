"""Which rules of a discount matrix ask for what nobody may decide: no holder of the role, or all limits too low."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal

from pydantic import Field

from domain.matrix import Fault
from domain.money import plain
from domain.policy import AuthorityPolicy, DiscountPolicy, MatrixRule
from domain.quorum import least
from domain.record import Record
from domain.rights import Action, RightsPolicy


class Gap(Record):
    """A level that too few people may decide in a company."""

    company: str
    chain: str
    level: int
    roles: tuple[str, ...] = Field(description="Of which one would be needed")
    holders: int = Field(description="How many people hold one of them")
    needed: int = Field(description="How many would be needed")
    stated: bool = Field(description="approvers.yaml says so: the role stands there empty, or the company")

    def __str__(self) -> str:
        who = f"only {self.holders} of {self.needed} people who must approve hold" if self.holders else "nobody holds"
        return f"{self.company}: {who} {' or '.join(self.roles)}, level {self.level} of {self.chain!r}"


def gaps(
    discount: DiscountPolicy, authority: AuthorityPolicy, rights: RightsPolicy, companies: Collection[str]
) -> tuple[Gap, ...]:
    """The levels that too few people may decide, company by company."""
    deciding = _deciding(rights)
    found = []
    for company in sorted(companies):
        named = authority.companies.get(company, {})
        for chain in discount.chains:
            ladder = discount.ladder(chain)
            for level in range(1, len(ladder) + 1):
                roles = tuple(role for role in ladder[level - 1 :] if role in deciding)
                holders = len({key for role in roles for key in named.get(role, ())})
                needed = least(discount.quorum_of(chain, level))
                if holders < needed:
                    found.append(
                        Gap(
                            company=company,
                            chain=chain,
                            level=level,
                            roles=ladder[level - 1 :],
                            holders=holders,
                            needed=needed,
                            stated=not holders and (not named or ladder[level - 1] in named),
                        )
                    )
    return tuple(found)


def without_authority(
    discount: DiscountPolicy, authority: AuthorityPolicy, rights: RightsPolicy, companies: Collection[str]
) -> tuple[Fault, ...]:
    """The rules that ask for what nobody may decide, though the files do not say that this is meant.

    Args:
        discount: the rules.
        authority: who holds which role.
        rights: what the roles may do, and up to which amount.
        companies: legal entities that have quotes.
    """
    found = []
    open_gaps = [gap for gap in gaps(discount, authority, rights, companies) if not gap.stated]
    for rule in discount.rules:
        where = [
            gap
            for gap in open_gaps
            if (gap.chain, gap.level) == (rule.chain, rule.level)
            and (not rule.only.companies or gap.company in rule.only.companies)
        ]
        if where:
            ladder = " or ".join(discount.ladder(rule.chain)[rule.level - 1 :])
            nobody = ", ".join(gap.company for gap in where if not gap.holders)
            few = ", ".join(f"{gap.holders} of {gap.needed} needed in {gap.company}" for gap in where if gap.holders)
            text = " and ".join(
                filter(None, (nobody and f"nobody holds {ladder} in {nobody}", few and f"{ladder}: {few}"))
            )
            remedy = f"name a holder in approvers.yaml, or write {rule.role}: [] there to say that nobody does"
            if few:
                remedy = f"name more holders in approvers.yaml, or ask for fewer in quorum.{rule.chain}.{rule.level}"
            found.append(Fault(rule=rule.id, kind="without authority", text=text, remedy=remedy))
        found += _above_every_limit(discount, rights, rule)
    return tuple(found)


def _deciding(rights: RightsPolicy) -> dict[str, list[dict[str, Decimal] | None]]:
    """By role: the limits of each row that lets it decide; None: any amount.

    A row for own deals lets nobody decide: no one decides their own.
    """
    found: dict[str, list[dict[str, Decimal] | None]] = {}
    for right in rights.rights:
        if Action.DECIDE_APPROVAL in right.may and right.of == "any":
            found.setdefault(right.role, []).append(right.up_to)
    return found


def _above_every_limit(discount: DiscountPolicy, rights: RightsPolicy, rule: MatrixRule) -> Iterable[Fault]:
    deciding = _deciding(rights)
    roles = discount.ladder(rule.chain)[rule.level - 1 :]
    limits = [limit for role in roles for limit in deciding.get(role, [])]
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(limits) or not known:
        return
    for position, condition in enumerate(rule.when):
        if condition.op not in (">", ">=") or not isinstance(condition.than, dict):
            continue
        for currency, amount in condition.than.items():
            most = max(limit.get(currency, Decimal(0)) for limit in known)
            if amount > most or (amount == most and condition.op == ">"):
                text = f"net {condition.op} {plain(amount)} {currency}, and {' or '.join(roles)} may decide up to "
                text += f"{plain(most)} {currency} at most"
                remedy = "raise up_to of one of them in rights.yaml, or remove it"
                yield Fault(rule=rule.id, condition=position, kind="without authority", text=text, remedy=remedy)
