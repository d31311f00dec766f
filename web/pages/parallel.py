"""Both systems beside each other: days as a strip, counts on both sides, ages, and the word of who ends it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.entities.parallel import ComparedDay, EntityDay, ParallelPolicy, clean_in_a_row, entities_of
from domain.messages import Outcome
from domain.phrases import marked
from runs.calls import RunError
from web.commands import ExitParallelBody, parsed
from web.delegating import known_company
from web.pages.data import AGE_WORDS, KINDS
from web.pages.site import Site, message_id_of
from web.parallel import Parallel, ParallelShown
from web.problems import Problem, to_correct
from web.session import Session

PAGE: Final = "/data/parallel"
CELL: Final = 12
HEIGHT: Final = 22
MOST_CELLS: Final = 30
_BAR: Final = 600
_LINE: Final = 28
KINDS_OF_DAY: Final = {
    "clean": marked("Clean"),
    "unclean": marked("Not clean"),
    "failed": marked("Not compared"),
}


class Cell(NamedTuple):
    """A day of an entity."""

    day: date
    kind: str
    x: int
    y: int
    height: int


class Line(NamedTuple):
    """An entity as the table shows it."""

    entity: str
    cells: tuple[Cell, ...]
    clean: int
    last: EntityDay | None
    is_clean: bool
    row: int
    owner: str


class Part(NamedTuple):
    """A stretch of a bar: an age."""

    age: int
    x: float
    width: float
    y: int


_DRAWN: Final = {"clean": (0, HEIGHT), "unclean": (HEIGHT // 2, HEIGHT // 2), "failed": (HEIGHT - 4, 4)}


def lines_of(days: tuple[ComparedDay, ...], rules: ParallelPolicy) -> tuple[Line, ...]:
    """Every entity with its last days, those that are not clean first."""
    shown = _calendar(days)
    found = []
    for entity in entities_of(days):
        cells = tuple(_cells(entity, shown, rules))
        last = days[-1].of(entity)
        found.append(
            Line(
                entity=entity,
                cells=cells,
                clean=sum(cell.kind == "clean" for cell in cells),
                last=last,
                is_clean=last is not None and last.is_clean(rules),
                row=clean_in_a_row(days, entity, rules),
                owner=rules.owner(entity),
            )
        )
    return tuple(sorted(found, key=lambda line: (line.is_clean, line.entity)))


def _calendar(days: tuple[ComparedDay, ...]) -> dict[date, ComparedDay | None]:
    """The last days of the calendar, whether anything was compared on them or not."""
    if not days:
        return {}
    first = max(days[0].day, days[-1].day - timedelta(days=MOST_CELLS - 1))
    known = {each.day: each for each in days}
    length = (days[-1].day - first).days + 1
    return {day: known.get(day) for day in (first + timedelta(days=n) for n in range(length))}


def _cells(entity: str, shown: dict[date, ComparedDay | None], rules: ParallelPolicy) -> Iterable[Cell]:
    for place, (day, compared) in enumerate(shown.items()):
        found = compared.of(entity) if compared else None
        compared_whole = found is not None and found.status == "compared"
        kind = "failed" if found is None or not compared_whole else "clean" if found.is_clean(rules) else "unclean"
        yield Cell(day, kind, place * CELL, *_DRAWN[kind])


def ages_of(lines: Iterable[Line]) -> tuple[tuple[Line, tuple[Part, ...]], ...]:
    """What stands of each entity by age, as bars of one scale; entities without any are left out."""
    open_ones = [line for line in lines if line.last is not None and line.last.open]
    longest = max((line.last.open for line in open_ones if line.last), default=1)
    found = []
    for place, line in enumerate(open_ones):
        x, parts = 0.0, []
        for age, number in enumerate(line.last.standing.ages if line.last else ()):
            width = round(_BAR * number / longest, 1)
            parts += [Part(age, x, width, place * _LINE)] if number else []
            x += width
        found.append((line, tuple(parts)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ParallelPages:
    """The page under /data/parallel. Show and pass on what ``parallel`` allows."""

    site: Site
    parallel: Parallel

    def routes(self) -> list[Route]:
        """The routes of the page and of who ends it."""
        return self.site.routes(pages={PAGE: self.show}, forms={f"{PAGE}/{{company}}/exit": self.exit})

    async def show(self, request: Request, session: Session) -> Response:
        """One company, the first that has a parallel run where none is asked for."""
        company = known_company(request.query_params.get("company") or "-").strip("-")
        message_id = request.query_params.get("said", "")
        if company:
            await self.parallel.shown(session.identity, company)  # 403 where they may not see it
        outcome = await self.parallel.outcome(company, message_id) if company and message_id else None
        return await self._page(session, company, outcome, unknown=bool(message_id) and outcome is None)

    async def exit(self, request: Request, session: Session, form: FormData) -> Response:
        """Be one of the two who end it; what was wrong or refused is shown on the page."""
        company, reason = known_company(request.path_params["company"]), str(form.get("reason", "")).strip()
        try:
            message_id = message_id_of(form)
            body = parsed(ExitParallelBody, {"reason": reason})
            outcome = await self.parallel.exit(company, session.who, message_id, body)
        except (Problem, RunError) as error:
            problem = to_correct(error, also_missing=True)
            return await self._page(session, company, None, problem=problem, typed=reason)
        return await self.site.said(session, outcome, f"{PAGE}?company={company}&said={message_id}")

    async def _page(
        self,
        session: Session,
        company: str,
        outcome: Outcome | None,
        *,
        unknown: bool = False,
        problem: Problem | None = None,
        typed: str = "",
    ) -> Response:
        person = session.identity
        everyone = await self.parallel.all_of(person)
        company = company or next((each for each, shown in everyone.items() if shown), next(iter(everyone), ""))
        shown = everyone.get(company)
        context: dict[str, Any] = {
            "company": company,
            "companies": everyone,
            "shown": shown,
            "ages": AGE_WORDS,
            "kinds": KINDS,
            "kinds_of_day": KINDS_OF_DAY,
            "height": HEIGHT,
            "may_exit": self.parallel.may_exit(person, company),
            "message_id": lambda: str(uuid.uuid4()),
            "outcome": outcome,
            "recorded": unknown,
            "problem": problem,
            "typed": typed,
            **_of(shown),
        }
        return await self.site.render("parallel.html", session, context, problem.status if problem else 200)


def _of(shown: ParallelShown | None) -> dict[str, Any]:
    """What the page shows of a run."""
    if shown is None or shown.view.state.rules is None:
        return {"lines": (), "bars": (), "rules": None}
    state, rules = shown.view.state, shown.view.state.rules
    lines = lines_of(state.days, rules)
    return {"lines": lines, "bars": ages_of(lines), "rules": rules}
