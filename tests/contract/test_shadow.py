"""Shadow mode against the running sandbox: decides as a deal would, keeps it, and nothing leaves that could write."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment
from typer.testing import CliRunner

from activities.shadow import ShadowWork
from activities.shadow_signatures import LookInShadow
from cli.main import app
from domain import shadow
from domain.messages import SalesEvent, SalesEventKind
from domain.shadow import Decision, Difference, ShadowLook
from dynamics.core.auth import Credentials
from dynamics.core.reading import WriteRefused
from dynamics.core.transport import Endpoint
from dynamics.finance.client import Finance, FinanceSettings
from dynamics.sales.client import Dataverse, DataverseSettings
from dynamics.sales.options import ApprovalChoice
from dynamics.sales.records import Quote
from ledger import shadow as kept
from ledger.database import open_database
from ledger.opening import Ledger
from tests.contract.clients_work import POLICY, p100, p250
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox


class Shadow:
    """The looks of a worker, as the application that may only read."""

    def __init__(self, clients: Clients, folder: Path) -> None:
        info = clients.live.info
        who = Credentials(
            f"{info.entra}/{info.tenant}", info.reader_client_id, info.reader_client_secret, info.ca_file, False
        )
        self.clients = clients
        self.sales = Dataverse(DataverseSettings(Endpoint(info.dataverse, ca_file=info.ca_file), who))
        self.finance = Finance(FinanceSettings(Endpoint(info.finance, ca_file=info.ca_file), who))
        self.url = f"sqlite:///{folder}/ledger.db"
        self.ledger = Ledger(self.url)
        self.work = ShadowWork(self.sales, self.finance, POLICY, None, self.ledger)  # type: ignore[arg-type]  # none asks

    async def look(self, quote: Quote, kind: SalesEventKind, *, again: bool = False) -> str:
        """What people did, looked at; with ``again`` the order they entered is looked for."""
        ask = LookInShadow(event=event(quote, kind))
        activity = self.work.find_order_in_shadow if again else self.work.look_in_shadow
        done = await ActivityEnvironment().run(activity, ask)
        return done.order if again else done.decision

    async def looks(self) -> list[ShadowLook]:
        """All that is kept."""
        database = await open_database(self.url, read_only=True)
        found = [look async for some in kept.looks(database, "usmf", datetime.min.replace(tzinfo=UTC)) for look in some]
        await database.close()
        return found


@pytest.fixture
async def of(live_sandbox: LiveSandbox, tmp_path: Path) -> AsyncIterator[Shadow]:
    async with clients_of(live_sandbox) as clients:
        shadows = Shadow(clients, tmp_path)
        yield shadows
        await shadows.ledger.close()
        await shadows.sales.aclose()
        await shadows.finance.aclose()


def event(quote: Quote, kind: SalesEventKind) -> SalesEvent:
    return SalesEvent(
        event_id=f"dv/quote/{quote.id}/{kind}",
        kind=kind,
        company="usmf",
        quote_number=quote.number,
        quote_id=str(quote.id),
        revision=quote.revision,
        occurred_at=datetime.now(UTC),
    )


async def drafted(clients: Clients, *lines: dict[str, str]) -> Quote:
    """A draft nobody submitted."""
    body = {"company": "usmf", "customer": "US-001", "rep": "rita", "lines": list(lines)}
    made = await clients.play("POST", "/quotes", body)
    return await clients.dataverse.read_quote(made["quoteid"])


async def entered_by_hand(clients: Clients, quote: Quote, quantity: int) -> str:
    """People enter the order in Finance's own client; its number."""
    header = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": "US-001", "CurrencyCode": "USD"}
    header |= {"CustomersOrderReference": quote.number, "ArePricesIncludingSalesTax": "No"}
    order = (await clients.finance.odata.post("SalesOrderHeadersV4", header, representation=True)).row
    assert order
    number = str(order["SalesOrderNumber"])
    line = {"dataAreaId": "usmf", "SalesOrderNumber": number, "ItemNumber": "P250", "SalesUnitSymbol": "ea"}
    await clients.finance.odata.post(
        "SalesOrderLinesV3", line | {"OrderedSalesQuantity": quantity, "SalesPrice": 250, "LineDiscountAmount": 55}
    )
    return number


async def test_what_would_have_been_decided_stands_beside_what_people_did(of: Shadow, tmp_path: Path) -> None:
    clients = of.clients
    quote, wrong = await drafted(clients, p250("100", discount_pct="22")), await drafted(clients, p100("1.5"))
    for each in (quote, wrong):
        await clients.act(each.number, "activate")
    before = await clients.requests()

    assert await of.look(quote, SalesEventKind.ACTIVATED) == Decision.ASKED
    assert await of.look(wrong, SalesEventKind.ACTIVATED) == Decision.RETURNED
    assert await of.look(wrong, SalesEventKind.LOST) == Decision.NOTHING
    asked = [request for request in await clients.requests() if request not in before]
    verbs = {part.partition(" ")[0] for request in asked for part in request["operations"]}
    alone = {request["method"] for request in asked if not request["path"].endswith("/$batch")}
    assert asked and verbs | alone == {"GET"}, "nothing but reads"

    await clients.act(quote.number, "accept")
    assert await of.look(quote, SalesEventKind.ACCEPTED) == Decision.ASKED
    assert await of.look(quote, SalesEventKind.ACCEPTED, again=True) == "", "nobody has entered it yet"
    number = await entered_by_hand(clients, quote, 99)
    assert await of.look(quote, SalesEventKind.ACCEPTED, again=True) == number
    assert await of.look(quote, SalesEventKind.ACCEPTED) == Decision.ASKED, "told twice, the order stays"

    looks = await of.looks()
    assert [(look.quote, look.moment) for look in looks] == [
        (quote.number, "activated"),
        (wrong.number, "activated"),
        (wrong.number, "lost"),
        (quote.number, "accepted"),
    ]
    won = looks[-1]
    assert (won.discount_pct, won.net, won.currency, won.credit) == (Decimal(22), Decimal("19500.00"), "USD", "passed")
    assert "Dirk Dorn" in won.reasons[1] and "22 % > 20 %" in won.reasons[1]
    assert won.would_write[1].startswith("Finance: sales order of US-001, 1 lines, net 19500.00 USD")
    reported = {each.quote: each for each in shadow.report(looks, datetime.now(UTC))}
    assert reported[quote.number].differences == (Difference.NOT_ASKED, Difference.ORDER_DIFFERS)
    assert reported[quote.number].details == ("P250: quantity 99, quoted 100",)
    assert reported[wrong.number].differences == (Difference.NOT_RETURNED,)
    assert "BAD_QTY" in reported[wrong.number].decided.reasons[0]

    ours = {"Q2C_LEDGER_URL": of.url}
    runner = CliRunner()
    shown = await asyncio.to_thread(
        runner.invoke, app, ["shadow", "report", "--csv", str(tmp_path / "s.csv")], env=ours
    )
    assert shown.exit_code == 1 and "2 quotes: 1 NOT_ASKED, 1 NOT_RETURNED, 1 ORDER_DIFFERS" in shown.stdout
    rows = {row["quote"]: row for row in csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text(encoding="utf-8")))}
    assert rows[quote.number]["order"] == number and rows[wrong.number]["people"].count("lost") == 1
    removed = await asyncio.to_thread(runner.invoke, app, ["shadow", "forget", "--company", "usmf"], env=ours)
    assert "4 looks" in removed.stdout and await of.looks() == []


async def test_a_write_planted_behind_a_shadow_never_leaves(of: Shadow) -> None:
    quote = await drafted(of.clients, p100())
    with pytest.raises(WriteRefused):
        await of.finance.odata.post("SalesOrderHeadersV4", {"dataAreaId": "usmf"})
    with pytest.raises(WriteRefused):
        await of.sales.set_quote_approval(quote.id, ApprovalChoice.APPROVED, reason="", deal_id="")


def test_no_order_is_told_only_after_a_week() -> None:
    at = datetime(2026, 11, 2, tzinfo=UTC)
    look = ShadowLook(
        company="usmf",
        quote="Q",
        revision=0,
        moment=shadow.Moment.ACCEPTED,
        at=at,
        looked_at=at,
        decision=Decision.PASSED,
        held=True,
    )
    assert shadow.report([look], at)[0].differences == (Difference.NOT_HELD,)
    late = shadow.report([look], at + timedelta(days=shadow.ORDER_EXPECTED_DAYS))
    assert late[0].differences == (Difference.NOT_HELD, Difference.NO_ORDER)
