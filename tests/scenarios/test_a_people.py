"""The people of an approval from outside: S05, S08 and S11, a question to the rep, somebody else asked, a task over."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Any

from tests.stack import Answer, Deal, Json, Person, Stack, line, texts


def two_levels(stack: Stack, name: str) -> Deal:
    """S02: Mona, then Dirk."""
    deal = stack.deal(line("P250", 100, "22"), name=name)
    deal.submitted(waits_for="approval")
    return deal


def tells(person: Person, asked: Json, what: str, **args: Any) -> Answer:
    body = {"message_id": str(uuid.uuid4()), "step": asked["step"], **args}
    return person.post(f"/approvals/{asked['company']}/{asked['quote']}/{asked['n']}/{what}", body)


def oid(stack: Stack, name: str) -> str:
    """The Entra object id of an approver, as the API lists them for an administrator."""
    listed = stack.person("ada").get("/delegations/usmf")["approvers"]
    return str(next(person["oid"] for person in listed if person["upn"].startswith(f"{name}@")))


def test_s11_the_delegate_is_asked_while_who_delegated_is_away(automatic_stack: Stack) -> None:
    stack = automatic_stack
    dirk, dina = stack.person("dirk"), stack.person("dina")
    today = date.fromisoformat(dirk.get("/delegations/usmf")["today"])
    days = {"first": str(today), "last": str(today + timedelta(days=7))}
    set_by = dirk.post("/delegations/usmf", {"to": oid(stack, "dina"), "reason": "holiday", **days})
    assert set_by.accepted, set_by
    try:
        deal = two_levels(stack, "S11")
        assert stack.person("mona").decide(deal.asks("mona"), "approve").accepted
        asked = deal.asks("dina")
        assert asked["asked_for"]["name"] == "Dirk Dorn"
        assert not dirk.inbox(deal.quote)
        assert dirk.decide(asked, "approve").code == "NOT_ASSIGNED"
        requester = deal.case()["owner"]["oid"]
        assert dina.post("/delegations/usmf", {"to": requester, **days}).code == "TO_IS_REQUESTER"
        assert dina.post("/delegations/usmf", {"to": oid(stack, "dirk"), **days}).code == "LOOP"
        assert dina.decide(asked, "approve", comment="fine").accepted
        case = deal.waits_for("rep")
        assert "approved by Mona Meyer, Dina Diaz for Dirk Dorn" in " ".join(texts(case))
        deal.until(lambda _: "Dina Diaz for Dirk Dorn" in str(deal.sales()), "in Sales")
    finally:
        assert dirk.post("/delegations/usmf/end", {}).accepted
    deal = two_levels(stack, "S11 after")
    assert stack.person("mona").decide(deal.asks("mona"), "approve").accepted
    assert deal.asks("dirk")["asked_for"] is None


def test_the_rep_is_asked_in_sales_and_answers_and_the_approver_reads_it(automatic_stack: Stack) -> None:
    stack = automatic_stack
    deal = two_levels(stack, "question")
    mona, rita = stack.person("mona"), stack.person("rita")
    asked = deal.asks("mona")
    assert tells(mona, asked, "question", question="").code == "BAD_ARGUMENT"
    assert tells(stack.person("dirk"), asked, "question", question="?").code == "NOT_ASSIGNED"
    assert tells(mona, asked, "question", question="Who else bids?").accepted
    case = deal.waits_for("rep")
    assert [(q["by"]["name"], q["question"]) for q in case["questions"]] == [("Mona Meyer", "Who else bids?")]
    deal.until(lambda _: "Mona Meyer asks: Who else bids?" in str(deal.sales()), "asked in Sales")
    assert deal.asks("mona")["deadline"] is None
    assert tells(stack.person("ravi"), asked, "answer", answer="!").code == "NOT_OWN_DEAL"
    assert tells(rita, asked, "answer", answer="Two others").accepted
    deal.waits_for("approval")
    item = deal.asks("mona")
    assert (item["questions"][0]["answer"], bool(item["deadline"])) == ("Two others", True)
    deal.until(lambda _: "Who else bids?" not in str(deal.sales()), "answered in Sales")
    assert mona.decide(item, "reject").code == "REASON_REQUIRED"
    assert mona.decide(item, "reject", comment="Too low for two others").accepted
    deal.waits_for("rep")
    deal.until(lambda _: "Too low for two others" in str(deal.sales()), "the reason in Sales")


def test_s05_s08_somebody_else_is_asked_but_never_who_made_it_nor_who_lacks_the_role(automatic_stack: Stack) -> None:
    stack = automatic_stack
    deal = two_levels(stack, "reassigned")
    otto, mona, dina = stack.person("otto"), stack.person("mona"), stack.person("dina")
    asked = deal.asks("mona")
    requester = deal.case()["owner"]["oid"]
    assert tells(otto, asked, "reassign", to=requester, reason="r").code == "TO_IS_REQUESTER"
    assert tells(otto, asked, "reassign", to=oid(stack, "leo"), reason="r").code == "NO_AUTHORITY"
    assert tells(mona, asked, "reassign", to=oid(stack, "dina"), reason="r").code == "NO_AUTHORITY"
    assert tells(otto, asked, "reassign", to=oid(stack, "dina"), reason="Mona is ill").accepted
    assert mona.decide(asked, "approve").code == "NOT_ASSIGNED"
    shown = otto.get(f"/approvals/usmf/{deal.quote}/1")
    assert shown["steps"][0]["reassignments"][0]["by"]["name"].startswith("Otto")
    assert dina.decide(deal.asks("dina"), "approve").accepted
    assert stack.person("dirk").decide(deal.asks("dirk"), "approve").accepted
    case = deal.waits_for("rep")
    assert any("Dina Diaz asked instead: Mona is ill" in text for text in texts(case))
