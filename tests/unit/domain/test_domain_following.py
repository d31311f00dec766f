"""Every fact has one rule, which names it by the type it takes."""

from __future__ import annotations

import pytest

from domain import facts
from domain.deal import RULES
from domain.deal_state import DealState
from domain.rules import order, quote
from domain.rules.change import Change
from domain.rules.following import Rules, facts_of


def test_every_fact_has_a_rule() -> None:
    assert RULES.facts == frozenset(facts_of(facts.Fact)) - {facts.Refused}


def test_a_fact_without_a_rule_is_found_when_the_rules_are_loaded() -> None:
    with pytest.raises(TypeError, match="no rule says what follows from OrderStarted"):
        quote.RULES.require({facts.OrderStarted, facts.Submitted})


def test_a_rule_of_several_facts_follows_each_of_them() -> None:
    assert {facts.QuestionAsked, facts.QuestionAnswered, facts.QuestionClosed} <= quote.RULES.facts


def test_no_fact_has_two_rules() -> None:
    with pytest.raises(TypeError, match="OrderStarted has two rules"):

        @order.RULES.rule
        def _again(state: DealState, _fact: facts.OrderStarted) -> Change:
            return Change(state, "again")

    with pytest.raises(TypeError, match="has two rules"):
        Rules([quote.RULES, quote.RULES])
