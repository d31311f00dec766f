"""What people may say to a customer's account: disputes, promises, rests; a verified message becomes a change.

Pure: who said it was proved before, and what the table of rights grants them was looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, StringConstraints, ValidationError

from domain.collections import (
    LONGEST_NUMBER,
    LONGEST_REASON,
    Account,
    Dispute,
    PausedBy,
    Promise,
    Rest,
    WatchedInvoice,
)
from domain.dunning import DunningPlan
from domain.messages import Number, VerifiedMessage
from domain.money import format_money, is_money
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Action, Subject, judge, weak_sign_in

DISPUTE: Final = "dispute_open"
RESOLVE: Final = "dispute_resolve"
PROMISE: Final = "promise_to_pay"
PAUSE: Final = "collections_pause"
RESUME: Final = "collections_resume"

RIGHTS: Final[dict[str, Action]] = {
    DISPUTE: Action.OPEN_DISPUTE,
    RESOLVE: Action.RESOLVE_DISPUTE,
    PROMISE: Action.RECORD_PROMISE,
    PAUSE: Action.PAUSE_COLLECTIONS,
    RESUME: Action.PAUSE_COLLECTIONS,
}
"""The right that each message needs."""

_Invoice = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NUMBER)]
_Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON)]


class DisputeArgs(Record):
    """That the customer contests an invoice."""

    invoice: _Invoice
    amount: Number = Field(gt=0)
    reason: _Reason


class ResolveArgs(Record):
    """How a dispute was settled; a credit note or a new invoice is posted in Finance, by whoever does that there."""

    invoice: _Invoice
    outcome: Literal["credit", "rebill", "uphold"]
    reason: _Reason


class PromiseArgs(Record):
    """That the customer will pay by a day."""

    invoice: _Invoice
    amount: Number = Field(gt=0)
    until: date
    reason: _Reason


class PauseArgs(Record):
    """That an invoice, or the whole account, rests until a day."""

    invoice: Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NUMBER)] = ""
    until: date
    reason: _Reason


class ResumeArgs(Record):
    """That a rest or a promise ends now."""

    invoice: Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NUMBER)] = ""
    reason: _Reason


class AccountVerdict(NamedTuple):
    """An account after a message, and in words what it changed; the code and the reason where it did not count."""

    after: Account
    text: str = ""
    code: Refusal | None = None
    detail: str = ""
    invoice: str = ""


class _Not(ValueError):
    """Why a message does not count."""

    def __init__(self, code: Refusal, detail: str = "") -> None:
        self.code = code
        super().__init__(detail)


class _Said(NamedTuple):
    message: VerifiedMessage
    account: Account
    plan: DunningPlan
    today: date


def said_to_account(
    account: Account, said: VerifiedMessage, plan: DunningPlan, *, today: date, now: datetime
) -> AccountVerdict:
    """What a person's message makes of an account.

    Args:
        account: as it stands.
        said: the message, its proof checked.
        plan: the rules.
        today: in the calendar of the company.
        now: UTC.
    """
    if said.refused:
        return AccountVerdict(account, code=Refusal.UNAUTHENTICATED, detail=said.refused)
    say = _WORDS.get(said.name)
    if say is None:
        return AccountVerdict(account, code=Refusal.UNKNOWN_COMMAND, detail=said.name)
    verdict = judge(said.granted, Subject())
    if verdict.code is not None:
        return AccountVerdict(account, code=verdict.code, detail=verdict.detail)
    if weak := weak_sign_in(said.granted, Subject(), sign_in=said.sign_in, said_at=said.signed_at):
        return AccountVerdict(account, code=Refusal.SIGN_IN_TOO_OLD, detail=weak)
    try:
        after, text, number = say(_Said(said, account, plan, today))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return AccountVerdict(account, code=Refusal.BAD_ARGUMENT, detail=detail)
    except _Not as error:
        return AccountVerdict(account, code=error.code, detail=str(error))
    reason = str(said.args.get("reason") or "")
    after = after.with_entry(now, said.person.named, said.name, text, reason=reason, invoice=number)
    return AccountVerdict(after, text, invoice=number)


_Change = tuple[Account, str, str]


def _disputed(told: _Said) -> _Change:
    asked = DisputeArgs.model_validate(told.message.args)
    invoice = _open(told.account, asked.invoice)
    if invoice.dispute is not None:
        raise _Not(Refusal.ALREADY_DISPUTED, f"{invoice.number}, since {invoice.dispute.on}")
    _check_amount(asked.amount, invoice)
    dispute = Dispute(amount=asked.amount, reason=asked.reason, by=told.message.person.named, on=told.today)
    text = f"{format_money(asked.amount, invoice.currency)} of {invoice.number} disputed"
    return told.account.with_invoice(invoice.model_copy(update={"dispute": dispute})), text, invoice.number


def _resolved(told: _Said) -> _Change:
    asked = ResolveArgs.model_validate(told.message.args)
    invoice = _known(told.account, asked.invoice)
    if invoice.dispute is None:
        raise _Not(Refusal.NOT_PAUSED, f"{invoice.number} is not disputed")
    new = invoice.model_copy(update={"dispute": None, "restarted_on": told.today})
    return told.account.with_invoice(new), f"Dispute of {invoice.number} settled: {asked.outcome}", invoice.number


def _promised(told: _Said) -> _Change:
    asked = PromiseArgs.model_validate(told.message.args)
    invoice = _open(told.account, asked.invoice)
    _check_amount(asked.amount, invoice)
    _check_until(asked.until, told.today, told.plan.rules.longest_promise_days)
    promise = Promise(
        amount=asked.amount,
        until=asked.until,
        reason=asked.reason,
        by=told.message.person.named,
        on=told.today,
    )
    text = f"{format_money(asked.amount, invoice.currency)} of {invoice.number} promised by {asked.until}"
    return told.account.with_invoice(invoice.model_copy(update={"promise": promise})), text, invoice.number


def _rested(told: _Said) -> _Change:
    asked = PauseArgs.model_validate(told.message.args)
    _check_until(asked.until, told.today, told.plan.rules.longest_pause_days)
    rest = Rest(until=asked.until, reason=asked.reason, by=told.message.person.named, on=told.today)
    if not asked.invoice:
        return told.account.model_copy(update={"rest": rest}), f"The account rests until {asked.until}", ""
    invoice = _open(told.account, asked.invoice)
    after = told.account.with_invoice(invoice.model_copy(update={"rest": rest}))
    return after, f"{invoice.number} rests until {asked.until}", invoice.number


def _resumed(told: _Said) -> _Change:
    asked = ResumeArgs.model_validate(told.message.args)
    if not asked.invoice:
        if told.account.rest is None:
            raise _Not(Refusal.NOT_PAUSED, "the account does not rest")
        return told.account.model_copy(update={"rest": None}), "The rest of the account was ended", ""
    invoice = _known(told.account, asked.invoice)
    if invoice.rest is None and invoice.promise is None:
        what = "it is disputed: settle the dispute" if invoice.paused(told.today) is PausedBy.DISPUTE else "it goes on"
        raise _Not(Refusal.NOT_PAUSED, f"{invoice.number}: {what}")
    after = told.account.with_invoice(invoice.model_copy(update={"rest": None, "promise": None}))
    return after, f"The rest of {invoice.number} was ended", invoice.number


_WORDS: Final[dict[str, Callable[[_Said], _Change]]] = {
    DISPUTE: _disputed,
    RESOLVE: _resolved,
    PROMISE: _promised,
    PAUSE: _rested,
    RESUME: _resumed,
}


def _known(account: Account, number: str) -> WatchedInvoice:
    invoice = account.invoice(number)
    if invoice is None:
        raise _Not(Refusal.UNKNOWN_INVOICE, number)
    return invoice


def _open(account: Account, number: str) -> WatchedInvoice:
    invoice = _known(account, number)
    if not invoice.is_open:
        raise _Not(Refusal.INVOICE_PAID, number)
    return invoice


def _check_amount(amount: Decimal, invoice: WatchedInvoice) -> None:
    if not is_money(amount, invoice.currency):
        raise _Not(Refusal.BAD_ARGUMENT, f"amount: {amount} has more decimals than {invoice.currency} has")
    if amount > invoice.open_amount:
        most = format_money(invoice.open_amount, invoice.currency)
        raise _Not(Refusal.BAD_ARGUMENT, f"amount: no more than the {most} that is open on {invoice.number}")


def _check_until(until: date, today: date, longest: int) -> None:
    if until < today:
        raise _Not(Refusal.BAD_ARGUMENT, f"until: {until} is over; it is {today} in this company")
    if until > today + timedelta(days=longest):
        raise _Not(Refusal.BAD_ARGUMENT, f"until: at most {longest} days ahead, {today + timedelta(days=longest)}")
