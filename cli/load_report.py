"""The report of a load test, as data and as a page with a chart that loads nothing."""

from __future__ import annotations

from html import escape
from typing import Final

from pydantic import Field

from cli.load_figures import SHARES, Latency
from domain.record import Record

_WIDTH: Final = 760
_ROW: Final = 46
_LEFT: Final = 240
_COLOURS: Final = {50: "#1f6f5c", 90: "#3b9c86", 95: "#e0a030", 99: "#c0504d"}


class LoadReport(Record):
    """What a load test found."""

    deals: int
    rate: float = Field(description="Quotes a minute, as asked")
    until: str
    seconds: float
    came_so_far: int = Field(description="Deals that came as far as asked")
    waiting_for_approval: int = 0
    stages: tuple[Latency, ...]
    requests: dict[str, int] = Field(description="Of the rep: sent, and of these throttled, not answered, refused")
    errors: dict[str, int]
    left: dict[str, int] = Field(description="What stays: drafts in Sales, orders in Finance")
    orders: tuple[str, ...] = Field((), description="Their numbers, at most 1,000")
    begun: tuple[float, ...] = Field((), description="When each quote was submitted, seconds since the first")


def chart(stages: tuple[Latency, ...]) -> str:
    """Percentiles of each part, side by side, as SVG."""
    most = max((stage.most for stage in stages), default=1.0) or 1.0
    height = _ROW * len(stages) + 34
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Latency by part and percentile">']
    for place, stage in enumerate(stages):
        top = place * _ROW + 8
        parts.append(f'<text x="{_LEFT - 10}" y="{top + 20}" text-anchor="end">{escape(stage.name)}</text>')
        for row, share in enumerate(SHARES):
            seconds = stage.percentiles[share]
            long = max((_WIDTH - _LEFT - 90) * seconds / most, 1)
            y = top + row * 9
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{long:.1f}" height="7" fill="{_COLOURS[share]}"/>')
        shown = f"{stage.percentiles[50]:.2f} … {stage.percentiles[99]:.2f} s"
        end = _LEFT + max((_WIDTH - _LEFT - 90) * stage.percentiles[99] / most, 1) + 8
        parts.append(f'<text x="{min(end, _WIDTH - 84):.1f}" y="{top + 22}">{shown}</text>')
    for place, share in enumerate(SHARES):
        x = _LEFT + place * 70
        parts.append(f'<rect x="{x}" y="{height - 18}" width="10" height="10" fill="{_COLOURS[share]}"/>')
        parts.append(f'<text x="{x + 16}" y="{height - 9}">p{share}</text>')
    return "\n".join([*parts, "</svg>"])


def page(report: LoadReport) -> str:
    """The report as a page."""
    heads = "".join(f"<th>p{share}</th>" for share in SHARES)
    rows = "".join(
        f"<tr><td>{escape(stage.name)}</td><td>{stage.count:,}</td>"
        + "".join(f"<td>{stage.percentiles[share]:.2f} s</td>" for share in SHARES)
        + f"<td>{stage.most:.2f} s</td></tr>"
        for stage in report.stages
    )
    told = {
        "Deals": f"{report.came_so_far:,} of {report.deals:,} {report.until}, at {report.rate:g} a minute",
        "Took": f"{report.seconds:,.0f} s",
        "Waiting for approval": f"{report.waiting_for_approval:,}",
        "Requests of the rep": listed(report.requests),
        "Errors": listed(report.errors),
        "Left": listed(report.left),
        "Orders": ", ".join(report.orders[:20]) + (" …" if len(report.orders) > 20 else "") or "none",
    }
    facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in told.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Load test</title><style>
body {{ font: 15px system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; color: #222 }}
table {{ border-collapse: collapse; margin: 1rem 0 }} th, td {{ padding: .3rem .8rem; text-align: left }}
tr + tr {{ border-top: 1px solid #ddd }} svg {{ width: 100% }} text {{ font: 13px system-ui, sans-serif }}
</style></head><body><h1>Load test</h1><table>{facts}</table>
{chart(report.stages)}
<table><tr><th>Part of the way</th><th>Deals</th>{heads}<th>most</th></tr>{rows}</table></body></html>
"""


def listed(counts: dict[str, int]) -> str:
    """Counts in words."""
    return ", ".join(f"{number:,} {what}" for what, number in counts.items()) or "none"
