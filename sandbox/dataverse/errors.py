"""The errors Dataverse answers with: HTTP status, code and wording as documented.

Sources: Microsoft Learn, "Web service error codes", "Compose HTTP requests and handle errors", "Troubleshoot Dataverse
Web API client errors", "Perform conditional operations using the Web API". Microsoft warns that the code may be empty,
and it is where no source gives one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PAYLOAD_ERROR = (
    "Error identified in Payload provided by the user for Entity :'{entity_set}', For more information on this error"
    " please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : "
    "Microsoft.OData.ODataException: {detail}"
)


class DataverseError(Exception):
    """A request Dataverse refuses.

    Attributes:
        status: HTTP status.
        code: `0x` and eight hexadecimal digits, or empty.
        message: What the body says.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code or 'no code'}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": {"code": self.code, "message": self.message}}


def row_not_found(entity: str, row_id: str) -> DataverseError:
    """ObjectDoesNotExist."""
    return DataverseError(404, "0x80040217", f"{entity} With Id = {row_id} Does Not Exist")


def key_not_found(entity: str) -> DataverseError:
    """RecordNotFoundByEntityKey."""
    message = f"A record with the specified key values does not exist in {entity} entity"
    return DataverseError(404, "0x80060891", message)


def key_not_defined(entity: str) -> DataverseError:
    """The names in the brackets are no key of the table."""
    return DataverseError(
        400,
        "0x80060888",
        f"The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.{entity}'. Ensure that the names"
        " and number of key properties match the declared or alternate key properties for the resource",
    )


def resource_not_found(segment: str) -> DataverseError:
    """No entity set, function or action of this name."""
    return DataverseError(404, "0x8006088a", f"Resource not found for the segment '{segment}'.")


def method_not_allowed(method: str) -> DataverseError:
    """The resource does not take this method."""
    return DataverseError(405, "0x80060888", f"The requested resource does not support http method '{method}'.")


def bad_query(message: str) -> DataverseError:
    """A query option that cannot be parsed or names what is not there."""
    return DataverseError(400, "0x80060888", message)


def unknown_property(entity: str, name: str) -> DataverseError:
    """A query names a column the table does not have."""
    return bad_query(f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{entity}'.")


def bad_payload(entity_set: str, detail: str) -> DataverseError:
    """The body names or types a property wrongly."""
    return DataverseError(400, "0x80048d19", PAYLOAD_ERROR.format(entity_set=entity_set, detail=detail))


def undeclared_property(entity_set: str, entity: str, name: str) -> DataverseError:
    """The body names a column the table does not have."""
    return bad_payload(
        entity_set,
        f"The property '{name}' does not exist on type 'Microsoft.Dynamics.CRM.{entity}'. Make sure to only use"
        " property names that are defined by the type or mark the type as open type.",
    )


def undeclared_bind(entity_set: str, name: str) -> DataverseError:
    """An `@odata.bind` whose name is not a navigation property; often only the case is wrong."""
    return bad_payload(
        entity_set,
        f"An undeclared property '{name}' which only has property annotations in the payload but no property value was"
        " found in the payload. In OData, only declared navigation properties and declared named streams can be"
        " represented as properties without values.",
    )


def direct_lookup_write(entity_set: str) -> DataverseError:
    """The body sets `_x_value`."""
    detail = "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead."
    return bad_payload(entity_set, detail)


def text_too_long(entity: str, column: str, limit: int) -> DataverseError:
    """A text longer than its column."""
    return DataverseError(
        400,
        "0x80044331",
        f"A validation error occurred.  The length of the '{column}' attribute of the '{entity}' entity exceeded the"
        f" maximum allowed length of '{limit}'.",
    )


def option_out_of_range(entity: str, column: str, value: Any, accepted: list[int]) -> DataverseError:
    """A choice value that is no option."""
    shown = ",".join(str(option) for option in accepted)
    return DataverseError(
        400,
        "0x8004431A",
        f"A validation error occurred.  The value {value} of '{column}' on record of type '{entity}' is outside the"
        f" valid range. Accepted Values: {shown}",
    )


def required_missing(entity: str, column: str) -> DataverseError:
    """A column the system requires has no value."""
    return DataverseError(400, "0x80040200", f"Required field missing. The '{column}' of '{entity}' has no value.")


def invalid_argument(message: str) -> DataverseError:
    """InvalidArgument."""
    return DataverseError(400, "0x80040203", message)


def duplicate_primary_key() -> DataverseError:
    """DuplicateRecord."""
    return DataverseError(412, "0x80040237", "Cannot insert duplicate key.")


def duplicate_alternate_key(key: str, column: str) -> DataverseError:
    """DuplicateRecordEntityKey."""
    return DataverseError(
        412,
        "0x80060892",
        f"Entity Key {key} violated. A record with the same value for {column} already exists. A duplicate record"
        " cannot be created. Select one or more unique values and try again.",
    )


def exists_already() -> DataverseError:
    """`If-None-Match: *` met a row."""
    return DataverseError(412, "0x80040237", "A record with matching key values already exists.")


def version_mismatch() -> DataverseError:
    """ConcurrencyVersionMismatch."""
    return DataverseError(
        412, "0x80060882", "The version of the existing record doesn't match the RowVersion property provided."
    )


def invalid_state(entity: str, state: Any, status: Any) -> DataverseError:
    """InvalidStateCodeStatusCode."""
    return DataverseError(
        400,
        "0x80048408",
        f"State code is invalid or state code is valid but status code is invalid for a specified state code."
        f" ({entity}: statecode {state}, statuscode {status})",
    )


def parent_read_only() -> DataverseError:
    """A line of a document that cannot be edited."""
    return DataverseError(400, "0x80043b09", "The parent is read only and cannot be edited.")


def record_read_only() -> DataverseError:
    """A document in a state in which it cannot be edited."""
    return DataverseError(400, "", "Cannot Update a Read-Only Entity. The action was stopped: the record is read only.")


def currencies_differ() -> DataverseError:
    """QuoteAndSalesOrderCurrencyNotEqual."""
    message = "The currency of the record does not match the currency of the price list."
    return DataverseError(400, "0x80048cee", message)


def not_a_member() -> DataverseError:
    """The token's application or person is no user of this environment."""
    return DataverseError(403, "0x80072560", "The user is not a member of the organization.")
