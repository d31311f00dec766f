"""Customers that Finance does not know: S38 and S39, driven from outside through the whole product."""

from __future__ import annotations

import uuid

from tests.stack import Deal, Json, Stack, line

PLACE = {"street": "1 Quay", "city": "Salem", "postal_code": "01970", "country": "United States"}
PATIENCE = 90.0


def unsynced(stack: Stack, name: str, **more: str) -> Deal:
    """A submitted quote of an account that is in Sales alone."""
    handle = f"H-{uuid.uuid4().hex[:8]}"
    body = {"company": "usmf", "account": handle, "name": name, "only_in": "sales"}
    stack.desk.post("/customers", body | PLACE | more)
    deal = stack.deal(line("P100", 1), customer=handle)
    deal.rep("submit")
    return deal


def approved(deal: Deal) -> Json:
    return deal.until(lambda case: case["quote_status"] == "approved", "approved", PATIENCE)


def named(stack: Stack, name: str) -> list[Json]:
    return [row for row in stack.desk.get("/customers", company="usmf") if row["name"].startswith(name)]


def test_s38_a_missing_customer_is_created_once_on_approval_and_the_same_quote_goes_on(
    stack: Stack,
) -> None:
    name = f"Larkspur {uuid.uuid4().hex[:8]}"
    deal = unsynced(stack, f"{name} Inc.")

    case = deal.waits_for("customer_setup", PATIENCE)

    assert [problem["code"] for problem in case["problems"]] == ["CUSTOMER_UNMAPPED"]
    assert case["unknown_customer"]["proposal"]["city"] == "Salem"
    deal.until(lambda _: deal.sales()["approval"] == "pending", "shown as pending in Sales", PATIENCE)
    for person, code in (("rita", "NO_AUTHORITY"), ("mona", "NO_AUTHORITY")):
        assert stack.person(person).command(deal, "create_customer").code == code
    lost = {
        "system": "finance",
        "method": "POST",
        "path": "CustomersV3",
        "effect": {"drop": "after"},
        "probability": 1.0,
        "times": 1,
    }
    stack.desk.put("/faults", [lost])
    try:
        assert stack.person("amy").command(deal, "create_customer", payment_terms="Net 10").accepted
        case = approved(deal)
    finally:
        stack.desk.delete("/faults")

    (customer,) = named(stack, name)
    assert customer["account"] == case["customer_account"] and customer["payment_terms"] == "Net 10"
    assert case["unknown_customer"] is None and case["problems"] == []
    stack.desk.put(f"/customers/usmf/{customer['account']}", {"credit_limit": "100000.00"})
    deal.rep("activate")
    deal.rep("accept")
    ordered = deal.waits_for("shipment", PATIENCE)
    assert deal.order()["header"]["OrderingCustomerAccountNumber"] == customer["account"] and ordered["order_number"]
    events = [entry["event"] for entry in ordered["timeline"] if entry["accepted"]]
    assert [e for e in events if e.startswith("Customer")] == ["CustomerApproved", "CustomerCreated", "CustomerMapped"]
    assert len(named(stack, name)) == 1


def test_s39_a_twin_is_stopped_with_score_and_both_sides_and_nothing_is_merged(stack: Stack) -> None:
    amy = stack.person("amy")
    twin = stack.deal(line("P100", 1), customer="TWIN")
    twin.rep("submit")

    case = twin.waits_for("customer_setup", PATIENCE)

    assert [problem["code"] for problem in case["problems"]] == ["DUPLICATE_CUSTOMER"]
    (candidate,) = case["unknown_customer"]["candidates"]
    assert (candidate["account"], candidate["score"], candidate["held_by"]) == ("US-9950", 100, "Contoso Ltd")
    assert {reason["kind"] for reason in candidate["reasons"]} >= {"same_name", "same_tax_number"}
    assert candidate["standing"]["open_receivables"] == "1200.00" and candidate["standing"]["open_orders"] == 1
    assert case["unknown_customer"]["standing"]["open_orders"] == 0
    assert amy.command(twin, "create_customer").code == "DUPLICATE_CUSTOMER"
    assert amy.command(twin, "choose_customer", account="US-9950").code == "CUSTOMER_TAKEN"
    assert len(named(stack, "Contoso Ltd")) == 1 and not named(stack, "CONTOSO LIMITED")

    name, account = f"Fabrikam {uuid.uuid4().hex[:8]}", f"F-{uuid.uuid4().hex[:8]}"
    stack.desk.post("/customers", {"company": "usmf", "account": account, "name": f"{name} Ltd", "only_in": "finance"})
    same = unsynced(stack, f"{name.upper()} LIMITED")
    same.waits_for("customer_setup", PATIENCE)
    assert amy.command(same, "choose_customer", account=account).accepted
    assert approved(same)["customer_account"] == account
    assert len(named(stack, name)) == 1
