"""Filters of Temporal's lists: the one place where a value becomes part of a query.

A filter is made of conditions, and a condition only by these functions, so that no text from outside is ever read as
syntax.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NewType
from urllib.parse import urlencode

from runs.attributes import Attribute
from runs.names import safe

Condition = NewType("Condition", str)

RUNNING: Final = Condition("ExecutionStatus = 'Running'")
LATEST: Final = Condition("ExecutionStatus != 'ContinuedAsNew'")
"""One row per run of a deal that went on as a new one: the newest."""

FAILING: Final = Condition("TemporalReportedProblems IS NOT NULL")
"""Runs whose workflow task failed several times in a row: the server says so, and tries on for ever."""


def of_type(workflow: str) -> Condition:
    """Runs of one workflow type."""
    return Condition(f"WorkflowType = {_literal(workflow)}")


def in_temporal_web(ui: str, namespace: str, condition: Condition) -> str:
    """Address of Temporal Web's list of the runs that meet a condition; ``ui`` is its origin."""
    return f"{ui}/namespaces/{namespace}/workflows?{urlencode({'query': condition})}"


def with_status(status: str) -> Condition:
    """Runs in one status, as Temporal says it, e.g. Completed."""
    return Condition(f"ExecutionStatus = {_literal(status)}")


def equals(attribute: Attribute[str] | Attribute[Sequence[str]], value: str) -> Condition:
    """Runs whose attribute is this text; of a list: contains it."""
    return Condition(f"{attribute.name} = {_literal(value)}")


def among(attribute: Attribute[str], values: Iterable[str]) -> Condition:
    """Runs whose attribute is one of these texts.

    Raises:
        ValueError: there are none, so that no run could be found.
    """
    literals = ", ".join(map(_literal, values))
    if not literals:
        raise ValueError("among needs at least one value")
    return Condition(f"{attribute.name} IN ({literals})")


def begins_with(attribute: Attribute[str], beginning: str) -> Condition:
    """Runs whose attribute begins with this text."""
    return Condition(f"{attribute.name} STARTS_WITH {_literal(beginning)}")


def id_begins(beginning: str) -> Condition:
    """Runs whose workflow id begins with this text, which is one in its safe form."""
    return Condition(f"WorkflowId STARTS_WITH {_literal(beginning)}")


def before(attribute: Attribute[datetime], moment: datetime) -> Condition:
    """Runs whose attribute is a moment before this one (aware)."""
    utc = moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Condition(f"{attribute.name} < {_literal(utc)}")


def any_of(*conditions: Condition) -> Condition:
    """Runs that meet one of these conditions at least."""
    return Condition(f"({' OR '.join(conditions)})")


def all_of(*conditions: Condition) -> str:
    """The query for runs that meet every condition."""
    return " AND ".join(conditions)


def _literal(value: Any) -> str:
    # A safe form holds no sign that could end the literal or change its meaning.
    return f"'{safe(str(value))}'"
