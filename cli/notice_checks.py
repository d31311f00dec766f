"""The checks of `q2c doctor` on messages to people: nothing is sent, a mail server is only signed in at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from cli.check import Check, failed, not_checked, ok
from domain.policy import PolicyError
from notices.sending import Unsent, reach
from notices.targets import Target
from workers.notices import notice_targets
from workers.settings import Settings, SettingsError

_NAME = "messages to people"


async def run(settings: Settings) -> AsyncIterator[Check]:
    """Whether people are told, and whether the mail servers take what is sent."""
    try:
        targets = notice_targets(settings)
    except (SettingsError, PolicyError) as error:
        yield failed(_NAME, str(error))
        return
    if not targets:
        yield ok(_NAME, "nobody is told: Q2C_NOTICE_TARGETS names no target (docs/notices.md)")
        return
    for target in targets.values():
        yield await _target(target)


async def _target(target: Target) -> Check:
    name = f"{_NAME}: {target.name}"
    try:
        reached = await asyncio.to_thread(reach, target)
    except Unsent as error:
        return failed(name, f"{error}.", "correct its URL in Q2C_NOTICE_TARGETS, or ask who runs the mail server.")
    if not reached:
        return not_checked(name, "only a message would tell")
    return ok(name, "the mail server answers")
