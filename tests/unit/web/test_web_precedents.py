"""What an approver sees beside the numbers: the customer's earlier deals, other quotes, the rep's words, the next."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from domain.approvals import LineFinding
from domain.assessment import Attachment, RivalQuote
from domain.credit_facts import Ageing
from domain.views import Ending
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.standins import BESIDE, REVIEWED, Beside
from tests.webworld.world import Stage
from web.links import Dynamics


def lines() -> tuple[LineFinding, ...]:
    return (scenes.finding(1, "P250", "100", "195.00", "250.00", "150.00", product_name="Conveyor rail"),)


async def test_the_customers_last_deals_are_shown_with_discount_margin_and_outcome(
    browser: Browser, stage: Stage
) -> None:
    for n in range(6):
        await stage.deal(scenes.deal(f"BEFORE-{n}", customer_account="US-900", discount_pct=Decimal(n)))
    ended = scenes.deal("BEFORE-9", customer_account="US-900", discount_pct=Decimal("12.5"), ending=Ending.CLOSED)
    handle = await stage.deal(ended)
    await handle.signal("end", "over")
    await handle.result()
    await stage.deal(scenes.deal("BEFORE-X", customer_account="US-901"))
    REVIEWED["PREC-1"] = lines()
    await stage.approval(scenes.request("PREC-1", customer_account="US-900"))
    page = (await (await browser("mona")).get("/approvals/usmf/PREC-1/1")).text
    table = page.split("What this customer got before</h2>")[1].split("</table>")[0]
    assert table.count("<tr>") == 6, "five deals below the headings"
    assert re.search(r"BEFORE-9.*12\.5 %.*23\.08 %.*Ordered and paid", table, re.DOTALL)
    assert "BEFORE-X" not in table and "BEFORE-0" not in table and "Under way" in table


async def test_who_may_not_see_margins_sees_none_of_earlier_deals(browser: Browser, stage: Stage) -> None:
    await stage.deal(scenes.deal("BEFORE-R", customer_account="US-902"))
    REVIEWED["PREC-2"] = lines()
    await stage.approval(scenes.request("PREC-2", customer_account="US-902"))
    page = (await (await browser("rita")).get("/approvals/usmf/PREC-2/1")).text
    assert "BEFORE-R" in page and "23.08" not in page and "Margin" not in page


async def test_the_reps_words_the_products_names_and_the_other_quotes_are_shown(browser: Browser, stage: Stage) -> None:
    REVIEWED["PREC-3"] = lines()
    other = RivalQuote(quote_number="RIVAL-1", revision=0, name="B", state="draft", net=Decimal("7"), currency="JPY")
    file = Attachment(name="<plan>.pdf", size=1_234_567, subject="The halls", added_by="Rita Reyes")
    BESIDE["PREC-3"] = Beside(justification="They buy <both> halls.", rivals=(other,), attachments=(file,))
    await stage.approval(scenes.request("PREC-3"))
    page = (await (await browser("mona")).get("/approvals/usmf/PREC-3/1")).text
    assert "They buy &lt;both&gt; halls." in page
    assert "<b>Conveyor rail</b>" in page and "P250" in page
    assert re.search(r"Other quotes of the same opportunity.*RIVAL-1.*7 JPY", page, re.DOTALL)
    assert re.search(r"Files on the quote.*&lt;plan&gt;.pdf.*The halls.*Rita Reyes.*1.2 MB", page, re.DOTALL)


async def test_files_that_sales_does_not_show_are_not_said_to_be_none(browser: Browser, stage: Stage) -> None:
    REVIEWED["PREC-6"] = lines()
    BESIDE["PREC-6"] = Beside(attachments=None)
    await stage.approval(scenes.request("PREC-6"))
    page = (await (await browser("mona")).get("/approvals/usmf/PREC-6/1")).text
    assert "Sales did not show whether files hang on the quote" in page


async def test_after_a_decision_the_next_of_the_inbox_is_offered(browser: Browser, stage: Stage) -> None:
    for quote in ("PREC-4", "PREC-5"):
        REVIEWED[quote] = ()
        await stage.approval(scenes.request(quote))
    mona = await browser("mona")
    action = "/approvals/usmf/PREC-4/1/decision"
    before = (await mona.get("/approvals/usmf/PREC-4/1")).text
    assert "Next in your inbox" not in before, "decide this one first"
    done = await mona.post(action, data=form_of(before, action) | {"decision": "approve"})
    page = (await mona.get(done.headers["location"])).text
    assert "Next in your inbox" in page and 'class="button primary" href="/approvals/usmf/' in page


async def test_what_is_overdue_is_shown_with_the_credit(browser: Browser, stage: Stage) -> None:
    held = scenes.held("PREC-6")
    assert held.credit is not None
    credit = held.credit.model_copy(update={"ageing": Ageing(overdue=Decimal("1200"), oldest_days=34)})
    await stage.deal(held.model_copy(update={"credit": credit}))
    page = (await (await browser("carl")).get("/cases/usmf/PREC-6")).text
    assert "1,200.00 USD" in page and "oldest 34 days" in page


@pytest.mark.parametrize(("days", "words"), [(1, "for 1 day."), (34, "for 34 days.")])
def test_what_is_overdue_reads_as_a_sentence(days: int, words: str) -> None:
    assert Ageing(overdue=Decimal("1200"), oldest_days=days).text("USD") == f"1,200.00 USD overdue, the oldest {words}"
    assert Ageing(overdue=Decimal(0), oldest_days=0).text("USD") == ""


def test_links_lead_to_records_in_sales_and_to_lists_in_finance_and_nowhere_without_an_origin() -> None:
    there = Dynamics("https://contoso.crm.dynamics.com", "https://contoso.operations.dynamics.com")
    (quote, opportunity) = there.records(quote_id="1", opportunity_id="2")
    assert quote.address == "https://contoso.crm.dynamics.com/main.aspx?etn=quote&pagetype=entityrecord&id=1"
    assert str(opportunity.said) == "Opportunity in Sales"
    (orders,) = there.lists("usmf", order="Q2C-1")
    assert orders.address == "https://contoso.operations.dynamics.com/?cmp=USMF&mi=SalesTableListPage"
    nowhere = Dynamics("", "")
    assert nowhere.records(quote_id="1") == nowhere.lists("usmf", order="Q2C-1") == []
