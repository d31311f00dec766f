"""The security role with exactly the documented privileges, and the application user that holds it and no more.

Privileges are looked up at the tables they belong to, so that no name of one is needed. Sources: Microsoft Learn,
"Security roles and privileges", "Security roles and templates" (System Administrator's), AddPrivilegesRole,
RetrieveRolePrivilegesRole, RolePrivilege, EntityMetadata.Privileges, table reference of systemuser (`applicationid`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from dynamics.core.errors import NotFound, System
from dynamics.core.literals import key, literal, query
from dynamics.core.odata import ODataClient, Row
from dynamics.sales.setup.blueprint import RIGHTS, TITLE
from dynamics.sales.setup.findings import IN_SOLUTION, Finding, Section, listed

_ORGANIZATION: Final = "Global"
"""Depth of a privilege: every row of the organization."""
_ADMINISTRATOR: Final = "627090ff-40a3-4053-8790-584edc5be201"
_CRM: Final = "Microsoft.Dynamics.CRM"


class Access(Section):
    """Role and application user."""

    title = "security role and application user"

    def __init__(self, odata: ODataClient, application_id: str) -> None:
        """Look at the user of an application.

        Args:
            odata: The environment.
            application_id: Client id of the product's service application.
        """
        super().__init__(odata)
        self._application = application_id

    async def look(self) -> list[Finding]:
        """The role first: the user is given it."""
        copies = await self._roles()
        root = await self._root()
        role = next((row for row in copies if row["_businessunitid_value"] == root), None)
        found = [await self._role(role, root)]
        return [*found, *await self._user(copies, root)]

    # --- the role ----------------------------------------------------------------------------------------------------

    async def _role(self, role: Row | None, root: str) -> Finding:
        part = f"role {TITLE}"
        tables = await self._privileges()
        wanted = {
            each: f"{right} of {table}"
            for right, of in RIGHTS.items()
            for table in of
            for each in _of(tables, table, right)
        }
        absent = [table for table in dict.fromkeys(t for of in RIGHTS.values() for t in of) if table not in tables]
        if role is None:
            return Finding(part, "missing", partial(self._create_role, root, list(wanted)), "create it")
        path = f"{key('roles', role['roleid'])}/{_CRM}.RetrieveRolePrivilegesRole()"
        held = {str(row["PrivilegeId"]): str(row["Depth"]) for row in (await self.odata.get(path))["RolePrivileges"]}
        missing = [each for each in wanted if held.get(each) != _ORGANIZATION]
        if missing or absent:
            lacks = [*(wanted[each] for each in missing), *(f"every right on {table}" for table in absent)]
            grant = partial(self._grant, str(role["roleid"]), missing)
            return Finding(part, f"lacks {listed(lacks)}, at organization level", grant, "add what is missing")
        # Dataverse gives every new role a few privileges of its own accord; those on the product's tables count.
        beyond = {
            f"{right} of {table}"
            for table, rights in tables.items()
            for right, each in rights.items()
            if each in held and each not in wanted
        }
        if beyond:
            remedy = "take it away from the role; where others need it, give them a role of their own."
            return Finding(part, f"also allows {listed(sorted(beyond))}", remedy=remedy)
        return Finding(part)

    async def _privileges(self) -> dict[str, Mapping[str, str]]:
        """Of each table that exists: right → id of its privilege. A table without any has its rights from another."""
        found: dict[str, Mapping[str, str]] = {}
        names = list(dict.fromkeys(table for of in RIGHTS.values() for table in of))
        rows = await self.odata.all_rows(
            query(
                "EntityDefinitions",
                select="LogicalName,Privileges",
                filter=" or ".join(f"LogicalName eq {literal(name)}" for name in names),
            )
        )
        for row in rows:
            privileges = {str(each["PrivilegeType"]): str(each["PrivilegeId"]) for each in row["Privileges"]}
            found[str(row["LogicalName"])] = privileges
        return found

    async def _create_role(self, root: str, privileges: Sequence[str]) -> None:
        body = {"name": TITLE, "businessunitid@odata.bind": f"/businessunits({root})"}
        await self.odata.post("roles", body, headers=IN_SOLUTION)
        copies = await self._roles()
        role = next(row for row in copies if row["_businessunitid_value"] == root)
        await self._grant(str(role["roleid"]), privileges)

    async def _grant(self, role: str, privileges: Sequence[str]) -> None:
        if privileges:
            body = {"Privileges": [{"PrivilegeId": each, "Depth": _ORGANIZATION} for each in privileges]}
            await self.odata.action(f"{key('roles', role)}/{_CRM}.AddPrivilegesRole", body)

    async def _roles(self) -> list[Row]:
        """The role and its copies: a tenant has one in every business unit."""
        columns = "roleid,name,_businessunitid_value"
        return await self.odata.all_rows(query("roles", select=columns, filter=f"name eq {literal(TITLE)}"))

    async def _root(self) -> str:
        path = query("businessunits", select="businessunitid", filter="_parentbusinessunitid_value eq null")
        return str((await self.odata.all_rows(path))[0]["businessunitid"])

    # --- the application user ----------------------------------------------------------------------------------------

    async def _user(self, copies: Sequence[Row], root: str) -> list[Finding]:
        part = "application user"
        path = query(
            "systemusers",
            select="systemuserid,fullname,isdisabled,_businessunitid_value",
            filter=f"applicationid eq {self._application}",
            expand="systemuserroles_association($select=roleid,name,_roletemplateid_value)",
        )
        rows = await self.odata.all_rows(path)
        if not rows:
            problem = f"no user has the application id {self._application}"
            return [Finding(part, problem, partial(self._create_user, root), "create it and give it the role")]
        user = rows[0]
        if user["isdisabled"]:
            return [Finding(part, "it is disabled", remedy="activate it in the Power Platform admin center.")]
        held = user["systemuserroles_association"]
        found = []
        if not {row["roleid"] for row in held} & {row["roleid"] for row in copies}:
            give = partial(self._assign, str(user["systemuserid"]), str(user["_businessunitid_value"]))
            found.append(Finding(part, f"it does not hold the role {TITLE}", give, "give it the role"))
        if any(row.get("_roletemplateid_value") == _ADMINISTRATOR for row in held):
            remedy = f"take that role away in the Power Platform admin center: {TITLE} is all it needs."
            found.append(Finding(part, "it is a System Administrator", remedy=remedy))
        return found or [Finding(part)]

    async def _create_user(self, root: str) -> None:
        body = {"applicationid": self._application, "businessunitid@odata.bind": f"/businessunits({root})"}
        await self.odata.post("systemusers", body)
        path = query("systemusers", select="systemuserid", filter=f"applicationid eq {self._application}")
        await self._assign(str((await self.odata.all_rows(path))[0]["systemuserid"]), root)

    async def _assign(self, user: str, unit: str) -> None:
        """Give the user the copy of the role that is its business unit's."""
        copies = await self._roles()
        if not copies:
            raise NotFound(f"there is no role {TITLE} yet", system=System.DATAVERSE, operation="GET roles")
        role = next((row for row in copies if row["_businessunitid_value"] == unit), copies[0])
        body = {"@odata.id": f"{self.odata.root}{key('roles', str(role['roleid']))}"}
        await self.odata.post(f"{key('systemusers', user)}/systemuserroles_association/$ref", body)


def _of(tables: Mapping[str, Mapping[str, str]], table: str, right: str) -> list[str]:
    privilege = tables.get(table, {}).get(right)
    return [privilege] if privilege else []
