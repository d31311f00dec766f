"""A sync as a stand-in shows it: what people say is judged by the real rules."""

from __future__ import annotations

from temporalio import workflow

from domain.entities.sync_run import SyncStart, SyncView
from domain.entities.sync_said import RunArgs, said_to_sync
from domain.heard import content_digest
from domain.messages import Outcome, SignedMessage
from domain.refusals import Refusal
from runs import names
from tests.webworld.claims import verified


@workflow.defn(name=names.SYNC)
class StandInSync:
    """Runs or rests; knows no letter."""

    @workflow.init
    def __init__(self, start: SyncStart) -> None:
        self.view = SyncView(entity=start.entity, company=start.company)
        self.outcomes: dict[str, Outcome] = {}

    @workflow.run
    async def run(self, start: SyncStart) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=names.COMMAND)
    def command(self, message: SignedMessage) -> None:
        said = verified(message, self.view.company, workflow.now())
        args, code, detail = said_to_sync(said)
        if isinstance(args, RunArgs):
            self.view = self.view.model_copy(update={"running": args.do == "start"})
        elif code is None:
            code = Refusal.NOT_FOUND
        self.outcomes[message.message_id] = Outcome(
            message_id=message.message_id,
            accepted=code is None,
            code=code or "",
            detail=detail,
            digest=content_digest(said.person.oid, said.name, said.args),
        )

    @workflow.query(name=names.STATE)
    def state(self) -> SyncView:
        return self.view

    @workflow.query(name=names.OUTCOME)
    def outcome(self, message_id: str) -> Outcome | None:
        return self.outcomes.get(message_id)
