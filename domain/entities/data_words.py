"""What people say of data: of differences, of customers that may be one, of parallel runs; and the right it needs."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from pydantic import Field

from domain.entities.comparing import Difference
from domain.people import Person
from domain.record import Record
from domain.rights import Action

SETTLE: Final = "difference_settle"
REOPEN: Final = "difference_reopen"
MATCH: Final = "match_decide"
TAKE_BACK: Final = "match_take_back"
EXIT_PARALLEL: Final = "exit_parallel"

RIGHTS: Final[dict[str, Action]] = {
    SETTLE: Action.SETTLE_DIFFERENCE,
    REOPEN: Action.SETTLE_DIFFERENCE,
    MATCH: Action.DECIDE_MATCH,
    TAKE_BACK: Action.DECIDE_MATCH,
    EXIT_PARALLEL: Action.EXIT_PARALLEL,
}
"""The right that each message needs."""


class DifferenceWord(Record):
    """What a person says of a difference, signed."""

    message_id: str
    person: Person
    at: datetime
    settles: bool = Field(description="It may stand; False: it is open again")
    seen: str = Field(description="What the person saw of it, as ``seen_of`` says")
    reason: str
    policy_version: str = ""
    proof: str = Field("", description="The signed message")


def seen_of(difference: Difference) -> str:
    """What a decision about a difference is about: with other values it is another one."""
    parts = (difference.kind.value, difference.lacking or "", difference.finance_value, difference.sales_value)
    return hashlib.sha256("\x00".join((*parts, difference.sales_ids)).encode()).hexdigest()
