"""Registered steps: what is sent where, with which images.

(Microsoft Learn: "Register a plug-in", messages that support entity images, availability of images.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_WITH_IMAGES: Final = frozenset(
    {"Assign", "Create", "Delete", "DeliverIncoming", "DeliverPromote", "Merge", "Route", "Send", "SetState", "Update"}
)
_PRE, _POST = 0, 1


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a step: the key it is sent under, whether before or after (or both), and its columns."""

    alias: str
    kind: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A registered step: one message of one table, and the endpoint it is sent to.

    Attributes:
        step_id: Id of the `sdkmessageprocessingstep`.
        message: Message name.
        entity: Logical name of the table.
        endpoint: Id of the `serviceendpoint`.
        asynchronous: The step's mode.
        images: Its images.
        filtering: An update counts only when it sends one of these columns; empty means any.
    """

    step_id: str
    message: str
    entity: str
    endpoint: str
    asynchronous: bool
    images: tuple[Image, ...]
    filtering: frozenset[str] = frozenset()


def check_image(message: str, kind: int) -> str | None:
    """Why a message cannot have an image of a kind (0 before, 1 after, 2 both), None where it can."""
    if message not in _WITH_IMAGES:
        return f"The message {message} does not support entity images."
    if message == "Create" and kind != _POST:
        return "A Create has no image from before it."
    if message == "Delete" and kind != _PRE:
        return "A Delete has no image from after it."
    return None
