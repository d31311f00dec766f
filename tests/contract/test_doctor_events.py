"""What `q2c doctor` says of Finance's business events: active, not active, or not to be seen."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cli import event_checks
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox

COMPANIES = ("demf", "usmf")


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as opened:
        yield opened
        await opened.play("PUT", "/finance/events", {"custom": True, "inactive": []})


async def test_all_that_are_followed_are_active(clients: Clients) -> None:
    found = await event_checks.active(clients.finance, COMPANIES)
    assert (found.status, found.text) == ("ok", "active in demf, usmf")


async def test_without_the_extension_it_is_said_what_the_sweep_finds(clients: Clients) -> None:
    await clients.play("PUT", "/finance/events", {"custom": False})
    found = await event_checks.active(clients.finance, COMPANIES)
    assert found.status == "ok"
    assert "but for Q2CPackingSlipPostedBusinessEvent in demf, usmf;" in found.text


async def test_finances_own_event_must_be_active(clients: Clients) -> None:
    await clients.play("PUT", "/finance/events", {"inactive": ["SalesInvoicePostedBusinessEvent"]})
    found = await event_checks.active(clients.finance, COMPANIES)
    assert (found.status, found.text) == ("failed", "Not active: SalesInvoicePostedBusinessEvent in demf, usmf.")
    assert "step 5" in found.remedy


async def test_a_company_nobody_activated_them_for_is_named(clients: Clients) -> None:
    found = await event_checks.active(clients.finance, ("usmf", "zzmf"))
    assert found.status == "failed"
    assert "SalesInvoicePostedBusinessEvent in zzmf" in found.text


async def test_an_environment_that_does_not_tell_is_not_checked(clients: Clients) -> None:
    for status in (404, 403):
        await clients.fault("finance", "GET", "BusinessEventsConfigurations", status=status)
        found = await event_checks.active(clients.finance, COMPANIES)
        assert found.status == "not checked"
        assert "Finance does not tell which are active" in found.text
        assert "Active events for demf, usmf: SalesInvoicePostedBusinessEvent" in found.text


async def test_rows_that_name_events_in_another_way_are_not_read_as_missing(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def active() -> dict[str, frozenset[str]]:
        return {"5637144576": frozenset({"usmf"})}

    monkeypatch.setattr(clients.finance, "active_events", active)
    found = await event_checks.active(clients.finance, COMPANIES)
    assert (found.status, found.text.split(".")[0]) == (
        "not checked",
        "Finance does not name the active ones by their class",
    )
