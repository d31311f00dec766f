"""Messages from outside, read so that none can harm a run: what cannot be understood is answered with None.

A handler that declares its argument's type fails the workflow task, forever, where a message comes without an argument
or with a second one, and the SDK drops what does not fit the type without a trace. So these handlers take whatever
comes (``*message: Any``) and have it read here.
"""

from __future__ import annotations

from typing import Any, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from domain.record import Record

R = TypeVar("R", bound=Record)


def understood(message: tuple[Any, ...], kind: type[R]) -> R | None:
    """The message as a record of its kind; None where it is none, or one with impossible values."""
    try:
        (content,) = message
        return kind.model_validate(content)
    except (ValidationError, ValueError, ArithmeticError, RecursionError) as error:
        workflow.logger.warning("a message could not be understood: %s", str(error)[:500])
        return None
