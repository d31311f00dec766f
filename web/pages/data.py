"""The entrance to what both systems hold, and what its pages share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.entities.comparing import DifferenceClass
from domain.phrases import marked
from ledger.comparison_runs import OpenCount
from web.data import Data, MatchesQuery
from web.maps import MapChanges
from web.overview import Overviews
from web.pages.data_charts import DIRECTIONS, LETTER_CAUSES, QUANTILES, lag_chart, sides_chart
from web.pages.site import Site
from web.session import Session

KINDS: Final = {
    DifferenceClass.MISSING.value: marked("Missing record"),
    DifferenceClass.DIFF.value: marked("Different value"),
    DifferenceClass.ROUNDING.value: marked("Rounding"),
    DifferenceClass.DUPLICATE.value: marked("Duplicate in Sales"),
    DifferenceClass.UNMAPPED.value: marked("Not mapped"),
}
"""Classes of difference that are listed, as people say them."""
AGE_WORDS: Final = (marked("1 day"), marked("7 days"), marked("30 days"), marked("Older"))
"""Until which age each number counts; the last one counts the rest."""
_WIDTH: Final = 600
_LINE: Final = 28


class Room(NamedTuple):
    """A page about data, as the entrance leads to it."""

    path: str
    title: str
    about: str


ROOMS: Final = (
    Room(
        "/data/differences",
        marked("Differences"),
        marked("Where Finance and Sales do not say the same, field by field: by class, age and owner."),
    ),
    Room(
        "/data/matches",
        marked("Customers that may be one"),
        marked("Doubles to decide: the same, not the same, or later. Nothing is merged by it."),
    ),
    Room(
        "/data/maps",
        marked("Maps"),
        marked("Which record is which, and whose value counts: every version, and changes that wait for approval."),
    ),
    Room(
        "/data/parallel",
        marked("Parallel run"),
        marked("Both systems beside each other, day by day: what was clean, what stands, and when it may end."),
    ),
    Room(
        "/data/initial",
        marked("Initial sync"),
        marked("What the first sync would do with each record, and whether it may begin."),
    ),
)
"""The pages about data; each may have a number of what waits there."""


class Part(NamedTuple):
    """A stretch of a bar: an age."""

    age: int
    number: int
    x: float
    width: float


class Bar(NamedTuple):
    """A class of difference in the chart."""

    kind: str
    title: str
    total: int
    ages: tuple[int, ...]
    y: int
    parts: tuple[Part, ...]


class Chart(NamedTuple):
    """What is open by class and age, as bars of one scale."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    total: int


def chart_of(counts: Iterable[OpenCount]) -> Chart:
    """The bars of what is open; classes without any are left out."""
    by_kind: dict[str, list[int]] = {}
    for count in counts:
        ages = by_kind.setdefault(count.kind, [0] * len(AGE_WORDS))
        for place, number in enumerate(count.ages):
            ages[place] += number
    longest = max((sum(ages) for ages in by_kind.values()), default=0)
    bars: list[Bar] = []
    for kind, title in KINDS.items():
        ages = by_kind.get(kind, [])
        if not any(ages):
            continue
        x, parts = 0.0, list[Part]()
        for age, number in enumerate(ages):
            width = round(_WIDTH * number / longest, 1)
            parts += [Part(age, number, x, width)] if number else []
            x += width
        bars.append(Bar(kind, title, sum(ages), tuple(ages), len(bars) * _LINE, tuple(parts)))
    return Chart(tuple(bars), _WIDTH, len(bars) * _LINE, sum(bar.total for bar in bars))


@dataclass(frozen=True, slots=True)
class DataPages:
    """The page under /data: how both systems stand to each other, which pages there are, how much waits on each."""

    site: Site
    data: Data
    maps: MapChanges
    overviews: Overviews

    def routes(self) -> list[Route]:
        """The route of the entrance."""
        return self.site.routes(pages={"/data": self.show})

    async def show(self, request: Request, session: Session) -> Response:
        """How it stands, and where to go."""
        person = session.identity
        overview = await self.overviews.read(person)
        clusters = await self.data.clusters(person, MatchesQuery())
        maps = await self.maps.overview(person)
        waiting = {
            "/data/maps": sum(each.open for each in maps),
            "/data/differences": sum(sum(count.ages) for count in overview.ages),
            "/data/matches": sum(clusters.counts.get(status, 0) for status in ("open", "proposed")),
        }
        context = {
            "rooms": ROOMS,
            "waiting": waiting,
            "is_kept": self.data.is_kept,
            "overview": overview,
            "lags": lag_chart(overview.lags),
            "sides": sides_chart(overview),
            "chart": chart_of(OpenCount.model_validate(count.model_dump()) for count in overview.ages),
            "ages": AGE_WORDS,
            "quantiles": QUANTILES,
            "directions": DIRECTIONS,
            "letter_causes": LETTER_CAUSES,
        }
        return await self.site.render("data.html", session, context)
