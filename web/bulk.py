"""Deciding several requests at once: which may go together, and what became of each.

Nothing is decided as a bundle. Each item is signed, sent, refused or recorded for itself, exactly as on its own page.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.approvals import ApprovalState, StepState
from domain.messages import Outcome
from domain.people import Person
from domain.phrases import marked, phrase
from domain.refusals import Refusal
from runs.calls import RunError
from web.access import Access
from web.addresses import Approval, Deal
from web.inbox import ApprovalItem
from web.problems import Problem, of_run

MOST_APPROVED: Final = 20
_AT_ONCE: Final = 5


@dataclass(frozen=True)
class Picked:
    """A step that somebody picked in a list, as a form holds it."""

    approval: Approval
    step: int

    @property
    def text(self) -> str:
        """As a form holds it; the quote number comes last, because it may hold any sign."""
        deal = self.approval.deal
        return f"{deal.company}/{self.approval.n}/{self.step}/{deal.quote}"

    @classmethod
    def of(cls, item: ApprovalItem) -> Picked:
        """The step of an item of the inbox."""
        return cls(Approval(Deal(item.company, item.quote), item.n), item.step)

    @classmethod
    def parse(cls, text: str) -> Picked:
        """What a form holds.

        Raises:
            Problem: 400, it is none of ours.
        """
        company, n, step, quote = (*text.split("/", 3), "", "", "", "")[:4]
        if not (_number(n) and _number(step) and quote):
            raise Problem(Refusal.BAD_ARGUMENT, phrase("The form is incomplete. Load the page again."), field="pick")
        return cls(Approval(Deal.of(company, quote), int(n)), int(step))


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < len(text) < 7 and int(text) > 0


@dataclass(frozen=True)
class LeftOut:
    """What cannot go with the others, and why."""

    picked: Picked
    why: str
    gone: bool = False
    """Whether it waits for the person no more: the request itself says what became of it."""


@dataclass(frozen=True)
class Result:
    """What became of one item."""

    label: str
    path: str
    done: bool
    text: str


Candidate = tuple[Picked, ApprovalState, StepState]


def sorted_out(
    picks: Sequence[Picked], states: Iterable[ApprovalState], person: Person, access: Access
) -> tuple[list[Candidate], list[LeftOut]]:
    """What of several picked steps may be approved together, and what not.

    Together goes what is small and alike. Small: the policy asks neither for a comment nor for a fresh sign-in, and no
    question to the rep is open. Alike: same company, currency, role and rules as most of the others.
    """
    known = {(state.request.company, state.request.quote_number, state.request.n): state for state in states}
    small: list[Candidate] = []
    left: list[LeftOut] = []
    for picked in picks:
        deal = picked.approval.deal
        state = known.get((deal.company, deal.quote, picked.approval.n))
        step = next((s for s in state.pending if s.plan.step == picked.step), None) if state else None
        if state is None or step is None or not any(asked.is_same(person) for asked in step.assignees):
            left.append(LeftOut(picked, marked("it is not waiting for you any more"), gone=True))
        elif why := _too_much(state, step, person, access):
            left.append(LeftOut(picked, why))
        else:
            small.append((picked, state, step))
    usual = Counter(_kind(state, step) for _, state, step in small).most_common(1)
    alike = [found for found in small if usual and _kind(found[1], found[2]) == usual[0][0]]
    left += [
        LeftOut(
            found[0], marked("it asks for another role, for other reasons or in another currency than most of these")
        )
        for found in small
        if found not in alike
    ]
    return alike, left


def _too_much(state: ApprovalState, step: StepState, person: Person, access: Access) -> str:
    """Why a step is decided on its own page; empty where it need not be."""
    if step.plan.comment_required:
        return marked("it needs a comment of its own")
    if access.asks_for_fresh_sign_in(person, state):
        return marked("an amount like this is decided on its own page")
    return marked("the rep has not answered a question about it") if step.question else ""


def _kind(state: ApprovalState, step: StepState) -> tuple[str, str, str, frozenset[str]]:
    request = state.request
    rules = frozenset(reason.rule for reason in step.plan.reasons)
    return request.company, request.currency, step.plan.role, rules


def total_net(found: Iterable[Candidate]) -> Decimal:
    """What several requests come to, net; they are in one currency."""
    return sum((state.request.net for _, state, _ in found), Decimal(0))


def message_id(batch: str, item: str) -> str:
    """The id of one item's message: a form that is sent twice says each thing once.

    Raises:
        Problem: 400, the batch is none of ours.
    """
    try:
        return str(uuid.uuid5(uuid.UUID(batch), item))
    except ValueError:
        raise Problem(
            Refusal.BAD_ARGUMENT, phrase("The form is incomplete. Load the page again."), field="batch"
        ) from None


async def each(items: Sequence[tuple[str, str, Callable[[], Awaitable[Outcome | None]]]]) -> list[Result]:
    """Say each of these, a few at a time, and what became of it.

    Args:
        items: how each is called, the address of its page, and what says it.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(label: str, path: str, say: Callable[[], Awaitable[Outcome | None]]) -> Result:
        async with gate:
            try:
                outcome = await say()
            except (Problem, RunError) as error:
                problem = error if isinstance(error, Problem) else of_run(error)
                return Result(label, path, done=False, text=problem.detail)
        return Result(
            label, path, done=True, text=marked("Done") if outcome else marked("Recorded; no worker has responded yet")
        )

    return list(await asyncio.gather(*(one(*item) for item in items)))
