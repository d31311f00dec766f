"""The timeline of a deal says who submitted the quote, and the audit keeps the line."""

from __future__ import annotations

import pytest

from domain import facts
from domain.audit import of_entry
from domain.deal import apply
from domain.facts import Event
from domain.people import Person
from tests.deals import CARL, RITA, STEP, SYSTEM, T0, assessment, new_deal


@pytest.mark.parametrize(("submitter", "named"), [(CARL, CARL), (None, RITA)], ids=["somebody else", "nobody known"])
@pytest.mark.parametrize("needs_approval", [True, False])
def test_who_submitted_a_quote_is_in_its_timeline(
    submitter: Person | None, named: Person, needs_approval: bool
) -> None:
    steps = (STEP,) if needs_approval else ()
    found = assessment(steps=steps).model_copy(update={"submitted_by": submitter, "owner": RITA})
    told = apply(new_deal(), Event(at=T0, actor=SYSTEM, fact=facts.Assessed(assessment=found, asked="q")))
    assert told.audit.text.endswith(f"; submitted by {named.label}")
    assert of_entry(told.audit, company="usmf", deal_id="q2c/usmf/Q-1").what == told.audit.text
