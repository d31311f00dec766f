"""What people say to a sync: that it runs or rests, and what becomes of its letters. Pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from domain.entities.merge import LetterCause
from domain.messages import VerifiedMessage
from domain.record import Record
from domain.refusals import Refusal
from domain.said import Said, judged

RUN_SYNC: Final = "run_sync"
"""Name of a message: a person has a sync run or rest, or tries letters again."""
SETTLE_LETTER: Final = "settle_letter"
"""Name of a message: a person says what a value is to be, or that nothing is to be done."""
MOST_NAMED: Final = 100
"""Letters that are named one by one."""

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
LetterId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]


class RunArgs(Record):
    """What a person says who runs a sync."""

    do: Literal["start", "stop", "replay"]
    letters: tuple[LetterId, ...] = Field((), max_length=MOST_NAMED, description="replay: these")
    of_reason: LetterId | Literal[""] = Field("", description="replay: all of one reason")
    of_cause: LetterCause | None = Field(None, description="replay: all of one cause")
    of_key: str = Field("", max_length=400, description="replay: those of one record")
    dry_run: bool = Field(False, description="replay: only say what would become of each")
    reason: Reason

    @property
    def narrowed(self) -> bool:
        """Whether it says which letters are tried again."""
        return bool(self.letters or self.of_reason or self.of_cause or self.of_key)


class SettleArgs(Record):
    """What a person says of one letter."""

    do: Literal["take", "propose", "approve", "dismiss"]
    letter: LetterId
    take: Literal["finance", "sales"] | None = Field(None, description="take: the side whose value is right")
    value: str | None = Field(None, max_length=4_000, description="propose: the value, in the words of Sales")
    reason: Reason


Args = RunArgs | SettleArgs
_ARGS: Final[dict[str, type[RunArgs] | type[SettleArgs]]] = {RUN_SYNC: RunArgs, SETTLE_LETTER: SettleArgs}
COMMANDS: Final = tuple(_ARGS)


def said_to_sync(said: VerifiedMessage) -> Said[Args]:
    """What a person's message comes to, whatever the letters hold.

    Args:
        said: the message, its proof checked and the person's rights looked up.
    """
    verdict: Said[Args] = (
        judged(said, RUN_SYNC, RunArgs) if said.name != SETTLE_LETTER else judged(said, SETTLE_LETTER, SettleArgs)
    )
    args = verdict.args
    lacking = ""
    if isinstance(args, RunArgs) and args.do == "replay" and not args.narrowed:
        lacking = "letters: say which letters are tried again"
    elif isinstance(args, SettleArgs) and args.do == "take" and args.take is None:
        lacking = "take: say whose value is right"
    elif isinstance(args, SettleArgs) and args.do == "propose" and args.value is None:
        lacking = "value: say what it is to be"
    return Said(code=Refusal.BAD_ARGUMENT, detail=lacking) if lacking else verdict


class Word(Record):
    """What a person said of letters, to be carried out."""

    args: SettleArgs
    oid: str
    name: str


class Taken(Record):
    """What became of it: a code where it was refused, and the words."""

    code: Refusal | None = None
    text: str = ""
