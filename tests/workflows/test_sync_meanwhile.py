"""Somebody edits a record between the moment in which the sync writes it and the one in which it reads it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities import sync_apply
from dynamics.synced import SyncWriter
from tests.workflows.compare_world import LIMIT, map_with
from tests.workflows.contacts import contact, id_of, person
from tests.workflows.sync_fixtures import MakeWorld, customers, world_of

__all__ = ["world_of"]

PHONE = "+1 425 555 0199"


@pytest.fixture(autouse=True)
def again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_apply, "AGAIN", timedelta(seconds=0.2))


def after_the_first(monkeypatch: pytest.MonkeyPatch, write: str, then: Callable[[], Awaitable[object]]) -> None:
    """Have somebody do something as soon as the sync has written for the first time."""
    plain = getattr(SyncWriter, write)
    done: list[str] = []

    async def written(self: SyncWriter, *args: Any) -> None:
        await plain(self, *args)
        if not done:
            done.append(write)
            await then()

    monkeypatch.setattr(SyncWriter, write, written)


async def test_an_edit_in_finance_while_finance_is_written_reaches_sales(
    world_of: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: what was read back was taken for what both sides agreed on, and the edit for an old difference."""
    rows, ids = customers(1)
    (one,) = ids
    async with world_of(rows, map_with(tmp_path / "policies", credit_limit=LIMIT)) as world:
        assert (await world.start()).letters == {}
        after_the_first(monkeypatch, "to_finance", lambda: world.in_finance(one, CreditLimit=2500))
        world.in_sales(ids[one], "rita", telephone1=PHONE)
        await world.until(lambda _: world.account(ids[one])["creditlimit"] == 2500)
        view = await world.rounds()
        assert (world.customer(one)["PrimaryContactPhone"], view.letters, view.figures.undone) == (PHONE, {}, 0)


async def test_an_edit_in_sales_while_sales_is_written_reaches_finance(
    world_of: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, ids = customers(1)
    (one,) = ids
    async with world_of(rows, map_with(tmp_path / "policies", credit_limit=LIMIT)) as world:
        assert (await world.start()).letters == {}

        async def rita_edits() -> None:
            world.in_sales(ids[one], "rita", telephone1=PHONE)

        after_the_first(monkeypatch, "to_sales", rita_edits)
        await world.in_finance(one, CreditLimit=2500)
        await world.until(lambda _: world.customer(one)["PrimaryContactPhone"] == PHONE)
        view = await world.rounds()
        assert (world.account(ids[one])["creditlimit"], view.letters, view.figures.undone) == (2500, {}, 0)


async def test_an_edit_in_finance_while_a_contact_is_linked_is_changed_back(
    world_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: nothing waited for another look, since it is the row without a key that had waited."""
    rows, ids = customers(1)
    (one,) = ids
    async with world_of(rows) as world:
        world.entity, world.sweep_seconds = "contact", 1
        party = world.customer(one)["PartyNumber"]
        known = {"dataAreaId": "usmf", "AssociatedPartyNumber": party, "FirstName": "Lee", "LastName": "Known"}
        world.sandbox.finance.create("ContactPersons", known | {"EmploymentProfession": "Buyer"})
        assert (await world.start()).letters == {}

        async def somebody_edits() -> None:
            there = ("usmf", person(world, "Known")["ContactPersonId"])
            world.sandbox.finance.update("ContactPersons", there, {"EmploymentProfession": "Chief"})

        after_the_first(monkeypatch, "to_finance", somebody_edits)
        linked = contact(world, ids[one], "Known", jobtitle="Buyer")
        await world.until(lambda _: bool(id_of(world, linked)))
        await world.until(lambda _: person(world, "Known")["PrimaryPhoneNumber"] == "+1 206 555 0123")
        await world.until(lambda _: person(world, "Known")["EmploymentProfession"] == "Buyer")
        assert (await world.rounds()).letters == {}
