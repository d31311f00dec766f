"""What people may say to a deal, as forms and programs must spell it.

A wrong argument is refused here, naming the field; whether the command fits the deal is decided by the deal.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from domain.approvals import Decision
from domain.collection_words import DISPUTE, PAUSE, PROMISE, RESOLVE, RESUME
from domain.customers import LONGEST
from domain.entities.history_run import FIRST_NIGHT, NightAt
from domain.entities.merge import LetterCause
from domain.entities.sync_said import MOST_NAMED
from domain.given import LONGEST as LONGEST_VALUE
from domain.line_change import MOST_LINES, LineChange
from domain.messages import CommandName
from domain.refusals import Refusal
from web.problems import Problem

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
RequiredText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


ShortText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
RequiredShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
PersonId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


Short = Annotated[str, StringConstraints(strip_whitespace=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


class NoArgs(_Body):
    """A command that needs no argument; a reason is welcome."""

    reason: Text = ""


class ReasonArgs(_Body):
    """A command that has to be explained."""

    reason: RequiredText


class SkipArgs(_Body):
    """Going on without a parked step, or with the value with which it has ended."""

    reason: RequiredText
    value: Short | None = Field(
        None,
        max_length=LONGEST_VALUE,
        description="What the step came to, where it takes a value (`takes_value`), e.g. the order's number in "
        "Finance. It is read there before it counts. Left out: the deal goes on without the step",
    )


class CreditReleaseArgs(_Body):
    """A release of a credit hold and how far it reaches; what is left out, the deal takes from its pinned policy."""

    reason: RequiredText
    valid_until: date | None = Field(
        None, description="Last day on which it is valid, to its end in UTC; left out: as many days as the policy gives"
    )
    ceiling: Decimal | None = Field(
        None, gt=0, max_digits=19, description="Amount incl. tax up to which it is valid; left out: this order's"
    )
    deviation_pct: Decimal | None = Field(
        None,
        ge=0,
        le=100,
        max_digits=9,
        description="By how much the ceiling may be exceeded, in per cent; left out: as the deal's policy says",
    )


class CreateCustomerArgs(_Body):
    """An approval to create the customer in Finance; a field that is left out stays as it is proposed."""

    reason: Text = ""
    account: Short | None = Field(
        None, max_length=LONGEST["account"], description="Account number; left out: as proposed"
    )
    name: Short | None = Field(None, max_length=LONGEST["name"])
    group: Short | None = Field(None, max_length=LONGEST["group"])
    currency: Short | None = Field(None, max_length=LONGEST["currency"])
    payment_terms: Short | None = Field(None, max_length=LONGEST["payment_terms"])
    tax_group: Short | None = Field(None, max_length=LONGEST["tax_group"])
    tax_number: Short | None = Field(None, max_length=LONGEST["tax_number"])
    street: Short | None = Field(None, max_length=LONGEST["street"])
    city: Short | None = Field(None, max_length=LONGEST["city"])
    postal_code: Short | None = Field(None, max_length=LONGEST["postal_code"])
    state: Short | None = Field(None, max_length=LONGEST["state"])
    country: Short | None = Field(None, max_length=LONGEST["country"])
    email: Short | None = Field(None, max_length=LONGEST["email"])
    phone: Short | None = Field(None, max_length=LONGEST["phone"])


class ChooseCustomerArgs(_Body):
    """Which customer of Finance the account in Sales is."""

    account: Short = Field(min_length=1, max_length=LONGEST["account"], description="One of those the deal shows")


class RefundProposeArgs(_Body):
    """What is to be paid back to the customer, of which payment or credit note."""

    of: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)] = Field(
        description="Number of the payment or credit note, as the deal shows it"
    )
    amount: Decimal = Field(gt=0, max_digits=19, description="In the deal's currency; at most what is unapplied of it")
    reason: RequiredText


class RefundApproveArgs(_Body):
    """Which refund of the deal a second person approves."""

    refund: int = Field(ge=1, le=1_000, description="Its number within the deal")
    reason: Text = ""


class ChangeOrderArgs(_Body):
    """What lines of the order are to come to; those that are not named stay as they are."""

    reason: RequiredText
    lines: tuple[LineChange, ...] = Field(min_length=1, max_length=MOST_LINES)


COMMAND_ARGS: dict[CommandName, type[_Body]] = {
    CommandName.RETRY: NoArgs,
    CommandName.SKIP: SkipArgs,
    CommandName.ABORT: ReasonArgs,
    CommandName.WITHDRAW: ReasonArgs,
    CommandName.CANCEL: ReasonArgs,
    CommandName.CREDIT_RECHECK: NoArgs,
    CommandName.CREDIT_RELEASE: CreditReleaseArgs,
    CommandName.CREDIT_REJECT: ReasonArgs,
    CommandName.REFUND_PROPOSE: RefundProposeArgs,
    CommandName.REFUND_APPROVE: RefundApproveArgs,
    CommandName.CREDIT_KEEP: ReasonArgs,
    CommandName.CREATE_CUSTOMER: CreateCustomerArgs,
    CommandName.CHOOSE_CUSTOMER: ChooseCustomerArgs,
    CommandName.NEW_CUSTOMER: ReasonArgs,
    CommandName.REJECT_CUSTOMER: ReasonArgs,
    CommandName.CANCEL_ORDER: ReasonArgs,
    CommandName.CHANGE_ORDER: ChangeOrderArgs,
    CommandName.REREAD: NoArgs,
}


class DecisionBody(_Body):
    """An approver's decision on one step."""

    decision: Decision
    comment: Text = ""
    step: int = Field(ge=1)
    seen_hash: str = Field(min_length=1, max_length=128, description="`seen_hash` of what was shown")
    message_id: uuid.UUID | None = Field(None, description="Same id sent again: same outcome, counted once")


class PersonsBody(_Body):
    """What a person says to a request or to the delegations; the id is no part of what is signed."""

    message_id: uuid.UUID | None = Field(None, description="Same id sent again: same outcome, counted once")

    @property
    def signed_args(self) -> dict[str, Any]:
        """What is signed."""
        return said(self.model_copy(update={"message_id": None}))


class ReassignBody(PersonsBody):
    """Have a step asked of somebody else who may decide it."""

    step: int = Field(ge=1, le=1_000)
    to: PersonId = Field(description="Entra object id of one of the step's candidates")
    add: bool = Field(False, description="True: they may decide besides those asked; false: in their place")
    reason: RequiredText


class QuestionBody(PersonsBody):
    """Ask the rep a question before deciding a step; the first one of a step stops its hours."""

    step: int = Field(ge=1, le=1_000)
    question: RequiredText = Field(description="The rep reads it in Sales and on the page of the deal")


class AnswerBody(PersonsBody):
    """Answer the open question of a step."""

    step: int = Field(ge=1, le=1_000)
    answer: RequiredText


class DelegationBody(PersonsBody):
    """Have somebody else asked for one's decisions, or for those of `of`, from the first day to the last."""

    of: PersonId | None = Field(None, description="Who is away, by Entra object id; left out: the caller")
    to: PersonId = Field(description="Entra object id of an approver of the company")
    first: date = Field(description="In the calendar of the company")
    last: date = Field(description="In the calendar of the company; this day included")
    reason: ShortText = ""


class EndDelegationBody(PersonsBody):
    """End one's own delegation, or that of `of`."""

    of: PersonId | None = Field(None, description="Whose delegation, by Entra object id; left out: the caller's")
    reason: ShortText = ""


class DismissBody(PersonsBody):
    """Say that what stands open after a deal's end is settled otherwise."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class ExitParallelBody(PersonsBody):
    """Be one of the two who end a company's parallel run."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class RebuildCreditBody(PersonsBody):
    """Have credit ledgers compared with deals and Finance, and made anew."""

    customer: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = Field(
        "", description="Account in Finance; empty: all customers of the company"
    )
    dry_run: bool = Field(False, description="Compare only")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class RunInitialBody(PersonsBody):
    """Have the plan that the gate allowed carried out, or that rest, go on or end."""

    do: Literal["begin", "pause", "go_on", "stop"]
    reason: RequiredShortText


class UndoInitialBody(PersonsBody):
    """Have what an initial sync wrote undone, or that rest, go on or end."""

    do: Literal["begin", "pause", "go_on", "stop"]
    run: str = Field(min_length=1, max_length=100, description="`dry_run` of the run that is undone")
    reason: RequiredShortText


class RunSyncBody(PersonsBody):
    """Have records of both systems kept in step, or not any more, or letters tried again."""

    do: Literal["start", "stop", "replay"]
    letters: tuple[str, ...] = Field((), max_length=MOST_NAMED, description="replay: these letters")
    of_reason: str = Field("", max_length=12, description="replay: all letters of one reason")
    of_cause: LetterCause | None = Field(None, description="replay: all letters of one cause")
    of_key: str = Field("", max_length=400, description="replay: the letters of one record")
    dry_run: bool = Field(False, description="replay: only say what would become of each letter")
    reason: RequiredShortText


class RunHistoryBody(PersonsBody):
    """Have past records taken over into Sales every night, or not any more."""

    do: Literal["start", "stop"]
    at: NightAt = FIRST_NIGHT
    whole: bool = Field(False, description="start: read everything anew, not only what changed")
    reason: RequiredShortText


class SettleLetterBody(PersonsBody):
    """Say what becomes of a letter."""

    do: Literal["take", "propose", "approve", "dismiss"]
    letter: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    take: Literal["finance", "sales"] | None = Field(None, description="take: the side whose value is right")
    value: str | None = Field(None, max_length=4000, description="propose: the value, in the words of Sales")
    reason: RequiredShortText


InvoiceNumber = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
Amount = Annotated[Decimal, Field(gt=0, max_digits=19, decimal_places=4, description="In the invoice's currency")]


class DisputeBody(PersonsBody):
    """Note that a customer contests an invoice, or part of it."""

    invoice: InvoiceNumber
    amount: Amount
    reason: RequiredShortText


class ResolveBody(PersonsBody):
    """Settle a dispute. A credit note or a new invoice is posted in Finance."""

    invoice: InvoiceNumber
    outcome: Literal["credit", "rebill", "uphold"]
    reason: RequiredShortText


class PromiseBody(PersonsBody):
    """Note that a customer will pay an invoice by a day."""

    invoice: InvoiceNumber
    amount: Amount
    until: date = Field(description="This day included, in the calendar of the company")
    reason: RequiredShortText


class PauseBody(PersonsBody):
    """Have an invoice, or the whole account, rest until a day."""

    invoice: InvoiceNumber | None = Field(None, description="Left out: the whole account")
    until: date = Field(description="This day included, in the calendar of the company")
    reason: RequiredShortText


class ResumeBody(PersonsBody):
    """End a promise or a rest of an invoice, or the rest of the whole account, before its day."""

    invoice: InvoiceNumber | None = Field(None, description="Left out: the whole account")
    reason: RequiredShortText


ACCOUNT_BODIES: dict[str, type[PersonsBody]] = {
    DISPUTE: DisputeBody,
    RESOLVE: ResolveBody,
    PROMISE: PromiseBody,
    PAUSE: PauseBody,
    RESUME: ResumeBody,
}
"""What people may say to a customer's account, and how they must spell it."""


class CommandBody(_Body):
    """A command to a deal."""

    message_id: uuid.UUID | None = Field(None, description="Same id sent again: same outcome, counted once")
    args: dict[str, Any] = Field(default_factory=dict)


def parsed(model: type[M], content: object) -> M:
    """Validate what was sent against a model.

    Raises:
        Problem: 400 BAD_ARGUMENT with ``field`` and, where there are more, all ``errors``.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise wrong([(e["loc"], e["msg"]) for e in error.errors(include_url=False, include_input=False)]) from error


def wrong(found: Sequence[tuple[tuple[int | str, ...], str]]) -> Problem:
    """The problem of arguments that are wrong: where each stands, and what is wrong with it."""
    errors = [{"field": str(place[0]) if place else "body", "message": text} for place, text in found]
    first = errors[0]
    return Problem(Refusal.BAD_ARGUMENT, f"{first['field']}: {first['message']}", field=first["field"], errors=errors)


def said(model: BaseModel) -> dict[str, Any]:
    """What a person said, as it is signed: JSON types only, and what they left out stays left out."""
    return model.model_dump(mode="json", exclude_none=True)


def command_name(text: str) -> CommandName:
    """The command of a name.

    Raises:
        Problem: 404, there is no such command.
    """
    try:
        return CommandName(text)
    except ValueError:
        known = ", ".join(CommandName)
        raise Problem(Refusal.NOT_FOUND, f"There is no command {text[:50]!r}; there are {known}.") from None
