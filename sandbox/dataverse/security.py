"""Security roles: which privileges a user holds, at which access level, and what follows for a row.

A privilege (`prvReadQuote`) is granted at an access level: the user's own rows (Basic), the business unit's (Local),
that unit's and its children's (Deep), or all (Global). A user has those of their own roles and of their teams' roles;
a team's are measured from the team's business unit. Lines have no privileges: what a user may do to them follows from
the document. (Microsoft Learn: "Security roles and privileges", "How access to a record is determined", "Web service
error codes".)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.describing import privilege_id_of
from sandbox.dataverse.schema import Entity, Schema
from sandbox.store import Database, Row

BASIC, LOCAL, DEEP, GLOBAL = 1, 2, 4, 8
DEPTHS: Final = {"Basic": BASIC, "Local": LOCAL, "Deep": DEEP, "Global": GLOBAL, "0": 1, "1": 2, "2": 4, "3": 8}
"""A `PrivilegeDepth` by name or number -> the mask rows hold."""

_READ: Final = (
    "role",
    "roleprivileges",
    "systemuserroles",
    "teamroles",
    "teammembership",
    "systemuser",
    "team",
    "businessunit",
    "privilege",
)
"""Tables from which grants are derived."""

_LINE_RIGHTS: Final = {"Create": "Write", "Delete": "Write", "Append": "Write", "AppendTo": "Write", "Assign": "Write"}
_ADMINISTRATOR_TEMPLATE: Final = "627090ff-40a3-4053-8790-584edc5be201"


class Grants:
    """What one user holds.

    Attributes:
        principals: The user's id and those of their teams.
        roles: The ids of the roles.
        administrator: Whether System Administrator is among them.
    """

    def __init__(self, principals: frozenset[str], roles: frozenset[str], *, administrator: bool) -> None:
        self.principals = principals
        self.roles = roles
        self.administrator = administrator
        self.levels: dict[str, set[tuple[int, str]]] = {}

    def add(self, privilege: str, mask: int, unit: str) -> None:
        """Note a privilege at an access level, measured from a business unit."""
        self.levels.setdefault(privilege, set()).add((mask, unit))

    def depth(self, privilege: str) -> int:
        """The greatest access level of a privilege, 0 where it is not held."""
        return max((mask for mask, _ in self.levels.get(privilege, ())), default=0)


class Security:
    """The roles of one environment."""

    def __init__(self, db: Database, schema: Schema, system_user: str) -> None:
        self._db = db
        self._schema = schema
        self._system_user = system_user
        self._grants: dict[str, Grants] = {}
        self._units: dict[str, frozenset[str]] = {}
        self._stamp: tuple[int, ...] = ()
        self._tables = tuple(db.table(name, (schema.by_name[name].key,)) for name in _READ)

    def grants(self, user: Row) -> Grants:
        """What a user holds, through their own roles and their teams'."""
        user_id = str(user["systemuserid"])
        stamp = tuple(table.revision for table in self._tables)
        if stamp != self._stamp:
            self._stamp = stamp
            self._grants.clear()
            self._units.clear()
        found = self._grants.get(user_id)
        if found is None:
            found = self._grants[user_id] = self._read(user_id, user)
        return found

    def is_administrator(self, user: Row) -> bool:
        """Whether a user is SYSTEM or holds the System Administrator role."""
        return user["systemuserid"] == self._system_user or self.grants(user).administrator

    def check(self, user: Row, entity: Entity, right: str, row: Row | None = None) -> None:
        """Refuse what a user may not do.

        Args:
            user: Who asks.
            entity: The table.
            right: Create, Read, Write, Delete, Append, AppendTo, Assign or Share.
            row: The row concerned; None where only the privilege counts.

        Raises:
            DataverseError: 403: the privilege is missing, or does not reach as far as this row.
        """
        if user["systemuserid"] == self._system_user:
            return
        if entity.privilege_of:
            parent, parent_row = self._parent(entity, row)
            self.check(user, parent, _LINE_RIGHTS.get(right, right), parent_row)
            return
        if not entity.privilege:
            return
        grants = self.grants(user)
        privilege = f"prv{right}{entity.privilege}".lower()
        if not grants.depth(privilege):
            raise _missing(user, grants, f"prv{right}{entity.privilege}", entity)
        if row is not None and not self._reaches(grants, privilege, entity, row):
            raise errors.access_denied(user, entity, row, right)

    def check_owner(self, entity: Entity, values: Row) -> None:
        """Refuse a team as the owner of rows that it may not read (corrections.md, PrivilegeDenied).

        Raises:
            DataverseError: 403, the team has no role with that privilege.
        """
        team_id = values.get("_ownerid_value")
        if values.get("@ownerid") != "team" or not entity.privilege or team_id is None:
            return
        team = self._rows("team").get((team_id,)) or {"teamid": team_id}
        unit = str(team.get("_businessunitid_value"))
        grants = self._held([(row["roleid"], unit) for row in self._rows("teamroles").find(teamid=team_id)], {team_id})
        if not grants.depth(f"prvread{entity.privilege}".lower()):
            privilege = f"prvRead{entity.privilege}"
            raise errors.team_cannot_own(team, grants, privilege, privilege_id_of(privilege), entity)

    def reader(self, user: Row, entity: Entity) -> Callable[[Row], bool] | None:
        """Which rows of a table a user may read: None for all of them.

        Raises:
            DataverseError: 403, the user may not read the table at all.
        """
        self.check(user, entity, "Read")
        if user["systemuserid"] == self._system_user:
            return None
        grants = self.grants(user)
        if entity.privilege_of:
            parent, _ = self._parent(entity, None)
            allowed = self.reader(user, parent)
            if allowed is None:
                return None
            table = self._db.table(parent.name, (parent.key,))
            lookup = entity.columns[entity.privilege_of].stored

            def of_parent(row: Row) -> bool:
                found = table.get((row.get(lookup),))
                return found is not None and allowed(found)

            return of_parent
        privilege = f"prvread{entity.privilege.lower()}"
        if not entity.privilege or grants.depth(privilege) == GLOBAL or entity.ownership == "OrganizationOwned":
            return None
        return lambda row: self._reaches(grants, privilege, entity, row)

    def need_global_read(self, user: Row, entity: Entity) -> None:
        """Change tracking needs organization-level read.

        Raises:
            DataverseError: 403.
        """
        if self.reader(user, entity) is not None:
            raise _missing(user, self.grants(user), f"prvRead{entity.privilege}", entity)

    def _parent(self, entity: Entity, row: Row | None) -> tuple[Entity, Row | None]:
        column = entity.columns[entity.privilege_of]
        parent = self._schema.by_name[column.targets[0]]
        found = row.get(column.stored) if row is not None else None
        return parent, self._db.table(parent.name, (parent.key,)).get((found,)) if found is not None else None

    def _reaches(self, grants: Grants, privilege: str, entity: Entity, row: Row) -> bool:
        unit = _unit_of(entity, row)
        for mask, from_unit in grants.levels.get(privilege, ()):
            if mask == GLOBAL or (unit is None and entity.ownership == "OrganizationOwned"):
                return True
            if mask == DEEP and unit in self._below(from_unit):
                return True
            if mask == LOCAL and unit == from_unit:
                return True
            if _is_own(grants, entity, row):
                return True
        return False

    def _below(self, unit: str) -> frozenset[str]:
        """A business unit and all below it."""
        found = self._units.get(unit)
        if found is None:
            table = self._db.table("businessunit", ("businessunitid",))
            members = {unit}
            waiting = [unit]
            while waiting:
                for child in table.find(_parentbusinessunitid_value=waiting.pop()):
                    if child["businessunitid"] not in members:
                        members.add(child["businessunitid"])
                        waiting.append(child["businessunitid"])
            found = self._units[unit] = frozenset(members)
        return found

    def _read(self, user_id: str, user: Row) -> Grants:
        teams = [row["teamid"] for row in self._rows("teammembership").find(systemuserid=user_id)]
        held: list[tuple[str, str]] = [
            (row["roleid"], str(user.get("_businessunitid_value")))
            for row in self._rows("systemuserroles").find(systemuserid=user_id)
        ]
        for team_id in teams:
            team = self._rows("team").get((team_id,)) or {}
            unit = str(team.get("_businessunitid_value"))
            held += [(row["roleid"], unit) for row in self._rows("teamroles").find(teamid=team_id)]
        return self._held(held, {user_id, *teams})

    def _held(self, held: list[tuple[str, str]], principals: set[str]) -> Grants:
        """What roles grant that are held in business units."""
        roles = [self._rows("role").get((role_id,)) or {} for role_id, _ in held]
        administrator = any(role.get("_roletemplateid_value") == _ADMINISTRATOR_TEMPLATE for role in roles)
        grants = Grants(frozenset(principals), frozenset(role_id for role_id, _ in held), administrator=administrator)
        for role_id, unit in held:
            for link in self._rows("roleprivileges").find(roleid=role_id):
                privilege = self._rows("privilege").get((link["privilegeid"],))
                if privilege is not None:
                    grants.add(str(privilege["name"]).lower(), link["privilegedepthmask"], unit)
        return grants

    def _rows(self, name: str) -> Any:
        entity = self._schema.by_name[name]
        return self._db.table(name, (entity.key,))


def grant(db: Database, role_id: str, privileges: Iterable[str], mask: int) -> None:
    """Give a role privileges by name; a level that is there already is replaced."""
    table = db.table("roleprivileges", ("roleprivilegeid",))
    for name in privileges:
        privilege_id = privilege_id_of(name)
        known = table.first(roleid=role_id, privilegeid=privilege_id)
        if known is not None:
            table.update((known["roleprivilegeid"],), {"privilegedepthmask": mask})
            continue
        table.insert(
            {
                "roleprivilegeid": privilege_id_of(f"{role_id}/{name}"),
                "roleid": role_id,
                "privilegeid": privilege_id,
                "privilegedepthmask": mask,
                "versionnumber": db.version + 1,
            }
        )


def _missing(user: Row, grants: Grants, privilege: str, entity: Entity) -> errors.DataverseError:
    return errors.privilege_missing(user, grants, privilege, privilege_id_of(privilege), entity)


def _unit_of(entity: Entity, row: Row) -> str | None:
    if entity.name == "businessunit":
        return str(row["businessunitid"])
    unit = row.get("_owningbusinessunit_value") or row.get("_businessunitid_value")
    return None if unit is None else str(unit)


def _is_own(grants: Grants, entity: Entity, row: Row) -> bool:
    owner = row.get("_ownerid_value")
    if owner is None and entity.name == "systemuser":
        owner = row["systemuserid"]
    return owner is not None and owner in grants.principals
