"""What is wrong with a discount matrix: rules that can never add anything, contradict each other, or nobody can decide.

Every condition is a threshold on one figure of a quote, so few quotes show all that a matrix can do: one for each side
of each threshold. The rules themselves are asked about those (``domain.discount.holds``); nothing here knows a second
way to evaluate them. A condition adds something if some quote meets it and no other rule that asks as much: one of the
same chain at its level or above, and where it asks for a comment, one of its level that asks for one too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import islice, pairwise, product
from typing import Any, Final, Literal

from pydantic import Field

from domain.discount import holds
from domain.money import plain
from domain.policy import Condition, DiscountPolicy, MatrixRule, Tested
from domain.record import Record

_MOST_COMBINATIONS: Final = 10_000
_MOST_SITUATIONS: Final = 200
"""Different matrices that are looked at, one by one."""

FaultKind = Literal["unreachable", "contradictory", "without authority"]

_NO_CURRENCY: Final = ""
"""Stands for every currency that no condition lists."""
_IN_WORDS: Final = {
    Tested.DISCOUNT_PCT: ("discount", " %", "a discount is not below 0 %"),
    Tested.MARGIN_PCT: ("margin", " %", ""),
    Tested.NET: ("net", "", "a net amount is not below 0"),
    Tested.PAYMENT_DAYS: ("payment", " days", "payment days are whole and not below 0"),
    Tested.BELOW_FLOOR: ("a line below its floor price", "", ""),
}


class Fault(Record):
    """A rule that is refused."""

    rule: str = Field(description="Id of the rule")
    condition: int | None = Field(None, description="Position of the condition it is about; None: the rule as a whole")
    kind: FaultKind
    text: str = Field(description="What is wrong with it")
    remedy: str = Field(description="What to do, as an order")

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}; {self.remedy}"


@dataclass(frozen=True)
class Probe:
    """A quote, as far as a matrix looks at it (``domain.discount.Figures``). Money in its currency."""

    disc_pct: Decimal = Decimal(0)
    margin_pct: Decimal = Decimal(100)
    currency: str = _NO_CURRENCY
    net: Decimal = Decimal(0)
    payment_days: int = 0
    below_floor: bool = False


Figure = tuple[Tested, str, tuple[str, ...]]
"""A figure of a quote: what is tested, for a net amount in which currency, and of which groups of products."""


def _groups(rule: MatrixRule) -> tuple[str, ...]:
    return tuple(sorted(group.casefold() for group in rule.only.product_groups))


@dataclass(frozen=True)
class _Test:
    """A condition of a rule; a condition on the net amount once for each currency, each of which is a figure."""

    rule: MatrixRule
    position: int
    currency: str = _NO_CURRENCY

    @property
    def condition(self) -> Condition:
        return self.rule.when[self.position]

    @property
    def key(self) -> tuple[str, int, str]:
        return self.rule.id, self.position, self.currency

    @property
    def figure(self) -> Figure:
        return self.condition.value, self.currency, _groups(self.rule)

    @property
    def listed(self) -> bool:
        """Whether its author wrote it: not where a currency is only listed by others."""
        return not isinstance(self.condition.than, dict) or self.currency in self.condition.than

    @property
    def words(self) -> str:
        return self._words + (f" of product group {', '.join(self.figure[2])}" if self.figure[2] else "")

    @property
    def _words(self) -> str:
        name, unit, _ = _IN_WORDS[self.condition.value]
        than = self.condition.than
        if isinstance(than, dict):
            if self.currency not in than:
                return f"any net amount in {self.currency or 'a currency that is not listed'}"
            return f"{name} {self.condition.op} {plain(than[self.currency])} {self.currency}"
        return name if than is None else f"{name} {self.condition.op} {plain(than)}{unit}"


@dataclass
class _Matrix:
    """The tests of a matrix and the quotes that tell them apart, figure by figure."""

    rules: Sequence[MatrixRule]
    _tests: dict[str, tuple[_Test, ...]] = field(default_factory=dict)
    _shown: dict[tuple[str, int, str], frozenset[Probe]] = field(default_factory=dict)

    @cached_property
    def currencies(self) -> tuple[str, ...]:
        listed = {
            currency
            for rule in self.rules
            for condition in rule.when
            if isinstance(condition.than, dict)
            for currency in condition.than
        }
        return (*sorted(listed), _NO_CURRENCY)

    def tests(self, rule: MatrixRule) -> tuple[_Test, ...]:
        if rule.id not in self._tests:
            self._tests[rule.id] = tuple(
                _Test(rule, position, currency)
                for position, condition in enumerate(rule.when)
                for currency in (self.currencies if condition.value is Tested.NET else (_NO_CURRENCY,))
            )
        return self._tests[rule.id]

    @cached_property
    def probes(self) -> dict[Figure, tuple[Probe, ...]]:
        """By figure: a quote for each threshold, between each two, and beyond the outermost."""
        thresholds: dict[Figure, set[Decimal]] = {}
        for rule in self.rules:
            for test in self.tests(rule):
                than = test.condition.than
                number = than.get(test.currency) if isinstance(than, dict) else than
                thresholds.setdefault(test.figure, set()).update(() if number is None else (number,))
        return {figure: _probes(figure, sorted(numbers)) for figure, numbers in thresholds.items()}

    @cached_property
    def all(self) -> dict[Figure, frozenset[Probe]]:
        return {figure: frozenset(probes) for figure, probes in self.probes.items()}

    def meet(self, test: _Test) -> frozenset[Probe]:
        """The probes of the test's figure that it holds for."""
        if test.key not in self._shown:
            self._shown[test.key] = frozenset(p for p in self.probes[test.figure] if holds(test.condition, p))
        return self._shown[test.key]

    def met(self, rule: MatrixRule) -> dict[Figure, frozenset[Probe]]:
        """By figure: the probes that a condition of a rule holds for."""
        found: dict[Figure, frozenset[Probe]] = {}
        for test in self.tests(rule):
            found[test.figure] = found.get(test.figure, frozenset()) | self.meet(test)
        return found

    def always(self, test: _Test) -> bool:
        return len(self.meet(test)) == len(self.probes[test.figure])

    def witness(self, test: _Test, others: Iterable[_Test]) -> Probe | None:
        """A quote that meets a test and none of the others; None: there is none.

        The figures of a quote are independent of each other, save that it has one currency, and that the worst of all
        lines is no better than that of some: so each can be looked at for itself, and the net amounts in one currency
        are enough. Of groups of products only whether there is such a quote is told.
        """
        others = tuple(others)
        if any(_includes(other, test) for other in others):
            return None
        left: dict[Figure, Set[Probe]] = {
            figure: probes for figure, probes in self.all.items() if _is_tested_with(figure, test)
        }
        left[test.figure] = self.meet(test)
        for other in others:
            if other.figure in left:
                left[other.figure] = left[other.figure] - self.meet(other)
        figures = [figure for figure in left if figure[0] is not Tested.NET]
        if not all(left[figure] for figure in figures):
            return None
        nets = [figure for figure in left if figure[0] is Tested.NET]
        wanted = (test.currency,) if test.condition.value is Tested.NET else self.currencies
        by_currency = ([figure for figure in nets if figure[1] == currency] for currency in wanted)
        possible = next((found for found in by_currency if all(left[figure] for figure in found)), None)
        if possible is None:
            return None
        return _together([min(left[figure], key=repr) for figure in (*figures, *possible) if not figure[2]])


def _is_tested_with(figure: Figure, test: _Test) -> bool:
    """Whether each quote that a test is asked about has a figure: of some products only where it has their lines."""
    return not figure[2] or (bool(test.figure[2]) and set(test.figure[2]) <= set(figure[2]))


def _includes(other: _Test, test: _Test) -> bool:
    """Whether one test holds whenever another one of fewer lines does: the worst of many lines is no better."""
    mine, more = test.figure[2], other.figure[2]
    wider = mine != more and (not more or set(mine) < set(more)) and bool(mine)
    if not wider or other.condition.value is not test.condition.value:
        return False
    one, two = other.condition, test.condition
    if one.value is Tested.BELOW_FLOOR:
        return True
    rising = one.op in (">", ">=") and two.op in (">", ">=")
    if one.value not in (Tested.DISCOUNT_PCT, Tested.PAYMENT_DAYS) or not rising:
        return False
    least, asked = one.than, two.than
    if not isinstance(least, Decimal) or not isinstance(asked, Decimal):
        return False
    return least < asked or (least == asked and (one.op == ">=" or two.op == ">"))


def _probes(figure: Figure, thresholds: list[Decimal]) -> tuple[Probe, ...]:
    tested, currency, _ = figure
    if tested is Tested.BELOW_FLOOR:
        return (Probe(), Probe(below_floor=True))
    between = [(low + high) / 2 for low, high in pairwise(thresholds)]
    ends = (thresholds[0] - 1, thresholds[-1] + 1) if thresholds else ()
    numbers = {*thresholds, *between, *ends}
    if tested is Tested.PAYMENT_DAYS:
        whole = {int(number) + more for number in numbers for more in (-1, 0, 1)}
        return tuple(Probe(payment_days=number) for number in sorted(whole | {0}) if number >= 0)
    if tested is Tested.NET:
        inside = sorted(number for number in numbers | {Decimal(0)} if number >= 0)
        return tuple(Probe(currency=currency, net=number) for number in inside)
    # A discount of the header may take more than the goods, out of the freight: 100 % bounds neither.
    if tested is Tested.MARGIN_PCT:
        return tuple(Probe(margin_pct=number) for number in sorted(numbers))
    return tuple(Probe(disc_pct=number) for number in sorted(numbers | {Decimal(0)}) if number >= 0)


def _together(probes: Iterable[Probe]) -> Probe:
    """One quote of the figures in which each of some quotes differs from an ordinary one."""
    ordinary = Probe()
    figures: dict[str, Any] = {}
    for probe in probes:
        figures |= {name: value for name, value in vars(probe).items() if value != getattr(ordinary, name)}
    return Probe(**figures)


def _asks_as_much(other: MatrixRule, rule: MatrixRule) -> bool:
    """Whether a rule that is met asks for all that another one would."""
    if other.chain != rule.chain:
        return False
    if rule.comment_required:
        return other.level == rule.level and other.comment_required
    return other.level >= rule.level


def situations(rules: Sequence[MatrixRule]) -> tuple[tuple[MatrixRule, ...], ...]:
    """The matrices that some rules amount to, one for each company, group of customers and period that differs.

    Raises:
        ValueError: more than can be looked at.
    """
    companies = {company for rule in rules for company in rule.only.companies}
    groups = {group.casefold() for rule in rules for group in rule.only.customer_groups}
    starts = {rule.only.valid_from for rule in rules if rule.only.valid_from}
    starts |= {
        rule.only.valid_until + timedelta(days=1)
        for rule in rules
        if rule.only.valid_until and rule.only.valid_until < date.max
    }
    days = {date.min, *starts}
    found: dict[tuple[str, ...], tuple[MatrixRule, ...]] = {}
    for company, group, day in islice(product({"", *companies}, {"", *groups}, sorted(days)), _MOST_COMBINATIONS + 1):
        matrix = tuple(rule for rule in rules if rule.only.fits(company, group, day))
        found.setdefault(tuple(rule.id for rule in matrix), matrix)
    if (len(companies) + 1) * (len(groups) + 1) * len(days) > _MOST_COMBINATIONS or len(found) > _MOST_SITUATIONS:
        raise ValueError("rules: too many different scopes to check them against each other; use fewer")
    return tuple(found.values())


def idle_rules(rules: Sequence[MatrixRule]) -> tuple[str, ...]:
    """The ids of rules that never change what is asked for, wherever they apply, from the last to the first.

    Of rules that say the same the later ones are idle. All of them can be left out together without a change; a level
    that only idle rules name still needs its role from somewhere.
    """
    apply: dict[str, list[bool]] = {}
    for matrix in situations(rules):
        idle = _idle_in(matrix)
        for rule in matrix:
            apply.setdefault(rule.id, []).append(rule.id in idle)
    return tuple(rule.id for rule in reversed(rules) if all(apply[rule.id]))


def _idle_in(rules: Sequence[MatrixRule]) -> tuple[str, ...]:
    matrix = _Matrix(rules)
    kept, idle = list(rules), []
    for rule in reversed(rules):
        others = [other for other in kept if other.id != rule.id]
        if _witness(matrix, rule, others) is None:
            kept = others
            idle.append(rule.id)
    return tuple(idle)


def witness(rule: MatrixRule, others: Sequence[MatrixRule]) -> Probe | None:
    """A quote that needs more because of a rule than by others alone; None: there is none, the rule is idle."""
    return _witness(_Matrix((*others, rule)), rule, others)


def _witness(matrix: _Matrix, rule: MatrixRule, others: Sequence[MatrixRule]) -> Probe | None:
    against = [test for other in others if _asks_as_much(other, rule) for test in matrix.tests(other)]
    found = (
        matrix.witness(test, [other for other in against if _same_quotes(other, test)]) for test in matrix.tests(rule)
    )
    return next((quote for quote in found if quote is not None), None)


def faults(discount: DiscountPolicy) -> tuple[Fault, ...]:
    """What is wrong with the rules among themselves, in their order; each rule that is idle or misleads is named.

    A condition of a rule that does add something is refused as well where it can never hold, or where a wider one
    already asks as much. Only what a higher level asks on exactly the same condition may be repeated below it. Rules
    for some companies, customers or periods are compared where they meet: a fault of a rule is one everywhere.
    """
    found: dict[str, list[dict[tuple[FaultKind, int | None], Fault]]] = {}
    for rules in situations(discount.rules):
        for rule, of_rule in _faults_in(rules).items():
            found.setdefault(rule, []).append({(fault.kind, fault.condition): fault for fault in of_rule})
    return tuple(
        fault
        for rule in discount.rules
        for key, fault in found[rule.id][0].items()
        if all(key in elsewhere for elsewhere in found[rule.id])
    )


def _faults_in(rules: Sequence[MatrixRule]) -> dict[str, list[Fault]]:
    matrix = _Matrix(rules)
    idle = _idle_in(rules)
    found: dict[str, list[Fault]] = {}
    for rule in rules:
        of_rule = [fault for test in matrix.tests(rule) if test.listed for fault in _faults_of(matrix, test)]
        of_rule += _covering(matrix, rule)
        if rule.id in idle and not of_rule:
            of_rule = [_idle(matrix, rule)]
        found[rule.id] = of_rule
    return found


def _faults_of(matrix: _Matrix, test: _Test) -> Iterable[Fault]:
    """A condition that can never hold, or that a wider one makes empty."""
    rule = test.rule
    mine = matrix.meet(test)
    if not mine:
        domain = _IN_WORDS[test.condition.value][2]
        yield _fault(test, "unreachable", f"{test.words} never holds, {domain}", "correct or remove the condition")
        return
    wider = [
        other
        for each in matrix.rules
        if _asks_as_much(each, rule)
        for other in matrix.tests(each)
        if other.key != test.key and _same_quotes(other, test) and _counts_against(matrix, other, test)
    ]
    single = next((other for other in wider if matrix.meet(other) >= mine and other.figure == test.figure), None)
    if single is not None:
        yield _shadowed(test, single)
    elif matrix.witness(test, wider) is None:
        others = ", ".join(dict.fromkeys(other.rule.id for other in wider if other.rule.id != rule.id)) or rule.id
        text = f"whenever {test.words}, {others} already asks for level {rule.level} of {rule.chain!r} or above"
        yield _fault(test, "unreachable", text, "remove the condition, or change its threshold")


def _same_quotes(other: _Test, test: _Test) -> bool:
    """Whether a quote can be tested by both: not by the amounts of two currencies."""
    return other.currency == test.currency or _NO_CURRENCY in (other.currency, test.currency)


def _counts_against(matrix: _Matrix, other: _Test, test: _Test) -> bool:
    """Whether another test counts against one: not one that says the same in another rule, of two in a rule the first.

    Whole rules that say the same are ``_idle``.
    """
    if other.figure != test.figure or matrix.meet(other) != matrix.meet(test):
        return True
    return other.rule.id == test.rule.id and other.position < test.position


def _shadowed(test: _Test, by: _Test) -> Fault:
    rule, other = test.rule, by.rule
    if other.id == rule.id:
        text = f"{test.words} adds nothing beside {by.words} of the same rule, of which any is enough"
        return _fault(test, "unreachable", text, "remove the narrower condition; a range cannot be asked for")
    if not by.listed:
        text = f"{test.words} adds nothing: {other.id} lists no amount in {test.currency}, so that every quote in "
        text += f"{test.currency} asks for level {other.level}"
        return _fault(test, "unreachable", text, f"add {test.currency} to {other.id}, or remove it here")
    if other.level == rule.level:
        text = f"{test.words} adds nothing: {other.id} asks for the same level on {by.words}"
        return _fault(test, "unreachable", text, "remove it, or give it a higher level")
    text = f"the order of thresholds goes down: level {rule.level} of {rule.chain!r} is asked on {test.words}, but "
    text += f"{other.id} asks for level {other.level}, which brings the levels below it, on {by.words}"
    return _fault(test, "contradictory", text, f"let {other.id} ask later, or {rule.id} earlier")


def _covering(matrix: _Matrix, rule: MatrixRule) -> list[Fault]:
    """Two conditions of a rule of which every quote meets one, though neither always holds: meant as a range."""
    tests = [test for test in matrix.tests(rule) if test.listed and not matrix.always(test)]
    for position, one in enumerate(tests):
        for other in tests[position + 1 :]:
            both = matrix.meet(one) | matrix.meet(other)
            if one.figure == other.figure and len(both) == len(matrix.probes[one.figure]):
                text = f"every quote meets {one.words} or {other.words}, and one of them is enough"
                return [_fault(other, "contradictory", text, "keep one of them; a range cannot be asked for")]
    return []


def _idle(matrix: _Matrix, rule: MatrixRule) -> Fault:
    """A whole rule that adds nothing, though each of its conditions may be repeated elsewhere."""
    mine = matrix.met(rule)
    for other in matrix.rules:
        if other.id == rule.id or not _asks_as_much(other, rule):
            continue
        same = mine == matrix.met(other)
        if same and (other.level, other.comment_required) == (rule.level, rule.comment_required):
            return _fault(rule, "unreachable", f"{other.id} says the same", "remove one of them")
        if same:
            text = f"{other.id} has the same conditions and demands level {other.level}"
            text += ", with a comment" if other.comment_required and not rule.comment_required else ""
            remedy = f"let {rule.id} ask earlier, or {other.id} later"
            if other.level == rule.level:
                remedy = "keep one of them"
            return _fault(rule, "contradictory", text, remedy)
    others = ", ".join(other.id for other in matrix.rules if other.id != rule.id and _asks_as_much(other, rule))
    text = f"whenever it is met, {others} already asks for level {rule.level} of {rule.chain!r} or above"
    return _fault(rule, "unreachable", text, "remove it, or let it ask earlier")


def _fault(about: MatrixRule | _Test, kind: FaultKind, text: str, remedy: str) -> Fault:
    rule, condition = (about.rule, about.position) if isinstance(about, _Test) else (about, None)
    return Fault(rule=rule.id, condition=condition, kind=kind, text=text, remedy=remedy)
