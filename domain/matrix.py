"""What is wrong with a discount matrix: rules that can never add anything, contradict each other, or nobody can decide.

Every condition is a threshold on one figure of a quote, so few quotes show all that a matrix can do: one for each side
of each threshold. The rules themselves are asked about those (``domain.discount.holds``); nothing here knows a second
way to evaluate them. A condition adds something if some quote meets it and no other rule that asks as much: one of the
same chain at its level or above, and where it asks for a comment, one of its level that asks for one too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, Literal

from pydantic import Field

from domain.discount import holds
from domain.money import plain
from domain.policy import AuthorityPolicy, Condition, DiscountPolicy, MatrixRule, Tested
from domain.record import Record
from domain.rights import Action, RightsPolicy

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
    def figure(self) -> tuple[Tested, str]:
        return self.condition.value, self.currency

    @property
    def listed(self) -> bool:
        """Whether its author wrote it: not where a currency is only listed by others."""
        return not isinstance(self.condition.than, dict) or self.currency in self.condition.than

    @property
    def words(self) -> str:
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
    def probes(self) -> dict[tuple[Tested, str], tuple[Probe, ...]]:
        """By figure: a quote for each threshold, between each two, and beyond the outermost."""
        thresholds: dict[tuple[Tested, str], set[Decimal]] = {}
        for rule in self.rules:
            for test in self.tests(rule):
                than = test.condition.than
                number = than.get(test.currency) if isinstance(than, dict) else than
                thresholds.setdefault(test.figure, set()).update(() if number is None else (number,))
        return {figure: _probes(figure, sorted(numbers)) for figure, numbers in thresholds.items()}

    @cached_property
    def all(self) -> dict[tuple[Tested, str], frozenset[Probe]]:
        return {figure: frozenset(probes) for figure, probes in self.probes.items()}

    def meet(self, test: _Test) -> frozenset[Probe]:
        """The probes of the test's figure that it holds for."""
        if test.key not in self._shown:
            self._shown[test.key] = frozenset(p for p in self.probes[test.figure] if holds(test.condition, p))
        return self._shown[test.key]

    def met(self, rule: MatrixRule) -> dict[tuple[Tested, str], frozenset[Probe]]:
        """By figure: the probes that a condition of a rule holds for."""
        found: dict[tuple[Tested, str], frozenset[Probe]] = {}
        for test in self.tests(rule):
            found[test.figure] = found.get(test.figure, frozenset()) | self.meet(test)
        return found

    def always(self, test: _Test) -> bool:
        return len(self.meet(test)) == len(self.probes[test.figure])

    def witness(self, test: _Test, others: Iterable[_Test]) -> Probe | None:
        """A quote that meets a test and none of the others; None: there is none.

        The figures of a quote are independent of each other, save that it has one currency: so each can be looked at
        for itself, and the net amount in one currency is enough.
        """
        is_net = test.condition.value is Tested.NET
        nets = [figure for figure in self.probes if figure[0] is Tested.NET and (not is_net or figure == test.figure)]
        figures = [figure for figure in self.probes if figure[0] is not Tested.NET]
        left: dict[tuple[Tested, str], Set[Probe]] = {figure: self.all[figure] for figure in figures + nets}
        left[test.figure] = self.meet(test)
        for other in others:
            if other.figure in left:
                left[other.figure] = left[other.figure] - self.meet(other)
        nets_left = [figure for figure in nets if left[figure]]
        if nets and not nets_left:
            return None
        figures += nets_left[:1]
        if not all(left[figure] for figure in figures):
            return None
        return _together([min(left[figure], key=repr) for figure in figures])


def _probes(figure: tuple[Tested, str], thresholds: list[Decimal]) -> tuple[Probe, ...]:
    tested, currency = figure
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


def idle_rules(rules: Sequence[MatrixRule]) -> tuple[str, ...]:
    """The ids of rules that never change what is asked for, from the last to the first.

    Of rules that say the same the later ones are idle. All of them can be left out together without a change; a level
    that only idle rules name still needs its role from somewhere.
    """
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
    already asks as much. Only what a higher level asks on exactly the same condition may be repeated below it.
    """
    matrix = _Matrix(discount.rules)
    idle = idle_rules(discount.rules)
    found: list[Fault] = []
    for rule in discount.rules:
        of_rule = [fault for test in matrix.tests(rule) if test.listed for fault in _faults_of(matrix, test)]
        of_rule += _covering(matrix, rule)
        if rule.id in idle and not of_rule:
            of_rule = [_idle(matrix, rule)]
        found += of_rule
    return tuple(found)


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


class Gap(Record):
    """A level that nobody may decide in a company."""

    company: str
    chain: str
    level: int
    roles: tuple[str, ...] = Field(description="Of which one would be needed")
    stated: bool = Field(description="approvers.yaml says so: the role stands there empty, or the company")

    def __str__(self) -> str:
        return f"{self.company}: nobody holds {' or '.join(self.roles)}, level {self.level} of {self.chain!r}"


def gaps(
    discount: DiscountPolicy, authority: AuthorityPolicy, rights: RightsPolicy, companies: Collection[str]
) -> tuple[Gap, ...]:
    """The levels that nobody may decide, company by company."""
    deciding = _deciding(rights)
    found = []
    for company in sorted(companies):
        named = authority.companies.get(company, {})
        for chain in discount.chains:
            ladder = discount.ladder(chain)
            for level in range(1, len(ladder) + 1):
                roles = tuple(role for role in ladder[level - 1 :] if role in deciding)
                if not any(named.get(role) for role in roles):
                    stated = not named or ladder[level - 1] in named
                    found.append(
                        Gap(company=company, chain=chain, level=level, roles=ladder[level - 1 :], stated=stated)
                    )
    return tuple(found)


def without_authority(
    discount: DiscountPolicy, authority: AuthorityPolicy, rights: RightsPolicy, companies: Collection[str]
) -> tuple[Fault, ...]:
    """The rules that ask for what nobody may decide, though the files do not say that this is meant.

    Args:
        discount: the rules.
        authority: who holds which role.
        rights: what the roles may do, and up to which amount.
        companies: legal entities that have quotes.
    """
    found = []
    open_gaps = [gap for gap in gaps(discount, authority, rights, companies) if not gap.stated]
    for rule in discount.rules:
        where = [gap.company for gap in open_gaps if (gap.chain, gap.level) == (rule.chain, rule.level)]
        if where:
            ladder = " or ".join(discount.ladder(rule.chain)[rule.level - 1 :])
            remedy = f"name a holder in approvers.yaml, or write {rule.role}: [] there to say that nobody does"
            found.append(
                _fault(rule, "without authority", f"nobody holds {ladder} in {', '.join(where)}", remedy),
            )
        found += _above_every_limit(discount, rights, rule)
    return tuple(found)


def _deciding(rights: RightsPolicy) -> dict[str, list[dict[str, Decimal] | None]]:
    """By role: the limits of each row that lets it decide; None: any amount.

    A row for own deals lets nobody decide: no one decides their own.
    """
    found: dict[str, list[dict[str, Decimal] | None]] = {}
    for right in rights.rights:
        if Action.DECIDE_APPROVAL in right.may and right.of == "any":
            found.setdefault(right.role, []).append(right.up_to)
    return found


def _above_every_limit(discount: DiscountPolicy, rights: RightsPolicy, rule: MatrixRule) -> Iterable[Fault]:
    deciding = _deciding(rights)
    roles = discount.ladder(rule.chain)[rule.level - 1 :]
    limits = [limit for role in roles for limit in deciding.get(role, [])]
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(limits) or not known:
        return
    for position, condition in enumerate(rule.when):
        if condition.op not in (">", ">=") or not isinstance(condition.than, dict):
            continue
        for currency, amount in condition.than.items():
            most = max(limit.get(currency, Decimal(0)) for limit in known)
            if amount > most or (amount == most and condition.op == ">"):
                test = _Test(rule, position, currency)
                text = f"{test.words}, and {' or '.join(roles)} may decide up to {plain(most)} {currency} at most"
                yield _fault(test, "without authority", text, "raise up_to of one of them in rights.yaml, or remove it")
