"""How a message from outside is heard: read, taken, counted. Whatever it is, it never harms the run that hears it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue

from domain.record import Record
from runs import names
from workflows.understanding import understood

R = TypeVar("R", bound=Record)

UNREADABLE = "unreadable"
"""Counted: a message that is none of its kind, or holds impossible values."""
FAILED = "failed"
"""Counted: a message that could be read and not be taken: a defect of ours, and in the log."""
UNKNOWN = "unknown"
"""Counted: a message of a name that nobody here answers to."""

A_TURN = 100
"""Events of a history that no run begins with: a longer one was told something, if only what the gate dropped."""


def is_long_enough(*, heard: bool) -> bool:
    """Whether a run that lives forever should go on as a new one.

    Args:
        heard: whether something happened in this run. Before, it does not end: a run that begins with much would end
            again and again, and get nowhere.
    """
    info = workflow.info()
    return info.is_continue_as_new_suggested() and (heard or info.get_current_history_length() > A_TURN)


def all_has_come() -> bool:
    """Whether the run was given every signal that was sent so far: of very many, the gate brings a portion each task.

    A run asks before it ends, so that what is still kept for it is not lost, and before it says that time is over.
    """
    kept = workflow.extern_functions().get(names.KEPT_BY_GATE)
    return kept is None or not kept()


@contextmanager
def taken(count: Callable[[str], None]) -> Iterator[None]:
    """What is raised while something heard is taken is logged and counted, and goes no further.

    A handler or loop that raises fails its workflow task, and the run hears nothing more; its other messages must not
    pay for a defect that one of them meets.

    Args:
        count: is told of it.
    """
    try:
        yield
    except Exception:  # noqa: BLE001 - see above
        workflow.logger.exception("a message could not be taken")
        count(FAILED)


def hear(message: tuple[Any, ...], kind: type[R], take: Callable[[R], object], count: Callable[[str], None]) -> None:
    """Hear one message.

    Args:
        message: all arguments of the signal, as they came.
        kind: what it should be.
        take: what is done with it.
        count: is told what became of one that was not taken.
    """
    said = understood(message, kind)
    if said is None:
        count(UNREADABLE)
        return
    with taken(count):
        take(said)


def heard(
    name: str, kind: type[R], take: Callable[[Any], Callable[[R], object]], description: str
) -> Callable[..., None]:
    """The handler of a signal, for the body of a workflow that is ``Counting``.

    Args:
        name: of the signal.
        kind: what it carries.
        take: says of the run what is done with it.
        description: what it is, for people who look at the run in Temporal.
    """

    @workflow.signal(name=name, description=description)
    def handler(self: Counting, *message: Any) -> None:
        hear(message, kind, take(self), self._count)

    return handler


class Counting:
    """What a run answers to beside its own messages, and how it counts what it did not take."""

    _tally: dict[str, int]

    @workflow.signal(name=names.DROPPED, description="Messages that nobody sealed for this run were dropped")
    def dropped(self, *message: Any) -> None:
        """Do nothing: what the run waits for is looked at, and with it how long the run is."""

    @workflow.signal(dynamic=True)
    def unknown(self, name: str, message: Sequence[RawValue]) -> None:
        """Count a message of a name that nobody here answers to: the SDK would keep it forever."""
        self._count(UNKNOWN)

    def _count(self, kind: str) -> None:
        self._tally[kind] = self._tally.get(kind, 0) + 1

    @workflow.query(name=names.TALLY, description="Messages that were not understood or not taken")
    def tally(self) -> dict[str, int]:
        """How many messages were unreadable, unknown, unproved, repeated or too many."""
        return self._tally
