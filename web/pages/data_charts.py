"""The charts of the page about data, as stretches of bars; each has a table beside it that says the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log10
from typing import Final, NamedTuple

from domain.entities.data_overview import DataOverview
from domain.entities.lags import BOUNDS_MS, Lag
from domain.entities.merge import LetterCause
from domain.phrases import marked

LONGEST: Final = BOUNDS_MS[-1] // 1_000
"""Seconds; what took longer is counted with it."""
WIDTH: Final = 600
LINE: Final = 28
QUANTILES: Final = (marked("Half within"), marked("95 of 100 within"), marked("99 of 100 within"))
DIRECTIONS: Final = {"to_sales": marked("Finance → Sales"), "to_finance": marked("Sales → Finance")}
LETTER_CAUSES: Final = {
    LetterCause.CONFLICT: marked("A person says which value is right"),
    LetterCause.NOT_LISTED: marked("The map lists no counterpart"),
    LetterCause.TOO_LONG: marked("Too long for the other side"),
    LetterCause.NOT_TELLABLE: marked("No value of its kind"),
    LetterCause.EMPTY: marked("Empty, and required"),
    LetterCause.REFUSED_BY_FINANCE: marked("Refused by Finance"),
    LetterCause.REFUSED_BY_SALES: marked("Refused by Sales"),
    LetterCause.NOT_TAKEN: marked("Taken, and not shown"),
    LetterCause.DUPLICATE: marked("Several rows in Sales"),
    LetterCause.DELETED_IN_FINANCE: marked("Deleted in Finance"),
    LetterCause.DELETED_IN_SALES: marked("Deleted in Sales"),
}
_MARKS: Final = ((1.0, "1 s"), (10.0, "10 s"), (60.0, "1 min"), (600.0, "10 min"), (3_600.0, "1 h"), (86_400.0, "1 d"))


class Stretch(NamedTuple):
    """A part of a bar."""

    kind: int
    x: float
    y: int
    width: float


class Mark(NamedTuple):
    """A line of the scale of time."""

    x: float
    text: str


class LagLine(NamedTuple):
    """What stands beside a bar of lags."""

    lag: Lag
    times: tuple[str, ...]


class LagChart(NamedTuple):
    """How long changes took, on a scale on which each step is ten times as long."""

    lines: tuple[LagLine, ...]
    parts: tuple[Stretch, ...]
    marks: tuple[Mark, ...]
    width: int
    height: int


class SideLine(NamedTuple):
    """Records of both sides of an entity."""

    entity: str
    company: str
    finance: int
    sales: int
    apart: int


class SidesChart(NamedTuple):
    """Records of both sides, as two bars each."""

    lines: tuple[SideLine, ...]
    parts: tuple[Stretch, ...]
    width: int
    height: int


def lag_chart(lags: Sequence[Lag]) -> LagChart:
    """The bars of how long changes took."""
    parts = [
        part for n, lag in enumerate(lags) for part in _stretches(_seconds(lag), n * LINE + 4)
    ]  # fmt: skip
    lines = tuple(LagLine(lag, tuple(map(_time, _seconds(lag)))) for lag in lags)
    marks = tuple(Mark(_place(seconds), text) for seconds, text in _MARKS)
    return LagChart(lines, tuple(parts), marks, WIDTH, len(lags) * LINE)


def _seconds(lag: Lag) -> tuple[float, float, float]:
    return lag.p50_ms / 1_000, lag.p95_ms / 1_000, lag.p99_ms / 1_000


def _stretches(ends: Iterable[float], y: int) -> Iterable[Stretch]:
    x = 0.0
    for kind, end in enumerate(ends):
        place = _place(end)
        if place > x:
            yield Stretch(kind, round(x, 1), y, round(place - x, 1))
        x = max(x, place)


def _place(seconds: float) -> float:
    return round(WIDTH * log10(1 + min(seconds, LONGEST)) / log10(1 + LONGEST), 1)


def _time(seconds: float) -> str:
    """A time as units that programs and people write the same in every language here."""
    if seconds >= LONGEST:
        return "> 1 d"
    for size, unit in ((3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def sides_chart(overview: DataOverview) -> SidesChart:
    """The bars of records on both sides."""
    longest = max((max(each.finance_records, each.sales_records) for each in overview.sides), default=0)
    parts: list[Stretch] = []
    for n, each in enumerate(overview.sides):
        for kind, number in ((0, each.finance_records), (1, each.sales_records)):
            if number:
                parts.append(Stretch(kind, 0.0, n * LINE + 3 + kind * 11, round(WIDTH * number / longest, 1)))
    lines = tuple(
        SideLine(s.entity, s.company, s.finance_records, s.sales_records, abs(s.finance_records - s.sales_records))
        for s in overview.sides
    )
    return SidesChart(lines, tuple(parts), WIDTH, len(lines) * LINE)
