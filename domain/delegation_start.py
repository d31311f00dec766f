"""What a run of a company's delegations begins with."""

from __future__ import annotations

from pydantic import Field

from domain.delegations import Delegations
from domain.heard import HeardMessage
from domain.messages import Outcome, SignedMessage
from domain.record import Record


class DelegationsStart(Record):
    """Whose delegations; the rest is what the run before it held (set when it continues as new)."""

    company: str = Field(description="Legal entity, lower case")
    delegations: Delegations = Delegations()
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)
