"""An initial sync as a stand-in shows it: what people say is judged by the real rules."""

from __future__ import annotations

from temporalio import workflow

from domain.entities.initial_run import InitialRunStart, InitialRunView, RunStatus
from domain.entities.initial_said import said_to_initial
from domain.heard import content_digest
from domain.messages import Outcome, SignedMessage
from runs import names
from tests.webworld.claims import verified

BECOMES: dict[str, RunStatus] = {"begin": "writing", "go_on": "writing", "pause": "paused", "stop": "stopped"}


@workflow.defn(name=names.INITIAL_RUN)
class StandInInitialRun:
    """Begins, rests, goes on and ends."""

    @workflow.init
    def __init__(self, start: InitialRunStart) -> None:
        self.view = InitialRunView(entity=start.entity, company=start.company, records=250, pages=3)
        self.outcomes: dict[str, Outcome] = {}

    @workflow.run
    async def run(self, start: InitialRunStart) -> InitialRunView:
        await workflow.wait_condition(lambda: not self.view.goes_on)
        return self.view

    @workflow.signal(name=names.COMMAND)
    def command(self, message: SignedMessage) -> None:
        said = verified(message, self.view.company, workflow.now())
        args, code, detail = said_to_initial(said, self.view)
        if args is not None:
            self.view = self.view.model_copy(update={"status": BECOMES[args.do], "by": said.person.name})
        self.outcomes[message.message_id] = Outcome(
            message_id=message.message_id,
            accepted=code is None,
            code=code or "",
            detail=detail,
            digest=content_digest(said.person.oid, said.name, said.args),
        )

    @workflow.query(name=names.STATE)
    def state(self) -> InitialRunView:
        return self.view

    @workflow.query(name=names.OUTCOME)
    def outcome(self, message_id: str) -> Outcome | None:
        return self.outcomes.get(message_id)
