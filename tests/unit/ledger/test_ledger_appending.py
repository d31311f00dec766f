"""Writers of one process that come at the same time are stored together, and none of them suffers from another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from domain.audit import AuditReceipt, AuditRecord
from ledger.audit import AuditStore
from ledger.opening import Ledger, LedgerAway
from ledger.reads import AuditReader
from tests.unit.ledger.ledger_makers import record

DEALS = 40


@contextmanager
def watched(owner: type, name: str) -> Iterator[list[int]]:
    """How many batches each call of a method that stores several of them was given."""
    whole, calls = getattr(owner, name), []

    async def noted(self: Any, batches: Sequence[Sequence[AuditRecord]]) -> Any:
        calls.append(len(batches))
        return await whole(self, batches)

    with mock.patch.object(owner, name, noted):
        yield calls


async def test_forty_deals_at_once_take_few_transactions(url: str, reader: AuditReader) -> None:
    """Before: forty transactions that waited for each other; on a busy machine some waited longer than they may."""
    ledger = Ledger(url)
    with watched(AuditStore, "append_all") as groups:
        receipts = await asyncio.gather(
            *(ledger.append([record(n), record(n, record_id=f"second-{n}")]) for n in range(1, DEALS + 1))
        )
    await ledger.close()
    assert [receipt.through for receipt in receipts] == list(range(1, DEALS + 1))
    assert all(receipt.stored == 2 for receipt in receipts)
    assert sum(groups) == DEALS
    assert len(groups) <= 2
    assert len(await reader.page("usmf", limit=500)) == 2 * DEALS
    assert (await reader.verify("usmf"))[1] is None


async def test_a_batch_that_the_database_does_not_take_keeps_nobody_else_from_being_stored(
    url: str, reader: AuditReader
) -> None:
    ledger = Ledger(url)
    await ledger.append([record(1)])
    broken = record(2).model_copy(update={"event": None})
    three, two, one = await asyncio.gather(
        ledger.append([record(3)]), ledger.append([broken]), ledger.append([record(1)]), return_exceptions=True
    )
    await ledger.close()
    assert isinstance(three, AuditReceipt)
    assert three.stored == 1
    assert isinstance(two, LedgerAway)
    assert isinstance(one, AuditReceipt)
    assert one.known == 1
    assert len(await reader.page("usmf")) == 2


async def test_who_gives_up_meanwhile_has_their_records_stored_all_the_same(url: str, reader: AuditReader) -> None:
    ledger = Ledger(url)
    impatient = asyncio.create_task(ledger.append([record(1)]))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    assert (await ledger.append([record(2)])).stored == 1
    await ledger.close()
    assert len(await reader.page("usmf")) == 2


async def test_a_database_that_is_away_is_asked_once_for_all_of_them() -> None:
    with watched(Ledger, "_append_all") as asked:
        ledger = Ledger("postgresql://nobody@127.0.0.1:1/none")
        answers = await asyncio.gather(*(ledger.append([record(n)]) for n in range(1, 6)), return_exceptions=True)
    assert all(isinstance(answer, LedgerAway) for answer in answers)
    assert asked == [len(answers)]
    with pytest.raises(LedgerAway):
        await ledger.append([record(9)])
    await ledger.close()
