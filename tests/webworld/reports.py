"""What Dataverse reports of a quote, as its webhook posts it."""

from __future__ import annotations

from typing import Any

CONTRACT = "http://schemas.microsoft.com/xrm/2011/Contracts"
QUOTE_ID = "8f0a6f6e-55c9-4cb5-9a3c-6f7e3b2d4c11"


def choice(value: int) -> dict[str, object]:
    return {"__type": f"OptionSetValue:{CONTRACT}", "Value": value}


def unit(name: str) -> dict[str, object]:
    return {
        "__type": f"EntityReference:{CONTRACT}",
        "Id": "0",
        "LogicalName": "businessunit",
        "Name": name,
        "KeyAttributes": [],
    }


def entity(attributes: dict[str, object]) -> dict[str, object]:
    return {"Attributes": [{"key": key, "value": value} for key, value in attributes.items()], "RowVersion": None}


def context(
    message: str = "Update",
    target: dict[str, object] | None = None,
    image: dict[str, object] | None = None,
    quote: str = "Q-1001",
    **changes: object,
) -> dict[str, Any]:
    """A RemoteExecutionContext of a quote as Dataverse posts it."""
    shown: dict[str, object] = {
        "quotenumber": quote,
        "revisionnumber": 0,
        "statecode": choice(0),
        "statuscode": choice(1),
        "owningbusinessunit": unit("USMF"),
        "versionnumber": 4711,
    }
    body: dict[str, Any] = {
        "InitiatingUserId": "11111111-1111-1111-1111-111111111111",
        "InputParameters": [{"key": "Target", "value": entity(target or {})}],
        "MessageName": message,
        "OperationCreatedOn": "/Date(1795442400000+0000)/",
        "PostEntityImages": [{"key": "AsynchronousStepPrimaryName", "value": entity({**shown, **(image or {})})}],
        "PreEntityImages": [],
        "PrimaryEntityId": QUOTE_ID,
        "PrimaryEntityName": "quote",
    }
    return body | changes
