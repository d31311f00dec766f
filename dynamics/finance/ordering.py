"""Orders in Finance: found by our key, made once, and completed by what they lack.

A small order is made whole in one change set, together with the look whether it is there. A large one is made in steps
of `LINES_PER_CHANGE_SET` lines, each in a change set of its own: its header with the first lines, then the rest. A step
that was cut off is repeated by difference, because what is there is read before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dynamics.core.batch import BatchItem, ChangeSet, Read, chunks
from dynamics.core.errors import Conflict, NotFound, System
from dynamics.core.literals import key, query
from dynamics.core.odata import BatchAnswer
from dynamics.finance import queries
from dynamics.finance.orders import (
    REFERENCE_LENGTH,
    RaisedBy,
    compare,
    header_write,
    line_raise,
    line_writes,
    reference_of,
)
from dynamics.finance.queries import same_text
from dynamics.finance.records import FinanceOrder, NewOrder, NewOrderLine, OrderHeader, OrderLine, SalesStatus

if TYPE_CHECKING:
    from dynamics.core.connection import Connection, Listing

LINES_PER_CHANGE_SET = 150
"""Lines written together: few enough that X++ answers within a request's patience and holds no long transaction."""

MOST_REFERRING = 5
"""Orders that are read of those that name one reference."""

Progress = Callable[[int], None]
"""Told how many lines are written so far."""


def _unheard(lines: int) -> None:
    """Nobody asked to be told."""


class Ordering:
    """Finds and makes orders through a connection to Finance."""

    def __init__(self, finance: Connection, *, manual_numbers: frozenset[str]) -> None:
        """Nothing is sent yet.

        Args:
            finance: The connection.
            manual_numbers: Companies (lower case) whose number sequence of sales orders is manual.
        """
        self._finance = finance
        self._manual = manual_numbers

    def numbers_automatically(self, company: str) -> bool:
        """Whether Finance numbers a company's orders itself, so that our key is not their number."""
        return company not in self._manual

    def by_key(self, company: str, order_key: str) -> Listing:
        """The orders made under our key: none, or the one."""
        column = "CustomerRequisitionNumber" if self.numbers_automatically(company) else "SalesOrderNumber"
        return queries.orders_marked(company, column, order_key)

    async def find(self, company: str, order_key: str) -> FinanceOrder | None:
        """The order made under our key, with its lines; None is proof of absence at the moment of the read.

        One batch; in a company with automatic numbers one request before it, to learn the number.
        """
        if self.numbers_automatically(company):
            number = await self._number_of(company, order_key)
            return None if number is None else await self.read(company, number)
        return await self.read(company, order_key)

    async def read(self, company: str, number: str) -> FinanceOrder | None:
        """The order of a number, with its lines, in one batch; None where there is none."""
        header, lines = await self._finance.odata.batch(_order_reads(company, number))
        return None if isinstance(header.error, NotFound) else await self._as_order(header, lines)

    async def referring(self, company: str, references: Sequence[str]) -> list[FinanceOrder]:
        """Orders that are not cancelled and name one of these as the customer's reference; the first five, with lines.

        One batch, and one for each order.
        """
        asked = [
            queries.orders_marked(company, "CustomersOrderReference", each[:REFERENCE_LENGTH]) for each in references
        ]
        reading = await self._finance.read(collections={"orders": asked})
        headers = [each for each in reading.all(OrderHeader, "orders") if each.status is not SalesStatus.CANCELED]
        read = [await self.read(company, each.number) for each in headers[:MOST_REFERRING]]
        return [order for order in read if order is not None]

    async def delete_empty(self, header: OrderHeader) -> None:
        """Delete the header of an order that has no lines yet; nothing was ever posted on it."""
        path = key("SalesOrderHeadersV4", dataAreaId=header.company, SalesOrderNumber=header.number)
        await self._finance.odata.delete(query(path, cross_company="true"))

    async def raise_lines(self, company: str, lines: Sequence[tuple[OrderLine, RaisedBy]]) -> None:
        """Make lines of an order larger: all of them, or none.

        Raises:
            Conflict: a line was changed since it was read.
            Refused: X++ refused it.
            UnknownOutcome: no answer came: the lines tell.
        """
        writes = tuple(line_raise(company, line, by) for line, by in lines)
        (made,) = await self._finance.odata.batch([ChangeSet(writes)])
        made.check()

    async def stop(self, company: str, number: str, *, stop: bool) -> bool:
        """Mark an order as not to be processed ("Do not process"), or take the mark back; whether it was so before.

        The warehouse gets nothing of an order that is marked: Finance posts no picking list and no packing slip of it.

        Raises:
            NotFound: no such order.
        """
        path = queries.order(company, number)
        header = self._finance.row(OrderHeader, await self._finance.odata.get(path))
        if header.stopped is not stop:
            body = {"IsSalesProcessingStopped": "Yes" if stop else "No"}
            await self._finance.odata.patch(path, body)
        return header.stopped is stop

    async def create(
        self, wanted: NewOrder, *, in_doubt: bool = False, absent: bool = False, progress: Progress = _unheard
    ) -> FinanceOrder:
        """Make an order, once, or complete or find the one that is there.

        Manual numbers: one batch that looks for the order and makes it in one change set; where it is there already
        the change set is refused by its key and the order found is compared with the one wanted. Automatic numbers: a
        search by `CustomerRequisitionNumber` unless it was made just before, the header, then the lines.

        Args:
            wanted: The order.
            in_doubt: An earlier attempt may have succeeded: look first, and write nothing if it did. One request more.
            absent: The caller has looked for the order a moment ago, and nobody else makes it.
            progress: Told how many lines there are after every step.

        Raises:
            Conflict: an order under this key differs from the one wanted; nothing was changed.
            Refused: X++ refused the order.
            UnknownOutcome: the request left and no answer came: `find` tells.
        """
        if self.numbers_automatically(wanted.company):
            return await self._create_numbered(wanted, progress, absent=absent and not in_doubt)
        if in_doubt and (found := await self.find(wanted.company, wanted.key)) is not None:
            return await self._complete(wanted, found, progress)
        first = wanted.lines[:LINES_PER_CHANGE_SET]
        writes = (header_write(wanted, number=wanted.key), *line_writes(wanted, wanted.key, first))
        header, lines, made = await self._finance.odata.batch(
            [*_order_reads(wanted.company, wanted.key), ChangeSet(writes)]
        )
        if header.error is None:
            return await self._complete(wanted, await self._as_order(header, lines), progress)
        if not isinstance(header.error, NotFound):
            raise header.error
        order = self._made(made)
        progress(len(order.lines))
        return order if len(first) == len(wanted.lines) else await self._complete(wanted, order, progress)

    async def claim(self, wanted: NewOrder, number: str) -> FinanceOrder:
        """Take an order that people made in Finance for the one wanted: it bears our key from then on.

        It is compared as one of ours would be, marked only if nobody changed it since, and read again. Nothing else of
        it is written but a reference where it has none. Said again, it finds what was claimed.

        Raises:
            NotFound: Finance has no order of that number.
            Conflict: it is not the one wanted, or belongs to another deal; nothing was changed.
        """
        path = queries.order(wanted.company, number)
        for last in (False, True):
            row = await self._finance.odata.get(path)
            found = await self.read(wanted.company, number)
            if found is None:
                raise NotFound(f"order {number} is gone", system=System.FINANCE, operation="GET SalesOrderHeadersV4")
            _refuse_other(wanted, found)
            if same_text(found.header.requisition, wanted.key):
                return found
            if not last:
                mark = {"CustomerRequisitionNumber": wanted.key}
                if not found.header.reference:
                    mark["CustomersOrderReference"] = reference_of(wanted)
                await self._finance.odata.patch(path, mark, if_match=str(row["@odata.etag"]))
        raise Conflict(
            f"order {number} does not keep the requisition number {wanted.key}",
            system=System.FINANCE,
            code="ORDER_DIFFERS",
            operation="PATCH SalesOrderHeadersV4",
        )

    async def _as_order(self, header: BatchAnswer, lines: BatchAnswer) -> FinanceOrder:
        """An order as it was sold: without the lines by which credit notes take something of it back."""
        found = self._finance.row(OrderHeader, header.value())
        rows = await self._finance.rows_of(lines, queries.order_lines(found.company, found.number).key)
        read = (self._finance.row(OrderLine, row) for row in rows)
        return FinanceOrder(
            header=found,
            lines=tuple(
                line for line in read if queries.same_text(line.order_number, found.number) and line.quantity >= 0
            ),
            found=True,
        )

    def _made(self, answer: BatchAnswer) -> FinanceOrder:
        """The order from the rows a change set returned: header first, then lines."""
        header, *lines = answer.check()
        return FinanceOrder(
            header=self._finance.row(OrderHeader, header.value()),
            lines=tuple(self._finance.row(OrderLine, line.value()) for line in lines),
        )

    async def _number_of(self, company: str, order_key: str) -> str | None:
        rows = await self._finance.odata.all_rows(self.by_key(company, order_key).path)
        numbers = sorted({str(row["SalesOrderNumber"]) for row in rows})
        if len(numbers) > 1:
            raise Conflict(
                f"{len(numbers)} orders carry {order_key}: {', '.join(numbers)}",
                system=System.FINANCE,
                code="DUPLICATE_ORDER",
                operation="GET SalesOrderHeadersV4",
            )
        return numbers[0] if numbers else None

    async def _create_numbered(self, wanted: NewOrder, progress: Progress, *, absent: bool) -> FinanceOrder:
        """Create where Finance numbers: search, header, lines; each step can be repeated."""
        found = None if absent else await self.find(wanted.company, wanted.key)
        if found is None:
            header = header_write(wanted, number=None)
            written = await self._finance.odata.post(header.path, header.body, representation=True)
            found = FinanceOrder(header=self._finance.row(OrderHeader, written.row), lines=())
        return await self._complete(wanted, found, progress)

    async def _complete(self, wanted: NewOrder, found: FinanceOrder, progress: Progress) -> FinanceOrder:
        """Add the lines an order lacks, if nothing else is wrong with it."""
        difference = compare(wanted, found)
        if difference.conflicts:
            raise Conflict(
                f"order {found.header.number} is not the one wanted: " + "; ".join(difference.conflicts[:20]),
                system=System.FINANCE,
                code="ORDER_DIFFERS",
                operation="POST SalesOrderHeadersV4",
            )
        lines = list(found.lines)
        for chunk in chunks(difference.missing, LINES_PER_CHANGE_SET):
            lines += await self._add_lines(wanted, found.header.number, chunk)
            progress(len(lines))
        return found.model_copy(update={"lines": tuple(lines)})

    async def _add_lines(self, wanted: NewOrder, number: str, lines: Sequence[NewOrderLine]) -> list[OrderLine]:
        items: list[BatchItem] = [ChangeSet(tuple(line_writes(wanted, number, lines)))]
        made = (await self._finance.odata.batch(items))[0]
        return [self._finance.row(OrderLine, part.value()) for part in made.check()]


def _refuse_other(wanted: NewOrder, found: FinanceOrder) -> None:
    """Refuse an order that people made and that is not the one wanted.

    Raises:
        Conflict: it names what differs.
    """
    difference = compare(wanted, found)
    wrong = [*difference.conflicts, *(f"line {line.line_no} ({line.item}) is missing" for line in difference.missing)]
    if found.header.status is SalesStatus.CANCELED:
        wrong.insert(0, "it is cancelled")
    if wrong:
        raise Conflict(
            f"order {found.header.number} is not the one wanted: " + "; ".join(wrong[:20]),
            system=System.FINANCE,
            code="ORDER_DIFFERS",
            operation="GET SalesOrderHeadersV4",
        )


def _order_reads(company: str, number: str) -> list[BatchItem]:
    return [Read(queries.order(company, number)), Read(queries.order_lines(company, number).path)]
