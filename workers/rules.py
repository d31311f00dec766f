"""The rules in force, as the settings say where they are; and that the audit knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

import structlog

import policies
from domain.policy import Policy
from ledger.opening import Ledger, LedgerAway
from policies.map_files import load_maps
from workers.settings import Settings

log = structlog.get_logger(__name__)

_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 300.0


def load_policy(settings: Settings) -> Policy:
    """The rules in force.

    Raises:
        PolicyError: a file is missing or wrong; the text names file, field and remedy.
    """
    return policies.load(settings.policies)


async def note_all(ledger: Ledger, settings: Settings, policy: Policy, companies: Collection[str]) -> None:
    """Have the ledger know the rules and, the first time, the maps; try until it answers."""
    await note_rules(ledger, policy, companies)
    maps = await asyncio.to_thread(load_maps, settings.policies)
    if maps.problems:
        log.warning("maps are not noted", problems=[str(problem) for problem in maps.problems[:5]])
        return
    try:
        log.info("maps noted", new=await ledger.note_maps(maps.all))
    except LedgerAway as error:  # whoever plans a change notes them as well
        log.warning("maps are not noted", reason=str(error))


async def note_rules(ledger: Ledger, policy: Policy, companies: Collection[str]) -> None:
    """Have the audit know which rules are in force and whom they name; try until the ledger answers."""
    pause = _FIRST_PAUSE
    while True:
        try:
            added = await ledger.note_rules(policy, companies)
        except LedgerAway as error:
            log.warning("the rules in force wait for the ledger", version=policy.version, reason=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            continue
        log.info("rules in force", version=policy.version, records=added)
        return
