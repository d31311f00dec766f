"""A customer that Finance does not know: what a person decides about it, and how that is done (S38, S39).

Who made the quote never decides. What is decided is done before the quote is looked at again, whatever happened to it
meanwhile: a customer that is half set up would be found as a duplicate the next time.
"""

from __future__ import annotations

from typing import Final

from domain import customer_setup_facts
from domain.assessment import Problem, QuoteAssessment
from domain.customer_problems import CUSTOMER_CODES, problems_of
from domain.customers import LONGEST, WORDS, CustomerWork, UnknownCustomer
from domain.deal_state import DealState, QuoteStatus
from domain.frozen import replace
from domain.people import Person
from domain.refusals import Refusal
from domain.rules.change import Change, Refused, illegal
from domain.rules.following import Rules

LONGEST_NOTE = 1_000


RULES: Final = Rules()


@RULES.rule
def _customer_seen_meanwhile(state: DealState, fact: customer_setup_facts.CustomerSeenMeanwhile) -> Change:
    if state.customer is None:
        illegal("no customer is being set up")
    return Change(_looked_at_again(state), f"the quote is looked at again: {fact.reason[:LONGEST_NOTE]}")


@RULES.rule
def _customer_not_set_up(state: DealState, fact: customer_setup_facts.CustomerNotSetUp) -> Change:
    if state.customer is None:
        illegal("no customer is being set up")
    note = fact.reason[:LONGEST_NOTE]
    return Change(replace(state, customer=None, customer_note=note), f"the customer was not set up: {note}")


def _asked(state: DealState, by: Person) -> tuple[QuoteAssessment, UnknownCustomer]:
    """What a person may decide about.

    Raises:
        Refused: nothing is asked, or not of them.
    """
    found, unknown = state.assessment, state.unknown_customer
    if found is None or unknown is None:
        raise Refused(Refusal.NO_CUSTOMER_ASKED, "the deal waits for nobody to decide about its customer")
    if any(by.is_same(maker) for maker in (found.owner, found.submitted_by, *found.makers)):
        raise Refused(Refusal.MAKER_CANNOT_SET_UP, "who made a quote does not decide about its customer")
    return found, unknown


@RULES.rule
def _approved(state: DealState, fact: customer_setup_facts.CustomerApproved) -> Change:
    _, unknown = _asked(state, fact.by)
    if unknown.candidates:
        text = f"say first whether it is {unknown.candidates[0].text}"
        raise Refused(Refusal.DUPLICATE_CUSTOMER, text)
    if unknown.proposal is None:
        raise Refused(Refusal.NO_CUSTOMER_ASKED, f"customers.yaml creates no customers in {state.company}")
    wanted = unknown.proposal.corrected(fact.changes)
    if wanted.faults:
        raise Refused(Refusal.CUSTOMER_INCOMPLETE, " ".join(wanted.faults.values()))
    changed = [WORDS[name] for name in LONGEST if getattr(wanted, name) != getattr(unknown.proposal, name)]
    text = f"the customer is to be created in Finance, approved by {fact.by.label}"
    text += f", who corrected {', '.join(changed)}" if changed else ""
    work = CustomerWork(account_id=unknown.account_id, create=wanted, dismissed=unknown.dismissed, by=fact.by)
    return Change(replace(state, customer=work, customer_note=""), _because(text, fact.reason))


@RULES.rule
def _chosen(state: DealState, fact: customer_setup_facts.CustomerChosen) -> Change:
    _, unknown = _asked(state, fact.by)
    candidate = unknown.candidate(fact.account)
    if candidate is None:
        raise Refused(Refusal.CUSTOMER_NOT_LISTED, f"{fact.account} is none of the customers the deal shows")
    if candidate.held_by:
        text = f"{candidate.held_by} carries {candidate.account} in Sales: move the quote to that account, or merge "
        raise Refused(Refusal.CUSTOMER_TAKEN, text + "the accounts there, then submit it again")
    work = CustomerWork(account_id=unknown.account_id, account=candidate.account, by=fact.by)
    text = f"the customer is {candidate.account} in Finance, says {fact.by.label}"
    return Change(replace(state, customer=work, customer_note=""), _because(text, fact.reason))


@RULES.rule
def _is_new(state: DealState, fact: customer_setup_facts.CustomerIsNew) -> Change:
    found, unknown = _asked(state, fact.by)
    if not unknown.candidates:
        raise Refused(Refusal.NO_CUSTOMER_ASKED, "no customer of Finance is taken for this one")
    others = tuple(candidate.account for candidate in unknown.candidates)
    alone = unknown.model_copy(update={"candidates": (), "more": 0, "dismissed": others})
    text = f"the customer is none of {', '.join(others)}, says {fact.by.label}"
    return Change(
        replace(state, assessment=_with_problems(found, alone, problems_of(alone)), customer_note=""),
        _because(text, fact.reason),
    )


@RULES.rule
def _denied(state: DealState, fact: customer_setup_facts.CustomerDenied) -> Change:
    found, _ = _asked(state, fact.by)
    text = f"{fact.by.label} does not have the customer created in Finance: {fact.reason}"
    told = Problem(code=Refusal.CUSTOMER_UNMAPPED, field="customer", message=text)
    return Change(replace(state, assessment=_with_problems(found, None, (told,)), customer_note=""), text)


def _with_problems(
    found: QuoteAssessment, unknown: UnknownCustomer | None, problems: tuple[Problem, ...]
) -> QuoteAssessment:
    """The assessment with other problems of the customer; those of the quote itself stay."""
    others = tuple(problem for problem in found.problems if problem.code not in CUSTOMER_CODES)
    return found.model_copy(update={"unknown_customer": unknown, "problems": (*problems, *others)})


@RULES.rule
def _created(state: DealState, fact: customer_setup_facts.CustomerCreated) -> Change:
    if state.customer is None or state.customer.create is None or state.customer.account:
        illegal("customer created: none was to be")
    work = state.customer.model_copy(update={"account": fact.account})
    how = "was in Finance already" if fact.found else "is created in Finance"
    return Change(replace(state, customer=work), f"customer {fact.account} {how}")


@RULES.rule
def _mapped(state: DealState, fact: customer_setup_facts.CustomerMapped) -> Change:
    if state.customer is None:
        illegal("customer mapped: none was to be")
    text = f"the account in Sales carries {fact.account}: the quote is looked at again"
    return Change(_looked_at_again(state), text)


def _looked_at_again(state: DealState) -> DealState:
    """The quote is read anew at once; what Sales shows of its approval is this deal's, and hides no request."""
    done = replace(state, customer=None, customer_note="")
    if state.quote is not QuoteStatus.INVALID:
        return done
    found = state.assessment.model_copy(update={"unknown_customer": None}) if state.assessment else None
    return replace(done, quote=QuoteStatus.SUBMITTED, assessment=found, marked_over=state.marked)


def _because(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text
