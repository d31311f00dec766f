"""What not everybody may see: cost, floor price and margin.

Whoever may read a deal is shown it; whoever has no right to margins is shown it without them, in API and pages alike.
"""

from __future__ import annotations

from domain.approvals import ApprovalState, Change, Reason
from domain.phrases import phrase
from domain.policy import Tested
from domain.price_look import DriftView
from domain.views import ApprovalSummary

_HARMLESS = frozenset({Tested.DISCOUNT_PCT, Tested.NET, Tested.PAYMENT_DAYS})
"""What a reason may be about for everybody; anything else could tell a cost, a floor or a margin."""
_WITHHELD = phrase("A rule whose numbers your role does not show")


def reasons_for(reasons: tuple[Reason, ...], *, shows_margin: bool) -> tuple[Reason, ...]:
    """The reasons of a step, without the numbers of a margin for who may not see them."""
    if shows_margin:
        return reasons
    return tuple(
        reason
        if reason.tested in _HARMLESS
        else reason.model_copy(
            update={"text": str(_WITHHELD), "sentence": str(_WITHHELD), "said": _WITHHELD, "tested": ""}
        )
        for reason in reasons
    )


def changes_for(changes: tuple[Change, ...], *, shows_margin: bool) -> tuple[Change, ...]:
    """What changed since the last request, without margin and floor for who may not see them."""
    return tuple(change for change in changes if shows_margin or not change.tested or change.tested in _HARMLESS)


def approvals_for_reader(approvals: tuple[ApprovalSummary, ...], *, shows_margin: bool) -> tuple[ApprovalSummary, ...]:
    """A deal's requests for approval, as a reader may see them."""
    return tuple(
        approval.model_copy(update={"reasons": reasons_for(approval.reasons, shows_margin=shows_margin)})
        for approval in approvals
    )


def request_for_reader(state: ApprovalState, *, shows_margin: bool) -> ApprovalState:
    """A request's steps, as a reader may see them; its margin is the page's to leave out."""
    steps = tuple(
        step.model_copy(
            update={
                "plan": step.plan.model_copy(
                    update={"reasons": reasons_for(step.plan.reasons, shows_margin=shows_margin)}
                )
            }
        )
        for step in state.steps
    )
    changes = changes_for(state.request.changes, shows_margin=shows_margin)
    return state.model_copy(update={"steps": steps, "request": state.request.model_copy(update={"changes": changes})})


def drift_for_reader(drift: DriftView | None, *, shows_margin: bool) -> DriftView | None:
    """How prices moved, without cost and margin for who may not see them."""
    if drift is None or shows_margin:
        return drift
    lines = tuple(
        line.model_copy(update={"pinned_cost": None, "current_cost": None})
        for line in drift.look.lines
        if line.blocked or line.pinned != line.current
    )
    look = drift.look.model_copy(update={"lines": lines, "margin_then": None, "margin_now": None})
    return drift.model_copy(update={"look": look})
