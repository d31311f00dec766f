"""The working hours of a step: when they are over, when who is asked is reminded, and how they stand still.

The hours count in the calendar of the legal entity that is pinned with the plan. They begin when a step is asked, and
anew when it is asked of somebody else because nobody decided in time, or because a person said so. While a question to
the rep is open they stand still: what is left then goes on when it is answered. The request's own end never moves.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.approvals import ApprovalRequest, Reminder, StepState
from domain.calendar import NoWorkingTime, add_working_time, working_time, working_time_between

MOST_REMINDERS = 20
"""Reminders of one step that are kept: what falls out is in the audit."""


def started(step: StepState, request: ApprovalRequest, now: datetime) -> StepState:
    """The step with all its hours before it. ``now``: UTC."""
    return gone_on(renewed(step), request, now)


def renewed(step: StepState) -> StepState:
    """The step with all its hours left, whether they count or stand still."""
    return step.model_copy(update={"left": working_time(step.plan.sla_business_hours), "reminded_pct": 0})


def stopped(step: StepState, request: ApprovalRequest, now: datetime) -> StepState:
    """The step whose hours stand still from now on, with what is left of them. ``now``: UTC."""
    if step.clock_from is None:
        return step
    over = working_time_between(step.clock_from, now, request.plan.calendar)
    left = max(step.left - over, timedelta(0))
    return step.model_copy(update={"clock_from": None, "left": left, "deadline": None})


def gone_on(step: StepState, request: ApprovalRequest, now: datetime) -> StepState:
    """The step whose hours count again. ``now``: UTC."""
    return step.model_copy(update={"clock_from": now, "deadline": _after(now, step.left, request)})


def next_reminder(step: StepState, request: ApprovalRequest) -> datetime | None:
    """When who is asked is reminded next, UTC; None: not any more, or not while the hours stand still."""
    pct = next((pct for pct in request.plan.reminders_pct if pct > step.reminded_pct), None)
    return None if pct is None else _reminder(step, request, pct)


def reminded(step: StepState, request: ApprovalRequest, now: datetime) -> StepState:
    """The step after the reminders that are due: of several that nobody could give in time, the last is given."""
    due = [
        pct
        for pct in request.plan.reminders_pct
        if pct > step.reminded_pct and (at := _reminder(step, request, pct)) is not None and at <= now
    ]
    if not due:
        return step
    given = Reminder(pct=due[-1], at=now, who=step.assignees)
    return step.model_copy(update={"reminded_pct": due[-1], "reminders": (*step.reminders, given)[-MOST_REMINDERS:]})


def _reminder(step: StepState, request: ApprovalRequest, pct: int) -> datetime | None:
    if step.clock_from is None or step.deadline is None:
        return None
    whole = working_time(step.plan.sla_business_hours)
    until = max(step.left - whole * (100 - pct) / 100, timedelta(0))
    at = _after(step.clock_from, until, request)
    return at if at < step.deadline else None


def _after(start: datetime, length: timedelta, request: ApprovalRequest) -> datetime:
    """The instant at which so much working time has passed, or the request's own end where that comes first."""
    try:
        return min(add_working_time(start, length, request.plan.calendar), request.expires_at)
    except NoWorkingTime:
        return request.expires_at
