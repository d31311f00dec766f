"""How feeds tell many deals: side by side with a bound, in order for each deal, and none keeps another from its news.

Shared by the feeds of both systems. What Temporal does not take for the moment fails the activity, which is tried
again; what it refuses for good concerns that one deal, and a person is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.heartbeat import beats_itself
from activities.signatures import FailureType
from domain.feeds import Became
from runs.calls import NoAnswer, Rejected

T = TypeVar("T")

AT_ONCE = 20
"""Signals under way at the same time."""
BEAT_SECONDS = 3.0
"""How often an activity says that it lives, and how far it has come."""

Told = tuple[Became, str]
"""What became of a report, and why a person has to look (where it is UNROUTED)."""


@contextmanager
def temporal_failures() -> Iterator[None]:
    """Calls to Temporal: what passes by itself leaves as a transient failure of the activity.

    Raises:
        ApplicationError: Temporal does not answer, or refused a question.
    """
    try:
        yield
    except NoAnswer as error:
        raise ApplicationError(error.detail, type=FailureType.TRANSIENT) from error
    except RPCError as error:
        raise ApplicationError(f"Temporal: {error.message}", type=FailureType.REFUSED) from error


@asynccontextmanager
async def progress() -> AsyncIterator[set[str]]:
    """Keys of reports that were settled, kept by heartbeat: what an earlier try of this activity settled is in it."""
    info = activity.info()
    details = info.heartbeat_details
    settled = set(details[0]) if details and isinstance(details[0], list) else set()

    async def beat() -> None:
        while True:
            activity.heartbeat(sorted(settled))
            await asyncio.sleep(BEAT_SECONDS)

    beats_itself()
    beating = asyncio.create_task(beat())
    try:
        yield settled
    finally:
        beating.cancel()
        activity.heartbeat(sorted(settled))


async def told(call: Awaitable[bool]) -> Told:
    """Wait for a signal to a deal.

    Returns:
        DELIVERED; NOBODY: no such deal runs; UNROUTED: Temporal refuses the signal for good, and why.

    Raises:
        NoAnswer: not taken for the moment.
    """
    try:
        return (Became.DELIVERED, "") if await call else (Became.NOBODY, "")
    except Rejected as error:
        return Became.UNROUTED, error.detail[:500]


async def side_by_side(groups: Iterable[Sequence[T]], work: Callable[[T], Awaitable[None]]) -> None:
    """Do all work, the groups side by side (20 at once), the parts of a group one after the other.

    Raises:
        NoAnswer: or whatever else ``work`` raised first; nothing new was begun after it.
    """
    waiting = iter(groups)
    failures: list[Exception] = []

    async def worker() -> None:
        for group in waiting:
            for part in group:
                if failures:
                    return
                try:
                    await work(part)
                except (NoAnswer, RPCError) as error:
                    failures.append(error)
                    return

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    if failures:
        raise failures[0]


def grouped(items: Iterable[T], key: Callable[[T], str]) -> list[list[T]]:
    """The items by key, in the order they came."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def counted(became: Iterable[Became]) -> Mapping[str, int]:
    """How many became what."""
    counts: dict[str, int] = {}
    for each in became:
        counts[each] = counts.get(each, 0) + 1
    return counts
