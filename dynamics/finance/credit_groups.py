"""The credit limit that customers share in Finance: the group, its members, and what they owe and have on order.

A customer is in one group at most (`CustomerCreditGroupLines` is keyed by customer). An environment that does not
publish the two sets has no groups.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from pydantic import Field

from domain.credit_groups import MOST_MEMBERS
from domain.exchange import Exchange
from dynamics.core.errors import Refused
from dynamics.core.literals import key, literal, query
from dynamics.core.rows import Exact, FinanceDay, ReadRow
from dynamics.finance import queries
from dynamics.finance.client import Finance
from dynamics.finance.credit_limits import GroupLine, TemporaryLimit, limit_on
from dynamics.finance.queries import same_text
from dynamics.finance.records import OpenOrder, OpenTransaction


class CreditGroup(ReadRow):
    """CustomerCreditGroups: a limit that customers share, in a currency of its own."""

    group: str = Field(alias="CreditLimitId")
    limit: Exact = Field(Decimal(0), alias="CreditMax")
    currency: str = Field("", alias="CurrencyCode")
    expires_on: FinanceDay = Field(None, alias="ExpiryDate")


class MemberRead(NamedTuple):
    """What a customer of a group owes and has on order, in the currency of its company."""

    company: str
    account: str
    exchange: Exchange
    open_orders: tuple[OpenOrder, ...]
    open_transactions: tuple[OpenTransaction, ...]


class GroupRead(NamedTuple):
    """A group as Finance has it, read at one moment."""

    read_at: datetime
    group: CreditGroup
    members: tuple[MemberRead, ...]


async def group_of(
    finance: Finance, member: GroupLine, read_at: datetime, today: date, rate_type: str = ""
) -> GroupRead | None:
    """The group of a customer, with all who are in it; None where it is gone.

    One request for the group, and for each company of its members one, two where they have confirmed orders, and one
    more where something is in another currency than the company's.

    Args:
        finance: client of Finance.
        member: the customer's place in the group.
        read_at: UTC, before the customer was read.
        today: the day in the company's calendar, for exchange rates.
        rate_type: exchange rate type for credit; empty: the ledger's own.

    Raises:
        Refused: more customers are in the group than can be read.
    """
    if not member.group:
        return None
    same = f"CreditLimitId eq {literal(member.group)}"
    reading = await finance.read(
        {"group": query(key("CustomerCreditGroups", CreditLimitId=member.group), cross_company="true")},
        {
            "lines": [queries.listing("CustomerCreditGroupLines", same)],
            "temporary": [queries.temporary_group_limits(member.group)],
        },
    )
    group = reading.one(CreditGroup, "group")
    if group is None:
        return None
    temporary = [t for t in reading.all(TemporaryLimit, "temporary") if same_text(t.group, member.group)]
    group = group.model_copy(update={"limit": limit_on(today, group.limit, temporary)})
    lines = [line for line in reading.all(GroupLine, "lines") if same_text(line.group, member.group)]
    if len(lines) > MOST_MEMBERS:
        raise Refused(
            f"{len(lines)} customers share the limit of credit group {group.group}; at most {MOST_MEMBERS} are read",
            system=finance.system,
            operation="GET CustomerCreditGroupLines",
        )
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        homes[line.company.lower()].append(line.account)
    read = await asyncio.gather(
        *(_members(finance, home, accounts, group.currency, today, rate_type) for home, accounts in homes.items())
    )
    return GroupRead(read_at=read_at, group=group, members=tuple(found for members in read for found in members))


async def _members(
    finance: Finance, company: str, accounts: Sequence[str], currency: str, today: date, rate_type: str
) -> tuple[MemberRead, ...]:
    asked = {f"orders {account}": [queries.open_orders(company, account)] for account in accounts}
    opens = {f"opens {account}": [queries.open_transactions(company, account)] for account in accounts}
    reading = await finance.read({"ledger": queries.ledger(company)}, asked | opens)
    orders = {
        account: tuple(
            order for order in reading.all(OpenOrder, f"orders {account}") if same_text(order.invoice_account, account)
        )
        for account in accounts
    }
    orders, later = await finance.with_rests(company, orders, opens)
    owed = later or reading
    foreign = [currency, *(order.currency for own in orders.values() for order in own)]
    exchange = await finance.exchange(company, reading, today, foreign, rate_type=rate_type)
    return tuple(
        MemberRead(
            company=company,
            account=account,
            exchange=exchange,
            open_orders=orders[account],
            open_transactions=tuple(
                t for t in owed.all(OpenTransaction, f"opens {account}") if same_text(t.account, account)
            ),
        )
        for account in accounts
    )
