"""Where both systems differ: a list with filters, counts and a chart; and settling with a reason."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.phrases import marked
from web.commands import parsed
from web.data import Data, DifferencesQuery, SettleBody, ShownDifference
from web.exports import MOST_ROWS, Columns, csv_file
from web.pages.data import AGE_WORDS, KINDS, chart_of
from web.pages.site import Site, message_id_of
from web.problems import Problem, to_correct
from web.session import Session

PAGE: Final = "/data/differences"
OWNERS: Final = {
    "FINANCE": marked("The value of Finance"),
    "SALES": marked("The value of Sales"),
    "NEWEST": marked("The newest value"),
    "MANUAL": marked("A person decides"),
}
STATES: Final = {
    "open": marked("Open"),
    "settled": marked("Settled by a person"),
    "agrees": marked("Agree again"),
    "any": marked("Any"),
}
HIDDEN: Final = "(personal data)"
_MOST_COMPARED: Final = 100
_COLUMNS: Final[Columns[ShownDifference]] = {
    "Entity": lambda shown: shown.row.entity,
    "Company": lambda shown: shown.row.company.upper(),
    "Class": lambda shown: shown.row.kind.value,
    "Key": lambda shown: shown.row.key,
    "Field": lambda shown: shown.row.field,
    "Missing in": lambda shown: shown.row.lacking or "",
    "Finance": lambda shown: HIDDEN if shown.hidden else shown.row.finance_value,
    "Sales": lambda shown: HIDDEN if shown.hidden else shown.row.sales_value,
    "Rows of Sales": lambda shown: shown.row.sales_ids,
    "Owner": lambda shown: shown.row.owner.value,
    "First seen": lambda shown: shown.row.first_seen_at,
    "Last seen": lambda shown: shown.row.last_seen_at,
    "Resolution": lambda shown: shown.row.resolution,
    "Settled by": lambda shown: shown.row.resolved_name,
    "Reason": lambda shown: shown.row.reason,
    "Closed": lambda shown: shown.row.resolved_at,
}


@dataclass(frozen=True, slots=True)
class DifferencePages:
    """The pages under /data/differences."""

    site: Site
    data: Data

    def routes(self) -> list[Route]:
        """The routes of the list, its file, and of settling."""
        return self.site.routes(
            pages={PAGE: self.show, f"{PAGE}.csv": self.download}, forms={f"{PAGE}/{{difference}}": self.settle}
        )

    async def show(self, request: Request, session: Session) -> Response:
        """What the reader may see; every filter is in the address."""
        given = _given(request.query_params)
        done = given.pop("done", "")
        return await self._page(session, parsed(DifferencesQuery, given), given, done=done)

    async def download(self, request: Request, session: Session) -> Response:
        """The same list as a file."""
        query = parsed(DifferencesQuery, _given(request.query_params))
        found = await self.data.differences(session.identity, query, MOST_ROWS)
        return csv_file("differences", _COLUMNS, found.rows, more=bool(found.page.next))

    async def settle(self, request: Request, session: Session, form: FormData) -> Response:
        """Settle one or open it again; what was wrong or refused is shown on the list it came from."""
        difference = request.path_params["difference"]
        given = _given(dict(parse_qsl(str(form.get("back", ""))[:2_000])))
        given.pop("done", None)
        query = parsed(DifferencesQuery, given)
        said = {name: str(form.get(name, "")).strip() for name in ("settles", "seen", "reason")}
        try:
            message_id = message_id_of(form)
            await self.data.settle(difference, session.who, message_id, parsed(SettleBody, said))
        except Problem as error:
            problem = to_correct(error)
            typed = {difference: said["reason"]}
            return await self._page(session, query, given, problem=problem, typed=typed)
        return RedirectResponse(f"{PAGE}?{urlencode(given | {'done': said['settles']})}", 303)

    async def _page(
        self,
        session: Session,
        query: DifferencesQuery,
        given: dict[str, str],
        *,
        done: str = "",
        problem: Problem | None = None,
        typed: dict[str, str] | None = None,
    ) -> Response:
        found = await self.data.differences(session.identity, query)
        words, coverage = typed or {}, list(found.page.coverage.values())
        open_of: dict[str, int] = {}
        for count in found.page.counts:
            place = f"{count.entity}/{count.company}"
            open_of[place] = open_of.get(place, 0) + count.total
        context: dict[str, Any] = {
            "rows": found.rows,
            "query": query,
            "filters": {name: value for name, value in given.items() if name not in ("after", "sort")},
            "here_again": urlencode(given),
            "download": f"{PAGE}.csv?{urlencode(given)}",
            "next": f"{PAGE}?{urlencode(given | {'after': found.page.next})}" if found.page.next else "",
            "chart": chart_of(found.page.counts),
            "ages": AGE_WORDS,
            "kinds": KINDS,
            "owners": OWNERS,
            "states": STATES,
            "coverage": coverage[:_MOST_COMPARED],
            "more_compared": max(0, len(coverage) - _MOST_COMPARED),
            "open_of": open_of,
            "entities": sorted({each.last.entity for each in coverage}),
            "companies": sorted({each.last.company for each in coverage}),
            "fields": found.page.fields,
            "is_kept": self.data.is_kept,
            "age": lambda row: row.age_days(datetime.now(UTC)),
            "typed": lambda row: words.get(row.difference_id, ""),
            "message_id": lambda: str(uuid.uuid4()),
            "done": done,
            "problem": problem,
        }
        return await self.site.render("differences.html", session, context, problem.status if problem else 200)


def _given(values: Any) -> dict[str, str]:
    return {name: text for name, value in values.items() if (text := value.strip())}
