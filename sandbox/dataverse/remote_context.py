"""The body of a webhook: a RemoteExecutionContext as the platform's serializer writes it.

What it holds follows the bodies Microsoft shows ("Use webhooks to create external handlers for server events";
"Synchronize agent presence status across multiple systems"): the Target as the caller sent it in `ParentContext`
(stage 30) and with what the platform added outside of it (stage 40); formatted values for a Create and in images; names
of lookups left out; the image `AsynchronousStepPrimaryName`, which every asynchronous step of a message that has
images gets by itself, with the primary column alone. Only some messages have images ("Register a plug-in", messages
that support entity images). Win, Close, Lose and the like carry the parameters of their request instead of a Target:
the close activity and the status.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sandbox.dataverse.operation import Message
from sandbox.dataverse.reading import Reader, target_of
from sandbox.dataverse.schema import Column, Entity
from sandbox.dataverse.steps import Step
from sandbox.dataverse.values import shown
from sandbox.odata.jsonio import encode
from sandbox.store import Clock, Row

_CONTRACT: Final = "http://schemas.microsoft.com/xrm/2011/Contracts"
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
_PRE, _POST, _BOTH = 0, 1, 2
_CORE, _AFTER = 30, 40
_OWN_IMAGE: Final = "AsynchronousStepPrimaryName"
_SHARED: Final = ({"key": "IsAutoTransact", "value": True}, {"key": "AcceptLang", "value": ""})


class ContextWriter:
    """Writes the contexts of one environment."""

    def __init__(self, reader: Reader, clock: Clock, organization_id: str, organization_name: str) -> None:
        self._reader = reader
        self._clock = clock
        self._organization_id = organization_id
        self._organization_name = organization_name

    def write(self, step: Step, message: Message) -> dict[str, Any]:
        """The context of a message for a registered step."""
        common = self._common(step, message)
        core = {
            **common,
            "InputParameters": self._input(message, message.sent, with_formatted=False),
            "OutputParameters": [],
            "ParentContext": None,
            "PostEntityImages": [],
            "PreEntityImages": [],
            "Stage": _CORE,
        }
        created = message.name == "Create"
        return {
            **common,
            "InputParameters": self._input(message, message.target, with_formatted=created),
            "OutputParameters": [{"key": "id", "value": message.row_id}] if created else [],
            "ParentContext": core,
            "PostEntityImages": self._images(step, message, _POST, message.after),
            "PreEntityImages": self._images(step, message, _PRE, message.before),
            "Stage": _AFTER,
        }

    def _common(self, step: Step, message: Message) -> dict[str, Any]:
        user = message.user
        user_id, object_id = user["systemuserid"], user.get("azureactivedirectoryobjectid") or _NOBODY
        return {
            "BusinessUnitId": user.get("_businessunitid_value"),
            "CorrelationId": message.correlation_id,
            "Depth": 1,
            "InitiatingUserAgent": "",
            "InitiatingUserAzureActiveDirectoryObjectId": object_id,
            "InitiatingUserId": user_id,
            "IsExecutingOffline": False,
            "IsInTransaction": not step.asynchronous,
            "IsOfflinePlayback": False,
            "IsolationMode": 1,
            "MessageName": step.message,
            "Mode": 1 if step.asynchronous else 0,
            "OperationCreatedOn": f"/Date({int(self._clock.now().timestamp() * 1000)}+0000)/",
            "OperationId": str(uuid.uuid4()),
            "OrganizationId": self._organization_id,
            "OrganizationName": self._organization_name,
            "OwningExtension": _reference("sdkmessageprocessingstep", step.step_id),
            "PrimaryEntityId": message.row_id,
            "PrimaryEntityName": step.entity,
            "RequestId": message.request_id,
            "SecondaryEntityName": "none",
            "SharedVariables": list(_SHARED),
            "UserAzureActiveDirectoryObjectId": object_id,
            "UserId": user_id,
        }

    def _input(self, message: Message, columns: Row, *, with_formatted: bool) -> list[dict[str, Any]]:
        if message.request:
            return [{"key": name, "value": self._parameter(value)} for name, value in message.request.items()]
        if message.name == "Delete":
            target = _reference(message.entity.name, message.row_id)
            return [{"key": "Target", "value": {"__type": f"EntityReference:{_CONTRACT}", **target}}]
        row = message.after or message.before or {}
        known = message.entity.by_stored
        shown_columns = {name: value for name, value in columns.items() if name in known}
        value = self._entity(message.entity, shown_columns, row, with_formatted=with_formatted)
        if message.name == "Update":
            value["RowVersion"] = str(row.get("versionnumber"))
        return [{"key": "Target", "value": {"__type": f"Entity:{_CONTRACT}", **value}}]

    def _parameter(self, value: Any) -> Any:
        """A parameter of an action: an activity (its table and columns), a status, a set of columns, or an id."""
        if isinstance(value, tuple):
            entity, row = value
            return {"__type": f"Entity:{_CONTRACT}", **self._entity(entity, row, row, with_formatted=False)}
        if isinstance(value, int):
            return {"__type": f"OptionSetValue:{_CONTRACT}", "Value": value}
        if isinstance(value, Mapping):
            return {"__type": f"ColumnSet:{_CONTRACT}", **value}
        return value

    def _images(self, step: Step, message: Message, kind: int, row: Row | None) -> list[dict[str, Any]]:
        """The pre images (kind 0) or post images (1) of a step; kind 2 of an image is both."""
        if row is None:
            return []
        entity = message.entity
        images = [
            {"key": image.alias, "value": self._image(message, row, image.columns)}
            for image in step.images
            if image.kind in (kind, _BOTH)
        ]
        has_own = step.asynchronous and not message.request and kind == (_PRE if message.after is None else _POST)
        if has_own:
            columns = (entity.primary_name,) if entity.primary_name else ()
            images.append({"key": _OWN_IMAGE, "value": self._image(message, row, columns)})
        return images

    def _image(self, message: Message, row: Row, names: Iterable[str]) -> dict[str, Any]:
        entity = message.entity
        columns = [entity.columns[name].stored for name in names if name in entity.columns]
        stored = {name: row.get(name) for name in (*columns, entity.key)}
        present = {name: value for name, value in stored.items() if value is not None}
        return self._entity(entity, present, row, with_formatted=True)

    def _entity(self, entity: Entity, columns: Row, row: Row, *, with_formatted: bool) -> dict[str, Any]:
        attributes = [
            {"key": entity.by_stored[name].name, "value": _value(entity.by_stored[name], value, row)}
            for name, value in columns.items()
        ]
        return {
            "Attributes": attributes,
            "EntityState": None,
            "FormattedValues": self._formatted(entity, columns, row) if with_formatted else [],
            "Id": row.get(entity.key, _NOBODY),
            "KeyAttributes": [],
            "LogicalName": entity.name,
            "RelatedEntities": [],
            "RowVersion": None,
        }

    def _formatted(self, entity: Entity, columns: Row, row: Row) -> list[dict[str, Any]]:
        symbol, decimals = self._reader.currency_of(row)
        formatted = []
        for name, value in columns.items():
            column = entity.by_stored[name]
            is_moment = column.type in ("DateTime", "DateOnly")
            text = (
                _moment(value).isoformat().replace("+", "-")
                if is_moment and value
                else shown(column, value, symbol, decimals)
            )
            if text is not None:
                formatted.append({"key": column.name, "value": text})
        return formatted


def serialize(context: Mapping[str, Any]) -> bytes:
    r"""The bytes the platform sends: its serializer writes every slash as `\/`, which counts towards the size."""
    return encode(context).replace(b"/", b"\\/")


def _value(column: Column, value: Any, row: Row) -> Any:
    """A value as the serializer of the SDK writes it."""
    if value is None:
        return None
    if column.type == "Lookup":
        return {"__type": f"EntityReference:{_CONTRACT}", **_reference(target_of(column, row), value)}
    if column.is_choice:
        return {"__type": f"OptionSetValue:{_CONTRACT}", "Value": value}
    if column.type == "Money":
        return {"__type": f"Money:{_CONTRACT}", "Value": value}
    if column.type in ("DateTime", "DateOnly"):
        return f"/Date({int(_moment(value).timestamp() * 1000)})/"
    return value


def _reference(logical_name: str, row_id: Any) -> dict[str, Any]:
    return {"Id": row_id, "KeyAttributes": [], "LogicalName": logical_name, "Name": None, "RowVersion": None}


def _moment(text: str) -> datetime:
    """The moment of a stored date and time; a date means its midnight, UTC."""
    return datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+00:00")
