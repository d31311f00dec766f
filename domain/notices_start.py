"""What a run of a recipient's messages begins with."""

from __future__ import annotations

from pydantic import Field

from domain.notices_box import Box
from domain.record import Record


class NoticesStart(Record):
    """The messages as they stood at the end of the run before; empty for the first."""

    box: Box = Box()
    tally: dict[str, int] = Field(default_factory=dict)
