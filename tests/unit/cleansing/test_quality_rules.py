"""The shipped rules of quality: each finds the record that breaks it, every such record, and no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from cleansing.quality import Failure, Found, run
from cleansing.relations import Relations, RelationsError
from domain.entities.quality import QualityRules, Severity
from domain.policy import PolicyError
from policies.map_files import load_maps
from policies.quality_files import PACKAGED, load_quality_rules

MAPS = load_maps().all
RULES = load_quality_rules(MAPS)
TODAY = date(2026, 11, 27)
Rows = dict[str, list[dict[str, str]]]

CUSTOMER = {
    "company": "demf", "key": "DE-1", "account_number": "DE-1", "name": "Contoso GmbH", "currency": "EUR",
    "tax_number": "DE136695976", "email": "ap@contoso.example", "phone": "+493012345678", "website": "",
    "street": "Ring 1", "city": "Berlin", "postal_code": "10115", "country": "DEU", "payment_terms": "Net 30",
}  # fmt: skip
ACCOUNT = CUSTOMER | {"key": "guid-1", "country": "Germany", "payment_terms": "1"}
LIMIT = {"company": "demf", "key": "DE-1", "customer": "DE-1", "credit_limit": "100.00", "unlimited": "No",
         "valid_until": "1900-01-01T12:00:00Z", "on_hold": "No"}  # fmt: skip
ORDER = {"company": "demf", "key": "SO-1", "number": "SO-1", "customer": "DE-1", "status": "Backorder"}
PRODUCT = {"company": "usmf", "key": "P100", "number": "P100", "name": "Pump", "unit": "ea"}
PRICE = {"company": "usmf", "key": "1", "item": "P100", "unit": "ea", "currency": "USD", "price": "100.00"}
GOOD: Rows = {
    "customer_finance": [CUSTOMER],
    "customer_sales": [ACCOUNT],
    "credit_limit_finance": [LIMIT],
    "order_finance": [ORDER],
    "product_finance": [PRODUCT],
    "product_sales": [PRODUCT],
    "price_finance": [PRICE],
    "price_sales": [PRICE],
}
FAILING_VALUES = [
    (1, "customer", "name", " "),
    (2, "customer", "name", "Contoso  GmbH"),
    (2, "customer", "name", "Contoso\nGmbH"),
    (10, "customer", "tax_number", "DE136695975"),
    (9, "customer", "tax_number", ""),
    (12, "customer", "phone", "0049 30 1234-5678"),
    (13, "customer", "email", "ap(at)contoso"),
    (14, "customer", "city", ""),
    (15, "customer", "country", "Atlantis"),
    (16, "customer", "currency", ""),
    (17, "customer", "currency", "EURO"),
    (18, "customer", "payment_terms", "Net 31"),
    (8, "customer", "company", "frmf"),
    (19, "credit_limit", "credit_limit", "-0.01"),
    (19, "credit_limit", "credit_limit", "much"),
    (20, "credit_limit", "valid_until", "2026-11-26T12:00:00Z"),
    (21, "credit_limit", "on_hold", "All"),
    (22, "product", "unit", ""),
    (24, "price", "currency", ""),
    (25, "price", "price", "0.00"),
]


def relations(rows: Rows) -> Relations:
    made = Relations(MAPS)
    for name, records in rows.items():
        entity, _, side = name.rpartition("_")
        made.database.register(f"given_{name}", pa.Table.from_pylist(records))
        made.add(entity, "finance" if side == "finance" else "sales", f"SELECT * FROM given_{name}")
    return made


def found(rows: Rows, rules: QualityRules = RULES) -> Found:
    return run(rules, relations(rows), companies=["demf", "usmf"], today=TODAY)


def broken(rows: Rows) -> set[tuple[int, str, str]]:
    return {(failure.rule, failure.side, failure.key) for failure in found(rows).failures()}


def with_row(name: str, *changed: dict[str, str]) -> Rows:
    return GOOD | {name: [*GOOD[name], *changed]}


def test_good_records_break_no_rule_and_every_rule_is_checked() -> None:
    result = found(GOOD)
    assert list(result.failures()) == []
    assert result.not_checked == ()
    assert len(RULES.rules) == 25
    assert {score.score for score in result.scores} == {Decimal("100.00")}


@pytest.mark.parametrize(("rule", "entity", "field", "value"), FAILING_VALUES)
def test_a_bad_value_breaks_its_rule_alone(rule: int, entity: str, field: str, value: str) -> None:
    name = f"{entity}_finance"
    bad = GOOD[name][0] | {field: value}
    result = found(GOOD | {name: [bad]})
    assert [(each.side, each.key, each.field) for each in result.failures([rule])] == [("finance", bad["key"], field)]
    beside = {8: {5, 6}}  # in its own company its account is alone, and in the other it is
    assert {each.rule for each in result.failures()} - {rule} == beside.get(rule, set())


def test_an_account_is_held_against_finance_and_finance_against_sales() -> None:
    lost = ACCOUNT | {"key": "guid-2", "account_number": "DE-9", "tax_number": ""}
    without = ACCOUNT | {"key": "guid-3", "account_number": "", "tax_number": "", "name": "Fabrikam AG"}
    other = CUSTOMER | {"key": "DE-2", "account_number": "DE-2", "tax_number": ""}
    rows = with_row("customer_sales", lost, without) | {"customer_finance": [CUSTOMER, other]}
    assert broken(rows) == {
        (5, "sales", "guid-2"),
        (4, "sales", "guid-3"),
        (6, "finance", "DE-2"),
        (9, "sales", "guid-2"),
        (9, "sales", "guid-3"),
        (9, "finance", "DE-2"),
    }


def test_a_number_is_known_in_its_own_company_alone() -> None:
    elsewhere = ACCOUNT | {"key": "guid-2", "company": "usmf", "tax_number": ""}
    assert broken(with_row("customer_sales", elsewhere)) == {(5, "sales", "guid-2"), (9, "sales", "guid-2")}


def test_repeated_values_are_compared_in_their_normal_form_within_a_company() -> None:
    twin = ACCOUNT | {"key": "guid-2", "account_number": "de-1 ", "tax_number": "de 136.695.976"}
    elsewhere = CUSTOMER | {"key": "DE-1", "company": "usmf"}
    rows = with_row("customer_sales", twin) | {"customer_finance": [CUSTOMER, elsewhere]}
    assert broken(rows) == {
        (7, "sales", "guid-1"),
        (7, "sales", "guid-2"),
        (11, "sales", "guid-1"),
        (11, "sales", "guid-2"),
        (6, "finance", "DE-1"),
    }


def test_a_text_that_finance_does_not_take_is_counted_as_finance_counts() -> None:
    fits, long = "🚚" * 50, "🚚" * 50 + "x"
    assert broken(GOOD | {"customer_sales": [ACCOUNT | {"name": fits}]}) == set()
    assert broken(GOOD | {"customer_sales": [ACCOUNT | {"name": long}]}) == {(3, "sales", "guid-1")}


def test_an_order_that_is_done_keeps_nobody_on_hold() -> None:
    held = GOOD | {"credit_limit_finance": [LIMIT | {"on_hold": "All"}]}
    assert broken(held) == {(21, "finance", "DE-1")}
    assert broken(held | {"order_finance": [ORDER | {"status": "Invoiced"}]}) == set()


def test_personal_data_is_masked_and_other_values_are_shown() -> None:
    rows = GOOD | {"customer_sales": [ACCOUNT | {"phone": "030 12345678", "email": "ab", "country": "Atlantis"}]}
    shown = {failure.field: failure for failure in found(rows).failures()}
    assert (shown["phone"].value, shown["email"].value, shown["country"].value) == ("03…", "…", "Atlantis")
    assert shown["phone"].why == "is no phone number"


@pytest.mark.parametrize(
    ("number", "country", "wrong"),
    [
        ("DE136695976", "Germany", False),
        ("136695976", "Germany", False),
        ("ATU12345675", "Germany", False),
        ("DE12", "DEU", True),
        ("US123456789", "United States", False),  # no rule for it is known: not judged
        ("anything", "", False),
    ],
)
def test_a_tax_number_is_judged_where_its_rule_is_known(number: str, country: str, wrong: bool) -> None:
    rows = GOOD | {"customer_sales": [ACCOUNT | {"tax_number": number, "country": country, "phone": "", "email": ""}]}
    assert ((10, "sales", "guid-1") in broken(rows)) is wrong


def test_a_country_is_known_as_the_installation_translates_it() -> None:
    row = CUSTOMER | {"country": " deutschland ", "phone": "030 123456", "tax_number": "136695975"}
    translated = run(
        RULES, relations({"customer_finance": [row]}), companies=["demf"], today=TODAY, countries={"Deutschland": "DEU"}
    )
    assert {each.rule for each in translated.failures()} == {10, 12}
    assert {each.rule for each in found({"customer_finance": [row]}).failures()} == {12, 15}


def test_every_failing_record_is_listed_not_a_sample() -> None:
    many = [
        CUSTOMER | {"key": f"D{n}", "account_number": f"D{n}", "tax_number": "", "email": f"x{n}"}
        for n in range(30_000)
    ]
    result = found({"customer_finance": many})
    assert sum(1 for _ in result.failures([13])) == 30_000


def test_a_rule_without_its_records_is_not_checked_and_says_why() -> None:
    rows = {name: records for name, records in GOOD.items() if name != "order_finance"}
    result = found(rows | {"customer_finance": [{"company": "demf", "key": "DE-1", "account_number": "DE-1"}]})
    said = {(each.rule, each.side): each.why for each in result.not_checked}
    assert said[21, "finance"] == "no order of Finance was read"
    assert said[13, "finance"] == "customer of Finance was read without email"
    assert 13 not in {each.rule for each in result.outcomes if each.side == "finance"}


def test_the_score_weighs_rules_by_severity_and_counts_companies_apart() -> None:
    rules = RULES.model_copy(update={"rules": tuple(rule for rule in RULES.rules if rule.number in (13, 16))})
    good = [CUSTOMER | {"key": f"D{n}"} for n in range(3)]
    bad = CUSTOMER | {"key": "D9", "currency": "", "email": "x"}
    american = CUSTOMER | {"key": "U1", "company": "usmf"}
    result = found({"customer_finance": [*good, bad, american]}, rules)
    by_company = {score.company: score for score in result.scores}
    # critical 5 and minor 1, a quarter of the records each: 100 × (1 - (5 × 1/4 + 1 × 1/4) ÷ 6)
    assert by_company["demf"].score == Decimal("75.00")
    assert (by_company["demf"].critical, by_company["demf"].failing) == (1, 2)
    assert by_company["usmf"].score == Decimal("100.00")


def test_a_score_of_100_means_that_nothing_is_wrong() -> None:
    many = [CUSTOMER | {"key": f"D{n}"} for n in range(20_000)]
    many[5] = many[5] | {"email": "x"}
    rules = RULES.model_copy(update={"rules": tuple(rule for rule in RULES.rules if rule.number in (13, 16))})
    assert found({"customer_finance": many}, rules).scores[0].score == Decimal("99.99")


# --- files -----------------------------------------------------------------------------------------------------------


def own(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = PACKAGED.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality" / "rules.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_an_installation_has_rules_of_its_own(tmp_path: Path) -> None:
    folder = own(tmp_path, ("severity: critical", "severity: minor"))
    assert load_quality_rules(MAPS, folder).rules[0].severity is Severity.MINOR


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("number: 2\n", "number: 1\n", "the number 1 is given twice; give each rule its own"),
        ("fields: [phone]", "fields: [fax]", "rule 12: fax is no field of the map customer; its fields are account_"),
        ("fields: [payment_terms]", "fields: [name]", "rule 18: name has no value map; name a field that has one"),
        ("entity: order\n", "entity: orders\n", "rule 21: orders has no map; the maps are "),
        ("form: email", "form: mail", "rules.12.check.form: must be 'e164', 'email'"),
        ("kind: past", "kind: sql", "rules.19.check"),
    ],
)
def test_what_is_wrong_with_the_rules_is_named_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(PolicyError) as problem:
        load_quality_rules(MAPS, own(tmp_path, (old, new)))
    assert says in str(problem.value)


def failing(rows: Iterable[Failure]) -> list[Failure]:
    return [replace(each, why="") for each in rows]


def test_a_folder_of_csv_and_parquet_is_read_as_relations_are(tmp_path: Path) -> None:
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    bad = CUSTOMER | {"company": "DEMF", "email": "x"}
    pc.write_csv(pa.Table.from_pylist([bad]), tmp_path / "customer_finance.csv")
    (tmp_path / "customer_sales").mkdir()
    pq.write_table(pa.Table.from_pylist([ACCOUNT]), tmp_path / "customer_sales" / "page-1.parquet")
    pq.write_table(pa.Table.from_pylist([ACCOUNT | {"key": "guid-2"}]), tmp_path / "customer_sales" / "page-2.parquet")
    read = Relations(MAPS)
    read.add_folder(tmp_path)
    result = run(RULES, read, companies=["demf"], today=TODAY)
    expected = found({"customer_finance": [bad], "customer_sales": [ACCOUNT, ACCOUNT | {"key": "guid-2"}]})
    assert failing(result.failures()) == failing(expected.failures()) != []


def test_what_is_no_relation_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RelationsError, match="holds no records; a file is named as customer_finance.parquet is"):
        Relations(MAPS).add_folder(tmp_path)
    (tmp_path / "customer_finance.csv").write_text("key,name\n1,x\n")
    with pytest.raises(RelationsError, match="customer of finance has no column company"):
        Relations(MAPS).add_folder(tmp_path)
    (tmp_path / "customer_finance.csv").write_text('company,key,"na""me"\n1,x,y\n')
    with pytest.raises(RelationsError, match="is no name of a column"):
        Relations(MAPS).add_folder(tmp_path)
    (tmp_path / "customer_finance.csv").unlink()
    (tmp_path / "customer_finance.parquet").write_text("no parquet")
    with pytest.raises(RelationsError, match="customer of finance cannot be read"):
        Relations(MAPS).add_folder(tmp_path)
