"""The errors Dataverse answers with: HTTP status, code and wording as documented.

Sources: Microsoft Learn, "Web service error codes", "Compose HTTP requests and handle errors", "Troubleshoot Dataverse
Web API client errors", "Perform conditional operations using the Web API". Microsoft warns that the code may be empty,
and it is where no source gives one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.dataverse.schema import Entity
    from sandbox.dataverse.security import Grants
    from sandbox.store import Row

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


def number_out_of_range(entity: str, column: str) -> DataverseError:
    """A number below the least or above the greatest value of its column."""
    return DataverseError(
        400,
        "0x80044330",
        f"A validation error occurred. The value of '{column}' on record of type '{entity}' is outside the valid"
        " range.",
    )


def moment_too_early(moment: datetime) -> DataverseError:
    """A moment before the year 1753, in a row or in a filter; the misspelling is the platform's."""
    return DataverseError(
        400,
        "0x80040239",
        f"DateTime is less than minumum value supported by CrmDateTime. Actual value: {moment:%m/%d/}{moment.year:04}"
        f" {moment:%H:%M:%S}, Minimum value supported: 01/01/1753 00:00:00",
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


def duplicate_found() -> DataverseError:
    """DuplicateRecordsFound."""
    message = "A record was not created or updated because a duplicate of the current record already exists."
    return DataverseError(412, "0x80040333", message)


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
    return DataverseError(400, "0x8004022e", "The object cannot be updated because it is read-only.")


def opportunity_has_open_quotes() -> DataverseError:
    """An opportunity cannot be won while a draft or active quote is attached to it."""
    return DataverseError(400, "0x80040516", "The opportunity cannot be closed.")


def expand_options_refused() -> DataverseError:
    """`$top` or `$orderby` where an expansion takes none."""
    message = (
        "Only $select and $filter clause can be provided while doing $expand on many-to-one relationship or nested"
        " one-to-many relationship."
    )
    return DataverseError(400, "0x80060888", message)


def image_not_supported(reason: str) -> DataverseError:
    """An image registered on a step of a message that has none."""
    return DataverseError(400, "0x80040203", reason)


def currencies_differ() -> DataverseError:
    """QuoteAndSalesOrderCurrencyNotEqual."""
    message = "The currency of the record does not match the currency of the price list."
    return DataverseError(400, "0x80048cee", message)


def privilege_missing(user: Row, grants: Grants, privilege: str, privilege_id: str, entity: Entity) -> DataverseError:
    """PrivilegeDenied, in the platform's words: which privilege on which table, and whom to give it to."""
    user_id = user["systemuserid"]
    message = (
        f"Principal user (Id={user_id}, type=8, roleCount={len(grants.roles)}, privilegeCount={len(grants.levels)},"
        f" accessMode='{user.get('accessmode') or 0}', AADObjectId='{user.get('azureactivedirectoryobjectid') or ''}',"
        f" businessUnitId={user.get('_businessunitid_value')}), is missing {privilege} privilege"
        f" (Id={privilege_id}) on OTC={entity.object_type_code} for entity '{entity.name}'"
        f" (LocalizedName='{entity.label}'). context.Caller={user_id}. Consider adding missed privilege to one of the"
        " principal (user/team) roles."
    )
    return DataverseError(403, "0x80040220", message)


def team_cannot_own(team: Row, grants: Grants, privilege: str, privilege_id: str, entity: Entity) -> DataverseError:
    """PrivilegeDenied of a team that is to own a row."""
    message = (
        f"Principal team (Id={team['teamid']}, type=9, roleCount={len(grants.roles)},"
        f" privilegeCount={len(grants.levels)}), is missing {privilege} privilege (Id={privilege_id}) on"
        f" OTC={entity.object_type_code} for entity '{entity.name}' (LocalizedName='{entity.label}'). Consider adding"
        " missed privilege to one of the principal (user/team) roles."
    )
    return DataverseError(403, "0x80040220", message)


def access_denied(user: Row, entity: Entity, row: Row, right: str) -> DataverseError:
    """The privilege is held, but its access level does not reach this row."""
    message = (
        f"SecLib::AccessCheckEx failed. Returned hr = -2147187962, ObjectID: {row.get(entity.key)}, OwnerId:"
        f" {row.get('_ownerid_value')}, OwnerIdType: {9 if row.get('@ownerid') == 'team' else 8} and CallingUser:"
        f" {user['systemuserid']}. ObjectTypeCode: {entity.object_type_code}, objectBusinessUnitId:"
        f" {row.get('_owningbusinessunit_value')}, AccessRights: {right}Access"
    )
    return DataverseError(403, "0x80048306", message)


def name_taken() -> DataverseError:
    """DuplicateName."""
    return DataverseError(400, "0x80047010", "An object with the specified name already exists")


def column_exists(column: str, entity: str) -> DataverseError:
    """DuplicateAttributePhysicalName."""
    return DataverseError(400, "0x80060304", f"Attribute {column} already exists for entity {entity}.")


def key_exists(key: str) -> DataverseError:
    """EntityKeyNameExists."""
    return DataverseError(400, "0x80060893", f"An entity key with the name {key} already exists on entity.")


def key_violated(key: str) -> DataverseError:
    """DuplicateRecordEntityKey, met while the index of a new key is made."""
    message = f"Entity Key {key} violated. Rows with the same values exist already: the key cannot be activated."
    return DataverseError(412, "0x80060892", message)


def not_deletable(name: str) -> DataverseError:
    """A component of Microsoft's."""
    return DataverseError(400, "", f"The component '{name}' cannot be deleted: it is not a custom one.")


def has_dependencies(name: str, other: str) -> DataverseError:
    """CannotDeleteDueToAssociation of components."""
    message = f"The component '{name}' cannot be deleted because '{other}' depends on it."
    return DataverseError(400, "0x8004f01f", message)


def metadata_not_found(kind: str, name: str) -> DataverseError:
    """No table, column, choice or relationship of this name."""
    return DataverseError(404, "0x80060888", f"Could not find an {kind} with name {name} in the metadata cache.")


def not_a_member() -> DataverseError:
    """The token's application or person is no user of this environment."""
    return DataverseError(403, "0x80072560", "The user is not a member of the organization.")
