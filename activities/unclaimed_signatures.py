"""What the activities about what no deal takes may ask for; they are implemented in ``unclaimed``."""

from __future__ import annotations

from typing import Protocol

from activities.declaring import declares_activities
from activities.signatures import Nothing
from domain.feeds import Unrouted
from domain.record import Record
from domain.unclaimed import Offer, Taken


class HandOver(Record):
    """What no deal takes, for the desk."""

    reports: tuple[Unrouted, ...]


@declares_activities
class UnclaimedActivities(Protocol):
    """What no deal takes (task queue of the system that reported it; offering again: q2c-finance)."""

    async def hand_to_desk(self, over: HandOver) -> Nothing:
        """Hand what no deal takes to the receivers of its companies, where a person settles it."""

    async def offer_again(self, offer: Offer) -> Taken:
        """Offer the deals again what none took."""
