"""One request's work on the tables: who does it, what must be computed again, which messages it raises.

A create with lines, a change of twenty lines in a change set, or an action all touch a document several times; its
totals are computed once, at the end, inside the same transaction, and the messages (Create, Update, Win …) are handed
to the webhooks only if that transaction commits. What was touched is noted line by line, so that the work of a write
does not grow with the lines a document has already.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.dataverse.schema import Entity, Schema
from sandbox.store import Database, Row, Table


@dataclass(frozen=True, slots=True)
class Message:
    """Something that happened to a row, as a registered step sees it.

    Attributes:
        name: Create, Update, Delete, Win, Close, Revise or Lose.
        entity: The table.
        row_id: The row's id.
        target: The stored columns of the row after the operation that it sent or that changed with it (empty for a
            delete and for an action).
        sent: Those the caller sent.
        request: Of an action that is a message of its own (Win, Close, Lose …): its parameters by name. An activity is
            its table and columns.
        before: The row before, None for a create.
        after: The row after, None for a delete.
        user: The row of the caller.
        correlation_id: Shared by all messages of one request.
        request_id: Names the request.
    """

    name: str
    entity: Entity
    row_id: str
    target: Row
    before: Row | None
    after: Row | None
    user: Row
    correlation_id: str
    request_id: str
    sent: Row
    request: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Touched:
    """What must be computed again of one document.

    Attributes:
        everything: Every line is priced again (the price list or the currency changed, or a caller asks for it).
        state: Every line repeats the header's state, which changed.
        lines: Lines that were written, by id.
        removed: What lines that are gone had added to the header's sums.
    """

    everything: bool = False
    state: bool = False
    lines: dict[str, None] = field(default_factory=dict)
    removed: list[Any] = field(default_factory=list)


@dataclass
class Effort:
    """What pricing has done so far: documents summed up, lines priced."""

    documents: int = 0
    lines: int = 0


@dataclass
class Operation:
    """The work of one request.

    Attributes:
        db: The tables.
        schema: Their definitions.
        user: The caller's `systemuser` row.
        now: The moment of the request, as rows store it.
        integration: The caller is an integration user and sales order processing integration is on: orders and
            invoices are stored as sent, without price calculation.
        correlation_id: Names the request in every message it raises.
        request_id: Names it, too, as its messages tell it.
        touched: (logical name, id) of documents that must be computed again, and what of them; the requests of a
            change set share it.
        deferred: The change set computes them at its end, not each of its requests.
        effort: Counts what pricing does.
        messages: What happened, in order.
    """

    db: Database
    schema: Schema
    user: Row
    now: str
    integration: bool = False
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    touched: dict[tuple[str, str], Touched] = field(default_factory=dict)
    deferred: bool = False
    effort: Effort = field(default_factory=Effort)
    messages: list[Message] = field(default_factory=list)

    @property
    def user_id(self) -> str:
        """The caller's `systemuserid`."""
        return str(self.user["systemuserid"])

    def table(self, entity: Entity) -> Table:
        """The rows of a table."""
        return self.db.table(entity.name, (entity.key,))

    def rows(self, name: str) -> Table:
        """The rows of a table by its logical name."""
        return self.table(self.schema.by_name[name])

    def row(self, name: str, row_id: Any) -> Row | None:
        """A row by logical name and id, None where there is none."""
        return None if row_id is None else self.rows(name).get((row_id,))

    def touch(self, name: str, row_id: str) -> Touched:
        """Have a document's totals computed at the end; the answer takes what else of it must be."""
        return self.touched.setdefault((name, row_id), Touched())

    def put(self, entity: Entity, row_id: str, changes: Row) -> Row:
        """Change a row with the stamps every write leaves (modified, version)."""
        stamps = {
            "modifiedon": self.now,
            "_modifiedby_value": self.user_id,
            "versionnumber": self.db.version + 1,
        }
        return self.table(entity).update((row_id,), {**changes, **stamps})

    def say(
        self,
        name: str,
        entity: Entity,
        target: Row,
        before: Row | None,
        after: Row | None,
        *,
        sent: Row | None = None,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a message for the registered steps; `sent` is as `target` where the platform added nothing."""
        row = after if after is not None else before
        self.messages.append(
            Message(
                name=name,
                entity=entity,
                row_id=str(row[entity.key]) if row is not None else "",
                target=target,
                before=before,
                after=after,
                user=self.user,
                correlation_id=self.correlation_id,
                request_id=self.request_id,
                sent=target if sent is None else sent,
                request=request or {},
            )
        )


@contextmanager
def run(
    operation: Operation,
    settle: Callable[[Operation], None],
    record: Callable[[Operation], None],
    deliver: Callable[[list[Message]], None],
) -> Iterator[Operation]:
    """Do an operation in a transaction.

    Then `settle` computes totals, `record` writes down who did what, and `deliver` gets the messages after commit.
    """
    with operation.db.transaction():
        yield operation
        if not operation.deferred:
            settle(operation)
        record(operation)
        if operation.messages:
            messages = list(operation.messages)
            operation.db.defer(lambda: deliver(messages))
