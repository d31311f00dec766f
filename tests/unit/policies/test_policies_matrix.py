"""A discount matrix is loaded if each rule can do something, says one thing, and somebody may decide it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from moneyed import CURRENCIES

import policies
from domain import matrix
from domain.approvals import LineFinding
from domain.discount import asked_levels, required_rules
from domain.policy import Condition, DiscountPolicy, MatrixRule, PolicyError
from domain.pricing import PricedQuote
from domain.scope import Scope
from tests.unit.domain.makers import POLICY

D = Decimal
PACKAGED = Path(policies.__file__).parent
Written = dict[str, Any]


def test(value: str, op: str | None = None, than: Any = None) -> Written:
    return {"value": value} if op is None else {"value": value, "op": op, "than": than}


def rule(id_: str, level: int, *when: Written, chain: str = "sales", **more: Any) -> Written:
    return {"id": id_, "when": list(when), "chain": chain, "level": level, "role": f"{chain}{level}", **more}


def discount(*rules: Written) -> DiscountPolicy:
    return DiscountPolicy.model_validate(
        {
            "version": "1",
            "rules": rules,
            "sla_business_hours": dict.fromkeys(range(1, 10), 8),
            "on_timeout": dict.fromkeys(range(1, 10), "expire"),
            "max_age_days": 14,
        }
    )


test.__test__ = False  # type: ignore[attr-defined]  # a word of these tests, not one of them
DISC10, DISC20, DISC30 = (test("disc_pct", ">", than) for than in (10, 20, 30))
MARGIN25, FLOOR = test("margin_pct", "<", 25), test("below_floor")


def refused(*rules: Written) -> list[tuple[str, str]]:
    return [(fault.rule, fault.kind) for fault in matrix.faults(discount(*rules))]


def test_the_shipped_matrix_is_accepted() -> None:
    assert matrix.faults(POLICY.discount) == ()


@pytest.mark.parametrize(
    ("rules", "found", "says"),
    [
        # Shadowed by an earlier or a wider one.
        ([rule("A", 1, DISC10), rule("B", 1, DISC20)], [("B", "unreachable")], "A asks for the same level on"),
        ([rule("A", 1, DISC20), rule("B", 1, DISC10)], [("A", "unreachable")], "B asks for the same level on"),
        ([rule("A", 1, DISC10), rule("B", 1, DISC10)], [("B", "unreachable")], "A says the same"),
        ([rule("A", 1, DISC10, DISC20)], [("A", "unreachable")], "of the same rule"),
        ([rule("A", 1, DISC10, DISC10)], [("A", "unreachable")], "of the same rule"),
        (
            [rule("A", 1, test("disc_pct", "<", 20)), rule("B", 1, test("disc_pct", ">=", 20)), rule("C", 1, FLOOR)],
            [("C", "unreachable")],
            "A, B already asks for level 1",
        ),
        ([rule("A", 1, MARGIN25), rule("B", 2, test("disc_pct", ">=", 0))], [("A", "unreachable")], "B already asks"),
        # What no quote can be.
        ([rule("A", 1, test("disc_pct", "<", 0))], [("A", "unreachable")], "not below 0 %"),
        ([rule("A", 1, DISC10, test("payment_days", "<=", "-0.1"))], [("A", "unreachable")], "whole and not below 0"),
        ([rule("A", 1, test("payment_days", "<", 0))], [("A", "unreachable")], "not below 0"),
        ([rule("A", 1, test("net", "<", {"USD": 0}), DISC10)], [("A", "unreachable")], "net < 0 USD never holds"),
        # Same conditions, different demands.
        ([rule("A", 1, DISC10), rule("B", 2, DISC10)], [("A", "contradictory")], "B has the same conditions"),
        (
            [rule("A", 1, DISC10), rule("B", 1, DISC10, comment_required=True)],
            [("A", "contradictory")],
            "with a comment",
        ),
        ([rule("A", 1, DISC10, test("disc_pct", "<=", 20))], [("A", "contradictory")], "a range cannot be asked for"),
        # A threshold order that goes down.
        ([rule("A", 1, DISC20), rule("B", 2, DISC10)], [("A", "contradictory")], "let B ask later, or A earlier"),
        ([rule("A", 1, DISC20, FLOOR), rule("B", 2, DISC10)], [("A", "contradictory")], "thresholds goes down"),
        (
            [rule("A", 1, test("net", ">=", {"USD": 100, "EUR": 900})), rule("B", 2, test("net", ">=", {"USD": 500,
             "EUR": 500}))],
            [("A", "contradictory")],
            "net >= 900 EUR",
        ),
        (
            [rule("A", 1, test("net", ">=", {"USD": 100, "EUR": 100})), rule("B", 2, test("net", ">=", {"USD": 500}))],
            [("A", "unreachable")],
            "B lists no amount in EUR",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_misleads_is_refused_by_name(rules: list[Written], found: list[tuple[str, str]], says: str) -> None:
    faults = matrix.faults(discount(*rules))
    assert [(fault.rule, fault.kind) for fault in faults] == found
    assert says in str(faults[0])
    assert all(fault.remedy for fault in faults)


@pytest.mark.parametrize(
    "rules",
    [
        [rule("A", 1, DISC10), rule("B", 2, DISC20)],
        # What a higher level asks for on the same condition may be repeated below it: it misleads nobody.
        [rule("A", 1, DISC10, MARGIN25), rule("B", 2, DISC20, MARGIN25)],
        [rule("A", 1, DISC10), rule("B", 1, DISC20, comment_required=True)],
        [rule("A", 1, DISC10), rule("B", 1, DISC10, chain="legal")],
        [rule("A", 1, test("disc_pct", ">=", 0))],
        # More than the goods come to can be taken off where there is freight.
        [rule("A", 1, test("disc_pct", ">", 100)), rule("B", 1, test("margin_pct", ">", 100))],
        [rule("A", 1, test("disc_pct", "<", 5), DISC10)],
        [rule("A", 1, DISC10), rule("B", 2, test("net", ">=", {"USD": 500}))],
    ],
)
def test_what_says_something_is_accepted(rules: list[Written]) -> None:
    assert matrix.faults(discount(*rules)) == ()


def test_all_faults_are_told_at_once() -> None:
    rules = (
        rule("A", 1, DISC10),
        rule("B", 1, DISC20),
        rule("C", 2, test("net", "<", {"USD": 0})),
        rule("E", 1, FLOOR),
    )
    assert refused(*rules) == [("B", "unreachable"), ("C", "unreachable")]


# Random matrices, asked about quotes by the evaluation that decides.

POINTS = {
    "disc_pct": (D(0), D(5), D("7.5"), D(10), D(15), D(20), D(25), D(30), D("60"), D(120)),
    "margin_pct": (D(-100), D(0), D(5), D("7.5"), D(10), D(15), D(20), D(25), D(30), D(100)),
    "payment_days": (0, 5, 7, 10, 15, 20, 25, 30, 31),
    "net": (D(0), D(5), D("7.5"), D(10), D(15), D(20), D(25), D(30), D(1000)),
}
THRESHOLDS = (0, 5, 10, 20, 30)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    value = draw(st.sampled_from(["disc_pct", "margin_pct", "payment_days", "net", "below_floor"]))
    if value == "below_floor":
        return Condition.model_validate({"value": value})
    number = st.sampled_from(THRESHOLDS)
    than = draw(st.dictionaries(st.sampled_from(["USD", "EUR"]), number) if value == "net" else number)
    return Condition.model_validate({"value": value, "op": draw(st.sampled_from([">", ">=", "<", "<="])), "than": than})


def some(*values: str) -> st.SearchStrategy[list[str]]:
    return st.just([]) | st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    days = sorted(draw(st.lists(st.sampled_from(DAYS), min_size=2, max_size=2)))
    first, last = (draw(st.sampled_from([None, day])) for day in days)
    return Scope(
        companies=tuple(draw(some("usmf", "demf"))),
        customer_groups=tuple(draw(some("30", "40"))),
        product_groups=tuple(draw(some("A", "B"))),
        valid_from=first,
        valid_until=last,
    )


@st.composite
def matrices(draw: st.DrawFn, *, scoped: bool = False) -> list[MatrixRule]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        chain, level = draw(st.sampled_from(["sales", "legal"])), draw(st.integers(1, 3))
        found.append(
            MatrixRule(
                id=f"R{number}",
                only=draw(scopes()) if scoped else Scope(),
                when=tuple(draw(st.lists(conditions(), min_size=1, max_size=3))),
                chain=chain,
                level=level,
                role=f"{chain}{level}",
                comment_required=draw(st.booleans()),
            )
        )
    return found


LINE = LineFinding(
    line_no=1, item="P", description="", quantity=D(1), unit="ea", price=D(1), list_price=D(1), floor_price=D(1),
    cost=D(0), discount_pct=D(0), net=D(0), margin_pct=D(0), below_floor=True,
)  # fmt: skip


def quote_of(
    disc: Decimal,
    margin: Decimal,
    days: int,
    currency: str,
    net: Decimal,
    floor: bool,
    parts: Sequence[LineFinding] = (),
    *where: Any,
) -> PricedQuote:
    """A quote with these figures, at least as bad as its lines, asked somewhere: company, customer group, day."""
    company, group, day = where or ("", "", date(2026, 1, 1))
    floor = floor or any(part.below_floor for part in parts)
    return PricedQuote(
        company=company,
        customer_group=group,
        priced_on=day,
        currency=currency,
        lines=((LINE,) if floor else ()) + tuple(parts),
        list_net=D(0),
        disc_pct=max([disc, *(part.discount_pct for part in parts)]),
        margin_pct=margin,
        net=net,
        payment_days=days,
        below_floor=floor,
        price_hash="",
    )


DAYS = (date(2026, 1, 1), date(2027, 1, 1), date(2027, 6, 30), date(2027, 7, 1))


def part_of(group: str, disc: Decimal, margin: Decimal, net: Decimal, floor: bool) -> LineFinding:
    figures = {"discount_pct": disc, "net": net, "cost": net * (100 - margin) / 100, "below_floor": floor}
    return LINE.model_copy(update={"group": group, **figures})


PARTS = st.builds(
    part_of,
    st.sampled_from(["a", "B"]),
    st.sampled_from(POINTS["disc_pct"]),
    st.sampled_from(POINTS["margin_pct"]),
    st.sampled_from(POINTS["net"]),
    st.booleans(),
)
QUOTES = st.builds(
    quote_of,
    st.sampled_from(POINTS["disc_pct"]),
    st.sampled_from(POINTS["margin_pct"]),
    st.sampled_from(POINTS["payment_days"]),
    st.sampled_from(["USD", "EUR", "JPY"]),
    st.sampled_from(POINTS["net"]),
    st.booleans(),
    st.lists(PARTS, max_size=2),
    st.sampled_from(["usmf", "demf"]),
    st.sampled_from(["", "30", "40"]),
    st.sampled_from(DAYS),
)
# Drawing them costs more than what is tested: it is done where there is something to ask them about.
MANY_QUOTES = st.lists(QUOTES, min_size=20, max_size=40)


def demands(quote: PricedQuote, rules: Sequence[MatrixRule]) -> set[tuple[str, int, bool]]:
    """What a quote needs by some rules: chain and level of each step, and whether it needs a comment."""
    policy = POLICY.model_copy(update={"discount": POLICY.discount.model_copy(update={"rules": tuple(rules)})})
    return {(level.chain, level.level, level.comment_required) for level in asked_levels(quote, policy)}


@pytest.fixture
def every_level_has_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    # Rules are left out one by one: who the levels' roles are does not matter to what is asked for.
    ladder = tuple(f"role{level}" for level in range(1, 10))
    monkeypatch.setattr(DiscountPolicy, "ladder", lambda self, chain: ladder)


of_random_matrices = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(matrices() | matrices(scoped=True), st.data())
@of_random_matrices
@pytest.mark.usefixtures("every_level_has_a_role")
def test_a_refused_rule_never_changes_what_is_asked_for(rules: list[MatrixRule], data: st.DataObject) -> None:
    idle = matrix.idle_rules(rules)
    assume(idle)
    left = [rule for rule in rules if rule.id not in idle]
    for quote in data.draw(MANY_QUOTES):
        assert demands(quote, left) == demands(quote, rules)


@given(matrices())
@of_random_matrices
@pytest.mark.usefixtures("every_level_has_a_role")
def test_an_accepted_rule_has_a_quote_that_it_decides(rules: list[MatrixRule]) -> None:
    idle = matrix.idle_rules(rules)
    left = [rule for rule in rules if rule.id not in idle]
    for rule_ in left:
        without = [other for other in left if other.id != rule_.id]
        witness = matrix.witness(rule_, without)
        assert witness is not None
        quote = quote_of(
            witness.disc_pct, witness.margin_pct, witness.payment_days, witness.currency or "KWD", witness.net,
            witness.below_floor,
        )  # fmt: skip
        policy = POLICY.model_copy(update={"discount": POLICY.discount.model_copy(update={"rules": tuple(rules)})})
        assert rule_.id in [match.rule.id for match in required_rules(quote, policy)]
        assert demands(quote, left) != demands(quote, without)
        if not idle:
            assert demands(quote, rules) != demands(quote, without)


@given(matrices() | matrices(scoped=True), st.data())
@of_random_matrices
@pytest.mark.usefixtures("every_level_has_a_role")
def test_a_refused_condition_never_changes_what_is_asked_for(rules: list[MatrixRule], data: st.DataObject) -> None:
    policy = POLICY.discount.model_copy(update={"rules": tuple(rules)})
    refused = {rule.id: rule for rule in rules}
    found = matrix.faults(policy)
    faults = [fault for fault in found if fault.condition is not None and "every quote meets" not in fault.text]
    quotes = data.draw(MANY_QUOTES) if faults else []
    for fault in faults:
        assert fault.condition is not None
        rule_ = refused[fault.rule]
        kept = tuple(test for position, test in enumerate(rule_.when) if position != fault.condition)
        without = [
            other if other.id != rule_.id else rule_.model_copy(update={"when": kept})
            for other in rules
            if kept or other.id != rule_.id
        ]
        # In a currency that an amount does not list, it is met whatever it is: there the condition does something.
        amounts = rule_.when[fault.condition].than
        for quote in quotes:
            if not isinstance(amounts, dict) or list(amounts) == [quote.currency]:
                assert demands(quote, without) == demands(quote, rules)


@given(matrices())
@of_random_matrices
@pytest.mark.usefixtures("every_level_has_a_role")
def test_every_rule_that_changes_nothing_is_among_the_faults(rules: list[MatrixRule]) -> None:
    policy = POLICY.discount.model_copy(update={"rules": tuple(rules)})
    assert set(matrix.idle_rules(rules)) <= {fault.rule for fault in matrix.faults(policy)}


# Authority: somebody may decide what a rule asks for, in every company with quotes, and however much it comes to.


def loading(folder: Path, name: str, *edits: tuple[str, str]) -> list[str]:
    """The problems of the shipped policies with edits of one file, without the names of files."""
    text = (PACKAGED / name).read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / name).write_text(text, encoding="utf-8")
    try:
        policies.load(folder)
    except PolicyError as error:
        return [line.partition(".yaml: ")[2] for line in str(error).splitlines()]
    return []


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (
            ("    cfo: [cora]\n", ""),
            ["D3: rules.2: without authority: nobody holds cfo in usmf", "B1: rules.4: without"],
        ),
        (("    cfo: [cora]", "    cfo: []"), []),
        (("    legal: [leo]\n", ""), ["T1: rules.3: without authority: nobody holds legal in usmf"]),
        (("    sales_manager: [mona]\n", ""), []),  # a director may decide for a manager
        (
            ("    sales_director: [dora]\n", ""),
            ["D1: rules.0: without authority: nobody holds sales_manager or", "D2: "],
        ),
        (("  jpmf: {}", "  jpmf: {legal: []}"), ["D1: ", "D2: ", "D3: ", "B1: "]),
    ],
)
def test_a_level_that_nobody_may_decide_is_refused_by_rule_and_company_unless_the_file_says_so(
    tmp_path: Path, edit: tuple[str, str], found: list[str]
) -> None:
    said = loading(tmp_path, "approvers.yaml", edit)
    assert len(said) == len(found)
    for text, expected in zip(said, found, strict=True):
        assert text.startswith(f"rule {expected}")
        assert "name a holder in approvers.yaml, or write" in text


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ("{USD: 100000, EUR: 300000, JPY: 35000001, KWD: 75000}", ["net >= 250000 USD"]),
        ("{USD: 250000, EUR: 250000, JPY: 35000000}", ["net >= 75000 KWD"]),
        ("{USD: 250000, EUR: 250000, JPY: 35000000, KWD: 75000}", []),
    ],
)
def test_an_amount_above_every_limit_of_authority_is_refused(tmp_path: Path, limits: str, found: list[str]) -> None:
    row = (
        "{role: cfo, may: [deal.read, deal.read_margin, approval.decide, delegation.set_own, credit.recheck, run.read]}"
    )
    assert row in (PACKAGED / "rights.yaml").read_text()
    limited = row.replace("approval.decide, ", "") + f"\n  - {{role: cfo, may: [approval.decide], up_to: {limits}}}"
    said = loading(tmp_path, "rights.yaml", (row, limited))
    assert len(said) == len(found)
    for text, expected in zip(said, found, strict=True):
        assert text.startswith(f"rule D3: rules.2.when.2: without authority: {expected}, and cfo may decide up to")
        assert "raise up_to of one of them in rights.yaml" in text


def test_a_right_to_decide_ones_own_deals_is_no_authority(tmp_path: Path) -> None:
    row = "{role: legal, may: [deal.read, approval.decide, delegation.set_own]}"
    own = "{role: legal, may: [deal.read]}\n  - {role: legal, may: [approval.decide], of: own}"
    assert loading(tmp_path, "rights.yaml", (row, own)) == [
        "rights: give legal approval.decide, which rule T1 of discount.yaml asks"
    ]


def test_a_refusal_names_file_rule_and_remedy_and_comes_with_all_others(tmp_path: Path) -> None:
    content = yaml.safe_load((PACKAGED / "discount.yaml").read_text())
    content["rules"][0]["when"][0]["than"] = 30
    content["rules"][3]["when"][0]["op"] = "<"
    content["rules"][3]["when"][0]["than"] = 0
    (tmp_path / "discount.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(PolicyError) as refused:
        policies.load(tmp_path)
    down, never = str(refused.value).splitlines()
    assert down.startswith(
        f"{tmp_path}/discount.yaml: rule D1: rules.0.when.0: contradictory: the order of thresholds goes down"
    )
    assert down.endswith("let D2 ask later, or D1 earlier")
    assert never.startswith(
        f"{tmp_path}/discount.yaml: rule T1: rules.3.when.0: unreachable: payment < 0 days never holds"
    )


def test_a_matrix_with_an_amount_in_every_currency_is_accepted() -> None:
    every = [code for code in CURRENCIES if code.isalpha()]
    rules = [
        rule(f"R{level}", level, test("net", ">=", dict.fromkeys(every, level * 1000)), DISC10 | {"than": level})
        for level in range(1, 7)
    ]
    assert matrix.faults(discount(*rules)) == ()
