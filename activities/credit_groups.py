"""The credit that a customer shares with others, as its deals ask with it (lifecycle 4.2: group, then customer)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from activities.failures import refused
from activities.finance_view import open_order
from activities.signatures import FailureType
from domain.credit_facts import CreditFacts, OpenOrder
from domain.credit_groups import GROUPS, GroupCredit, Member
from domain.exchange import NoRate
from domain.money import Money, arithmetic
from domain.policy import Policy
from dynamics.finance.client import Finance
from dynamics.finance.credit_groups import GroupRead, MemberRead, group_of
from dynamics.finance.records import CreditRead, ProcessingStatus


async def shared_credit(
    finance: Finance, read: CreditRead, credit: CreditFacts, policy: Policy, today: date
) -> GroupCredit | None:
    """What the customer's group owes and has on order; None where the customer shares no limit.

    Without credit management Finance knows no groups' limits either.
    """
    if read.member is None or not read.member.group or credit.excluded or not credit.credit_management:
        return None
    found = await group_of(finance, read.member, read.read_at, today, read.exchange.rate_type)
    if found is None:
        return None
    try:
        return group_credit(found, credit, policy)
    except NoRate as missing:
        raise refused(FailureType.REFUSED, str(missing)) from missing


def group_credit(read: GroupRead, credit: CreditFacts, policy: Policy) -> GroupCredit | None:
    """What a deal asks its customer's group with, in the group's currency; None where the customer has just left it.

    Raises:
        NoRate: Finance has no rate between a member's currency and the group's.
    """
    currency = read.group.currency or credit.currency
    owed, orders, rate = Decimal(0), [], None
    with arithmetic():
        for member in read.members:
            home = Money(amount=Decimal(1), currency=member.exchange.accounting_currency)
            worth = member.exchange.convert(home, currency).amount
            if member.company == credit.company and member.account.casefold() == credit.customer_account.casefold():
                rate = worth
            owed += sum((t.amount_company for t in member.open_transactions), Decimal(0)) * worth
            orders += _orders(member, worth, policy)
    if rate is None:
        return None
    return GroupCredit(
        facts=CreditFacts(
            company=GROUPS,
            customer_account=read.group.group,
            currency=currency,
            as_of=read.read_at,
            credit_limit=read.group.limit,
            unlimited=False,
            credit_management=True,
            limit_expires_on=read.group.expires_on,
            open_ar=owed,
            open_orders=tuple(orders),
            group=read.group.group,
        ),
        rate=rate,
        members=tuple(Member(company=member.company, account=member.account) for member in read.members),
    )


def _orders(member: MemberRead, worth: Decimal, policy: Policy) -> list[OpenOrder]:
    tax = policy.credit.tax_rate_pct.get(member.company, Decimal(0))
    counted = [order for order in member.open_orders if order.processing is not ProcessingStatus.ACTIVE]
    found = [open_order(order, member.exchange, tax) for order in counted]
    return [order.model_copy(update={"amount": order.amount * worth}) for order in found]
