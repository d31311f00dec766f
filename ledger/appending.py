"""Stores what several writers of one process hand over at the same time in one transaction.

A chain has one end, so its writers wait for each other; each holds the end for several round trips. While one
transaction is under way, those who come are collected, and the next one takes them all: however many write, nobody
waits for more than two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from domain.audit import AuditReceipt, AuditRecord

MOST_TOGETHER: Final = 1_000
"""Records of one transaction; a single batch may have more."""

Write = Callable[[Sequence[Sequence[AuditRecord]]], Awaitable[Sequence[AuditReceipt]]]
"""Stores batches together, all or nothing; the receipt of each."""


@dataclass(frozen=True)
class _Waiting:
    records: Sequence[AuditRecord]
    receipt: asyncio.Future[AuditReceipt]


class Appending:
    """The way of all writers of a process to the store."""

    def __init__(self, write: Write, *, concerns_all: Callable[[BaseException], bool]) -> None:
        """Write by ``write``.

        Args:
            write: stores batches together.
            concerns_all: whether an error of it says nothing about the batches, e.g. that the database is away. After
                any other one each batch is written alone: what the database takes of no one keeps nobody else waiting.
        """
        self._write = write
        self._concerns_all = concerns_all
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, records: Sequence[AuditRecord]) -> AuditReceipt:
        """Store records for good. Who gives up meanwhile does not stop them from being stored.

        Raises:
            Exception: what ``write`` raised for them; nothing of a company is stored by half.
        """
        mine = _Waiting(records, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_waiting(), name="store audit records")
        return await mine.receipt

    async def finish(self) -> None:
        """Wait until nothing is on its way any more."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write_waiting(self) -> None:
        while self._waiting:
            together = self._taken()
            error = await self._written(together)
            if error is None:
                continue
            if len(together) > 1 and not self._concerns_all(error):
                for one in together:
                    if (own := await self._written([one])) is not None:
                        _refuse([one], own)
            else:
                _refuse(together, error)

    def _taken(self) -> list[_Waiting]:
        """Who came first, as many as go together."""
        taken: list[_Waiting] = []
        room = MOST_TOGETHER
        while self._waiting and (not taken or len(self._waiting[0].records) <= room):
            taken.append(self._waiting.pop(0))
            room -= len(taken[-1].records)
        return taken

    async def _written(self, together: Sequence[_Waiting]) -> BaseException | None:
        """Write, and give everybody their receipt; or why nothing was written."""
        (outcome,) = await asyncio.gather(self._write([one.records for one in together]), return_exceptions=True)
        if isinstance(outcome, BaseException):
            return outcome
        for one, receipt in zip(together, outcome, strict=True):
            if not one.receipt.done():
                one.receipt.set_result(receipt)
        return None


def _refuse(waiting: Sequence[_Waiting], error: BaseException) -> None:
    for one in waiting:
        if not one.receipt.done():
            one.receipt.set_exception(error)
