"""What Sales is told of an order: its number before all else, what is large in steps, nothing that is gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from dynamics.core.auth import Credentials
from dynamics.core.batch import BatchItem, ChangeSet, Read
from dynamics.core.errors import Conflict, DynamicsError, NotFound, Refused, System, Transient
from dynamics.core.odata import BatchAnswer, Part, Row
from dynamics.core.transport import Endpoint
from dynamics.finance import ordering
from dynamics.sales import mirror
from dynamics.sales.client import Dataverse, DataverseSettings
from dynamics.sales.deal_rows import DealOf, Standing, deal_row, deal_row_id
from dynamics.sales.mirror import (
    INVALID_STATE,
    NUMBER_TAKEN,
    OPPORTUNITY_ALREADY_CLOSED,
    READ_ONLY,
    SalesMirror,
    Shipped,
    WrittenOrder,
)
from dynamics.sales.options import CreditChoice

D = Decimal
ORDER, QUOTE, OPPORTUNITY = uuid4(), uuid4(), uuid4()
DEAL = DealOf("q2c/usmf/QUO-1", datetime(2026, 11, 26, tzinfo=UTC), "https://approvals.example/cases/usmf/QUO-1")


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


def paths(items: Sequence[BatchItem]) -> list[list[str]]:
    """What each change set of a batch writes to."""
    return [[write.path.split("(")[0] for write in item.writes] for item in items if isinstance(item, ChangeSet)]


GONE = NotFound("salesorder does not exist", system=System.DATAVERSE, operation="GET")
DONE = BatchAnswer((), None)


def order(state: int = 1, number: str = "SO-1") -> BatchAnswer:
    return row(
        {
            "salesorderid": str(ORDER),
            "ordernumber": "SO-1",
            "name": "",
            "statecode": state,
            "statuscode": 3,
            "_quoteid_value": str(QUOTE),
            "q2c_financeordernumber": number,
            "owningbusinessunit": {"name": "USMF"},
        }
    )


def lines(count: int) -> BatchAnswer:
    return row(
        {
            "value": [
                {
                    "salesorderdetailid": str(UUID(int=n)),
                    "lineitemnumber": n,
                    "_quotedetailid_value": str(UUID(int=1000 + n)),
                    "quantity": D(10),
                }
                for n in range(1, count + 1)
            ]
        }
    )


async def written(script: Script) -> WrittenOrder:
    return await mirror_of(script).write_order(
        ORDER,
        "SO-1",
        deal=DEAL,
        quote_id=QUOTE,
        quote_number="QUO-1",
        credit=CreditChoice.PASSED,
        opportunity_id=OPPORTUNITY,
        revenue=D(950),
    )


async def test_number_deal_and_opportunity_go_in_one_request_but_in_change_sets_of_their_own() -> None:
    script = Script([DONE, order(), lines(2), DONE, DONE])
    assert (await written(script)).notes == ()
    (items,) = script.asked
    assert paths(items) == [["salesorders"], ["q2c_deals"], ["WinOpportunity"]]


@pytest.mark.parametrize(
    ("opportunity", "notes"),
    [
        (failed(refusal("0x80040516", "another quote is open")), ["the opportunity stays open: another quote is open"]),
        (failed(refusal(OPPORTUNITY_ALREADY_CLOSED)), []),
        (failed(refusal(OPPORTUNITY_ALREADY_CLOSED.upper().replace("0X", "0x"))), []),
        (failed(GONE), ["the opportunity stays open: salesorder does not exist"]),
    ],
)
async def test_the_number_is_kept_whatever_becomes_of_the_opportunity(
    opportunity: BatchAnswer, notes: list[str]
) -> None:
    found = await written(Script([DONE, order(), lines(2), DONE, opportunity]))
    assert found.order.finance_number == "SO-1"
    assert list(found.notes) == notes


async def test_what_failed_beside_the_number_is_tried_again() -> None:
    busy = Transient("busy", system=System.DATAVERSE, operation="POST WinOpportunity")
    with pytest.raises(Transient):
        await written(Script([DONE, order(), lines(2), DONE, failed(busy)]))
    with pytest.raises(Transient):
        await written(Script([DONE, order(), lines(2), failed(busy), DONE]))


async def test_a_number_that_was_not_written_is_a_failure() -> None:
    with pytest.raises(NotFound):
        await written(Script([failed(GONE), failed(GONE), failed(GONE), DONE, DONE]))


@pytest.mark.parametrize("number", ["SO-1", "SO-1/USMF"])
async def test_a_number_written_before_is_there(number: str) -> None:
    """Given an order that an earlier attempt submitted, when the number is written again, then that changes nothing."""
    script = Script([failed(refusal(READ_ONLY)), order(number=number), lines(1), DONE, DONE])
    assert (await written(script)).order.finance_number == number
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("state", "number"),
    [(1, "SO-OTHER"), (2, ""), (3, ""), (4, "")],
    ids=["other", "cancelled", "fulfilled", "invoiced"],
)
async def test_an_order_that_is_read_only_without_our_number_is_refused(state: int, number: str) -> None:
    with pytest.raises(Refused):
        await written(Script([failed(refusal(READ_ONLY)), order(state, number), lines(1), DONE, DONE]))


async def test_an_order_submitted_by_hand_is_opened_for_its_number() -> None:
    script = Script([failed(refusal(READ_ONLY)), order(number=""), lines(1), DONE, DONE], [DONE], [order(), lines(1)])
    assert (await written(script)).order.finance_number == "SO-1"
    assert paths(script.asked[1]) == [["salesorders", "salesorders"]]


async def test_a_number_that_another_legal_entity_took_gets_this_one_s_name() -> None:
    taken = Conflict("duplicate", system=System.DATAVERSE, code=NUMBER_TAKEN, operation="PATCH salesorders")
    script = Script([failed(taken), order(0, ""), lines(1), DONE, DONE], [DONE], [order(number="SO-1/USMF"), lines(1)])
    assert (await written(script)).order.finance_number == "SO-1/USMF"
    (again,) = script.asked[1]
    assert isinstance(again, ChangeSet) and again.writes[0].body["q2c_financeordernumber"] == "SO-1/USMF"


async def test_an_order_is_remembered_until_it_turns_out_to_be_gone() -> None:
    """Given an order seen before, when Sales no longer has it, then the next attempt reads it anew."""
    script = Script([order(), lines(1)], [failed(GONE), DONE, failed(GONE)], [order(), lines(1)])
    mirror = mirror_of(script)
    await mirror.known_order(ORDER)
    await mirror.known_order(ORDER)
    assert len(script.asked) == 1
    with pytest.raises(NotFound):
        await mirror.write_shipment(ORDER, Shipped(["PS-1"], False), deal=DEAL)
    await mirror.known_order(ORDER)
    assert len(script.asked) == 3


def shipped(state: int, error: DynamicsError | None) -> Script:
    return Script([DONE if error is None else failed(error), DONE, order(state)])


async def ship(script: Script) -> None:
    await mirror_of(script).write_shipment(ORDER, Shipped(["PS-1", "PS-2"], True), deal=DEAL)


@pytest.mark.parametrize("state", [3, 4])
async def test_an_order_fulfilled_before_is_fulfilled(state: int) -> None:
    await ship(shipped(state, refusal(INVALID_STATE)))


@pytest.mark.parametrize(("state", "code"), [(2, INVALID_STATE), (3, "0x80040220")])
async def test_an_order_that_cannot_be_fulfilled_stays_refused(state: int, code: str) -> None:
    with pytest.raises(Refused):
        await ship(shipped(state, refusal(code)))


async def test_a_shipment_writes_the_order_s_state_and_the_deal_s_row_and_no_line() -> None:
    script = shipped(3, None)
    await ship(script)
    (items,) = script.asked
    assert paths(items) == [["FulfillSalesOrder"], ["q2c_deals"]]
    assert isinstance(items[0], ChangeSet)
    assert items[0].writes[0].body["OrderClose"]["subject"] == "Shipped: PS-1, PS-2"


async def test_lines_are_asked_for_as_a_collection_of_their_own() -> None:
    script = Script([order(), lines(1)])
    await mirror_of(script).read_order(ORDER)
    paths = [item.path for item in script.asked[0] if isinstance(item, Read)]
    assert len(paths) == 2 and paths[1].startswith("salesorderdetails?") and "salesorderdetails" not in paths[0]


def test_a_deal_s_row_holds_no_slash_in_its_address_and_says_only_what_changed() -> None:
    write = deal_row(DEAL, Standing(waiting_for=""))
    assert write.path == f"q2c_deals({deal_row_id(DEAL.deal_id)})"
    assert write.body == {
        "q2c_name": DEAL.deal_id,
        "q2c_caseid": DEAL.deal_id,
        "q2c_waitingfor": None,
        "q2c_waitingsince": None,
        "q2c_link": DEAL.link,
    }
    assert "If-Match" not in write.headers  # it creates the row where it is not there


@pytest.mark.parametrize("at_once", [mirror.LINES_PER_CHANGE_SET, ordering.LINES_PER_CHANGE_SET])
def test_lines_go_a_hundred_to_two_hundred_at_a_time(at_once: int) -> None:
    """Before: 999, which Dataverse did not recalculate within the 40 seconds it was given."""
    assert 100 <= at_once <= 200


def test_what_does_not_fit_a_column_is_cut_and_a_link_left_out() -> None:
    deal = DealOf("q2c/usmf/" + "9" * 300, DEAL.at, "https://approvals.example/" + "9" * 500)
    body = deal_row(deal, Standing(waiting_for="w" * 300)).body
    assert {name: len(value) for name, value in body.items() if name != "q2c_waitingsince"} == {
        "q2c_name": 200,
        "q2c_caseid": 200,
        "q2c_waitingfor": 200,
    }
    assert body["q2c_waitingsince"] == "2026-11-26T00:00:00Z"
