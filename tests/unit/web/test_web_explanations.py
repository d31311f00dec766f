"""What a quote would need, before it is submitted: on a page and through the API, to who may see what of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from domain.assessing import QuotePreview, preview
from domain.assessment import Problem
from domain.quote import QuoteSnapshot
from tests.unit.domain.makers import POLICY, T0, discounted
from tests.unit.domain.test_domain_assessing import told
from tests.webworld.browsing import Browser
from tests.webworld.standins import PREVIEWED
from tests.webworld.world import Tenant
from web.addresses import Deal


def previewed(quote: str, snapshot: QuoteSnapshot | None = None, **more: Any) -> QuotePreview:
    """A quote of 100 P250 at 22 % as the rules of the sample company take it."""
    of = (snapshot or discounted("P250", 100, 22)).model_copy(update={"quote_number": quote})
    PREVIEWED[quote] = preview(of, told(), POLICY, now=T0).model_copy(update=more)
    return PREVIEWED[quote]


async def explained(http: httpx.AsyncClient, tenant: Tenant, who: str, **body: Any) -> httpx.Response:
    return await http.post("/api/v1/explain", headers=tenant.bearer(who), json=body)


async def test_the_rep_sees_who_is_asked_for_how_long_and_what_would_need_less(
    http: httpx.AsyncClient, tenant: Tenant
) -> None:
    previewed("WHAT-IF/1")
    answer = await explained(http, tenant, "rita", company="USMF", quote="WHAT-IF/1")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["people"], found["working_days"], found["state"]) == ("Mona Meyer, then Dirk Dorn", "3", "draft")
    assert [(Decimal(o["discount_pct"]), o["people"], o["working_days"]) for o in found["cheaper"]] == [
        (Decimal(10), "nobody", "0"),
        (Decimal(20), "Mona Meyer", "1"),
    ]
    assert Decimal(found["largest_discount_for_nobody"]) == 10


@pytest.mark.parametrize(("who", "sees"), [("rita", False), ("mona", True)])
async def test_no_margin_is_told_to_who_may_not_see_it(
    http: httpx.AsyncClient, tenant: Tenant, browser: Browser, who: str, sees: bool
) -> None:
    previewed("WHAT-IF/2")
    found = (await explained(http, tenant, who, company="usmf", quote="WHAT-IF/2")).json()
    assert (found["margin_pct"] is not None) == sees
    reasons = str(found["steps"]) + str(found["cheaper"])
    page = (await (await browser(who)).get(Deal("usmf", "WHAT-IF/2").explanation_path())).text
    for told_to_them in (reasons, page):
        assert ("23.08" in told_to_them) == sees
        assert "22 % is above the 20 % a sales manager may give alone" in told_to_them


async def test_the_page_says_it_in_one_sentence(browser: Browser) -> None:
    previewed("WHAT-IF/3")
    page = (await (await browser("rita")).get(Deal("usmf", "WHAT-IF/3").explanation_path())).text
    assert "As it is: Mona Meyer, then Dirk Dorn, about 3 working days" in page
    assert "At 20 % on every line, 20,000.00 USD net: <b>Mona Meyer</b>, about 1 working day<" in page
    assert "Nothing was submitted or written." in page


async def test_a_quote_with_problems_says_what_to_correct(
    http: httpx.AsyncClient, tenant: Tenant, browser: Browser
) -> None:
    problem = Problem(code="NO_PRICE", field="line 1: price", message="Finance has no sales price of item <b>X</b>.")
    previewed("WHAT-IF/4", problems=(problem,), explained=None)
    found = (await explained(http, tenant, "rita", company="usmf", quote="WHAT-IF/4")).json()
    assert (found["problems"][0]["code"], found["people"], found["steps"]) == ("NO_PRICE", "", [])
    page = (await (await browser("rita")).get(Deal("usmf", "WHAT-IF/4").explanation_path())).text
    assert "It would be returned to you" in page
    assert "item &lt;b&gt;X&lt;/b&gt;" in page


async def test_a_quote_that_needs_nobody_says_how_far_it_could_go(browser: Browser) -> None:
    previewed("WHAT-IF/5", discounted("P250", 100, 5))
    page = (await (await browser("rita")).get(Deal("usmf", "WHAT-IF/5").explanation_path())).text
    assert "As it is: nobody" in page
    assert "Up to 10 % on every line nobody is asked." in page


async def test_a_company_beyond_one_s_roles_tells_nothing(http: httpx.AsyncClient, tenant: Tenant) -> None:
    previewed("WHAT-IF/6")
    answer = await explained(http, tenant, "rita", company="demf", quote="WHAT-IF/6")
    assert (answer.status_code, answer.json()["code"]) == (403, "NO_AUTHORITY")


async def test_a_quote_that_is_not_there_is_named(http: httpx.AsyncClient, tenant: Tenant, browser: Browser) -> None:
    answer = await explained(http, tenant, "rita", company="usmf", quote="NOT/THERE")
    assert answer.status_code == 404
    assert "Sales has no quote NOT/THERE" in answer.json()["detail"]
    page = await (await browser("rita")).get(Deal("usmf", "NOT/THERE").explanation_path())
    assert "Sales has no quote NOT/THERE" in page.text


@pytest.mark.parametrize(
    "body",
    [{}, {"company": "usmf"}, {"company": "usmf", "quote": ""}, {"company": "usmf", "quote": "Q", "pct": 1}],
)
async def test_a_body_that_is_none_names_the_field(http: httpx.AsyncClient, tenant: Tenant, body: Any) -> None:
    answer = await explained(http, tenant, "rita", **body)
    assert answer.status_code == 400
    assert answer.json()["field"]
