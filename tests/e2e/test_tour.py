"""The guided tour at the desk, done as its page says: each step is seen to be done, and the deal closes."""

from __future__ import annotations

import re
from functools import partial

import httpx
import pytest

from tests.stack import Deal, Stack, eventually


def done(page: str) -> int:
    """How many steps the page shows as done; they are done in order."""
    states = re.findall(r'<li class="(done|now|later)"', page)
    assert len(states) == 6, page
    finished = states.count("done")
    assert states == (["done"] * finished + ["now"] + ["later"] * 6)[:6], states
    return finished


@pytest.mark.timeout(180)
def test_the_tour_leads_from_a_request_to_the_money_with_finance_down_in_between(stack: Stack) -> None:
    with httpx.Client(base_url=stack.ready["desk"], trust_env=False, follow_redirects=True) as desk:
        assert done(desk.get("/ui/tour").text) == 0
        begun = desk.post("/ui/tour/begin")
        number = begun.url.params["quote"]
        assert f"Quote {number} is submitted for approval." in begun.text
        customer = stack.desk.get(f"/quotes/{number}")["customer"]
        deal = Deal(stack, "usmf", number, customer)

        def page() -> str:
            return desk.get("/ui/tour", params={"quote": number}).text

        def press(action: str) -> str:
            answer = desk.post(f"/ui/tour/{action}", data={"quote": number})
            assert answer.status_code == 200 and 'class="note bad" role="alert"' not in answer.text, answer.text
            return answer.text

        assert done(page()) == 1
        for name in ("mona", "dirk"):
            person = stack.person(name)
            eventually(partial(person.inbox, number), f"{name} is asked")
            person.decide(person.inbox(number)[0], "approve", comment="as the tour says")
        eventually(lambda: done(page()) == 2, "two people have approved")
        assert f'href="{stack.ready["web"]}"' in page()

        assert "Something is broken on purpose" in press("accept")
        assert done(page()) == 3 and f"{stack.ready['web']}/cases/usmf/{number}" in page()
        assert deal.orders() == []
        press("repair")
        eventually(lambda: done(page()) == 4, "the order is confirmed")
        press("deliver")
        assert done(page()) == 5
        deal.waits_for("payment")
        press("pay")
        assert done(page()) == 6 and "/workflows?query=WorkflowType" in page()
        deal.ends("closed")
        assert len(deal.orders()) == 1


def test_a_tour_of_no_quote_and_a_button_that_is_none_are_told(stack: Stack) -> None:
    with httpx.Client(base_url=stack.ready["desk"], trust_env=False, follow_redirects=True) as desk:
        assert desk.get("/ui/tour", params={"quote": "Q-NONE"}).status_code == 404
        answer = desk.post("/ui/tour/fly", data={"quote": "Q-NONE", "back": "/ui/tour"})
        assert 'class="note bad" role="alert"' in answer.text
