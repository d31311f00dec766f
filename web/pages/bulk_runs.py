"""Bulk commands: the list of runs, a new one, and one run with what became of each deal."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final, cast, get_args
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.bulk import COMMANDS, MOST_ITEMS, RUN, ItemStatus
from domain.causes import Cause
from domain.messages import CommandName
from domain.refusals import Refusal
from domain.views import Stage, WaitingFor
from runs.calls import RunError
from web.addresses import first_line
from web.bulk_runs import SHOWN, BulkBody, BulkRuns, Move, ready_of
from web.commands import parsed
from web.pages.site import Site, message_id_of
from web.problems import Problem, to_correct
from web.session import Session
from web.signin import sign_in_again

PAGE: Final = "/bulk"
NEW: Final = "/bulk/new"
_RUN: Final = "/bulk/{company}/{run}"
_FIELDS: Final = ("company", "command", "error", "stage", "customer", "waiting_for", "days")


def bulk_path(company: str, run: str, **query: str | int) -> str:
    """The address of a run's page."""
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{PAGE}/{company}/{run}" + (f"?{given}" if given else "")


@dataclass(frozen=True, slots=True)
class BulkRunPages:
    """The pages of bulk runs; what may be done is ``bulk``'s."""

    site: Site
    bulk: BulkRuns

    def routes(self) -> list[Route]:
        """The routes of the list, of a new run, and of one run with what is said to it."""
        return self.site.routes(
            pages={PAGE: self.listed, NEW: self.new, _RUN: self.show},
            forms={PAGE: self.begin, f"{_RUN}/commands/{{do}}": self.say},
        )

    async def listed(self, _request: Request, session: Session) -> Response:
        """The newest runs of the reader's companies."""
        found = await self.bulk.listed(session.who)
        return await self.site.render(
            "bulk_runs.html", session, {"runs": found.items, "bulk_path": bulk_path, "ready_of": ready_of}
        )

    async def new(self, request: Request, session: Session) -> Response:
        """What a new run would be about: filters, the first deals they leave, and the command."""
        given = {name: value for name in _FIELDS if (value := request.query_params.get(name, "").strip())}
        return await self._new(session, given)

    async def begin(self, _request: Request, session: Session, form: FormData) -> Response:
        """Begin a dry run."""
        given = {name: text for name in (*_FIELDS, "reason") if (text := str(form.get(name, "")).strip())}
        try:
            begun = await self.bulk.begin(session.who, parsed(BulkBody, {**given, "message_id": message_id_of(form)}))
        except (Problem, RunError) as error:
            return await self._new(session, given, to_correct(error))
        return RedirectResponse(bulk_path(begun.company, begun.run), 303)

    async def _new(self, session: Session, given: dict[str, str], problem: Problem | None = None) -> Response:
        command = CommandName(given["command"]) if given.get("command") in COMMANDS else CommandName.RETRY
        companies = self.bulk.companies(session.who, command)
        if not companies:
            raise Problem(Refusal.NO_AUTHORITY)
        company = given.get("company", "") if given.get("company", "").lower() in companies else companies[0]
        known = {name: value for name, value in given.items() if name in _FIELDS}
        body = parsed(BulkBody, {**known, "company": company, "command": command})
        rows, more = await self.bulk.matching(body, MOST_ITEMS)
        context = {
            "body": body,
            "rows": rows[:SHOWN],
            "total": len(rows),
            "more": more,
            "most": MOST_ITEMS,
            "companies": companies,
            "commands": COMMANDS,
            "causes": [cause.value for cause in Cause if not cause.passes],
            "stages": [stage.value for stage in Stage if stage is not Stage.CLOSED],
            "waits": [wait.value for wait in WaitingFor],
            "reason": given.get("reason", ""),
            "message_id": str(uuid.uuid4()),
            "problem": problem,
        }
        return await self.site.render("bulk_new.html", session, context, problem.status if problem else 200)

    async def show(self, request: Request, session: Session) -> Response:
        """A run: how far it is, what can be said to it, and its deals a page at a time."""
        return await self._run(request, session)

    async def say(self, request: Request, session: Session, form: FormData) -> Response:
        """Sign a run's parts, pause, resume or end it."""
        company, run, do = (request.path_params[name] for name in ("company", "run", "do"))
        message_id = message_id_of(form)
        try:
            if do == RUN:
                await self.bulk.sign(session.who, company, run)
                return RedirectResponse(bulk_path(company, run), 303)
            if do not in get_args(Move):
                raise Problem(Refusal.NOT_FOUND)
            reason = str(form.get("reason", "")).strip()[:1_000]
            outcome = await self.bulk.move(session.who, company, run, cast(Move, do), message_id, reason)
        except (Problem, RunError) as error:
            return await self._run(request, session, to_correct(error))
        return await self.site.said(session, outcome, bulk_path(company, run, said=message_id))

    async def _run(self, request: Request, session: Session, problem: Problem | None = None) -> Response:
        company, run = request.path_params["company"], request.path_params["run"]
        view = await self.bulk.shown(session.who, company, run)
        status = request.query_params.get("status", "")
        status = status if status in {each.value for each in ItemStatus} else ""
        first = first_line(request)
        found = await self.bulk.items(session.who, company, run, first, status)
        said = request.query_params.get("said", "")
        outcome = await self.bulk.outcome(company, run, said) if said else None
        context = {
            "view": view,
            "run": run,
            "ready": ready_of(view),
            "items": found.items,
            "status_asked": status,
            "before": bulk_path(company, run, status=status, **{"from": first - 100}) if first >= 100 else "",
            "after": bulk_path(company, run, status=status, **{"from": first + 100}) if found.more else "",
            "may_move": self.bulk.may_move(session.who, view),
            "must_sign_in": self.bulk.must_sign_in(session.who, view),
            "sign_in_again": sign_in_again(bulk_path(company, run)),
            "bulk_path": bulk_path,
            "statuses": [each.value for each in ItemStatus],
            "message_id": lambda: str(uuid.uuid4()),
            "outcome": outcome,
            "recorded": bool(said) and outcome is None,
            "problem": problem,
        }
        return await self.site.render("bulk_run.html", session, context, problem.status if problem else 200)
