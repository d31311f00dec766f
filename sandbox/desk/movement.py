"""Whether anything of a customer still moves: the credit manager releases a hold only when nothing does.

A deal moves as long as somebody other than the credit manager is going to do something about it by its plan: rep,
approver, customer, warehouse or accounts receivable. A deal that waits forever (goods that never ship) does not move.
"""

from __future__ import annotations

from typing import Any

from sandbox.desk.autopilot import Autopilot
from sandbox.desk.back_office import BackOffice
from sandbox.desk.rep import Rep


class Movement:
    """Looks at a customer's deals in both systems, with the plans of those who act on them."""

    def __init__(self, rep: Rep, office: BackOffice, autopilot: Autopilot) -> None:
        self._rep = rep
        self._office = office
        self._autopilot = autopilot

    def of(self, company: str, customer: str, held: frozenset[str]) -> str | None:
        """What moves, in words; None when nothing does.

        Args:
            company: legal entity, lower case.
            customer: account number.
            held: quote numbers that wait for the credit manager; these do not move.
        """
        for quote in self._rep.quotes_of(company, customer):
            number = quote["quotenumber"]
            if number in held:
                continue
            if moving := self._before_order(quote) or self._after_acceptance(company, quote):
                return f"{number}: {moving}"
        return None

    def _before_order(self, quote: dict[str, Any]) -> str | None:
        plan = self._autopilot.plan(quote["quotenumber"])
        state, approval = quote["state"], quote["approval"]
        if state == "active" and plan.accept != "never":
            return "waits for the customer"
        if state != "draft":
            return None
        if approval in ("requested", "pending"):
            return None if plan.decision(1) == "leave" else "waits for approval"
        if approval == "approved" and plan.activate:
            return "waits for the rep"
        if approval == "rejected" and plan.after_rejection == "resubmit":
            return "is being changed"
        if approval == "none" and self._autopilot.will_submit(quote["quotenumber"]):
            return "is about to be submitted"
        return None

    def _after_acceptance(self, company: str, quote: dict[str, Any]) -> str | None:
        if quote["state"] != "won":
            return None
        order = self._rep.finance_order_of(quote["quoteid"])
        if order is None:
            return "is being ordered"
        plan, progress = self._autopilot.plan(quote["quotenumber"]), self._office.progress(company, order)
        if progress.canceled:
            return None
        if not progress.confirmed:
            return "is being confirmed"
        if progress.to_invoice and plan.invoice:
            return "is being invoiced"
        if progress.to_ship and progress.slips < len(plan.shipments):
            return "is being shipped"
        for invoice, open_amount in progress.invoices.items():
            if open_amount > 0 and self._autopilot.will_pay(company, invoice, plan):
                return "is being paid"
        return None
