"""Which states documents have, how they change, and when a document can be edited.

A state changes by a plain update of statecode and statuscode where the platform allows that, and by an action
(WinQuote, CloseQuote, WinOpportunity, FulfillSalesOrder …) where it demands one. (Microsoft Learn: table references of
quote, salesorder, invoice and opportunity, "SetState" and default status of each state; "Dynamics 365 Sales and privacy
laws": a quote is read-only when won or closed, an order when submitted, fulfilled, cancelled or invoiced, an invoice
when paid, cancelled or closed; System Administrators may still update such records through the API.)

Read-only means every column, those of a solution too. One assumption, made where Microsoft is silent: an active quote
keeps its commercial content, and takes columns that a solution adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.pricing import DOCUMENTS, LINES
from sandbox.dataverse.schema import Entity
from sandbox.store import Row

DEFAULT_STATUS: Final[Mapping[str, Mapping[int, int]]] = {
    "opportunity": {0: 1, 1: 3, 2: 4},
    "quote": {0: 1, 1: 2, 2: 4, 3: 7},
    "salesorder": {0: 1, 1: 3, 2: 4, 3: 100001, 4: 100003},
    "invoice": {0: 1, 1: 3, 2: 100001, 3: 100003},
}
"""Table -> state -> the status it takes when only the state is sent."""

BY_UPDATE: Final[Mapping[str, frozenset[tuple[int, int]]]] = {
    "opportunity": frozenset({(1, 0), (2, 0)}),
    "quote": frozenset({(0, 1), (1, 0), (2, 0), (3, 0)}),
    "salesorder": frozenset({(0, 1), (1, 0), (0, 4), (1, 4), (3, 4), (2, 0), (3, 0), (4, 0)}),
    "invoice": frozenset({(0, 2), (0, 3), (2, 0), (3, 0)}),
}
"""Table -> (from state, to state) an update may do; every other change of state needs its action."""

INITIAL: Final[Mapping[str, int]] = {"product": 2}
"""State of a new row where it is not 0: products begin as drafts."""

_STATE_COLUMNS: Final = frozenset({"statecode", "statuscode"})


def default_status(entity: Entity, state: int) -> int:
    """The status a state takes when none is given."""
    known = DEFAULT_STATUS.get(entity.name, {})
    if state in known:
        return known[state]
    return min(status for status, of_state in entity.states.items() if of_state == state)


def initial_state(entity: Entity, values: Row) -> Row:
    """Statecode and statuscode of a new row.

    Raises:
        DataverseError: The status sent does not belong to the state.
    """
    if "statecode" not in entity.columns:
        return {}
    state = values.get("statecode")
    state = INITIAL.get(entity.name, 0) if state is None else state
    status = values.get("statuscode")
    status = default_status(entity, state) if status is None else status
    if entity.states.get(status) != state:
        raise errors.invalid_state(entity.name, state, status)
    if entity.name in DOCUMENTS and state != 0:
        raise errors.invalid_state(entity.name, state, status)
    return {"statecode": state, "statuscode": status}


def changed_state(entity: Entity, row: Row, changes: Row) -> Row:
    """Statecode and statuscode after an update that sends one or both; nothing where it sends neither.

    Raises:
        DataverseError: The pair is invalid, or this change of state needs an action.
    """
    if not _STATE_COLUMNS & changes.keys():
        return {}
    before = row["statecode"]
    state = changes.get("statecode", before)
    if state is None:
        raise errors.invalid_state(entity.name, state, changes.get("statuscode"))
    status = changes.get("statuscode")
    if status is None:
        status = row["statuscode"] if state == before else default_status(entity, state)
    if entity.states.get(status) != state:
        raise errors.invalid_state(entity.name, state, status)
    allowed = BY_UPDATE.get(entity.name)
    if state != before and allowed is not None and (before, state) not in allowed:
        raise errors.invalid_state(entity.name, state, status)
    return {"statecode": state, "statuscode": status}


def check_editable(entity: Entity, row: Row, changes: Row, *, administrator: bool) -> None:
    """A read-only document keeps its columns; an active quote keeps Microsoft's.

    Raises:
        DataverseError: The change touches a column that is locked.
    """
    document = DOCUMENTS.get(entity.name)
    if document is None or row["statecode"] in document.editable or administrator:
        return
    is_active_quote = entity.name == "quote" and row["statecode"] == 1
    for name in changes.keys() - _STATE_COLUMNS:
        column = entity.by_stored.get(name)
        if column is not None and not (column.custom and is_active_quote):
            raise errors.record_read_only()


def check_line(entity: Entity, header: Row | None, *, administrator: bool) -> None:
    """Lines are written only while their document can be edited.

    Raises:
        DataverseError: The document is read-only.
    """
    document = LINES.get(entity.name)
    if document is None or header is None or header["statecode"] in document.editable:
        return
    if administrator and document.name != "quote":
        return
    raise errors.parent_read_only()


def need_state(entity: Entity, row: Row, allowed: frozenset[int], status: Any) -> None:
    """An action works from certain states only.

    Raises:
        DataverseError: The row is in another state.
    """
    if row["statecode"] not in allowed:
        raise errors.invalid_state(entity.name, row["statecode"], status)
