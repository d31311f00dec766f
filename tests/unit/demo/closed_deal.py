"""A deal of ten headphones that was paid and has ended, as the demo reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.credit_facts import CreditStatus
from domain.people import Person
from domain.views import DealView, Ending, Explanation, Stage, WaitingFor

T0 = datetime(2026, 11, 23, 14, tzinfo=UTC)


def deal(**changes: Any) -> DealView:
    closed = DealView(
        company="usmf",
        quote_number="Q-1",
        quote_id="7d9c",
        revision=0,
        owner=Person(oid="rita"),
        currency="USD",
        net=Decimal("950.00"),
        tax=Decimal("95.00"),
        total=Decimal("1045.00"),
        line_count=1,
        stage=Stage.CLOSED,
        ending=Ending.CLOSED,
        quote_status="ordered",
        credit_status=CreditStatus.PASSED,
        order_status="closed",
        order_number="Q2C-AAAA",
        explanation=Explanation(waiting_for=WaitingFor.NOTHING, since=T0, text="", unblock=""),
        invoiced=Decimal("1045.00"),
        paid=Decimal("1045.00"),
        started_at=T0,
        updated_at=T0,
    )
    return closed.model_copy(update=changes)
