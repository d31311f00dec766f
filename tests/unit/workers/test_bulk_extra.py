"""The libraries of comparing are an extra: without them all else works, and what needs them says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import typer
from pydantic import SecretStr

from cli import bulk_runs, compare_work
from workers import bulk
from workers.reading_settings import ReaderSettings
from workers.settings import Settings, SettingsError, WorkerSettings

LOADED = """
import sys
import cli.main, workers.composition, workers.web, web.app, ledger.opening, demo.stack
found = [name for name in ("duckdb", "pyarrow", "xlsxwriter") if name in sys.modules]
assert not found, found
"""


def without(monkeypatch: pytest.MonkeyPatch, module: object, *missing: str) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in missing else object())


def test_no_process_loads_them_before_it_reads_in_bulk() -> None:
    found = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False, timeout=120)

    assert found.returncode == 0, found.stderr


def test_a_worker_without_them_reads_nothing_in_bulk_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bulk.lacking(Settings()) == ""
    without(monkeypatch, bulk, "duckdb")
    assert bulk.lacking(Settings()) == "duckdb is not installed: " + bulk.INSTALL
    without(monkeypatch, bulk, "duckdb", "pyarrow")
    assert bulk.lacking(Settings()) == "duckdb and pyarrow are not installed: " + bulk.INSTALL


def test_in_production_the_reader_has_a_secret_of_its_own_or_nothing_is_read() -> None:
    production = Settings(mode="production")

    assert "Q2C_READER_CLIENT_SECRET is not set" in bulk.lacking(production)
    secret = ReaderSettings(client_secret=SecretStr("a-secret-of-its-own"))
    assert bulk.lacking(production.model_copy(update={"reader": secret})) == ""


def test_files_are_refused_before_anything_is_compared_where_their_library_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without(monkeypatch, bulk_runs, "xlsxwriter")

    with pytest.raises(typer.Exit):
        compare_work.compare("customer", "usmf", 0, tmp_path, as_json=False)

    assert "install the product with its extra: quote-to-cash[data]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entity", "company", "said"),
    [
        ("nothing", "usmf", "'nothing' has no map; the maps are"),
        ("customer", "frmf", "--company: frmf is none of demf, jpmf, kwmf, usmf"),
    ],
)
def test_what_cannot_be_compared_is_named_before_temporal_is_asked(
    entity: str, company: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        compare_work.compare(entity, company, 0, None, as_json=False)

    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("part", "reads"), [("all", True), ("bulk", True), ("deals", False)])
def test_a_process_reads_in_bulk_where_that_is_its_part(part: Literal["all", "deals", "bulk"], reads: bool) -> None:
    assert bulk.reads_in_bulk(Settings(worker=WorkerSettings(work=part))) is reads


def test_a_process_that_does_nothing_else_does_not_begin_where_nothing_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, bulk, "duckdb")

    assert bulk.reads_in_bulk(Settings()) is False
    with pytest.raises(SettingsError, match="Q2C_WORKER_WORK: is bulk, and nothing can be read in bulk here: duckdb"):
        bulk.reads_in_bulk(Settings(worker=WorkerSettings(work="bulk")))
