"""What a person says about something that stands open after a deal's end, and whether it counts. Pure."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints, ValidationError

from domain.after_end import DISMISS_LATE
from domain.messages import VerifiedMessage
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Subject, judge, weak_sign_in

LONGEST_REASON = 1_000


class DismissArgs(Record):
    """What a person says who dismisses an exception."""

    n: Annotated[int, Field(ge=1, le=10**9, description="Number of the exception within the company")]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON)]


class DismissVerdict(NamedTuple):
    """What is dismissed and why; the code and the reason where the message does not count."""

    n: int = 0
    reason: str = ""
    code: Refusal | None = None
    detail: str = ""


def said_to_after_end(said: VerifiedMessage) -> DismissVerdict:
    """What a person's message comes to, whatever stands open.

    Args:
        said: the message, its proof checked and the person's rights looked up.
    """
    if said.refused:
        return DismissVerdict(code=Refusal.UNAUTHENTICATED, detail=said.refused)
    if said.name != DISMISS_LATE:
        return DismissVerdict(code=Refusal.UNKNOWN_COMMAND, detail=said.name)
    verdict = judge(said.granted, Subject())
    if verdict.code is not None:
        return DismissVerdict(code=verdict.code, detail=verdict.detail)
    if weak := weak_sign_in(said.granted, Subject(), sign_in=said.sign_in, said_at=said.signed_at):
        return DismissVerdict(code=Refusal.SIGN_IN_TOO_OLD, detail=weak)
    try:
        asked = DismissArgs.model_validate(said.args)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return DismissVerdict(code=Refusal.BAD_ARGUMENT, detail=detail)
    return DismissVerdict(n=asked.n, reason=asked.reason)
