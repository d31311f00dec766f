"""Bodies as Dataverse and Finance post them, for tests of the parsers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

CONTRACT = "http://schemas.microsoft.com/xrm/2011/Contracts"
UNIT_ID = "5d6c3a51-1111-4222-8333-0a0b0c0d0e0f"
QUOTE_ID = "8f0a6f6e-55c9-4cb5-9a3c-6f7e3b2d4c11"
OPERATION_ID = "0f0a6f6e-0000-4000-8000-00000000aaaa"
COMPANIES = {UNIT_ID: "usmf", "DEMF": "demf"}


def choice(value: int) -> dict[str, Any]:
    return {"__type": f"OptionSetValue:{CONTRACT}", "Value": value}


def reference(table: str, row_id: str, name: str | None = None) -> dict[str, Any]:
    return {
        "__type": f"EntityReference:{CONTRACT}",
        "Id": row_id,
        "KeyAttributes": [],
        "LogicalName": table,
        "Name": name,
    }


def entity(attributes: dict[str, Any]) -> dict[str, Any]:
    pairs = [{"key": key, "value": value} for key, value in attributes.items()]
    formatted = [{"key": key, "value": "as the form shows it"} for key in attributes]
    return {"Attributes": pairs, "FormattedValues": formatted, "RowVersion": None}


def image(**changes: Any) -> dict[str, Any]:
    """The post image of a draft quote of USMF, whose unit comes without its name as it may in reality."""
    shown = {
        "quotenumber": "QUO-01001",
        "revisionnumber": 0,
        "statecode": choice(0),
        "statuscode": choice(1),
        "owningbusinessunit": reference("businessunit", UNIT_ID),
        "versionnumber": 4711,
    }
    return {name: value for name, value in (shown | changes).items() if value is not ...}


def context(
    message: str = "Update",
    target: dict[str, Any] | None = None,
    shown: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A RemoteExecutionContext, filled as an organisation fills it: request id, outputs and parents are there."""
    given = parameters if parameters is not None else {"Target": entity(target or {})}
    images = [{"key": "AsynchronousStepPrimaryName", "value": entity(shown)}] if shown else []
    return {
        "CorrelationId": OPERATION_ID,
        "Depth": 1,
        "InitiatingUserId": "11111111-1111-1111-1111-111111111111",
        "InputParameters": [{"key": key, "value": value} for key, value in given.items()],
        "MessageName": message,
        "OperationCreatedOn": "/Date(1795442400000+0000)/",
        "OperationId": OPERATION_ID,
        "OutputParameters": [{"key": "id", "value": QUOTE_ID}],
        "ParentContext": {"MessageName": message, "ParentContext": None},
        "PostEntityImages": images,
        "PreEntityImages": [],
        "PrimaryEntityId": QUOTE_ID,
        "PrimaryEntityName": "quote",
        "RequestId": OPERATION_ID,
    } | changes


def business_event(name: str, **fields: Any) -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "BusinessEventId": name,
        "BusinessEventLegalEntity": "usmf",
        "ControlNumber": 5637144577,
        "EventId": "E1A5",
        "EventTime": "/Date(1795442400000)/",
        "LegalEntity": "USMF",
    }
    return envelope | fields


INVOICE = {
    "SalesOrderId": "Q2C-AAAA",
    "InvoiceAccount": "US-001",
    "InvoiceId": "INV-7",
    "InvoiceAmountInAccountingCurrency": Decimal("627.00"),
}
SLIP = {
    "SalesOrderId": "Q2C-AAAA",
    "CustAccount": "US-001",
    "PackingSlipId": "PS-1",
    "Lines": [{"LineNumber": 1, "Quantity": Decimal(6)}],
}
PAYMENT = {
    "CustAccount": "US-001",
    "PaymentId": "PAY-9",
    "Amount": Decimal("700.00"),
    "Settlements": [{"InvoiceId": "INV-7", "SalesOrderId": "Q2C-AAAA", "Amount": Decimal("227.10")}],
}
