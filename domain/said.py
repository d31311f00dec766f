"""What a person says to a run that is no single deal's, and whether it counts, whatever the run holds. Pure."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from domain.messages import VerifiedMessage
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Subject, judge, weak_sign_in

Args = TypeVar("Args", bound=Record)


class Said(NamedTuple, Generic[Args]):
    """What is to be done; the code and the reason where the message does not count."""

    args: Args | None = None
    code: Refusal | None = None
    detail: str = ""


def judged(said: VerifiedMessage, command: str, args: type[Args]) -> Said[Args]:
    """What a person's message comes to.

    Args:
        said: the message, its proof checked and the person's rights looked up.
        command: the one command that is understood here.
        args: what it takes.
    """
    if said.refused:
        return Said(code=Refusal.UNAUTHENTICATED, detail=said.refused)
    if said.name != command:
        return Said(code=Refusal.UNKNOWN_COMMAND, detail=said.name)
    verdict = judge(said.granted, Subject())
    if verdict.code is not None:
        return Said(code=verdict.code, detail=verdict.detail)
    if weak := weak_sign_in(said.granted, Subject(), sign_in=said.sign_in, said_at=said.signed_at):
        return Said(code=Refusal.SIGN_IN_TOO_OLD, detail=weak)
    try:
        return Said(args=args.model_validate(said.args))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Said(code=Refusal.BAD_ARGUMENT, detail=f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
