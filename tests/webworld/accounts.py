"""A stand-in for what is collected from an account: it answers what it was given, and takes what people say."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from temporalio import workflow

import policies
from domain.approvals import BusinessHours
from domain.collecting import looked, told
from domain.collection_words import said_to_account
from domain.collections import (
    Account,
    CollectionsStart,
    CollectionsView,
    CustomerAddress,
    InvoicesShown,
    OpenItem,
    OpenItems,
    ShownInvoice,
)
from domain.heard import content_digest
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from runs import names
from tests import rights

HOURS = BusinessHours(timezone="America/New_York", workdays=tuple(range(7)), opens="00:00", closes="23:59")
PLAN = policies.dunning().plan("usmf", HOURS)


@workflow.defn(name=names.COLLECTIONS)
class StandInCollections:
    @workflow.init
    def __init__(self, start: CollectionsStart) -> None:
        self.account = start.state or Account(company=start.company, account=start.account)
        self.plan, self.held = start.plan, start.held_told
        self.outcomes: dict[str, Outcome] = {}

    @workflow.run
    async def run(self, start: CollectionsStart) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=names.COMMAND)
    def command(self, message: SignedMessage) -> None:
        body = message.token.split(".")[1]
        content = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        person = Person(oid=content["sub"], name=content["name"], roles=tuple(content["roles"]))
        name, args = content["act"]["name"], content["act"]["args"]
        said = rights.said(person, name, args, at=workflow.now(), message_id=message.message_id)
        today = workflow.now().date()
        verdict = said_to_account(self.account, said, self.plan, today=today, now=workflow.now())
        self.account = verdict.after
        self.outcomes.setdefault(
            message.message_id,
            Outcome(
                message_id=message.message_id,
                accepted=verdict.code is None,
                code=verdict.code or "",
                detail=verdict.text or verdict.detail,
                digest=content_digest(person.oid, name, args),
            ),
        )

    @workflow.query(name=names.STATE)
    def state(self) -> CollectionsView:
        return CollectionsView(state=self.account, plan=self.plan, today=workflow.now().date(), held=self.held)

    @workflow.query(name=names.OUTCOME)
    def outcome(self, message_id: str) -> Outcome | None:
        return self.outcomes.get(message_id)


def overdue(account: str, *, days: int = 40, name: str = "Contoso <Inc>") -> Account:
    """An account with two invoices, one of them overdue for so many days and one level further each look."""
    now = datetime.now(UTC)
    due = now.date() - timedelta(days=days)
    rita = Person(oid="rita", name="Rita Reyes")
    shown: Any = [
        ShownInvoice(number="INV-1", due_on=due, currency="USD", total=Decimal(1045), open_amount=Decimal(1045)),
        ShownInvoice(
            number="INV-2",
            due_on=now.date() + timedelta(days=9),
            currency="USD",
            total=Decimal(50),
            open_amount=Decimal("49.50"),
        ),
    ]
    news = InvoicesShown(
        company="usmf", account=account, quote_number="Q/1 ü", owner=rita, invoices=tuple(shown), as_of=now
    )
    state = told(Account(company="usmf", account=account), news, PLAN, now - timedelta(days=days))
    customer = CustomerAddress(name=name, lines=("1 Main St", "Springfield"))
    items = tuple(
        OpenItem(invoice=i.number, currency="USD", due_on=i.due_on, total=i.total, open_amount=i.open_amount)
        for i in shown
    )
    for day in (5, 15, 30):
        if day < days:
            # In the afternoon of the company, whatever the hour now: on its calendar the days are these in any season.
            at = datetime.combine(due + timedelta(days=day), time(18), UTC)
            state = looked(state, OpenItems(as_of=at, customer=customer, items=items, plan=PLAN), at).after
    return state


def start(account: str, **how: Any) -> CollectionsStart:
    """What the stand-in begins with."""
    held = "collections hold the customer's orders: invoice INV-1 is not paid"
    return CollectionsStart(company="usmf", account=account, plan=PLAN, state=overdue(account, **how), held_told=held)
