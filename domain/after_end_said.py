"""What a person says about something that stands open after a deal's end, and whether it counts. Pure."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints

from domain.after_end import DISMISS_LATE
from domain.messages import VerifiedMessage
from domain.record import Record
from domain.refusals import Refusal
from domain.said import judged

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
    asked, code, detail = judged(said, DISMISS_LATE, DismissArgs)
    return DismissVerdict(asked.n, asked.reason) if asked else DismissVerdict(code=code, detail=detail)
