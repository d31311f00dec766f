"""An assessment as one HTML page that loads nothing, its charts drawn in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log10
from typing import Final

from domain.entities.assess import Assessed, Assessment, Entity, Side

_WIDTH: Final = 100.0


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a bar."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of a chart: what it is, what it says in words, the number beside it, and its rectangles."""

    name: str
    said: str
    shown: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class SaidSide:
    """A side in a sentence."""

    title: str
    said: str


@dataclass(frozen=True, slots=True)
class Detail:
    """Keys and empty fields of an entity."""

    facts: Entity
    sides: tuple[SaidSide, ...]
    bars: tuple[Bar, ...]


def as_html(found: Assessment) -> str:
    """The page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("policies", "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return pages.get_template("assess.html").render(
        found=found,
        number=_number,
        volumes=volumes(found.entities),
        nothing=[_named(each.facts) for each in found.entities if not each.facts.records],
        costs=costs(found.entities),
        patterns=_once(found.entities),
        detailed=[_detail(each.facts) for each in found.entities if _is_looked_at(each.facts)],
    )


def volumes(entities: Iterable[Assessed]) -> list[Bar]:
    """Both sides of each entity; the tenfold is as much longer everywhere."""
    shown = [each.facts for each in entities if each.facts.records]
    longest = max((log10(1 + facts.records) for facts in shown), default=0) or 1
    bars = []
    for facts in shown:
        parts = [
            Part(kind, 0, y, round(_WIDTH * log10(1 + (side.records or 0)) / longest, 1), 4.5)
            for kind, y, side in (("finance", 0.0, facts.finance), ("sales", 5.5, facts.sales))
            if side is not None
        ]
        numbers = " / ".join(_of(side) for side in (facts.finance, facts.sales))
        bars.append(Bar(_named(facts), f"{_named(facts)}: Finance and Sales {numbers}", numbers, tuple(parts)))
    return bars


def costs(entities: Iterable[Assessed]) -> list[Bar]:
    """Requests of one comparison, those to Finance before those to Sales."""
    found = [(each.facts, each.cost) for each in entities if each.cost]
    longest = max((cost.requests for _, cost in found), default=0) or 1
    bars = []
    for facts, cost in found:
        width = round(_WIDTH * cost.finance_requests / longest, 1)
        parts = (
            Part("finance", 0, 1, width, 8),
            Part("sales", width, 1, round(_WIDTH * cost.sales_requests / longest, 1), 8),
        )
        said = f"{_named(facts)}: {cost.finance_requests:,} to Finance, {cost.sales_requests:,} to Sales"
        bars.append(Bar(_named(facts), said, _number(cost.requests), parts))
    return bars


def _once(entities: Iterable[Assessed]) -> list[Assessed]:
    """Each entity once where every company has the same advice."""
    entities = list(entities)
    said: dict[str, set[tuple[str, bool]]] = {}
    for each in entities:
        said.setdefault(each.facts.entity, set()).add((each.advice.pattern.value, each.advice.fits))
    found: dict[tuple[str, str], Assessed] = {}
    for each in entities:
        alike = len(said[each.facts.entity]) == 1
        shown = each.model_copy(update={"facts": each.facts.model_copy(update={"company": ""})}) if alike else each
        found.setdefault((each.facts.entity, shown.facts.company), shown)
    return list(found.values())


def _is_looked_at(facts: Entity) -> bool:
    return any(
        side is not None and (side.looked_at or side.why) for side in (facts.finance, facts.sales) if facts.fields
    )


def _detail(facts: Entity) -> Detail:
    sides = ((("finance", "Finance"), facts.finance), (("sales", "Sales"), facts.sales))
    said = tuple(SaidSide(title, _in_words(side)) for (_, title), side in sides if side is not None)
    bars = []
    for name in facts.fields:
        for (kind, title), side in sides:
            if side is None or not side.looked_at or not side.empty.get(name):
                continue
            share = side.empty[name] / side.looked_at
            text = f"{side.empty[name]:,} of {side.looked_at:,} empty"
            part = Part(kind, 0, 1, round(_WIDTH * share, 1), 8)
            bars.append(Bar(f"{name} in {title}", f"{name} in {title}: {text}", text, (part,)))
    return Detail(facts, said, tuple(bars))


def _in_words(side: Side) -> str:
    if side.records is None:
        return f"{side.name}: not counted. {side.why}"
    of = " of all companies, counted within the last day" if side.whole else ""
    text = f"{side.name}: {side.records:,} records{of}."
    if side.looked_at and side.looked_at < side.records:
        text += f" The first {side.looked_at:,} were looked at."
    if side.key_empty is not None and side.looked_at:
        text += f" {side.key_empty:,} without a key."
    if side.key_doubled is not None and side.looked_at:
        text += f" {side.key_doubled:,} share theirs with another."
    if side.why:
        text += f" Its fields were not looked at. {side.why}"
    if side.changed is not None:
        more = " or more" if side.most_changed else ""
        text += f" {side.changed:,}{more} changed within seven days."
    return text


def _named(facts: Entity) -> str:
    return f"{facts.title} {facts.company.upper()}".strip()


def _of(side: Side | None) -> str:
    if side is None:
        return "–"
    return "?" if side.records is None else f"{side.records:,}{'*' if side.whole else ''}"


def _number(value: int) -> str:
    return f"{value:,}"
