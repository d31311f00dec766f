"""Operations bound to a row: `roles(…)/Microsoft.Dynamics.CRM.AddPrivilegesRole` and the like.

(Microsoft Learn: Web API action and function reference; "Web API functions and actions sample".)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.schema import Entity
from sandbox.dataverse.security import DEPTHS, grant
from sandbox.dataverse.web import ODATA, Call
from sandbox.odata.batch import Answer
from sandbox.store import Row

if TYPE_CHECKING:
    from sandbox.dataverse.rows import RowService

_DEPTH_NAMES: Final = {1: "Basic", 2: "Local", 4: "Deep", 8: "Global"}


def _publish_product(service: RowService, call: Call, entity: Entity, row: Row) -> Answer:
    call.need("POST")
    with service.operation(call) as operation:
        service.dataverse.security.check(operation.user, entity, "Write", row)
        if row["statecode"] != 0:
            operation.put(entity, row[entity.key], {"statecode": 0, "statuscode": 1})
    return Answer(204, ODATA)


def _add_privileges(service: RowService, call: Call, entity: Entity, row: Row) -> Answer:
    return _change_privileges(service, call, entity, row, replace=False)


def _replace_privileges(service: RowService, call: Call, entity: Entity, row: Row) -> Answer:
    return _change_privileges(service, call, entity, row, replace=True)


def _change_privileges(service: RowService, call: Call, entity: Entity, row: Row, *, replace: bool) -> Answer:
    """Give a role privileges by id or name, each at an access level."""
    call.need("POST")
    given = call.body().get("Privileges")
    if not isinstance(given, list):
        raise errors.invalid_argument("Required parameter 'Privileges' is missing.")
    wanted = [_wanted(service, item) for item in given]
    with service.operation(call) as operation:
        service.dataverse.security.check(operation.user, entity, "Write", row)
        if replace:
            links = operation.rows("roleprivileges")
            for link in links.find(roleid=row[entity.key]):
                links.delete((link["roleprivilegeid"],))
        for name, mask in wanted:
            grant(operation.db, row[entity.key], [name], mask)
        operation.put(entity, row[entity.key], {})
    return Answer(204, ODATA)


def _wanted(service: RowService, item: Mapping[str, Any]) -> tuple[str, int]:
    depth = DEPTHS.get(str(item.get("Depth")))
    if depth is None:
        raise errors.invalid_argument(f"The Depth '{item.get('Depth')}' is not one of {', '.join(list(DEPTHS)[:4])}.")
    privileges = service.dataverse.table(service.dataverse.schema.by_name["privilege"])
    wanted = str(item.get("PrivilegeId") or "").lower()
    row = privileges.get((wanted,)) or privileges.first(name=item.get("PrivilegeName"))
    if row is None:
        raise errors.row_not_found("privilege", wanted or str(item.get("PrivilegeName")))
    return row["name"], depth


def _remove_privilege(service: RowService, call: Call, entity: Entity, row: Row) -> Answer:
    call.need("POST")
    wanted = str(call.body().get("PrivilegeId") or "").lower()
    with service.operation(call) as operation:
        service.dataverse.security.check(operation.user, entity, "Write", row)
        links = operation.rows("roleprivileges")
        for link in links.find(roleid=row[entity.key], privilegeid=wanted):
            links.delete((link["roleprivilegeid"],))
    return Answer(204, ODATA)


def _role_privileges(service: RowService, call: Call, entity: Entity, row: Row) -> Answer:
    call.need("GET")
    links = service.dataverse.rows("roleprivileges", roleid=row[entity.key])
    shown = [_shown(service, link, row) for link in links]
    return service.response({"RolePrivileges": shown}, "RetrieveRolePrivilegesRole")


def _user_privileges(service: RowService, call: Call, entity: Entity, row: Row) -> Answer:
    call.need("GET")
    grants = service.dataverse.security.grants(row)
    found = []
    for privilege in service.dataverse.rows("privilege"):
        depth = grants.depth(str(privilege["name"]).lower())
        if depth:
            found.append(
                {
                    "Depth": _DEPTH_NAMES[depth],
                    "PrivilegeId": privilege["privilegeid"],
                    "PrivilegeName": privilege["name"],
                    "BusinessUnitId": row.get("_businessunitid_value"),
                }
            )
    return service.response({"RolePrivileges": found}, "RetrieveUserPrivileges")


def _shown(service: RowService, link: Row, role: Row) -> Row:
    privilege = service.dataverse.get("privileges", link["privilegeid"]) or {}
    return {
        "Depth": _DEPTH_NAMES[link["privilegedepthmask"]],
        "PrivilegeId": link["privilegeid"],
        "PrivilegeName": privilege.get("name"),
        "BusinessUnitId": role.get("_businessunitid_value"),
    }


OPERATIONS: Final[Mapping[tuple[str, str], Callable[[RowService, Call, Entity, Row], Answer]]] = {
    ("product", "PublishProductHierarchy"): _publish_product,
    ("role", "AddPrivilegesRole"): _add_privileges,
    ("role", "ReplacePrivilegesRole"): _replace_privileges,
    ("role", "RemovePrivilegeRole"): _remove_privilege,
    ("role", "RetrieveRolePrivilegesRole"): _role_privileges,
    ("systemuser", "RetrieveUserPrivileges"): _user_privileges,
}
