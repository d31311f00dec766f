"""What a bulk run asks of its deals: the implementation stands in ``bulk``."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.bulk import TOGETHER, BulkItem
from domain.messages import CommandName, SignedMessage
from domain.people import Person
from domain.record import Record
from domain.rights import Granted


class CheckDeals(Record):
    """Whether these deals would take a command."""

    company: str
    quotes: tuple[str, ...] = Field(max_length=TOGETHER)
    command: CommandName
    error: str = Field("", description="Cause the command is about; empty: any")
    person: Person
    granted: Granted


class TellDeals(Record):
    """Give these deals a signed command."""

    company: str
    quotes: tuple[str, ...] = Field(max_length=TOGETHER)
    message: SignedMessage


class LookAtDeals(Record):
    """What these deals made of a command."""

    company: str
    items: tuple[BulkItem, ...] = Field(max_length=TOGETHER)
    command: CommandName


class Found(Record):
    """The deals that were asked for, in their order."""

    items: tuple[BulkItem, ...]


@declares_activities
class BulkActivities(Protocol):
    """One command for many deals (task queue q2c)."""

    async def check_deals(self, ask: CheckDeals) -> Found:
        """Read deals and say of each whether it would take a command; nothing is sent."""

    async def tell_deals(self, tell: TellDeals) -> Found:
        """Give deals a command, and say what each made of it; one that heard it before makes nothing new of it."""

    async def look_at_deals(self, look: LookAtDeals) -> Found:
        """Say how deals stand that were given a command."""
