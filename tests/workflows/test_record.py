"""What a deal remembers: each event counts once, in whatever order; every memory is bounded; nothing is lost on the way
to the next run."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain import facts
from domain.deal import Transition
from domain.deal_start import DealStart
from domain.facts import Fact
from domain.messages import Outcome, SignedMessage
from domain.people import SYSTEM
from tests.deals import DOCUMENTS, T0, TO_ORDER
from workflows.quote_to_cash.record import KEPT, SEEN, DealRecord

START = DealStart(company="usmf", quote_number="Q-1", quote_id="q", revision=0)


def record(start: DealStart = START) -> DealRecord:
    return DealRecord(
        start, deal_id="q2c/usmf/Q-1", environment="test", run_id="r", clock=lambda: T0, report=lambda _: None
    )


def ordered() -> DealRecord:
    deal = record()
    for fact in TO_ORDER:
        deal.apply(fact)
    return deal


@given(st.lists(st.sampled_from(DOCUMENTS), min_size=4, max_size=20).filter(lambda told: len(set(told)) == 4))
def test_documents_told_twice_and_in_any_order_leave_the_same_state(told: list[tuple[str, Fact]]) -> None:
    deal = ordered()
    for event_id, fact in told:
        deal.apply(fact, event_id=event_id)
    assert deal.state.billing_told == 4 and deal.state.invoices_told == {"I"}
    assert deal.state.version == len(TO_ORDER) + 4
    assert deal.tally == {"applied": 4} | ({"duplicate": len(told) - 4} if len(told) > 4 else {})


def test_an_event_that_was_refused_is_refused_once() -> None:
    deal = record()
    first = deal.apply(facts.OrderConfirmed(confirmation_number="C"), event_id="e")
    assert isinstance(first, Transition) and first.code == "ILLEGAL_TRANSITION"
    assert deal.apply(facts.OrderConfirmed(confirmation_number="C"), event_id="e") is None
    assert deal.tally == {"refused": 1, "duplicate": 1}


def test_every_memory_is_bounded() -> None:
    deal = record()
    for n in range(SEEN + 100):
        deal.apply(facts.BillingChanged(text="…"), event_id=f"e{n}")
        deal.settle(Outcome(message_id=f"m{n}", accepted=True))
    kept = deal.next_start().checkpoint
    assert kept is not None
    assert (len(kept.seen), len(kept.timeline), len(kept.outcomes)) == (SEEN, KEPT, KEPT)
    assert deal.outcome("m0") is None
    assert deal.outcome(f"m{SEEN + 99}") == Outcome(message_id=f"m{SEEN + 99}", accepted=True)


def test_the_next_run_goes_on_where_this_one_stopped() -> None:
    deal = ordered()
    for event_id, fact in DOCUMENTS:
        deal.apply(fact, event_id=event_id, at=T0 + timedelta(days=3), actor=SYSTEM)
    deal.settle(Outcome(message_id="m", accepted=False, code="NOT_HELD"))
    deal.unheard.append(SignedMessage(message_id="n", token="…"))
    deal.doubt("create_order")

    handed_over = DealStart.model_validate_json(deal.next_start().model_dump_json())
    after = record(handed_over)

    assert after.next_start() == deal.next_start()
    assert after.state == deal.state
    assert list(after.timeline) == list(deal.timeline)
    assert after.tally == deal.tally
    assert after.outcome("m") == deal.outcome("m")
    assert after.unheard == deal.unheard
    assert after.is_in_doubt("create_order")
    assert after.apply(DOCUMENTS[0][1], event_id=DOCUMENTS[0][0]) is None
