"""What must hold of a deal at rest (lifecycle 10): looked up in the sandbox's own tables, not in what the product says.

Finance's and Sales' tables are read in this process, past every interface that the product knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from domain.credit import CreditBook, EntryStatus
from domain.refusals import Refusal
from domain.views import DealView, Ending, TimelineEntry, WaitingFor
from runs import names
from sandbox.store import Row
from tests.sealing import SEALING
from tests.workflows.life_steps import CREDIT_LIMIT, FOUND_BY_SWEEPS, ORDERED, Life
from tests.workflows.life_world import COMPANY, eventually
from workers.composition import WORKFLOWS
from workers.worker import workflow_runner

CENT = Decimal("0.01")
BILLS = ("invoice", "credit note")
PRICES = {"P100": Decimal(100), "P250": Decimal(250)}
DISCOUNT = Decimal("0.05")
MOST_TURNS = 12
"""Turns in which every deal can be brought to its end."""


class Tables:
    """The order of a deal, as the sandbox's tables hold it."""

    def __init__(self, life: Life) -> None:
        """Read everything at once."""
        self._books = life.world.sandbox.finance.books
        self._life = life
        here = {"dataAreaId": COMPANY}
        self.orders = [row for row in self._books.find("SalesOrders", **here) if life.quote in _references(row)]
        self.lines = {
            row["LineCreationSequenceNumber"]: row
            for row in self._books.find("SalesOrderLines", SalesOrderNumber=life.order, **here)
        }
        returns = self._books.find("ReturnOrderHeadersV2", _SalesOrderNumber=life.order, **here)
        numbers = [life.order, *(row["ReturnOrderNumber"] for row in returns)]
        self.returned = -sum(
            (
                slip["Qty"]
                for number in numbers[1:]
                for slip in self._books.find("CustPackingSlipTransBiEntities", SalesId=number, **here)
            ),
            Decimal(0),
        )
        billed = [row for number in numbers for row in self._books.find("SalesInvoiceV4Lines", _SalesId=number, **here)]
        self.billed = sum((row["InvoicedQuantity"] for row in billed), Decimal(0))
        self.bills = {number: self._bill(number) for number in dict.fromkeys(row["InvoiceNumber"] for row in billed)}
        self.money = self._books.find("CustTransactions", AccountNum=life.customer, **here)

    def _bill(self, number: str) -> tuple[Decimal, Decimal]:
        (row,) = self._books.find("SalesInvoiceHeadersV4", InvoiceNumber=number, dataAreaId=COMPANY)
        total: Decimal = row["TotalInvoiceAmount"]
        return total, self._life.world.sandbox.desk.office.open_amount(COMPANY, number)

    @property
    def ledger(self) -> dict[int, tuple[Decimal, Decimal, Decimal]]:
        """Ordered, cancelled and shipped by line."""
        return {
            number: (row["OrderedSalesQuantity"], row["_cancelled"], row["_delivered"])
            for number, row in self.lines.items()
        }

    @property
    def in_sales(self) -> list[str]:
        """States of the deal's orders in Sales."""
        return [order["state"] for order in self._life.world.sandbox.desk.rep.quote(self._life.quote)["orders"]]

    @property
    def copies(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Total and open amount of each invoice that Sales shows."""
        shown = self._life.world.sandbox.desk.rep.quote(self._life.quote)["orders"]
        return {i["finance_invoice"]: (i["total"], i["open"]) for order in shown for i in order["invoices"]}


def _references(order: Row) -> tuple[str, str]:
    return order.get("CustomersOrderReference", ""), order.get("CustomerRequisitionNumber", "")


def disagreements(life: Life, view: DealView, found: Tables) -> Iterator[str]:
    """Where the deal, Finance and Sales do not agree (E2)."""
    over = view.ending is not Ending.RUNNING and life.ended_before
    if found.copies != found.bills:
        yield f"Sales shows {found.copies}, Finance has {found.bills}"
    if over:
        return  # it shows what was so when it ended
    if view.explanation.waiting_for in (WaitingFor.FINANCE, WaitingFor.SALES) or view.parked:
        yield f"it waits: {view.explanation} {view.parked}"
    shown = {line.line_no: (line.ordered, line.cancelled, line.shipped) for line in view.lines}
    if shown != found.ledger:
        yield f"the deal shows {shown} as ordered, cancelled and shipped, Finance has {found.ledger}"
    if (returned := sum((line.returned for line in view.lines), Decimal(0))) != found.returned:
        yield f"the deal shows {returned} returned, Finance has {found.returned}"
    billed = sum((line.invoiced - line.credited for line in view.lines), Decimal(0))
    if billed != found.billed:
        yield f"the deal shows {billed} billed, Finance has {found.billed}"
    shows = {d.number: (d.amount, d.open_amount) for d in view.documents if d.kind in BILLS}
    if shows != found.bills:
        yield f"the deal shows {shows}, Finance has {found.bills}"
    if view.order_change and not (view.order_change.failure and view.order_change.retry_at):  # it is being tried now
        yield f"a change is under way: {view.order_change}"


def broken(view: DealView, found: Tables) -> Iterator[str]:
    """Invariants of one deal at rest that do not hold."""
    for line in view.lines:
        if not 0 <= line.shipped <= line.ordered - line.cancelled:
            yield f"I1: {line}"
        if line.invoiced > line.shipped or line.invoiced > line.ordered - line.cancelled:
            yield f"I2: {line}"
        if line.returned > line.shipped or line.credited > line.invoiced:
            yield f"I3: {line}"
    for row in found.money:
        if abs(row["SettleAmountCur"]) > abs(row["AmountCur"]):
            yield f"I4: {row}"
    if view.paid + view.unapplied + view.refunded != view.received:
        yield f"I5: {view.paid} + {view.unapplied} + {view.refunded} is not {view.received}"
    if len(found.orders) != 1:
        yield f"I6: {len(found.orders)} orders"
    amounts = (view.net, view.total, view.invoiced, view.credited, view.paid, view.open_amount, view.received)
    if any(amount != amount.quantize(CENT) for amount in amounts):
        yield f"I19: {amounts}"
    if view.currency != "USD" or {row["CurrencyCode"] for row in found.money} > {"USD"}:
        yield f"I20: {view.currency}"
    for number, row in found.lines.items():
        item, _ = ORDERED[number - 1]
        net = (PRICES[item] * row["OrderedSalesQuantity"] * (1 - DISCOUNT)).quantize(CENT)
        if (row["ItemNumber"], row["SalesPrice"], row["LineAmount"]) != (item, PRICES[item], net):
            yield f"I23: {row}"
    yield from _of_the_end(view, found)


def _of_the_end(view: DealView, found: Tables) -> Iterator[str]:
    if view.ending is Ending.CANCELLED:
        shipped = sum((row["_delivered"] for row in found.lines.values()), Decimal(0))
        if shipped or found.bills or found.orders[0]["SalesOrderStatus"] != "Canceled":
            yield f"I16: cancelled, and {shipped} shipped, {found.bills}, {found.orders[0]['SalesOrderStatus']}"
    if view.ending is Ending.CLOSED:
        kept = any(text.startswith(Refusal.UNAPPLIED_CREDIT) for text in view.exceptions)
        owes = view.open_amount > 0 or (view.open_amount < 0 and not kept)
        if owes or any(line.ordered != line.cancelled + line.shipped for line in view.lines):
            yield f"closed, and {view.open_amount} open: {view.lines}"
        if any(line.shipped - line.returned < line.invoiced - line.credited for line in view.lines):
            yield f"closed, and more billed than delivered: {view.lines}"


async def at_rest(life: Life) -> DealView:
    """Let everything arrive that is on its way, and wait until all three agree; what holds then is checked.

    Reports that are lost are found by the sweeps; what sweeps do not look for, when a day has passed.
    """
    world = life.world
    await world.start_work()
    await life.arrive(1)
    await life.settled()
    if life.lost:
        await world.sweep()
        if life.lost - FOUND_BY_SWEEPS:
            await life.a_day_passes()
        life.lost.clear()
    seen: list[Any] = []

    async def agree() -> bool:
        view = await life.view()
        seen[:] = ["the deal does not answer"] if view is None else [*disagreements(life, view, Tables(life))]
        if view is not None and not seen:
            seen[:] = [view]
            return True
        return False

    try:
        await eventually(agree, "the deal, Finance and Sales agree")
    except AssertionError as error:
        told = "\n".join(str(entry) for entry in await timeline(life))
        raise AssertionError(f"{life.quote}: {error}: {seen}\n{life.story}\n{told}") from None
    view: DealView = seen[0]
    wrong = [*broken(view, Tables(life))]
    assert not wrong, f"{life.quote}: {wrong}\n{life.story}"
    return view


async def brought_to_its_end(life: Life) -> DealView:
    """The people do what the deal waits for, until it has ended."""
    view = await at_rest(life)
    for _ in range(MOST_TURNS):
        if view.ending is not Ending.RUNNING:
            break
        for step in _what_helps(life, view):
            await life.do(step)
        view = await at_rest(life)
    assert view.ending is not Ending.RUNNING, f"{life.quote} does not end: {view}\n{life.story}"
    return view


def _what_helps(life: Life, view: DealView) -> list[str]:
    if view.order_change and view.order_change.failure:
        return ["unpick", "retry"]
    if life.returns:
        return ["credit_return"]
    match view.explanation.waiting_for:
        case WaitingFor.SHIPMENT:
            return ["ship_rest"]
        case WaitingFor.INVOICE:
            return ["invoice"]
        case WaitingFor.PAYMENT:
            return ["pay 100"]
        case WaitingFor.UNAPPLIED:
            return ["keep"]
        case _:
            return ["rest"]


async def timeline(life: Life) -> list[TimelineEntry]:
    """Everything that happened to the deal."""
    return await life.world.deals.timeline(COMPANY, life.quote)


async def written_down(life: Life) -> None:
    """I11, I12, I15 and the replay: what the deal, the ledger and the audit keep of it after its end."""
    view = await life.over()
    in_sales = Tables(life).in_sales
    if (
        life.order
        and view.ending is Ending.CANCELLED
        and not any(text.startswith(Refusal.WON_IN_SALES) for text in view.exceptions)
    ):
        assert in_sales == ["canceled"], f"E2: cancelled, and Sales shows {in_sales}\n{life.story}"
    entries = await timeline(life)
    versions = [entry.version for entry in entries if entry.accepted]
    assert versions == sorted(set(versions)), f"I12: {versions}\n{life.story}"
    assert all(entry.code for entry in entries if not entry.accepted)
    for audience, message_id in life.said:
        assert await life.become(audience, message_id) is not None, f"{audience} never heard {message_id}"

    await _audited(life, [entry.text for entry in entries])
    await _nothing_reserved(life, view)
    await _replay(life)


async def _nothing_reserved(life: Life, view: DealView) -> None:
    """I14 and I15; of an order that Finance counts itself nothing is reserved."""
    try:
        ledger = life.world.client.get_workflow_handle(names.ledger_id(COMPANY, life.customer))
        book = await ledger.query(names.STATE, result_type=CreditBook)
    except RPCError as error:
        assert error.status is RPCStatusCode.NOT_FOUND, error
        return  # nobody ever asked for credit
    reserved = [entry for entry in book.entries if entry.status is EntryStatus.RESERVED]
    assert sum((entry.amount for entry in reserved), Decimal(0)) <= CREDIT_LIMIT, f"I14: {book}"
    left = [entry for entry in reserved if entry.visible_at is None]
    assert not left, f"I15: {view.ending} {left}\n{life.story}"


async def _audited(life: Life, told: list[str]) -> None:
    kept: list[str] = []

    async def all_kept() -> bool:
        async with life.world.audit() as reader:
            rows = await reader.page(COMPANY, deal_id=life.deal_id, limit=1_000)
        kept[:] = [row.what for row in reversed(rows)]
        return not Counter(told) - Counter(kept)  # what came after the end is kept beside it

    try:
        await eventually(all_kept, "the audit holds what the timeline tells")
    except AssertionError:
        raise AssertionError(f"I11: {life.deal_id} tells\n{told}\nkept is\n{kept}\n{life.story}") from None


async def _replay(life: Life) -> None:
    """I28: every run of it takes the same way from its history."""
    client = life.world.client
    replayer = Replayer(
        workflows=list(WORKFLOWS),
        namespace=client.namespace,
        plugins=[SEALING],
        workflow_runner=workflow_runner(),
        debug_mode=True,
    )
    of_customer = (names.ledger_id, names.collections_id)
    for run in (life.deal_id, *(of(COMPANY, life.customer) for of in of_customer)):
        handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(run)
        try:
            history = await handle.fetch_history()
        except RPCError as error:
            assert error.status is RPCStatusCode.NOT_FOUND, error
            continue  # nothing was billed, or no credit asked for
        await replayer.replay_workflow(history)
