"""Quotes in files: what is wrong is told with line and field, and nothing is a traceback."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.given_files import GivenFileError
from policies.quote_files import AskedLine, AskedQuote, read_quote, read_quotes

LINE = {"item": "P1", "quantity": 2, "list_price": 10.5, "cost": 6}
QUOTE = {"quote": "Q-1", "company": "usmf", "currency": "USD", "payment_days": 30, "lines": [LINE]}
DOCS = Path(__file__).parents[3] / "docs" / "policies.md"


def written(folder: Path, content: Any, name: str = "q.json") -> Path:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder / name


def refusal(folder: Path, content: Any, name: str = "q.json") -> list[str]:
    file = written(folder, content, name)
    with pytest.raises(GivenFileError) as refused:
        read_quote(file) if name.endswith(".json") else read_quotes(file)
    return [line.removeprefix(f"{file}: ") for line in str(refused.value).splitlines()]


def test_numbers_are_exact(tmp_path: Path) -> None:
    found = read_quote(written(tmp_path, json.dumps(QUOTE).replace("10.5", "0.1000000001")))
    assert found.lines[0].list_price == Decimal("0.1000000001")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"currency": "US"}, ["currency: 'US' is not an ISO 4217 currency code, e.g. USD"]),
        ({"company": "USMF"}, ["company: 'USMF' is not a legal entity id in lower case, e.g. usmf"]),
        ({"payment_days": -1}, ["payment_days: must be greater than or equal to 0"]),
        ({"lines": []}, ["lines: must not be empty"]),
        ({"total": 1}, ["total: is not a setting here; correct its name or remove it"]),
        ({"lines": [LINE | {"quantity": 0}]}, ["lines.0.quantity: must be greater than 0"]),
        ({"lines": [LINE, {"item": "P2"}]}, ["lines.1.quantity: is", "lines.1.list_price: is", "lines.1.cost: is"]),
        ({"lines": [LINE | {"discount_pct": 101}]}, ["lines.0.discount_pct: must be less than or equal to 100"]),
        ({"lines": [LINE | {"discount": 1, "net": 1}]}, ["lines.0: discount and net say the same in two ways"]),
        ({"lines": [LINE | {"discount": 22}]}, ["lines.0: discount: is more than the line comes to"]),
        ({"lines": [LINE | {"quantity": 10**14, "cost": 11}]}, ["lines.0: quantity: the line comes to more"]),
        ({"header_discount": 22}, ["header_discount: is more than the lines come to"]),
        ({"lines": [LINE | {"quantity": "1e999999999"}]}, ["lines.0.quantity: must have at most 15 digits"]),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: dict[str, Any], says: list[str]) -> None:
    told = refusal(tmp_path, QUOTE | change)
    assert len(told) == len(says)
    assert all(text.startswith(expected) for text, expected in zip(told, says, strict=True)), told


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": 1e99999999999999999999}', "9" * 5000, "null"],
)
def test_what_is_no_quote_is_one_line(tmp_path: Path, text: str) -> None:
    assert len(refusal(tmp_path, text)) == 1


def test_many_quotes_stand_in_lines_of_json_or_in_a_csv(tmp_path: Path) -> None:
    lines = read_quotes(
        written(tmp_path, "\n".join(json.dumps(QUOTE | {"quote": q}) for q in "AB") + "\n\n", "q.jsonl")
    )
    rows = read_quotes(
        written(
            tmp_path,
            "quote,company,currency,payment_days,item,quantity,list_price,cost,floor_price\n"
            "A,usmf,USD,30,P1,2,10.5,6,\nB,usmf,USD,30,P1,2,10.5,6,\n",
            "q.csv",
        )
    )
    assert lines == rows and [quote.quote for quote in rows] == ["A", "B"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "column missing: company, quote; the columns are quote, company, customer"),
        ("quote,company,discount%\n", "unknown column 'discount%'; the columns are"),
        ("quote,company,quote\n", "a column is written twice"),
        ("quote,company,item\nA,usmf\n", "line 2: has 3 columns in the first line, and not as many here"),
        ("quote,company,currency\nA,usmf,USD\nA,usmf,EUR\n", "line 3: currency: is not what line 2 says"),
        ('quote,company,item\n"A\n', "line 2: not valid CSV"),
        ("quote,company\n", "holds no quote"),
        (
            "quote,company,currency,payment_days,item,quantity,list_price,cost\nA,usmf,USD,30,P1,two,1,1\n",
            "line 2: lines.0.quantity: must be a number",
        ),
    ],
)
def test_a_wrong_csv_names_line_and_column(tmp_path: Path, text: str, says: str) -> None:
    assert refusal(tmp_path, text, "q.csv")[0].startswith(says)


def test_a_broken_line_of_json_is_named_by_its_number(tmp_path: Path) -> None:
    told = refusal(tmp_path, json.dumps(QUOTE) + "\n" + json.dumps(QUOTE | {"currency": 1}) + "\n{", "q.jsonl")
    assert told[0].startswith("line 2: currency: ")
    assert told[1].startswith("line 3: not valid JSON")


@given(st.binary(max_size=80), st.sampled_from(["q.json", "q.jsonl", "q.csv"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_quotes_or_one_refusal(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    for read in (read_quote, read_quotes):
        with pytest.raises(GivenFileError) as refused:
            read(tmp_path / name)
        assert all(line.isprintable() for line in str(refused.value).split("\n"))


def test_every_field_is_in_the_page_of_policies() -> None:
    page = DOCS.read_text(encoding="utf-8")
    for name in (*AskedQuote.model_fields, *AskedLine.model_fields):
        assert f"| `{name}` |" in page


def test_the_example_of_the_page_is_a_quote(tmp_path: Path) -> None:
    example = DOCS.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    assert read_quote(written(tmp_path, example)).quote == "Q-1001"
