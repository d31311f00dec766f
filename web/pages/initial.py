"""The page of dry runs of first syncs: how far they are, what they came to, and what the gate says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.entities.gate import GateCode
from domain.entities.initial import Action
from domain.entities.initial_run import WrittenAs
from domain.phrases import marked
from web.initial import InitialSyncs
from web.pages.site import Site
from web.session import Session

PAGE: Final = "/data/initial"
ACTIONS: Final = {
    Action.CREATE.value: marked("Create"),
    Action.UPDATE.value: marked("Update"),
    Action.SKIP.value: marked("Leave as it is"),
    Action.CONFLICT.value: marked("Conflict"),
    Action.UNMAPPED.value: marked("Not mapped"),
    Action.DUPLICATE.value: marked("Duplicate in Sales"),
}
"""What would be done with records, as people say it."""
REASONS: Final = {
    GateCode.NO_DRY_RUN.value: marked("No dry run of this map"),
    GateCode.OLD_DRY_RUN.value: marked("The dry run is too old"),
    GateCode.PLAN_GONE.value: marked("The plan is gone or was changed"),
    GateCode.CRITICAL_RULE.value: marked("A critical rule is broken"),
    GateCode.NOT_CHECKED.value: marked("A critical rule was not checked"),
    GateCode.AMBIGUOUS_TARGET.value: marked("Several accounts for one customer"),
    GateCode.CRITICAL_CONFLICT.value: marked("A field that has to agree differs"),
    GateCode.UNMAPPED.value: marked("Too much is not mapped"),
    GateCode.DUAL_WRITE.value: marked("Dual-Write runs the same map"),
    GateCode.DUAL_WRITE_NOT_KNOWN.value: marked("Which maps Dual-Write runs is not known"),
}
"""Why the gate refuses, in a few words."""
WRITTEN: Final = {
    WrittenAs.CREATED.value: marked("Created"),
    WrittenAs.UPDATED.value: marked("Updated"),
    WrittenAs.AGREES.value: marked("Agreed by then"),
    WrittenAs.MOVED.value: marked("Changed after the dry run"),
    WrittenAs.REFUSED.value: marked("Refused by a system"),
    WrittenAs.DIFFERS.value: marked("Differs after the write"),
    WrittenAs.DEACTIVATED.value: marked("Deactivated"),
    WrittenAs.RESTORED.value: marked("Values put back"),
    WrittenAs.AS_BEFORE.value: marked("As before by then"),
    WrittenAs.STAYS.value: marked("Stays as it is"),
}
"""What became of records, as people say it."""
RUNS: Final = {
    "waiting": marked("Begins"),
    "looking": marked("Reads what it would do"),
    "writing": marked("Writes"),
    "asking": marked("Waits for a person"),
    "paused": marked("Paused"),
    "done": marked("Done"),
    "stopped": marked("Stopped"),
}
"""How a run stands that writes, as people say it."""
STAGES: Final = {
    "opening": marked("Begins"),
    "planning": marked("Counts records"),
    "reading": marked("Reads both systems"),
    "comparing": marked("Compares"),
    "confirming": marked("Reads differences again"),
    "keeping": marked("Writes the plan"),
    "done": marked("Done"),
}


@dataclass(frozen=True, slots=True)
class InitialPages:
    """The page under /data/initial."""

    site: Site
    initial: InitialSyncs

    def routes(self) -> list[Route]:
        """The route of the list."""
        return self.site.routes(pages={PAGE: self.show})

    async def show(self, _request: Request, session: Session) -> Response:
        """The newest dry run of each entity and company."""
        context = {
            "runs": await self.initial.listed(session.identity),
            "is_kept": self.initial.is_kept,
            "actions": ACTIONS,
            "reasons": REASONS,
            "stages": STAGES,
            "written": WRITTEN,
            "standing": RUNS,
        }
        return await self.site.render("initial.html", session, context)
