"""Pictures of dashboards, drawn from what Prometheus answered to their own queries.

Not Grafana: the layout, titles, units, thresholds and legends are the dashboard's, lines and colours are ours.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright

Board = dict[str, Any]
Series = list[tuple[float, float]]

CHROMIUM: Final = "/usr/bin/chromium"
COLUMN, ROW, GAP = 54, 26, 8
"""Pixels of a grid cell of a dashboard, and between two panels."""
COLOURS: Final = (
    "#3274d9",
    "#e0752d",
    "#37872d",
    "#a352cc",
    "#c4162a",
    "#0f9b9b",
    "#b8860b",
    "#705da0",
    "#5f6b7a",
    "#d4418e",
)
SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
PER: Final = {"reqps": "/s", "cps": "/s", "reqpm": "/min", "cpm": "/min"}
STYLE: Final = """
body{margin:0;background:#f4f5f7;font:12px 'DejaVu Sans',sans-serif;color:#24292e}
h1{font-size:17px;margin:12px 12px 2px}p{margin:0 12px 6px;color:#57606a}
main{position:relative}
section{position:absolute;background:#fff;border:1px solid #d8dce2;border-radius:3px;overflow:hidden}
section.row{background:none;border:0;font-weight:bold;font-size:13px}
h2{font-size:12px;margin:6px 8px 2px}
.none{color:#8a939c;text-align:center;margin-top:52px}
.stat{font-size:34px;text-align:center;margin-top:22px;color:#3274d9}
.bad{background:#c4162a;color:#fff}.good{background:#37872d;color:#fff}.bad .stat,.good .stat{color:#fff}
ul{list-style:none;margin:0 8px;padding:0;display:flex;flex-wrap:wrap;gap:0 12px;font-size:10px}
li{white-space:nowrap}i{display:inline-block;width:10px;height:3px;margin:0 4px 3px 0}
text{font:10px 'DejaVu Sans',sans-serif;fill:#57606a}
"""


def draw(shown: Iterable[Board], folder: Path) -> list[Path]:
    """One picture for each dashboard: `dashboard-{name}.png`."""
    made = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for board in shown:
            height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"]) * ROW + 70
            page = browser.new_page(viewport={"width": 24 * COLUMN + 24, "height": height})
            page.set_content(_page(board))
            made.append(folder / f"dashboard-{board['name']}.png")
            page.screenshot(path=made[-1])
        browser.close()
    return made


def _page(board: Board) -> str:
    begin, end = (datetime.fromtimestamp(board[side], UTC) for side in ("begin", "end"))
    panels = "".join(_panel(panel, board["begin"], board["end"]) for panel in board["panels"])
    return (
        f"<style>{STYLE}</style><h1>{html.escape(board['title'])}</h1>"
        f"<p>{begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC</p><main>{panels}</main>"
    )


def _panel(panel: Mapping[str, Any], begin: float, end: float) -> str:
    place = panel["gridPos"]
    left, top = 12 + place["x"] * COLUMN, place["y"] * ROW
    width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
    style = f"left:{left}px;top:{top}px;width:{width}px;height:{height}px"
    title = html.escape(panel["title"])
    if panel["type"] == "row":
        return f'<section class=row style="{style}">{title}</section>'
    if panel["type"] == "stat":
        value, state = _stat(panel)
        return f'<section class="{state}" style="{style}"><h2>{title}</h2><div class=stat>{value}</div></section>'
    lines = list(_lines(panel))
    if not lines:
        return f'<section style="{style}"><h2>{title}</h2><div class=none>No data</div></section>'
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    limits = [step["value"] for step in _thresholds(panel) if step["value"] is not None]
    rows = 1 + sum(len(name) * 6 + 26 for name, _ in lines) // (width - 16)
    chart = _chart([series for _, series in lines], (begin, end), (width, height - 26 - 14 * rows), unit, limits)
    legend = "".join(
        f'<li><i style="background:{COLOURS[n % len(COLOURS)]}"></i>{html.escape(name)}</li>'
        for n, (name, _) in enumerate(lines)
    )
    return f'<section style="{style}"><h2>{title}</h2>{chart}<ul>{legend}</ul></section>'


def _stat(panel: Mapping[str, Any]) -> tuple[str, str]:
    """What a panel of one number shows, and whether it is good or bad where it says so."""
    values = [float(series["value"][1]) for target in panel["targets"] for series in target["now"]]
    if not values:
        return "No data", ""
    reached = [step["color"] for step in _thresholds(panel) if step["value"] is None or values[0] >= step["value"]]
    state = {"red": "bad", "green": "good"}.get(reached[-1], "") if reached else ""
    shown = panel["fieldConfig"]["defaults"]
    return _said(values[0], shown.get("unit", "short"), shown.get("decimals")), state


def _thresholds(panel: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    return found


def _lines(panel: Mapping[str, Any]) -> Iterator[tuple[str, Series]]:
    """The lines of a panel, each with its name in the legend."""
    for target in panel["targets"]:
        for series in target["series"]:
            name = target.get("legendFormat", "")
            for label in re.findall(r"\{\{(\w+)\}\}", name):
                name = name.replace(f"{{{{{label}}}}}", series["metric"].get(label, ""))
            points = [(float(at), float(value)) for at, value in series["values"]]
            points = [(at, value) for at, value in points if math.isfinite(value)]
            if points:
                yield name.strip() or panel["title"], points


def _chart(
    lines: list[Series], time: tuple[float, float], size: tuple[int, int], unit: str, limits: list[float]
) -> str:
    (begin, end), (width, height) = time, size
    left, bottom = 52, 16
    top = _round_up(max([value for series in lines for _, value in series] + [0.0]), unit)

    def x(at: float) -> float:
        return left + (at - begin) / (end - begin) * (width - left - 10)

    def y(value: float) -> float:
        return (height - bottom) - value / top * (height - bottom - 6)

    parts = []
    for share in (0.0, 0.5, 1.0):
        parts.append(f'<path d="M{left} {y(top * share):.1f}H{width - 10}" stroke="#e3e6ea"/>')
        parts.append(
            f'<text x="{left - 5}" y="{y(top * share) + 3:.1f}" text-anchor="end">{_said(top * share, unit)}</text>'
        )
    for share in (0.1, 0.5, 0.9):
        at = begin + (end - begin) * share
        parts.append(
            f'<text x="{x(at):.1f}" y="{height - 3}" text-anchor="middle">'
            f"{datetime.fromtimestamp(at, UTC):%H:%M}</text>"
        )
    parts += [
        f'<path d="M{left} {y(limit):.1f}H{width - 10}" stroke="#c4162a" stroke-dasharray="4 3"/>'
        for limit in limits
        if limit <= top
    ]
    for n, series in enumerate(lines):
        colour = COLOURS[n % len(COLOURS)]
        parts.append(
            f'<path d="{_path([(x(at), y(value)) for at, value in series])}"'
            f' fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
    return f'<svg width="{width}" height="{height}">{"".join(parts)}</svg>'


def _path(points: list[tuple[float, float]]) -> str:
    """A line through points; where one was not heard for long it is broken, as Grafana breaks it."""
    usual = min((b[0] - a[0] for a, b in pairwise(points)), default=1.0)
    said, before = [], -math.inf
    for x, y in points:
        said.append(f"{'L' if x - before < usual * 2.5 else 'M'}{x:.1f} {y:.1f}")
        before = x
    return "".join(said) + ("h2" if len(points) == 1 else "")


def _round_up(value: float, unit: str) -> float:
    """The next number that is easy to read in its unit: 1, 2 or 5 with zeros, 10 min, 16 KiB; of nothing, 1."""
    if value <= 0:
        return 1.0
    if unit == "bytes":
        return 2.0 ** math.ceil(math.log2(value * 0.999))
    if unit == "s" and value > 1:
        least, power = next((of, 10.0 ** math.floor(math.log10(value / of))) for of, _ in SPANS if value >= of)
    else:
        least, power = 1, 10.0 ** math.floor(math.log10(value))
    return next(step * power * least for step in (1, 2, 5, 10) if step * power * least >= value * 0.999)


def _said(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit, as short as it can be said."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        for least, name in SPANS:
            if value >= least:
                return f"{value / least:.3g} {name}"
        return f"{value * 1000:.3g} ms" if value else "0 s"
    if unit == "bytes":
        for least, name in ((2**20, "MiB"), (2**10, "KiB")):
            if value >= least:
                return f"{value / least:.3g} {name}"
        return f"{value:.3g} B"
    shown = f"{value:,.0f}" if value >= 1000 or decimals == 0 else f"{value:.3g}"
    return f"{shown} {PER[unit]}" if unit in PER else shown
