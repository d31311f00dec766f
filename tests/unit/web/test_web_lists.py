"""Lists: names and time in stage, a forgiving search, one's own deals, and files that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.approvals import ApprovalState, StepApproval, StepState, StepStatus
from tests.webworld import scenes
from tests.webworld.browsing import Browser
from tests.webworld.standins import REVIEWED
from tests.webworld.world import Stage, Tenant
from web.exports import amount_cell, csv_file
from web.pages.inbox import decisions_of


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.parametrize("text", ["=1+1", "+49 170", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    answer = csv_file("x", {"Name": lambda row: row}, [text])
    (row,) = rows(bytes(answer.body).decode())
    assert row["Name"] == f"'{text}"


def test_numbers_are_exact_and_moments_are_utc() -> None:
    at = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
    answer = csv_file(
        "x", {"Amount": lambda row: row, "At": lambda _: at, "None": lambda _: None}, [Decimal("-12.340")]
    )
    (row,) = rows(bytes(answer.body).decode())
    assert row == {"Amount": "-12.340", "At": "2026-11-23T14:00:00Z", "None": ""}


@pytest.mark.parametrize(("amount", "currency", "cell"), [("150000.00", "JPY", "150000"), ("1234.5", "USD", "1234.50")])
def test_an_amount_has_the_decimals_of_its_currency(amount: str, currency: str, cell: str) -> None:
    assert str(amount_cell(Decimal(amount), currency)) == cell


def test_a_file_that_is_full_says_so() -> None:
    assert "There are more" in bytes(csv_file("x", {"Name": str}, [], more=True).body).decode()


async def test_the_list_shows_names_owner_and_time_in_stage(browser: Browser, tenant: Tenant, stage: Stage) -> None:
    await stage.deal(scenes.deal("NAMES-1"))
    rita = await browser("rita")
    page = (await rita.get("/cases?quote=NAMES-1")).text
    for shown in ("Packaging line, second hall", "Contoso Retail San Diego", "Rita Reyes", "for less than a minute"):
        assert shown in page
    answer = await rita.get("/api/v1/cases?quote=NAMES-1", headers=tenant.bearer("rita"))
    (item,) = answer.json()["items"]
    assert (item["name"], item["customer_name"], item["owner"]) == (
        "Packaging line, second hall",
        "Contoso Retail San Diego",
        "Rita Reyes",
    )


async def test_a_heading_puts_the_list_in_order_and_the_file_as_well(
    browser: Browser, tenant: Tenant, stage: Stage
) -> None:
    for quote, amount in (("SORT-1", "500.00"), ("SORT-2", "70.00"), ("SORT-3", "6000.00")):
        await stage.deal(scenes.deal(quote, total=Decimal(amount)))
    rita = await browser("rita")

    def order(page: str) -> list[str]:
        return re.findall(r'href="/cases/usmf/(SORT-\d)"', page)

    page = (await rita.get("/cases?quote=SORT-&sort=amount")).text
    assert order(page) == ["SORT-2", "SORT-1", "SORT-3"]
    assert 'aria-sort="ascending"><a href="/cases?quote=SORT-&amp;sort=-amount">Total incl. tax</a>' in page
    page = (await rita.get("/cases?quote=SORT-&sort=-amount")).text
    assert order(page) == ["SORT-3", "SORT-1", "SORT-2"] and 'aria-sort="descending"' in page
    file = rows((await rita.get("/cases.csv?quote=SORT-&sort=-amount")).text)
    assert [row["Quote"] for row in file] == ["SORT-3", "SORT-1", "SORT-2"]
    answer = await rita.get("/api/v1/cases?quote=SORT-&sort=quote&limit=2", headers=tenant.bearer("rita"))
    assert [item["quote"] for item in answer.json()["items"]] == ["SORT-1", "SORT-2"]
    wrong = await rita.get("/api/v1/cases?sort=margin", headers=tenant.bearer("rita"))
    assert wrong.status_code == 400 and "sort" in wrong.text


async def test_a_search_finds_numbers_and_names_in_any_case_and_spelling(browser: Browser, stage: Stage) -> None:
    view = scenes.deal(
        "FIND-7",
        name="Ärgerlich naïve Mueller",
        customer_name="Müller & Söhne",
        customer_account="US-0777",
        order_number="Q2C-FIND7",
        customer_reference="PO-4711/Bérénice",
    )
    await stage.deal(view)
    rita = await browser("rita")
    for text in (
        "find-7",
        "ind-7",
        "ärgerlich",
        "argerlich",
        "mueller naive",
        "Müller",
        "us-0777",
        "q2c-find7",
        "po-4711/berenice",
    ):
        page = (await rita.get("/cases", params={"q": text})).text
        assert 'href="/cases/usmf/FIND-7"' in page, text
    assert "No deals match" in (await rita.get("/cases?q=mueller nowhere")).text


async def test_a_search_finds_nothing_of_a_company_the_reader_may_not_see(browser: Browser, stage: Stage) -> None:
    await stage.deal(scenes.deal("HIDDEN-1", name="Secret hall"))
    greta = await browser("greta")
    for address in ("/cases?q=secret", "/cases?q=HIDDEN-1", "/cases.csv?q=secret"):
        assert "HIDDEN-1</a>" not in (page := (await greta.get(address)).text) and "Secret hall" not in page


async def test_a_rep_sees_their_own_deals(browser: Browser, stage: Stage, tenant: Tenant) -> None:
    rita = scenes.RITA.model_copy(update={"oid": tenant.directory.people["rita"].oid})
    await stage.deal(scenes.deal("MINE-1", owner=rita))
    await stage.deal(scenes.deal("MINE-2", owner=scenes.OTTO))
    browsing = await browser("rita")
    page = (await browsing.get("/cases?mine=1")).text
    assert "MINE-1" in page and "MINE-2" not in page
    assert "My deals" in (inbox := (await browsing.get("/")).text) and "MINE-1" in inbox


async def test_a_file_holds_what_the_list_shows_and_no_margin_for_a_rep(browser: Browser, stage: Stage) -> None:
    await stage.deal(scenes.deal("FILE-1", name='=HYPERLINK("x")'))
    rita = await browser("rita")
    answer = await rita.get("/cases.csv?quote=FILE-1")
    assert "attachment" in answer.headers["content-disposition"]
    (row,) = rows(answer.text)
    assert (row["Quote"], row["Total incl. tax"], row["Currency"]) == ("FILE-1", "21450.00", "USD")
    assert row["Name"] == '\'=HYPERLINK("x")'
    assert not any(secret in answer.text.lower() for secret in ("margin", "floor", "cost"))


async def test_a_file_of_the_inbox_holds_a_margin_only_for_who_may_see_it(browser: Browser, stage: Stage) -> None:
    REVIEWED["FILE-2"] = ()
    await stage.approval(scenes.request("FILE-2"))
    mona = rows((await (await browser("mona")).get("/inbox.csv")).text)
    (row,) = [row for row in mona if row["Quote"] == "FILE-2"]
    assert row["Net"] == "19500.00" and row["Reasons"] == "Discount 22 % is above the 10 % a rep may give alone"


async def test_holds_are_sorted_by_the_amount_at_risk(browser: Browser, stage: Stage) -> None:
    for quote, total in (("RISK-1", "10.00"), ("RISK-2", "99999999.00")):
        held = scenes.held(quote)
        await stage.deal(held.model_copy(update={"total": Decimal(total)}))
    page = (await (await browser("carl")).get("/")).text
    assert page.index("RISK-2") < page.index("RISK-1")
    assert "Largest amount at risk first" in page


def test_an_approval_on_the_way_and_one_before_a_rejection_are_decisions_too() -> None:
    request = scenes.request()
    first, second = request.plan.steps
    early = StepApproval(person=scenes.MONA, at=scenes.T0, comment="fine")
    halfway = StepState(plan=first, status=StepStatus.PENDING, approvals=(early,))
    rejected = StepState(
        plan=second,
        status=StepStatus.REJECTED,
        approvals=(early,),
        decided_by=scenes.DIRK,
        decided_at=scenes.T0,
        comment="no",
    )
    state = ApprovalState(request=request, steps=(halfway, rejected))
    found = {
        person.name: [(said.decision, said.word.comment) for said in decisions_of([state], person)]
        for person in (scenes.MONA, scenes.DIRK, scenes.CARL)
    }
    assert found == {
        scenes.MONA.name: [("approved", "fine"), ("approved", "fine")],
        scenes.DIRK.name: [("rejected", "no")],
        scenes.CARL.name: [],
    }
