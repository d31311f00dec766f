"""What the client of Dynamics 365 Sales makes of a network and a service that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from dynamics.core.auth import ClientCredentials
from dynamics.core.errors import NotFound, Throttled, Transient, Unauthorized, UnknownOutcome
from dynamics.core.transport import Endpoint
from dynamics.sales.client import Dataverse, DataverseSettings
from dynamics.sales.options import (
    ApprovalChoice,
)
from tests.contract.clients_world import Clients, clients_of, credentials
from tests.contract.dataverse_world import LiveSandbox

D = Decimal
P100: dict[str, Any] = {"item": "P100", "quantity": "10", "discount_pct": "5"}


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as clients:
        yield clients


async def tokens_asked(clients: Clients) -> int:
    """How many tokens Entra ID was asked for."""
    log = await clients.play("GET", "/requests")
    return sum(1 for entry in log if entry["system"] == "entra" and entry["path"].endswith("/token"))


async def test_a_write_that_was_done_but_not_answered_is_unknown(clients: Clients) -> None:
    quote = await clients.quote(P100)
    await clients.fault("dataverse", "PATCH", "quotes", drop="after")
    with pytest.raises(UnknownOutcome):
        await clients.dataverse.set_quote_approval(quote.id, ApprovalChoice.PENDING, reason="r", deal_id="c")
    assert (await clients.dataverse.read_quote(quote.id)).approval is ApprovalChoice.PENDING


async def test_a_read_that_breaks_is_transient(clients: Clients) -> None:
    quote = await clients.quote(P100)
    await clients.fault("dataverse", "GET", "quotes", drop="before")
    with pytest.raises(Transient):
        await clients.dataverse.read_quote(quote.id)


@pytest.mark.parametrize(("status", "kind"), [(500, UnknownOutcome), (503, UnknownOutcome), (404, NotFound)])
async def test_a_failing_server_leaves_a_write_in_doubt(clients: Clients, status: int, kind: type[Exception]) -> None:
    quote = await clients.quote(P100)
    await clients.fault("dataverse", "PATCH", "quotes", status=status)
    with pytest.raises(kind):
        await clients.dataverse.set_quote_approval(quote.id, ApprovalChoice.PENDING, reason="r", deal_id="c")


async def test_a_silent_server_is_given_up(live_sandbox: LiveSandbox) -> None:
    async with clients_of(live_sandbox, read_timeout=0.3) as clients:
        quote = await clients.quote(P100)
        await clients.fault("dataverse", "GET", "quotes", delay_ms=2000)
        with pytest.raises(Transient, match="ReadTimeout"):
            await clients.dataverse.read_quote(quote.id)


async def test_after_a_429_nothing_is_sent_until_the_pause_is_over(clients: Clients) -> None:
    quote = await clients.quote(P100)
    await clients.fault("dataverse", "GET", "quotes", status=429, retry_after=30)
    with pytest.raises(Throttled) as first:
        await clients.dataverse.read_quote(quote.id)
    before = len(await clients.requests())
    with pytest.raises(Throttled) as second:
        await clients.dataverse.who_am_i()
    assert len(await clients.requests()) == before
    assert first.value.retry_after == 30.0
    assert second.value.retry_after is not None and 20 < second.value.retry_after <= 30
    assert first.value.code == "0x80072322"


async def test_a_refused_token_is_replaced_once_and_the_request_repeated(clients: Clients) -> None:
    await clients.dataverse.who_am_i()
    asked = await tokens_asked(clients)
    await clients.fault("dataverse", "GET", "WhoAmI", status=401)
    assert await clients.dataverse.who_am_i()
    assert await tokens_asked(clients) == asked + 1
    await clients.fault("dataverse", "GET", "WhoAmI", status=401, times=2)
    with pytest.raises(Unauthorized):
        await clients.dataverse.who_am_i()


async def test_a_wrong_secret_is_told_with_entra_s_code(live_sandbox: LiveSandbox) -> None:
    settings = DataverseSettings(
        Endpoint(live_sandbox.info.dataverse, ca_file=live_sandbox.info.ca_file), credentials(live_sandbox, "wrong")
    )
    async with Dataverse(settings) as dataverse:
        with pytest.raises(Unauthorized) as refusal:
            await dataverse.who_am_i()
    assert refusal.value.code == "AADSTS7000215"


async def test_many_waiters_ask_entra_for_one_token(clients: Clients, live_sandbox: LiveSandbox) -> None:
    tokens = ClientCredentials(credentials(live_sandbox), live_sandbox.info.dataverse)
    asked = await tokens_asked(clients)
    got = await asyncio.gather(*(tokens.token() for _ in range(20)))
    assert len(set(got)) == 1 and await tokens_asked(clients) == asked + 1


async def test_a_server_that_is_not_there_is_transient_even_for_a_write(live_sandbox: LiveSandbox) -> None:
    ca_file = live_sandbox.info.ca_file
    here = ClientCredentials(credentials(live_sandbox), live_sandbox.info.dataverse)
    nowhere = DataverseSettings(Endpoint("https://localhost:9", ca_file=ca_file), credentials(live_sandbox))
    async with Dataverse(nowhere, tokens=here) as dataverse:
        with pytest.raises(Transient) as failure:
            await dataverse.set_quote_approval(UUID(int=1), ApprovalChoice.PENDING, reason="", deal_id="")
    assert type(failure.value) is Transient


async def test_a_certificate_of_a_stranger_is_not_accepted(live_sandbox: LiveSandbox) -> None:
    here = ClientCredentials(credentials(live_sandbox), live_sandbox.info.dataverse)
    settings = DataverseSettings(Endpoint(live_sandbox.info.dataverse), credentials(live_sandbox))
    async with Dataverse(settings, tokens=here) as dataverse:
        with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
            await dataverse.who_am_i()


async def test_a_batch_too_large_is_refused_before_it_is_sent(clients: Clients) -> None:
    with pytest.raises(ValueError, match="1001 operations"):
        await clients.changes.now("quote", [UUID(int=n) for n in range(1001)])
