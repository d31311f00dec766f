"""An order changed or cancelled on the deal's page and through the API: offered where it helps, spelt as it must be."""

from __future__ import annotations

from decimal import Decimal

import httpx

from domain.views import OrderChangeView, WaitingFor
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.world import Stage, Tenant


async def test_lines_are_reduced_and_the_order_cancelled_on_the_deals_page(browser: Browser, stage: Stage) -> None:
    handle = await stage.deal(scenes.shipping("CHANGE-1").model_copy(update={"sales_order_id": "so-1"}))
    rita = await browser("rita")
    page = (await rita.get("/cases/usmf/CHANGE-1")).text
    address = "/cases/usmf/CHANGE-1/commands"
    assert "At least 6, shipped already" in page and f'action="{address}/cancel"' not in page
    form = form_of(page, f"{address}/change_order")
    wrong = await rita.post(f"{address}/change_order", data=form | {"reason": "less <now>", "quantity_1": "some"})
    assert wrong.status_code == 400 and 'name="quantity_1" inputmode="decimal" value="some"' in wrong.text
    assert "less &lt;now&gt;</textarea>" in wrong.text, "what was typed is kept"
    nothing = await rita.post(f"{address}/change_order", data=form | {"reason": "less", "quantity_1": " "})
    assert nothing.status_code == 400
    done = await rita.post(f"{address}/change_order", data=form | {"reason": "less", "quantity_1": "8"})
    assert done.status_code == 303
    form = form_of(page, f"{address}/cancel_order") | {"message_id": "6c6b1c7e-7c57-4a55-9f1e-0a7f6a8f5b22"}
    assert (await rita.post(f"{address}/cancel_order", data=form | {"reason": "withdrew"})).status_code == 303
    assert await handle.query("received") == [
        'change_order {"lines": [{"line_no": 1, "quantity": "8"}], "reason": "less"}',
        'cancel_order {"reason": "withdrew"}',
    ]


async def test_what_is_under_way_is_shown_and_tried_again_by_operations(browser: Browser, stage: Stage) -> None:
    change = OrderChangeView(
        whole=True, text="all", by=scenes.person("rita"), asked_at=scenes.T0, failure="4 has been picked"
    )
    failing = scenes.shipping("CHANGE-2").model_copy(
        update={
            "order_status": "compensating",
            "order_change": change,
            "explanation": scenes.explanation(WaitingFor.OPERATOR, "4 has been picked", "Reverse the picking", "ops"),
        }
    )
    await stage.deal(failing)
    page = (await (await browser("otto")).get("/cases/usmf/CHANGE-2")).text
    assert "Try again now" in page and "compensating" in page.lower()
    assert "commands/cancel_order" not in page and "commands/change_order" not in page
    shipped = scenes.shipping("CHANGE-3")
    all_of_it = (shipped.lines[0].model_copy(update={"shipped": Decimal(10)}),)
    await stage.deal(shipped.model_copy(update={"lines": all_of_it, "sales_order_id": "so-3"}))
    page = (await (await browser("otto")).get("/cases/usmf/CHANGE-3")).text
    assert "commands/cancel_order" not in page and "commands/change_order" not in page


async def test_the_api_names_the_field_that_is_wrong(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    handle = await stage.deal(scenes.shipping("CHANGE-4"))
    address = "/api/v1/cases/usmf/CHANGE-4/commands/change_order"
    line = {"line_no": 1, "quantity": "8"}
    for args, field in (
        ({"reason": "less"}, "lines"),
        ({"lines": [line]}, "reason"),
        ({"reason": "less", "lines": []}, "lines"),
        ({"reason": "less", "lines": [line] * 101}, "lines"),
        ({"reason": "less", "lines": [line | {"quantity": "NaN"}]}, "lines"),
        ({"reason": "less", "lines": [line | {"quantity": "-1"}]}, "lines"),
        ({"reason": "less", "lines": [line | {"line_no": 0}]}, "lines"),
    ):
        answer = await http.post(address, json={"args": args}, headers=tenant.bearer("rita"))
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "BAD_ARGUMENT", field), args
    not_his = await http.post(
        address, json={"args": {"reason": "less", "lines": [line]}}, headers=tenant.bearer("carl")
    )
    assert (not_his.status_code, not_his.json()["code"]) == (403, "NO_AUTHORITY")
    assert await handle.query("received") == []
