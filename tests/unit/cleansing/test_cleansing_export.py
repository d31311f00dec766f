"""Records for other programs: what each column says of itself, and personal data only where it is asked for."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cleansing.export import NothingToExport, export
from cleansing.relations import Relations
from cli.main import app
from policies.dictionary import dictionary, entity
from policies.map_files import load_maps

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
MAPS = load_maps().all
CREDIT = next(data for data in MAPS if data.entity == "credit_limit")
CUSTOMER = next(data for data in MAPS if data.entity == "customer")


def records(folder: Path, name: str, *rows: dict[str, str]) -> Relations:
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    relations = Relations(MAPS)
    relations.add_folder(folder)
    return relations


def test_a_column_says_what_it_is_whose_and_where_it_came_from(tmp_path: Path) -> None:
    row = {"company": "usmf", "key": "US-001", "credit_limit": "50000.00", "valid_until": "2026-12-31T12:00:00Z"}
    wrong = row | {"key": "US-002", "credit_limit": "a lot", "valid_until": ""}
    german = row | {"company": "demf", "key": "DE-001"}
    found = records(tmp_path / "records", "credit_limit_finance", wrong, row, german)
    (made,) = export(found, entity(CREDIT), "usmf", tmp_path / "out", personal=False, now=NOW)
    assert (made.rows, made.unreadable) == (2, {"credit_limit": 1})
    table = pq.read_table(tmp_path / "out" / made.file)
    assert table.to_pylist() == [
        {"company": "usmf", "key": "US-001", "credit_limit": Decimal(50_000), "valid_until": date(2026, 12, 31)},
        {"company": "usmf", "key": "US-002", "credit_limit": None, "valid_until": None},
    ]
    told = table.schema.field("credit_limit").metadata
    assert told[b"q2c.owner"] == b"Finance" and told[b"q2c.pii"] == b"false"
    assert told[b"q2c.lineage"] == b"Finance CustomersV3.CreditLimit > Sales virtual table"
    assert table.schema.metadata[b"q2c.map"].decode() == entity(CREDIT).map_hash
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    content = (tmp_path / "out" / made.file).read_bytes()
    assert manifest["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["dictionary"]["fields"][1]["lineage"][0]["role"] == "owner"
    with pytest.raises(NothingToExport):
        export(found, entity(CREDIT), "jpmf", tmp_path / "out", personal=False, now=NOW)


def test_personal_data_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    row = {"company": "usmf", "key": "US-001", "name": "Contoso", "phone": "+12065550100", "city": "Seattle"}
    records(tmp_path / "records", "customer_finance", row)
    words = ["data", "export", "customer", "--company", "USMF", "--from", str(tmp_path / "records"), "--out"]
    plain = CliRunner().invoke(app, [*words, str(tmp_path / "plain"), "--json"])
    assert plain.exit_code == 0, plain.output
    (file,) = json.loads(plain.stdout)["files"]
    assert (file["personal"], file["left_out"]) == ([], ["phone"])
    assert b"2065550100" not in b"".join(each.read_bytes() for each in (tmp_path / "plain").iterdir())
    whole = CliRunner().invoke(app, [*words, str(tmp_path / "whole"), "--personal"])
    assert "1 records, personal: phone" in whole.stdout
    table = pq.read_table(tmp_path / "whole" / "customer_finance_usmf.parquet")
    assert table.column("phone").to_pylist() == ["+12065550100"]
    assert table.schema.field("phone").metadata[b"q2c.pii"] == b"true"
    for wrong in (["--company", "xxmf"], ["--company", "demf"]):
        refused = CliRunner().invoke(app, [*words[:3], *wrong, *words[5:], str(tmp_path / "no")])
        assert refused.exit_code == 2


def test_the_dictionary_names_every_field_of_every_map(tmp_path: Path) -> None:
    found = dictionary(MAPS)
    assert {(each.entity, field.name) for each in found.entities for field in each.fields} == {
        (data.entity, name) for data in MAPS for name in data.fields
    }
    phone = next(field for field in entity(CUSTOMER).fields if field.name == "phone")
    assert [place.place for place in phone.lineage] == ["account.telephone1", "CustomersV3.PrimaryContactPhone"]
    assert phone.personal and phone.owner == "Sales"
    told = CliRunner().invoke(app, ["data", "dictionary", "--format", "json"])
    assert json.loads(told.stdout)["hash"] == found.hash
    page = CliRunner().invoke(app, ["data", "dictionary", "--out", str(tmp_path / "dictionary.md")])
    assert page.exit_code == 0
    assert "| `phone` | Sales | yes | Sales `account.telephone1` → Finance" in (tmp_path / "dictionary.md").read_text()
