"""Reaches Sales and Finance of a stack as the product's application does, for what the desk has no button for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dynamics.core.auth import Credentials
from dynamics.core.literals import key
from dynamics.core.transport import Endpoint
from dynamics.sales.client import Dataverse, DataverseSettings
from dynamics.sales.deal_rows import deal_row_id
from runs import names
from tests.stack import Deal, Stack


class TokenOf:
    """Tokens of a user of Sales."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack, self._name = stack, name

    async def token(self) -> str:
        return self._stack.token_of(self._name, f"{self._stack.ready['dataverse']}/.default")

    def drop(self, token: str) -> None: ...


def reaching(stack: Stack, system: str) -> tuple[Endpoint, Credentials]:
    """Where a system of the stack is, and the product's application there."""
    ready = stack.ready
    credentials = Credentials(
        f"{ready['entra']}/{ready['tenant']}",
        ready["client_id"],
        ready["client_secret"],
        ca_file=ready["ca_file"],
        instance_discovery=False,
    )
    return Endpoint(ready[system], ca_file=ready["ca_file"]), credentials


def in_sales(stack: Stack, act: Callable[[Dataverse], Awaitable[Any]], *, user: str = "") -> Any:
    """Do something in Sales that the desk has no button for, as the product's application or as a user."""
    tokens = TokenOf(stack, user) if user else None

    async def done() -> Any:
        async with Dataverse(DataverseSettings(*reaching(stack, "dataverse")), tokens=tokens) as sales:
            return await act(sales)

    return asyncio.run(done())


def deal_row(deal: Deal) -> dict[str, Any]:
    """The row of the product's table in which Sales shows a deal."""
    row = key("q2c_deals", deal_row_id(names.deal_id(deal.company, deal.quote)))
    found: dict[str, Any] = in_sales(deal.stack, lambda sales: sales.odata.get(row))
    return found
