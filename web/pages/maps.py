"""Maps of integration data: the list, every version of one, and a proposal with its plan to approve or refuse."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.entities.map_change_rules import ChangeClass
from domain.entities.map_change_said import APPROVALS, Proposal, ProposalStatus, staleness
from domain.entities.map_run import ChangeStatus, LookStatus
from domain.people import Person
from domain.phrases import marked
from domain.refusals import Refusal
from domain.rights import Action
from ledger.map_records import MapHistory, ProposalShown
from web.commands import parsed
from web.maps import Done, MapBackBody, MapChanges, MapWordBody
from web.pages.site import Site, message_id_of
from web.problems import Problem, to_correct
from web.session import Session

PAGE: Final = "/data/maps"
CLASSES: Final[Mapping[str, str]] = {
    ChangeClass.WIDENING.value: marked("More is moved"),
    ChangeClass.NARROWING.value: marked("Less is moved"),
    ChangeClass.OWNER.value: marked("Another side's value counts"),
    ChangeClass.KEY.value: marked("Another record or column is meant"),
    ChangeClass.DIRECTION.value: marked("It is moved another way"),
}
STATUSES: Final = {
    ProposalStatus.OPEN.value: marked("Open"),
    ProposalStatus.ACTIVATED.value: marked("Activated"),
    ProposalStatus.REFUSED.value: marked("Refused"),
    ProposalStatus.WITHDRAWN.value: marked("Withdrawn"),
    ProposalStatus.RUNNING.value: marked("Being tried"),
    ProposalStatus.STOPPED.value: marked("Stopped"),
}
STATES: Final = {
    ChangeStatus.RUNNING.value: marked("Being tried"),
    ChangeStatus.IN_FORCE.value: marked("In force"),
    ChangeStatus.STOPPED.value: marked("Stopped"),
    ChangeStatus.ROLLED_BACK.value: marked("Rolled back"),
}
LOOKS: Final = {
    LookStatus.WAITING.value: marked("Waiting for the sync"),
    LookStatus.AGREED.value: marked("Agreed already"),
    LookStatus.READ.value: marked("Would be written"),
    LookStatus.WRITTEN.value: marked("Written"),
    LookStatus.ALONE.value: marked("Without a counterpart"),
    LookStatus.REFUSED.value: marked("Refused"),
    LookStatus.DIFFERS.value: marked("Still different"),
    LookStatus.DROPPED.value: marked("Not looked at any more"),
    LookStatus.RESTORED.value: marked("Restored"),
    LookStatus.EDITED.value: marked("Edited since, left as they are"),
}
KINDS: Final = {
    "file": marked("From its file"),
    "change": marked("Changed"),
    "rollback": marked("Rolled back"),
}
DONE: Final = {
    "approve": marked("Your approval is recorded."),
    "refuse": marked("The proposal is refused."),
    "withdraw": marked("The proposal is withdrawn."),
    "activate": marked("It is tried on some records before it is in force. Reload this page to see what came of it."),
    "rollback": marked("The former version is in force again. The sync restores what the change wrote."),
}


@dataclass(frozen=True, slots=True)
class MapPages:
    """The pages under /data/maps."""

    site: Site
    maps: MapChanges

    def routes(self) -> list[Route]:
        """The routes of the list, of a map, of a proposal, and of what is said."""
        of_map, of_one = f"{PAGE}/{{entity}}", f"{PAGE}/{{entity}}/{{n:nth}}"
        return self.site.routes(
            pages={PAGE: self.show, of_map: self.history, of_one: self.one},
            forms={f"{of_map}/rollback": self.roll_back, f"{of_one}/say": self.say},
        )

    async def show(self, request: Request, session: Session) -> Response:
        """The maps in force."""
        found = await self.maps.overview(session.identity)
        return await self.site.render("maps.html", session, {"maps": found, "is_kept": self.maps.is_kept})

    async def history(self, request: Request, session: Session) -> Response:
        """Every version of a map."""
        return await self._map(request, session, done=request.query_params.get("done", ""))

    async def one(self, request: Request, session: Session) -> Response:
        """A proposal."""
        return await self._proposal(request, session, done=request.query_params.get("done", ""))

    async def say(self, request: Request, session: Session, form: FormData) -> Response:
        """Approve, refuse, withdraw or activate; what was wrong or refused is shown on the page."""
        entity, number = request.path_params["entity"], int(request.path_params["n"])
        do, why = str(form.get("do", "")), str(form.get("why", "")).strip()
        try:
            message_id = message_id_of(form)
            body = parsed(MapWordBody, {"seen": str(form.get("seen", "")), "why": why})
            await self.maps.say(entity, number, _done(do), session.who, message_id, body)
        except Problem as error:
            return await self._proposal(request, session, problem=to_correct(error), typed=why)
        return RedirectResponse(f"{PAGE}/{entity}/{number}?done={do}", 303)

    async def roll_back(self, request: Request, session: Session, form: FormData) -> Response:
        """Put the former version in force again."""
        entity, why = request.path_params["entity"], str(form.get("why", "")).strip()
        try:
            message_id = message_id_of(form)
            shown = {name: str(form.get(name, "")) for name in ("seen", "plan")}
            body = parsed(MapBackBody, shown | {"why": why})
            await self.maps.roll_back(entity, session.who, message_id, body)
        except Problem as error:
            return await self._map(request, session, problem=to_correct(error), typed=why)
        return RedirectResponse(f"{PAGE}/{entity}?done=rollback", 303)

    async def _map(
        self, request: Request, session: Session, *, done: str = "", problem: Problem | None = None, typed: str = ""
    ) -> Response:
        kept: MapHistory = await self.maps.history(session.identity, request.path_params["entity"])
        context: dict[str, Any] = {
            "kept": kept,
            "now": kept.in_force,
            "former": kept.former,
            "may_roll_back": self.maps.may(session.identity, Action.ROLL_BACK_MAP),
            "kinds": KINDS,
            "statuses": STATUSES,
        }
        return await self._page("map.html", session, context, done, problem, typed)

    async def _proposal(
        self, request: Request, session: Session, *, done: str = "", problem: Problem | None = None, typed: str = ""
    ) -> Response:
        path = request.path_params
        shown = await self.maps.one(session.identity, path["entity"], int(path["n"]))
        context = self._of_proposal(shown, session.identity)
        return await self._page("map_proposal.html", session, context, done, problem, typed)

    def _of_proposal(self, shown: ProposalShown, person: Person) -> dict[str, Any]:
        found, plan, may = shown.proposal, shown.proposal.plan, self.maps.may
        is_open = found.status is ProposalStatus.OPEN
        may_end = is_open or found.status is ProposalStatus.RUNNING
        own = person.is_same(found.by)
        seats = self.maps.rules.seats(plan.classes) if plan else {}
        return {
            "proposal": found,
            "plan": plan,
            "stale": staleness(found, shown.situation) if is_open else None,
            "is_open": is_open,
            "own": own,
            "may_approve": is_open and not own and may(person, Action.APPROVE_MAP) and _may_still(found, person),
            "change": shown.change,
            "may_refuse": may_end and not own and may(person, Action.APPROVE_MAP),
            "may_withdraw": may_end and own and may(person, Action.PROPOSE_MAP),
            "may_activate": is_open and may(person, Action.ACTIVATE_MAP) and len(found.counting) >= APPROVALS,
            "seats": {seat: sorted(roles) for seat, roles in seats.items()},
            "wanted": APPROVALS,
            "classes": CLASSES,
            "statuses": STATUSES,
        }

    async def _page(
        self, template: str, session: Session, context: dict[str, Any], done: str, problem: Problem | None, typed: str
    ) -> Response:
        context |= {"done": DONE.get(done, ""), "problem": problem, "typed": typed}
        context |= {"message_id": lambda: str(uuid.uuid4()), "looks": LOOKS, "states": STATES}
        return await self.site.render(template, session, context, problem.status if problem else 200)


def _may_still(found: Proposal, person: Person) -> bool:
    """Whether a person has not approved the plan as it is."""
    return len(found.counting) < APPROVALS and not any(each.by.is_same(person) for each in found.counting)


def _done(do: str) -> Done:
    match do:
        case "approve" | "refuse" | "withdraw" | "activate":
            return do
        case _:
            raise Problem(Refusal.BAD_ARGUMENT, field="do")
