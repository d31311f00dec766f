"""Messages from outside, read so that none can harm a run: what cannot be understood is answered with None.

Left to itself, the SDK drops a message it cannot decode without a trace, and fails the workflow task for ever where a
message comes without its argument.
"""

from __future__ import annotations

from typing import TypeVar

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from domain.record import Record

R = TypeVar("R", bound=Record)

NOTHING = RawValue(Payload())
"""The default of a handler's argument: a message that came without one."""


def understood(message: RawValue, kind: type[R]) -> R | None:
    """The message as a record of its kind; None where it is none, or one with impossible values."""
    try:
        read = workflow.payload_converter().from_payload(message.payload, kind)
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        workflow.logger.warning("a message could not be understood: %s", str(error)[:500])
        return None
    return read if isinstance(read, kind) else None
