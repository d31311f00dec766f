"""The pages about data: who sees what of differences, who settles them; clusters decided by one person or two."""

from __future__ import annotations

import csv
import io
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from temporalio.client import Client

from domain.people import Person
from ledger import cross_reference
from ledger.data_desk import DataDesk
from ledger.database import open_database
from ledger.opening import Ledger
from ledger.reads import AuditReader
from runs.parked import ParkedDeals
from tests.webworld import data
from tests.webworld.browsing import Browser, form_of
from tests.webworld.data import GERMAN, OWING, PLAIN
from web.access import Access
from web.app import create_app
from web.config import WebConfig
from web.data import Data
from web.decisions import Decisions
from web.overview import Overviews

LIST, MATCHES = "/data/differences", "/data/matches"


@pytest.fixture
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger with differences and clusters; one without, or none, where a test asks for it."""
    holds, made = getattr(request, "param", "all"), f"sqlite:///{tmp_path}/ledger.db"
    if holds == "all":
        await data.fill(made)
    return made if holds else ""


@pytest.fixture
async def app(config: WebConfig, url: str, temporal: Client) -> AsyncIterator[Starlette]:
    """The application with a ledger."""
    ledger = SecretStr(url) if url else None
    made = create_app(config.model_copy(update={"ledger_url": ledger}), temporal)
    async with made.router.lifespan_context(made):
        yield made


async def kept(client: httpx.AsyncClient, address: str, action: str, **more: object) -> httpx.Response:
    """Send the form of a page."""
    page = await client.get(address)
    assert page.status_code == 200, page.text
    return await client.post(action, data={**form_of(page.text, action), **more})


def settling(page: str) -> list[str]:
    return re.findall(r'action="(/data/differences/[0-9a-f]{64})"', page)


async def test_differences_are_shown_by_right_filtered_and_given_as_a_file(browser: Browser) -> None:
    ines, mona = await browser("ines"), await browser("mona")
    entrance = (await ines.get("/data")).text
    assert (
        f'href="{LIST}"' in entrance and f'href="{MATCHES}"' in entrance and '<span class="count">4</span>' in entrance
    )
    page = (await ines.get(LIST)).text
    for shown in ("US-001", "50000", "45000", "+1 206 555 0100", "30 days", "all records", "10,000 of Finance"):
        assert shown in page, shown
    assert len(settling(page)) == 4
    hidden = (await mona.get(LIST)).text
    assert "50000" in hidden and "206 555" not in hidden and "personal data" in hidden
    assert len(settling(hidden)) == 3, "who does not see a value does not settle it"

    assert "US-003" not in (await ines.get(f"{LIST}?field=phone&owner=SALES&company=USMF")).text
    assert "No differences match" in (await ines.get(f"{LIST}?older=30")).text
    assert "US-002" not in (await ines.get(f"{LIST}?older=7")).text
    for address, status in ((f"{LIST}?kind=WRONG", 400), (f"{LIST}?company=demf", 403), (f"{LIST}?more=1", 400)):
        assert (await ines.get(address)).status_code == status, address
    assert (await (await browser("rita")).get(LIST)).status_code == 403
    assert "US-001" not in (await (await browser("greta")).get(LIST)).text, "another company's"

    rows = list(csv.DictReader(io.StringIO((await mona.get(f"{LIST}.csv?key=US-00")).text.lstrip("\ufeff"))))
    assert [(row["Key"], row["Field"], row["Finance"]) for row in rows[:2]] == [
        ("US-001", "credit_limit", "50000"),
        ("US-001", "phone", "(personal data)"),
    ]
    assert rows[2]["Sales"] == "'=Contoso", "no formula"


async def test_a_difference_is_settled_with_a_reason_once_and_opened_again(browser: Browser, url: str) -> None:
    ines, address = await browser("ines"), f"{LIST}?key=US-002"
    (action,) = settling((await ines.get(address)).text)
    empty = await kept(ines, address, action, reason=" ")
    assert empty.status_code == 400 and "Not recorded" in empty.text and "US-003" not in empty.text, "filters stay"
    form = form_of((await ines.get(address)).text, action) | {"reason": "the branch keeps its name"}
    for _ in range(2):
        done = await ines.post(action, data=form)
        assert (done.status_code, done.headers["location"]) == (303, f"{LIST}?key=US-002&done=1")
    assert "It is settled" in (await ines.get(done.headers["location"])).text
    late = await ines.post(action, data=form | {"message_id": str(uuid.uuid4())})
    assert late.status_code == 409 and "no longer open" in late.text
    settled = (await ines.get(f"{LIST}?state=settled")).text
    assert "the branch keeps its name" in settled and "Ines Iqbal" in settled
    carl = await browser("carl")
    own = {"csrf": form_of((await carl.get("/data")).text, "/auth/sign-out")["csrf"], "message_id": str(uuid.uuid4())}
    assert (await carl.post(action, data=form | own)).status_code == 403
    assert (await kept(ines, f"{LIST}?state=settled", action, reason="a mistake")).status_code == 303
    assert settling((await ines.get(address)).text) == [action]

    database = await open_database(url)
    rows = await AuditReader(database).newest("usmf", limit=9)
    assert [row.event for row in rows if row.event.startswith("Difference")] == [
        "DifferenceReopened",
        "DifferenceSettled",
    ]
    assert all(row.envelope_hash for row in rows if row.event.startswith("Difference"))
    await database.close()


async def test_one_person_decides_where_no_money_hangs_and_takes_it_back(browser: Browser, url: str) -> None:
    ines, address = await browser("ines"), f"{MATCHES}/{PLAIN.id}"
    listed = (await ines.get(MATCHES)).text
    assert PLAIN.id in listed and OWING.id in listed and GERMAN.id not in listed
    assert (await ines.get(f"{MATCHES}/{GERMAN.id}")).status_code == 404
    page = (await ines.get(address)).text
    for shown in ("US-020", "Fabrikam (Sales)", "name differs by one letter +20.1", "97.4", "US-020 stays"):
        assert shown in page, shown
    one, two, _ = (each.ref for each in PLAIN.customers)

    decide = f"{address}/decide"
    few = await kept(ines, address, decide, said="same", chosen=[one], why="one firm")
    assert few.status_code == 400 and "choose at least two" in few.text and "one firm" in few.text
    assert (await kept(ines, address, decide, said="perhaps")).status_code == 400
    later = await kept(ines, address, decide, said="later")
    assert later.headers["location"] == f"{address}?done=later"
    done = await kept(ines, address, decide, said="same", chosen=[one, two], why="one firm")
    assert done.headers["location"] == f"{address}?done=decided"
    shown = (await ines.get(done.headers["location"])).text
    assert "Matching no longer proposes it" in shown and "Ines Iqbal" in shown and decide not in shown

    database = await open_database(url)
    found = await cross_reference.read(database)
    assert {link.account for link in found.links} == {data.ACCOUNT.format(n) for n in (4, 5)}
    assert found.verdict(one, two) is True and found.verdict(one, PLAIN.customers[2].ref) is False
    back = f"{address}/take-back"
    assert (await kept(ines, address, back, why="")).status_code == 400
    assert (await kept(ines, address, back, why="two firms after all")).headers["location"] == f"{address}?done=back"
    assert (await cross_reference.read(database)).links == ()
    assert "two firms after all" in (await ines.get(address)).text
    await database.close()


async def test_two_persons_decide_where_money_hangs(browser: Browser, url: str) -> None:
    ines, amy, mona = [await browser(name) for name in ("ines", "amy", "mona")]
    address = f"{MATCHES}/{OWING.id}"
    decide, chosen = f"{address}/decide", [each.ref for each in OWING.customers]
    said = {"said": "same", "chosen": chosen, "why": "same tax number"}
    page = (await ines.get(address)).text
    assert "Two persons decide" in page and "12,000.00 USD" in page and "SO-2" in page
    first = await kept(ines, address, decide, **said)
    assert first.headers["location"] == f"{address}?done=proposed"
    again = await kept(ines, address, decide, **said)
    assert again.status_code == 403 and "Someone else has to approve this" in again.text
    assert "someone else has to confirm it" in (await ines.get(address)).text
    seen = (await mona.get(address)).text
    assert decide not in seen and "Your roles do not decide this" in seen
    csrf = form_of(seen, "/auth/sign-out")["csrf"]
    forced = {"csrf": csrf, "message_id": str(uuid.uuid4()), "seen": OWING.digest, **said}
    assert (await mona.post(decide, data=forced)).status_code == 403
    stale = await kept(amy, address, decide, **said, seen="another")
    assert stale.status_code == 409 and "changed after this page was shown" in stale.text
    assert (await kept(amy, address, decide, **said)).headers["location"] == f"{address}?done=decided"

    database = await open_database(url)
    links = (await cross_reference.read(database)).links
    assert {(link.number, link.by, link.second) for link in links} == {("US-010", "Ines Iqbal", "Amy Ames")}
    await database.close()
    assert "To decide" not in (await ines.get(f"{MATCHES}?status=decided")).text.split("</form>")[-1]


@pytest.mark.parametrize(
    ("url", "said"),
    [("", ["There is no ledger here"] * 3), ("nothing", ["Differences", "q2c compare customer", "q2c match run"])],
    indirect=["url"],
)
async def test_without_a_ledger_or_a_run_pages_say_what_to_do(browser: Browser, said: list[str]) -> None:
    ines = await browser("ines")
    for address, text in zip(("/data", LIST, MATCHES), said, strict=True):
        assert text in (await ines.get(address)).text, address
    assert (await ines.get(f"{MATCHES}/{PLAIN.id}")).status_code == 404


async def test_how_both_systems_stand_is_shown_in_numbers_of_what_one_may_see(
    browser: Browser, url: str, config: WebConfig, temporal: Client
) -> None:
    page = (await (await browser("ines")).get("/data")).text
    for shown in ("Finance → Sales", "10,000", "9,000", "A person says which value is right", "4 open differences"):
        assert shown in page, shown
    times = re.findall(r'data-label="(Half|95 of 100|99 of 100) within" class="num">([^<]+)<', page)
    assert times == [("Half", "4.6 s"), ("95 of 100", "58 s"), ("99 of 100", "90 min")]
    assert "order" not in re.findall(r'data-label="What">([^<]+)', page), "another company's"
    greta = (await (await browser("greta")).get("/data")).text
    assert "Nothing was compared whole yet" in greta and "Nothing is open" in greta
    assert (await (await browser("rita")).get("/data")).status_code == 403

    ledger = Ledger(url)
    desk, access = DataDesk(ledger), Access(config.policy)
    overviews = Overviews(Data(access, desk, cast(Decisions, None)), ParkedDeals(temporal))
    found = await overviews.read(Person(oid="x", name="x", roles=("ops",)))
    await ledger.close()
    assert {(each.company, each.entity, each.changes) for each in found.lags} == {
        ("demf", "order", 1),
        ("usmf", "customer", 100),
    }
    assert {(each.cause, each.letters) for each in found.letters} == {("CONFLICT", 2), ("TOO_LONG", 1)}
    assert [(each.finance_records, each.sales_records) for each in found.sides] == [(10_000, 9_000)]
    assert sum(sum(each.ages) for each in found.ages) == 4
