"""A load test is refused in production, and its figures are what its deals recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from cli import load_figures as loading
from cli.load_report import LoadReport, page
from cli.main import app
from domain.people import Person
from domain.views import Stage, TimelineEntry

T0 = datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_outside_of_the_sandbox_a_seller_s_token_and_a_quote_to_copy_are_needed() -> None:
    done = CliRunner().invoke(app, ["load", "--deals", "1", "--rate", "1"], env={"Q2C_MODE": "production"})
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--token-stdin" in done.stderr and "--like" in done.stderr


def entry(event: str, seconds: float, accepted: bool = True) -> TimelineEntry:
    at, nobody = T0 + timedelta(seconds=seconds), Person(oid="")
    return TimelineEntry(version=1, at=at, actor=nobody, event=event, text="", stage=Stage.QUOTE, accepted=accepted)


def test_each_part_of_the_way_is_from_what_began_it_to_what_followed() -> None:
    timeline = [
        entry("Assessed", 1),
        entry("QuoteMarked", 3),
        entry("OrderCreated", 4, False),
        entry("OrderCreated", 9),
    ]
    sent = {"submitted": T0, "won": T0 + timedelta(seconds=5)}
    found = {way.name: loading.taken(way, timeline, sent) for way in loading.WAYS}
    assert found == {
        "submitted → assessed": 1.0,
        "assessed → shown in Sales": 2.0,
        "submitted → shown in Sales": 3.0,
        "won → order in Finance": 4.0,
        "order in Finance → confirmed": None,
        "won → order shown in Sales": None,
    }


@pytest.mark.parametrize(("count", "shares"), [(1, [1, 1, 1, 1]), (10, [5, 9, 10, 10]), (200, [100, 180, 190, 198])])
def test_percentiles_are_values_that_were_measured(count: int, shares: list[int]) -> None:
    found = loading.latency("a", [float(n) for n in range(count, 0, -1)])
    assert found and list(found.percentiles.values()) == shares and found.most == count
    assert loading.latency("a", []) is None


def test_a_report_writes_names_as_text_and_has_a_page_without_any_deal() -> None:
    report = LoadReport(
        deals=1, rate=60, until="ordered", seconds=1, came_so_far=0, stages=(), requests={}, errors={"<b>": 1}, left={}
    )
    assert "1 &lt;b&gt;" in page(report)
    stages = [loading.latency("a → b", [0.0])]
    assert "a → b" in page(report.model_copy(update={"stages": tuple(stages)}))
