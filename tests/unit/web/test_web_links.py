"""Links of messages: they ask for a sign-in, come back, put a decision forward, and decide nothing."""

from __future__ import annotations

import uuid

import httpx
import pytest

from domain.approvals import ApprovalState
from runs import names
from tests.webworld import scenes
from tests.webworld.browsing import Browser, at_entra, form_of
from tests.webworld.standins import REVIEWED
from tests.webworld.world import Stage, Tenant


async def asked(stage: Stage) -> tuple[str, str]:
    quote = f"Q-{uuid.uuid4().hex[:8]}"
    REVIEWED[quote] = ()
    await stage.approval(scenes.request(quote))
    return quote, f"/approvals/usmf/{quote}/1"


async def test_a_link_asks_for_a_sign_in_and_comes_back_with_its_decision(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    _, path = await asked(stage)
    left = await http.get(f"{path}?decide=approve")
    assert left.status_code == 302 and left.headers["location"].startswith("/auth/sign-in?next=")
    back = await http.get(await at_entra(tenant, http, "mona", f"{path}?decide=approve"))
    assert (back.status_code, back.headers["location"]) == (303, f"{path}?decide=approve")


@pytest.mark.parametrize(("decide", "button"), [("approve", "Confirm: approve"), ("reject", "Confirm: reject")])
async def test_a_link_puts_a_decision_forward_and_decides_nothing(
    browser: Browser, stage: Stage, decide: str, button: str
) -> None:
    quote, path = await asked(stage)
    mona = await browser("mona")
    for _ in range(3):  # a mail scanner follows it as well
        page = (await mona.get(f"{path}?decide={decide}")).text
    assert button in page and "Nothing is decided until you confirm it here." in page
    state = await stage.client.get_workflow_handle(names.approval_id("usmf", quote, 1)).query(
        names.STATE, result_type=ApprovalState
    )
    assert state.status == "pending"
    form = form_of(page, f"{path}/decision")
    answer = await mona.post(f"{path}/decision", data=form | {"decision": decide, "comment": "too low"})
    assert answer.status_code == 303 and "said=" in answer.headers["location"]


@pytest.mark.parametrize("decide", ["", "sing", "approve&decide=sing", "<script>"])
async def test_a_link_for_anything_else_puts_nothing_forward(browser: Browser, stage: Stage, decide: str) -> None:
    _, path = await asked(stage)
    page = (await (await browser("mona")).get(f"{path}?decide={decide}")).text
    assert "Confirm:" not in page and ">Approve</button>" in page and "<script>" not in page.split("<main")[-1][:50]


async def test_a_link_passed_on_shows_nobody_else_a_decision(browser: Browser, stage: Stage) -> None:
    _, path = await asked(stage)
    page = (await (await browser("dina")).get(f"{path}?decide=approve")).text
    assert "Confirm:" not in page
