"""What a person says, as a fact for the deal: a verified message and the state become a fact, or a refusal.

Pure: who said it was proved before, and what the table of rights grants them was looked up (``activities.decisions``).
Here it is decided whether that is enough for this deal, and what the message means; whether it fits the deal as it
stands is decided by the rules, as for every fact.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator, Field, ValidationError

from domain import customer_setup_facts, facts, order_change_facts
from domain.after_end import DISMISS_LATE
from domain.approval_people import ANSWER, ASK, REASSIGN
from domain.approvals import LATE
from domain.collection_words import RIGHTS as RIGHTS_OF_ACCOUNTS
from domain.credit import ReleaseToken
from domain.credit_review_said import REBUILD_CREDIT
from domain.customers import LONGEST
from domain.deal_state import DealState, OrderStatus
from domain.delegations import DELEGATE, DELEGATE_FOR, END_DELEGATION, END_DELEGATION_FOR
from domain.entities.data_words import RIGHTS as RIGHTS_OF_DATA
from domain.entities.history_run import RUN_HISTORY
from domain.entities.initial_said import RUN_INITIAL, UNDO_INITIAL
from domain.entities.map_change_said import RIGHTS as RIGHTS_OF_MAPS
from domain.entities.sync_said import RUN_SYNC, SETTLE_LETTER
from domain.facts import Fact
from domain.given import LONGEST as LONGEST_VALUE
from domain.given_facts import ValueGiven
from domain.line_change import MOST_LINES, LineChange
from domain.messages import CommandName, VerifiedMessage
from domain.people import Person
from domain.record import Record
from domain.refund_words import money_words
from domain.refusals import Refusal
from domain.rights import Action, Subject, Verdict, judge, weak_sign_in
from domain.validation import normalise
from domain.views import Resolution

DECIDE = "decide"
"""Name of a decision; it reaches the deal only when its request for approval has ended."""

RIGHT_OF: Final[dict[str, Action]] = {
    CommandName.RETRY: Action.RETRY_STEP,
    CommandName.SKIP: Action.SKIP_STEP,
    CommandName.ABORT: Action.ABORT_DEAL,
    CommandName.WITHDRAW: Action.WITHDRAW_APPROVAL,
    CommandName.CANCEL: Action.CANCEL_DEAL,
    CommandName.CREDIT_RECHECK: Action.RECHECK_CREDIT,
    CommandName.CREDIT_RELEASE: Action.RELEASE_CREDIT,
    CommandName.CREDIT_REJECT: Action.REJECT_CREDIT,
    CommandName.REFUND_PROPOSE: Action.PROPOSE_REFUND,
    CommandName.REFUND_APPROVE: Action.APPROVE_REFUND,
    CommandName.CREDIT_KEEP: Action.KEEP_CREDIT,
    CommandName.CREATE_CUSTOMER: Action.SET_UP_CUSTOMER,
    CommandName.CHOOSE_CUSTOMER: Action.SET_UP_CUSTOMER,
    CommandName.NEW_CUSTOMER: Action.SET_UP_CUSTOMER,
    CommandName.REJECT_CUSTOMER: Action.SET_UP_CUSTOMER,
    CommandName.CANCEL_ORDER: Action.CANCEL_ORDER,
    CommandName.CHANGE_ORDER: Action.CHANGE_ORDER,
    CommandName.REREAD: Action.RETRY_STEP,
    DECIDE: Action.DECIDE_APPROVAL,
    REASSIGN: Action.REASSIGN_APPROVAL,
    ASK: Action.DECIDE_APPROVAL,
    ANSWER: Action.ANSWER_QUESTION,
    DELEGATE: Action.DELEGATE_OWN,
    END_DELEGATION: Action.DELEGATE_OWN,
    DELEGATE_FOR: Action.DELEGATE_ANY,
    END_DELEGATION_FOR: Action.DELEGATE_ANY,
    DISMISS_LATE: Action.DISMISS_LATE,
    REBUILD_CREDIT: Action.REBUILD_CREDIT,
    RUN_SYNC: Action.RUN_SYNC,
    RUN_HISTORY: Action.RUN_SYNC,
    SETTLE_LETTER: Action.SETTLE_LETTER,
    RUN_INITIAL: Action.RUN_INITIAL,
    UNDO_INITIAL: Action.UNDO_INITIAL,
    **RIGHTS_OF_ACCOUNTS,
    **RIGHTS_OF_DATA,
    **RIGHTS_OF_MAPS,
}
"""The right that each message of a person needs."""


def fact_of(said: VerifiedMessage, state: DealState, *, deal_id: str, at: datetime) -> Fact:
    """What a message of a person means for a deal.

    Args:
        said: the message, its proof checked and the person's rights looked up.
        state: the deal as it stands.
        deal_id: workflow id of the deal.
        at: UTC.

    Returns:
        The fact it states; ``facts.Refused`` with a code where it counts for nothing.
    """
    if said.refused:
        return _refused(said, Refusal.UNAUTHENTICATED, said.refused)
    if said.name == DECIDE:
        return _too_late(said, state)
    try:
        command = CommandName(said.name)
        release = _release(said, state, deal_id=deal_id, at=at) if command is CommandName.CREDIT_RELEASE else None
        money = money_words(command, said)
        customer = CustomerArgs.model_validate(_given(said)) if command in OF_CUSTOMER else None
        lines = _Change.model_validate(said.args).lines if command is CommandName.CHANGE_ORDER else ()
        value = _Skip.model_validate(_given(said)).value.strip() if command is CommandName.SKIP else ""
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return _refused(said, Refusal.BAD_ARGUMENT, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    except ValueError:
        return _refused(said, Refusal.UNKNOWN_COMMAND, said.name)
    whole = _subject(said.person, state, release)
    subject = whole if money is None else money.subject(state, own=whole.own)
    verdict = judge(said.granted, subject)
    if verdict.code is not None:
        return _refused(said, verdict.code, verdict.detail)
    if weak := weak_sign_in(said.granted, subject, sign_in=said.sign_in, said_at=said.signed_at):
        return _refused(said, Refusal.SIGN_IN_TOO_OLD, weak)
    if money is not None:
        return money.fact(said.person.named, state, role=verdict.role)
    if customer is not None:
        return _about_customer(command, customer, said, verdict)
    reason = str(said.args.get("reason") or "")
    match command:
        case CommandName.RETRY | CommandName.SKIP | CommandName.ABORT:
            return _about_step(command, said.person.named, reason, value, at)
        case CommandName.REREAD:
            return _read_again(said.person, state, reason)
        case CommandName.WITHDRAW:
            return facts.Withdrawn(revision=state.revision, reason=reason)
        case CommandName.CANCEL:
            return facts.QuoteCancelled(reason=reason)
        case CommandName.CREDIT_RECHECK:
            return facts.CreditRecheckDue(reason=reason or "asked by a person")
        case CommandName.CREDIT_REJECT:
            return facts.CreditRejected(reason=reason)
        case CommandName.CANCEL_ORDER | CommandName.CHANGE_ORDER:
            return order_change_facts.OrderChangeAsked(lines=lines, reason=reason, by=said.person.named, at=at)
        case CommandName.CREDIT_RELEASE:
            assert release is not None
            return _released(release, state, verdict, subject.currency, at)
        case _:
            return _refused(said, Refusal.UNKNOWN_COMMAND, said.name)


def _about_step(command: CommandName, by: Person, reason: str, value: str, at: datetime) -> Fact:
    """How a parked step goes on, as a person says; ``value``: what it came to, where they know that."""
    if value:
        return ValueGiven(value=value, reason=reason, by=by, at=at)
    return facts.StepResumed(action=Resolution(command.value), reason=reason, by=by)


def is_own(person: Person, state: DealState) -> bool:
    """Whether a deal is a person's: they own its quote, or submitted it. Before the quote was read nobody knows."""
    found = state.assessment
    return found is not None and any(person.is_same(maker) for maker in (found.owner, found.submitted_by))


def _subject(person: Person, state: DealState, release: ReleaseToken | None) -> Subject:
    """What a command is about: a release the most it lets pass, anything else the whole deal."""
    own = is_own(person, state)
    if release is None:
        return Subject(own=own, amount=state.header.total, currency=state.header.currency)
    held = state.credit_decision
    return Subject(own=own, amount=release.most, currency=held.currency if held else "")


def _refused(said: VerifiedMessage, code: Refusal, detail: str) -> facts.Refused:
    return facts.Refused(message_id=said.message_id, what=said.name or "message", code=code, detail=detail)


def _read_again(person: Person, state: DealState, reason: str) -> Fact:
    """That both systems are to be read again: what was missed of them is seen, whatever the deal waits for.

    A step that waits for a person, or a change that rests, reads when it is tried again.
    """
    why = reason or f"asked by {person.label}"
    if state.parked is not None or (state.changing is not None and state.changing.retry_at is not None):
        return facts.StepResumed(action=Resolution.RETRY, reason=why, by=person.named)
    if state.awaits_credit:
        return facts.CreditRecheckDue(reason=why)
    if state.order is OrderStatus.NONE:
        return facts.AssessmentDue(reason=why)
    return facts.BillingChanged(text=f"Finance is read again: {why}")


def _too_late(said: VerifiedMessage, state: DealState) -> facts.Refused:
    """A decision on a request that has ended, or was never made."""
    if not state.approvals:
        return _refused(said, Refusal.NOT_ASSIGNED, "no approval was asked")
    ended = state.approvals[-1]
    return _refused(said, LATE.get(ended.status, Refusal.ALREADY_DECIDED), ended.text)


def _moment(value: object) -> object:
    """A moment as text with its zone, or a date: the end of that day, UTC."""
    if not isinstance(value, str):
        raise ValueError("give a date (2026-12-31) or a moment with its time zone, as text")
    if "T" in value:
        return value
    return datetime.combine(date.fromisoformat(value), time(23, 59, 59), UTC)


def _given(said: VerifiedMessage) -> dict[str, object]:
    """The arguments that were said."""
    return {name: value for name, value in said.args.items() if value not in (None, "")}


class CustomerArgs(Record):
    """What a person says about a customer; to create one, a field that is not said stays as it is proposed."""

    reason: str = Field("", max_length=4_000)
    account: str = Field("", max_length=LONGEST["account"])
    name: str = Field("", max_length=LONGEST["name"])
    group: str = Field("", max_length=LONGEST["group"])
    currency: str = Field("", max_length=LONGEST["currency"])
    payment_terms: str = Field("", max_length=LONGEST["payment_terms"])
    tax_group: str = Field("", max_length=LONGEST["tax_group"])
    tax_number: str = Field("", max_length=LONGEST["tax_number"])
    street: str = Field("", max_length=LONGEST["street"])
    city: str = Field("", max_length=LONGEST["city"])
    postal_code: str = Field("", max_length=LONGEST["postal_code"])
    state: str = Field("", max_length=LONGEST["state"])
    country: str = Field("", max_length=LONGEST["country"])
    email: str = Field("", max_length=LONGEST["email"])
    phone: str = Field("", max_length=LONGEST["phone"])

    @property
    def changes(self) -> dict[str, str]:
        """Fields of the customer that were said."""
        return {name: value for name in LONGEST if (value := normalise(getattr(self, name)).strip())}


OF_CUSTOMER: Final = frozenset(
    {
        CommandName.CREATE_CUSTOMER,
        CommandName.CHOOSE_CUSTOMER,
        CommandName.NEW_CUSTOMER,
        CommandName.REJECT_CUSTOMER,
    }
)
"""Commands about a customer that Finance does not know."""


def _about_customer(command: CommandName, asked: CustomerArgs, said: VerifiedMessage, verdict: Verdict) -> Fact:
    """What a person says about a customer that Finance does not know."""
    by, role, reason = said.person.named, verdict.role, asked.reason
    if command is CommandName.CREATE_CUSTOMER:
        return customer_setup_facts.CustomerApproved(changes=asked.changes, by=by, role=role, reason=reason)
    if command is CommandName.CHOOSE_CUSTOMER:
        return customer_setup_facts.CustomerChosen(account=asked.account, by=by, role=role, reason=reason)
    if command is CommandName.NEW_CUSTOMER:
        return customer_setup_facts.CustomerIsNew(by=by, role=role, reason=reason)
    return customer_setup_facts.CustomerDenied(by=by, role=role, reason=reason)


class _Skip(Record):
    """Arguments of a skip: the value with which the step has ended, where the person knows it."""

    value: str = Field("", max_length=LONGEST_VALUE, pattern=r"^[ -~]*$")


class _Release(Record):
    """Arguments of a release; what is not said is the policy's."""

    reason: str = Field("", max_length=4_000)
    ceiling: Decimal | None = Field(None, ge=0, max_digits=19, description="In the customer's currency, incl. tax")
    deviation_pct: Decimal | None = Field(None, ge=0, le=100, max_digits=9)
    valid_until: Annotated[AwareDatetime, BeforeValidator(_moment)] | None = None


class _Change(Record):
    """Arguments of a change of the order."""

    reason: str = Field("", max_length=4_000)
    lines: tuple[LineChange, ...] = Field(min_length=1, max_length=MOST_LINES)


def _release(said: VerifiedMessage, state: DealState, *, deal_id: str, at: datetime) -> ReleaseToken:
    """The release that a person asks for.

    Raises:
        ValidationError: an argument cannot be read.
    """
    asked = _Release.model_validate(_given(said))
    held, policy = state.credit_decision, state.policy
    return ReleaseToken(
        deal_id=deal_id,
        ceiling=asked.ceiling if asked.ceiling is not None else held.this_order if held else Decimal(0),
        deviation_pct=policy.release_deviation_pct if asked.deviation_pct is None else asked.deviation_pct,
        valid_until=asked.valid_until or at + timedelta(days=policy.release_valid_days),
        reasons=tuple(reason.code for reason in held.reasons) if held else (),
        released_by=said.person.named,
        comment=asked.reason,
    )


def _released(release: ReleaseToken, state: DealState, verdict: Verdict, currency: str, at: datetime) -> Fact:
    """A release, or the first half of one: above a person's limit of authority a second person has to ask as well."""
    if not verdict.second_person:
        return facts.CreditReleased(release=release, role=verdict.role, currency=currency)
    first = state.release_asked
    if first is None or first.released_by.is_same(release.released_by) or first.valid_until <= at:
        return facts.ReleaseAsked(release=release, role=verdict.role, currency=currency)
    return facts.CreditReleased(release=first.joined_by(release), role=verdict.role, currency=currency)
