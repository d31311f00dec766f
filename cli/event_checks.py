"""The check of `q2c doctor` on what Finance reports: which business events are active for which legal entity."""

from __future__ import annotations

from collections.abc import Sequence

from cli.check import Check, failed, not_checked, ok
from dynamics.business_events import FOLLOWED, OWN
from dynamics.core.errors import DynamicsError
from dynamics.finance.client import Finance

_EVENT = "BusinessEvent"
"""How the name of an event's class ends."""


async def active(finance: Finance, companies: Sequence[str]) -> Check:
    """Whether Finance reports what happens in the companies; what it does not report, the sweep finds later."""
    name = "Finance business events"
    by_hand = (
        f"Look at System administration > Setup > Business events > Active events for {', '.join(companies)}: "
        f"{', '.join(FOLLOWED)}."
    )
    try:
        active = await finance.active_events()
    except DynamicsError as error:
        return not_checked(name, f"Finance does not tell which are active ({error}). {by_hand}")
    if active and not any(event.endswith(_EVENT) for event in active):
        return not_checked(name, f"Finance does not name the active ones by their class. {by_hand}")
    missing = {
        event: [each for each in companies if not active.get(event, frozenset()) & {each, ""}] for event in FOLLOWED
    }
    silent = "; ".join(f"{event} in {', '.join(where)}" for event, where in missing.items() if where)
    if any(where for event, where in missing.items() if event in OWN):
        return failed(name, f"Not active: {silent}.", "activate them (docs/tenant-set-up.md, step 5).")
    found = f"active in {', '.join(companies)}"
    return ok(name, f"{found}, but for {silent}: the sweep finds these, minutes later" if silent else found)
