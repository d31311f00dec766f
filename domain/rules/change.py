"""What every rule answers with: a change, or a refusal."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from domain.deal_state import DealState
from domain.frozen import replace
from domain.refusals import Refusal


class Change(NamedTuple):
    """The state as it is from now on, and what happened in words."""

    state: DealState
    text: str


class Refused(Exception):
    """A fact that the deal does not take, with a code and the reason in words."""

    def __init__(self, code: str, text: str) -> None:
        """Refuse with ``code`` because of ``text``."""
        super().__init__(text)
        self.code = code
        self.text = text


def illegal(text: str) -> NoReturn:
    """Refuse what the deal is not at a point for.

    Raises:
        Refused: always.
    """
    raise Refused(Refusal.ILLEGAL_TRANSITION, text)


def stale(text: str) -> NoReturn:
    """Refuse what the deal knows something newer than.

    Raises:
        Refused: always.
    """
    raise Refused(Refusal.STALE, text)


def with_exception(state: DealState, exception: str) -> DealState:
    """The state with one more open exception for a person; one that is there already is not repeated."""
    return state if exception in state.exceptions else replace(state, exceptions=(*state.exceptions, exception))


def without_exceptions(state: DealState, *codes: str) -> DealState:
    """The state without the exceptions of these codes."""
    return replace(state, exceptions=tuple(text for text in state.exceptions if not text.startswith(codes)))
