"""Which rule says what follows from a fact: each rule names its facts where it stands, by the type of what it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from domain.deal_state import DealState
from domain.rules.change import Change

_Rule = TypeVar("_Rule", bound=Callable[[DealState, Any], Change])


class Rules:
    """The rules of a part of the deal, or of all of it."""

    def __init__(self, parts: Iterable[Rules] = ()) -> None:
        """Begin with the rules of ``parts``.

        Raises:
            TypeError: two parts have a rule for the same fact.
        """
        self._by_fact: dict[type, Callable[[DealState, Any], Change]] = {}
        for part in parts:
            for fact, rule in part._by_fact.items():
                self._add(fact, rule)

    def rule(self, rule: _Rule) -> _Rule:
        """Add a rule, for each fact that its second argument may be; to be used as a decorator.

        A rule takes the deal as it stands, and returns what the fact changes or raises `Refused`: it changes nothing.

        Raises:
            TypeError: there is a rule for one of these facts already.
        """
        _, taken, _ = get_type_hints(rule).values()
        for fact in facts_of(taken):
            self._add(fact, rule)
        return rule

    def _add(self, fact: type, rule: Callable[[DealState, Any], Change]) -> None:
        if fact in self._by_fact:
            raise TypeError(f"{fact.__name__} has two rules")
        self._by_fact[fact] = rule

    def require(self, facts: Iterable[type]) -> None:
        """Make sure that each of some facts has a rule.

        Raises:
            TypeError: one has none.
        """
        missing = sorted(fact.__name__ for fact in set(facts) - self.facts)
        if missing:
            raise TypeError(f"no rule says what follows from {', '.join(missing)}")

    @property
    def facts(self) -> frozenset[type]:
        """The facts that have a rule."""
        return frozenset(self._by_fact)

    def follow(self, state: DealState, fact: object) -> Change:
        """What a fact changes.

        Raises:
            Refused: it changes nothing.
        """
        return self._by_fact[type(fact)](state, fact)


def facts_of(kind: object) -> tuple[type, ...]:
    """The facts of a union, or the one fact that it is."""
    return get_args(kind) if get_origin(kind) in (UnionType, Union) else (kind,)
