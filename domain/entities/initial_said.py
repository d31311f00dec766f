"""What people say to a real initial sync, and to the undo of one: that it begins, rests, goes on, or ends. Pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from domain.entities.initial_run import InitialRunView
from domain.messages import VerifiedMessage
from domain.record import Record
from domain.refusals import Refusal
from domain.said import Said, judged

RUN_INITIAL: Final = "run_initial"
"""Name of the message."""
UNDO_INITIAL: Final = "undo_initial"
"""Name of the message to the undo of one."""
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class InitialArgs(Record):
    """What a person says who runs an initial sync."""

    do: Literal["begin", "pause", "go_on", "stop"]
    reason: Reason


class UndoArgs(InitialArgs):
    """What a person says who has one undone."""

    run: str = Field(min_length=1, max_length=100, description="Whose plan was carried out: the id of its dry run")


def said_to_initial(said: VerifiedMessage, view: InitialRunView) -> Said[InitialArgs]:
    """What a person's message comes to, as the run stands.

    Args:
        said: the message, its proof checked and the person's rights looked up.
        view: the run.
    """
    verdict: Said[InitialArgs] = (
        judged(said, UNDO_INITIAL, UndoArgs) if view.undoes else judged(said, RUN_INITIAL, InitialArgs)
    )
    if verdict.args is None:
        return verdict
    if isinstance(verdict.args, UndoArgs) and view.dry_run and verdict.args.run != view.dry_run:
        return Said(code=Refusal.INITIAL_NOT_THERE, detail=f"it undoes the run of {view.dry_run}")
    fits = {
        "begin": view.status == "waiting",
        "pause": view.status in ("looking", "writing"),
        "go_on": view.status in ("asking", "paused"),
        "stop": view.goes_on and view.status != "waiting",
    }
    if fits[verdict.args.do]:
        return verdict
    code = Refusal.INITIAL_RUNS if verdict.args.do == "begin" and view.goes_on else Refusal.INITIAL_NOT_THERE
    return Said(code=code, detail=f"it is {view.status}")
