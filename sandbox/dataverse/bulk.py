"""Writes of many rows in one request: CreateMultiple, UpdateMultiple, UpsertMultiple, BulkDelete.

Each is one transaction, except BulkDelete, which on the platform is an asynchronous job; here the job is done before
the answer. (Microsoft Learn: "Use bulk operation messages", "Delete data in bulk".)
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.operation import Operation
from sandbox.dataverse.schema import Entity
from sandbox.odata.address import parse_path
from sandbox.store import Row

Body = Mapping[str, Any]


def create_many(dataverse: Dataverse, operation: Operation, entity: Entity, body: Body) -> Row:
    """Create a row for each target; answers with their ids."""
    rows = [dataverse.writer.create(operation, entity, target) for target in _targets(body)]
    return {"Ids": [row[entity.key] for row in rows]}


def update_many(dataverse: Dataverse, operation: Operation, entity: Entity, body: Body) -> None:
    """Change the row each target names by its primary key.

    Raises:
        DataverseError: A target names no row.
    """
    for target in _targets(body):
        row = operation.table(entity).get((target.get(entity.key),))
        if row is None:
            raise errors.row_not_found(entity.name, str(target.get(entity.key)))
        dataverse.writer.update(operation, entity, row, target)


def upsert_many(dataverse: Dataverse, operation: Operation, entity: Entity, body: Body) -> Row:
    """Create or change the row each target names, by `@odata.id` or primary key."""
    results: list[Row] = []
    for target in _targets(body):
        named = _named(dataverse, entity, target)
        row = operation.table(entity).first(**named) if named else None
        if row is None:
            row = dataverse.writer.create(operation, entity, {**named, **target})
            created = True
        else:
            changes = {name: value for name, value in target.items() if name not in named}
            dataverse.writer.update(operation, entity, row, changes)
            created = False
        results.append({"RecordCreated": created, "Target": {entity.key: row[entity.key]}})
    return {"Results": results}


ACTIONS: Final[Mapping[str, Callable[[Dataverse, Operation, Entity, Body], Row | None]]] = {
    "CreateMultiple": create_many,
    "UpdateMultiple": update_many,
    "UpsertMultiple": upsert_many,
}


def delete_by_query(dataverse: Dataverse, body: Body, user: str) -> Row:
    """Delete the rows the conditions of each QueryExpression name; rows that cannot be deleted stay, as in a job.

    Raises:
        DataverseError: A query is not a list of ids.
    """
    for query in body.get("QuerySet") or []:
        entity = dataverse.schema.by_name.get(str(query.get("EntityName")))
        conditions = (query.get("Criteria") or {}).get("Conditions") or []
        if entity is None or len(conditions) != 1 or conditions[0].get("AttributeName") != entity.key:
            raise errors.invalid_argument("BulkDelete is supported for conditions on the primary key only.")
        for value in conditions[0].get("Values") or []:
            row_id = value.get("Value") if isinstance(value, dict) else value
            if dataverse.get(entity.entity_set, str(row_id)) is not None:
                dataverse.delete(entity.entity_set, str(row_id), user=user)
    return {"JobId": str(uuid.uuid4())}


def _targets(body: Body) -> list[Row]:
    targets = body.get("Targets")
    if not isinstance(targets, list) or not targets:
        raise errors.invalid_argument("The parameter 'Targets' must be a collection with at least one row.")
    return targets


def _named(dataverse: Dataverse, entity: Entity, target: Row) -> Row:
    """The stored columns by which a target names its row."""
    reference = target.get("@odata.id")
    if isinstance(reference, str):
        segments = parse_path(reference)
        row_id, alternate = dataverse.writer.read_key(entity, segments[-1])
        return {entity.key: row_id} if alternate is None else alternate
    return {entity.key: str(target[entity.key]).lower()} if target.get(entity.key) else {}
