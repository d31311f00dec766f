"""What a chaos run does to the stack: systems that fail before and after they commit, storms, deliveries that go
astray, and processes killed, the worker at every boundary of every activity.

All of it passes by itself in the real world too: whatever a deal meets here, it must come to its end without a person.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from demo.doomed import Boundary
from demo.relay import Fate

KILLED: Final = ("worker", "web", "sandbox", "temporal")
"""Parts that are killed at any moment; all of them keep what they know on disk."""
SYSTEMS: Final = ("dataverse", "finance")
EFFECTS: Final[dict[str, dict[str, Any]]] = {
    "connection lost before the commit": {"drop": "before"},
    "connection lost after the commit": {"drop": "after"},
    "503": {"status": 503},
    "429": {"status": 429, "retry_after": 1},
    "502": {"status": 502},
    "answers late": {"delay_ms": 1500},
}
OF_FINANCE: Final[dict[str, dict[str, Any]]] = {
    "deadlock": {"infolog": "deadlock"},
    "update conflict": {"infolog": "update_conflict"},
}
STORMS: Final[dict[str, dict[str, Any]]] = {
    "storm of 429": {"status": 429, "retry_after": 1},
    "storm of 503": {"status": 503},
}
WRITES: Final = {"dataverse": ("POST", "PATCH"), "finance": ("POST",)}
"""Methods by which a straight deal writes."""
AT_ONCE: Final = 10
"""Faults in force together."""
PROBABILITY: Final = 0.5
"""Of a request that a fault fits: so each strikes now here, now there."""
STORM: Final = 25
"""Answers in a row of which most are refusals."""
STORM_PROBABILITY: Final = 0.8
KILL_EVERY: Final = 10
"""One process is killed for so many faults."""
STORM_EVERY: Final = 33
DELIVERY_EVERY: Final = 4
"""One webhook or business event goes astray for so many faults."""
FULL_DISK_EVERY: Final = 45
FULL_DISK_SECONDS: Final = 6.0
MOST_SKEW: Final = 75
"""Seconds by which both systems' clock may differ from the product's."""

OUTSIDE: Final = {
    **dict.fromkeys(("review_lines", "preview_quote", "read_order_lines"), "a page asks for it, no deal does"),
    **dict.fromkeys(("send_message", "tell_people", "find_waiting"), "nobody is told: no target of messages is set"),
    **dict.fromkeys(("look_after_end", "find_ended"), "only of deals that have ended"),
    **dict.fromkeys(("prepare_refund", "change_order", "look_at_larger", "cancel_sales_order"), "no deal is changed"),
    **dict.fromkeys(("show_ordered",), "no deal is changed"),
    **dict.fromkeys(("read_approvers", "find_made_quote"), "nobody delegates"),
    **dict.fromkeys(("show_cancelling", "close_quote", "read_quote"), "no deal is cancelled, and none expires"),
    **dict.fromkeys(("create_customer", "map_customer"), "every customer is in both systems"),
    **dict.fromkeys(("hand_to_desk", "offer_again"), "no report is of an order that no deal claims"),
    **dict.fromkeys(
        ("open_comparison", "count_parts", "read_part", "read_sales_page", "find_candidates", "judge_comparison"),
        "no systems are compared",
    ),
    **dict.fromkeys(("confirm_in_finance", "confirm_in_sales"), "no systems are compared"),
    **dict.fromkeys(("review_ledgers", "tell_differences"), "ledgers are compared at night"),
    **dict.fromkeys(("recheck_credit", "stop_order"), "no limit changes after an order is confirmed"),
    **dict.fromkeys(("look_at_deals", "check_deals", "tell_deals"), "nobody gives a command to many deals"),
    **dict.fromkeys(("hold_orders", "read_open_items", "show_collected"), "no account is overdue"),
}
"""Activities that a run's deals do not come by, and why; at every other the worker is killed."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong: exactly one of what follows the name is given."""

    name: str
    kills: str = ""
    """The process that is killed at any moment."""
    at_boundary: bool = False
    """The worker is killed in an activity, at a boundary where it was not yet."""
    fate: Fate | None = None
    """What becomes of the next webhook or business event."""
    full_disk: bool = False
    """The worker can write to no file for a while: neither to the audit nor to its log."""
    of_system: dict[str, Any] | None = None
    """How a system answers, as the desk's `PUT /faults` takes it."""


def boundaries(activities: Sequence[str]) -> list[tuple[str, Boundary]]:
    """Where the worker is killed: at each boundary of each activity that deals come by."""
    return [(activity, boundary) for activity in activities if activity not in OUTSIDE for boundary in Boundary]


def faults(seed: int, most: int) -> Iterator[Fault]:
    """So many faults, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311  # it spreads faults
    fates = itertools.cycle(Fate)
    kills = _kills(chance)
    for n in range(1, most + 1):
        if n % KILL_EVERY == 0:
            yield next(kills)
        elif sys.platform == "linux" and n % FULL_DISK_EVERY == FULL_DISK_EVERY // 2:
            yield Fault("disk full under the audit", full_disk=True)
        elif n % STORM_EVERY == 0:
            yield _storm(chance)
        elif n % DELIVERY_EVERY == 0:
            fate = next(fates)
            yield Fault(f"webhook or business event: {fate}", fate=fate)
        else:
            yield _of_system(chance)


def _kills(chance: random.Random) -> Iterator[Fault]:
    """Any process at any moment, and after each the worker at two boundaries."""
    for part in itertools.cycle(chance.sample(KILLED, len(KILLED))):
        yield Fault(f"kill -9 of the {part}", kills=part)
        yield from itertools.repeat(Fault("kill -9 of the worker at a boundary of an activity", at_boundary=True), 2)


def _storm(chance: random.Random) -> Fault:
    system, name = chance.choice(SYSTEMS), chance.choice(sorted(STORMS))
    wrong = {"system": system, "effect": STORMS[name], "times": STORM, "probability": STORM_PROBABILITY}
    return Fault(f"{system}: {name}", of_system=wrong)


def _of_system(chance: random.Random) -> Fault:
    system = chance.choice(SYSTEMS)
    effects = EFFECTS | (OF_FINANCE if system == "finance" else {})
    name = chance.choice(sorted(effects))
    wrong: dict[str, Any] = {"system": system, "effect": effects[name], "times": 1, "probability": PROBABILITY}
    if chance.random() < 0.6:
        wrong["method"] = chance.choice(WRITES[system])
    if "infolog" in effects[name]:
        wrong["method"] = "POST"
    return Fault(f"{system}: {name}", of_system=wrong)
