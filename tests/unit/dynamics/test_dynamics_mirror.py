"""What Sales is told of an order: its number before all else, what is large in steps, nothing that is gone."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from dynamics.core.auth import Credentials
from dynamics.core.batch import BatchItem, ChangeSet, Read
from dynamics.core.errors import DynamicsError, NotFound, Refused, System, Transient
from dynamics.core.odata import BatchAnswer, Endpoint, Part, Row
from dynamics.sales.client import Dataverse, DataverseSettings
from dynamics.sales.mirror import (
    INVALID_STATE,
    LINES_PER_CHANGE_SET,
    OPPORTUNITY_ALREADY_CLOSED,
    READ_ONLY,
    SalesMirror,
    WrittenOrder,
)
from dynamics.sales.options import CreditChoice

D = Decimal
ORDER, QUOTE, OPPORTUNITY = uuid4(), uuid4(), uuid4()


class Script:
    """Answers batches in turn, and keeps what was asked."""

    def __init__(self, *answers: list[BatchAnswer]) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[BatchItem]] = []

    async def batch(self, items: Sequence[BatchItem], **_: Any) -> list[BatchAnswer]:
        self.asked.append(items)
        return self.answers.pop(0)


class FixedToken:
    async def token(self) -> str:
        return "t"

    def drop(self, token: str) -> None: ...


def mirror_of(script: Script) -> SalesMirror:
    settings = DataverseSettings(Endpoint("https://sales.example"), Credentials("https://login.example/t", "id", "s"))
    dataverse = Dataverse(settings, tokens=FixedToken())
    dataverse.odata = script  # type: ignore[assignment]
    return dataverse.mirror


def row(body: Row) -> BatchAnswer:
    return BatchAnswer((Part(body, None),), None)


def failed(error: DynamicsError) -> BatchAnswer:
    return BatchAnswer((Part(None, error),), error)


def refusal(code: str, text: str = "no") -> Refused:
    return Refused(text, system=System.DATAVERSE, code=code, operation="POST")


GONE = NotFound("salesorder does not exist", system=System.DATAVERSE, operation="GET")
DONE = BatchAnswer((), None)


def order(state: int = 1) -> BatchAnswer:
    return row(
        {
            "salesorderid": str(ORDER),
            "ordernumber": "SO-1",
            "name": "",
            "statecode": state,
            "statuscode": 3,
            "_quoteid_value": str(QUOTE),
            "q2c_financeordernumber": "Q2C-1",
        }
    )


def lines(count: int, shipped: int = 0) -> BatchAnswer:
    return row(
        {
            "value": [
                {
                    "salesorderdetailid": str(UUID(int=n)),
                    "lineitemnumber": n,
                    "_quotedetailid_value": str(UUID(int=1000 + n)),
                    "quantity": D(10),
                    "quantityshipped": D(10) if n <= shipped else D(0),
                }
                for n in range(1, count + 1)
            ]
        }
    )


async def written(script: Script) -> WrittenOrder:
    return await mirror_of(script).write_order(
        ORDER,
        "Q2C-1",
        quote_id=QUOTE,
        quote_number="QUO-1",
        credit=CreditChoice.PASSED,
        opportunity_id=OPPORTUNITY,
        revenue=D(950),
    )


async def test_the_number_credit_and_opportunity_go_in_one_request_but_in_change_sets_of_their_own() -> None:
    script = Script([DONE, order(), lines(2), DONE, DONE])
    assert (await written(script)).notes == ()
    (items,) = script.asked
    changes = [item for item in items if isinstance(item, ChangeSet)]
    assert [[write.path.split("(")[0] for write in change.writes] for change in changes] == [
        ["salesorders"],
        ["quotes"],
        ["WinOpportunity"],
    ]


@pytest.mark.parametrize(
    ("quote", "opportunity", "notes"),
    [
        (
            DONE,
            failed(refusal("0x80040216", "another quote is open")),
            ["the opportunity stays open: another quote is open"],
        ),
        (DONE, failed(refusal(OPPORTUNITY_ALREADY_CLOSED)), []),
        (DONE, failed(refusal(OPPORTUNITY_ALREADY_CLOSED.upper().replace("0X", "0x"))), []),
        (
            failed(refusal(READ_ONLY, "the quote is won")),
            DONE,
            ["the credit status is not shown on the quote: the quote is won"],
        ),
        (failed(GONE), DONE, ["the credit status is not shown on the quote: salesorder does not exist"]),
    ],
)
async def test_the_number_is_kept_whatever_sales_refuses_beside_it(
    quote: BatchAnswer, opportunity: BatchAnswer, notes: list[str]
) -> None:
    found = await written(Script([DONE, order(), lines(2), quote, opportunity]))
    assert found.order.finance_number == "Q2C-1"
    assert list(found.notes) == notes


async def test_what_failed_beside_the_number_is_tried_again() -> None:
    busy = Transient("busy", system=System.DATAVERSE, operation="POST WinOpportunity")
    with pytest.raises(Transient):
        await written(Script([DONE, order(), lines(2), DONE, failed(busy)]))


async def test_a_number_that_was_not_written_is_a_failure() -> None:
    with pytest.raises(NotFound):
        await written(Script([failed(GONE), failed(GONE), failed(GONE), DONE, DONE]))


async def test_an_order_is_remembered_until_it_turns_out_to_be_gone() -> None:
    """Given an order seen before, when Sales no longer has it, then the next attempt reads it anew."""
    script = Script([order(), lines(1)], [failed(GONE)], [order(), lines(1)])
    mirror = mirror_of(script)
    await mirror.known_order(ORDER)
    await mirror.known_order(ORDER)
    assert len(script.asked) == 1
    with pytest.raises(NotFound):
        await mirror.write_shipment(ORDER, {UUID(int=1001): D(5)}, complete=False)
    await mirror.known_order(ORDER)
    assert len(script.asked) == 3


async def test_a_line_the_order_does_not_have_is_refused_before_anything_is_written() -> None:
    script = Script([order(), lines(1)])
    with pytest.raises(Refused, match="no line made from quote line"):
        await mirror_of(script).write_shipment(ORDER, {UUID(int=1001): D(5), UUID(int=9): D(1)}, complete=False)
    assert len(script.asked) == 1


async def test_a_large_shipment_continues_with_what_differs_and_tells_how_far_it_is() -> None:
    """Given 400 lines of which 200 are written already, then the other 200 go in two steps and none twice."""
    count, there = 400, 200
    script = Script([order(), lines(count, shipped=there)], [DONE], [DONE])
    heard: list[int] = []
    shipped = {UUID(int=1000 + n): D(10) for n in range(1, count + 1)}
    await mirror_of(script).write_shipment(ORDER, shipped, complete=True, progress=heard.append)
    steps = [items[0] for items in script.asked[1:]]
    sizes = [len(step.writes) for step in steps if isinstance(step, ChangeSet)]
    assert sizes == [LINES_PER_CHANGE_SET, count - there - LINES_PER_CHANGE_SET + 2]  # the status, FulfillSalesOrder
    assert heard == [LINES_PER_CHANGE_SET]


async def test_an_order_fulfilled_by_an_earlier_attempt_only_gets_its_lines() -> None:
    script = Script([order(), lines(1)], [failed(refusal(INVALID_STATE))], [order(state=3), lines(1)], [DONE])
    await mirror_of(script).write_shipment(ORDER, {UUID(int=1001): D(10)}, complete=True)
    (again,) = script.asked[-1]
    assert isinstance(again, ChangeSet)
    assert [write.path.split("(")[0] for write in again.writes] == ["salesorderdetails", "salesorders"]


async def test_an_order_cancelled_in_sales_stays_refused() -> None:
    script = Script([order(), lines(1)], [failed(refusal(INVALID_STATE))], [order(state=2), lines(1)])
    with pytest.raises(Refused):
        await mirror_of(script).write_shipment(ORDER, {UUID(int=1001): D(10)}, complete=True)


async def test_lines_are_asked_for_as_a_collection_of_their_own() -> None:
    script = Script([order(), lines(1)])
    await mirror_of(script).read_order(ORDER)
    paths = [item.path for item in script.asked[0] if isinstance(item, Read)]
    assert len(paths) == 2 and paths[1].startswith("salesorderdetails?") and "salesorderdetails" not in paths[0]
