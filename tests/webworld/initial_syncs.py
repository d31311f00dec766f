"""An initial sync, and the undo of one, as a stand-in shows it: what people say is judged by the real rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import workflow
from temporalio.client import Client

from domain.entities.initial_run import InitialRunStart, InitialRunView, RunStatus, WrittenAs
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
        fresh = InitialRunView(entity=start.entity, company=start.company, undoes=start.undoes, records=250, pages=3)
        self.view = start.view or fresh
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
            update = {"status": BECOMES[args.do], "by": said.person.name}
            self.view = self.view.model_copy(update=update)
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


@asynccontextmanager
async def shown(client: Client) -> AsyncIterator[None]:
    """A run of customers that was carried out, and its undo, which waits for a person until the block ends."""
    of = {"entity": "customer", "company": "usmf", "by": "Otto Ops", "dry_run": "run-1", "records": 250, "pages": 3}
    counts = {WrittenAs.CREATED: 40, WrittenAs.UPDATED: 200, WrittenAs.MOVED: 10}
    would = {WrittenAs.DEACTIVATED: 38, WrittenAs.RESTORED: 190, WrittenAs.STAYS: 12}
    run = InitialRunView.model_validate(of | {"status": "done", "counts": counts, "next_page": 3})
    asks = {"undoes": True, "looked": True, "status": "asking", "why": "228 records would be undone, 12 stay"}
    undo = InitialRunView.model_validate(of | asks | {"records": 240, "would": would})
    runs = [
        await client.start_workflow(
            names.INITIAL_RUN,
            InitialRunStart(entity="customer", company="usmf", undoes=view.undoes, view=view),
            id=workflow_id,
            task_queue=names.DEAL_QUEUE,
        )
        for view, workflow_id in (
            (run, names.initial_run_id("customer", "usmf")),
            (undo, names.initial_undo_id("customer", "usmf")),
        )
    ]
    try:
        yield
    finally:
        await runs[-1].terminate("The page was shown.")
