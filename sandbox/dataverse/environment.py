"""One Dataverse environment: its tables, its users and its rules, without HTTP.

The Web API (`service`) and whoever plays people in this process work through the same object, so that both meet the
same rules::

    dataverse = Dataverse("https://localhost:8444")
    unit = dataverse.create("businessunits", {"name": "USMF"})["businessunitid"]
    user = {"firstname": "Rita", "businessunitid@odata.bind": f"/businessunits({unit})"}
    rita = dataverse.create("systemusers", user)
    quote = dataverse.create("quotes", {"name": "Pallets", ...}, user=rita["systemuserid"])
    dataverse.update("quotes", quote["quoteid"], {"q2c_approvalstatus": 100000001}, user=rita["systemuserid"])
    dataverse.action("WinQuote", {"Status": 4, "QuoteClose": {...}}, user=rita["systemuserid"])
    dataverse.rows("salesorder", quoteid=quote["quoteid"])

Amounts go in and come out as Decimal, moments as text in UTC. A refused call raises `DataverseError`.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from sandbox.dataverse import auditing, duplicates, errors, pricing, solution
from sandbox.dataverse.actions import Actions, Body
from sandbox.dataverse.components import OF_TABLE, Components
from sandbox.dataverse.design import TableDesign
from sandbox.dataverse.design_choices import ChoiceDesign
from sandbox.dataverse.design_relations import RelationshipDesign
from sandbox.dataverse.links import ROOT
from sandbox.dataverse.operation import Effort, Operation, run
from sandbox.dataverse.populate import (
    ORGANIZATION,
    ROOT_UNIT,
    SYSTEM_ADMINISTRATOR,
    SYSTEM_USER,
    follow_schema,
    populate,
    role_id_of,
)
from sandbox.dataverse.protection import Limits, ServiceProtection
from sandbox.dataverse.queries import Queries
from sandbox.dataverse.reading import Reader
from sandbox.dataverse.schema import Entity, load_schema
from sandbox.dataverse.security import Security
from sandbox.dataverse.snapshots import Snapshots
from sandbox.dataverse.tracking import ChangeLog
from sandbox.dataverse.values import to_moment
from sandbox.dataverse.webhooks import Webhooks
from sandbox.dataverse.writing import Writer
from sandbox.store import Clock, Database, Row

__all__ = ["ORGANIZATION", "ROOT_UNIT", "SYSTEM_ADMINISTRATOR", "SYSTEM_USER", "Dataverse", "role_id_of"]

_DEFAULT_OPTION_PREFIX: Final = 10_000
_INDEXES: Final[Mapping[str, tuple[str, ...]]] = {
    "quote": ("quotenumber", "_opportunityid_value", "_customerid_value", "_owningbusinessunit_value"),
    "quotedetail": ("_quoteid_value", "_productid_value"),
    "salesorder": ("_quoteid_value", "_opportunityid_value", "_customerid_value", "ordernumber"),
    "salesorderdetail": ("_salesorderid_value", "_quotedetailid_value"),
    "invoice": ("_salesorderid_value", "_opportunityid_value", "_customerid_value", "invoicenumber"),
    "invoicedetail": ("_invoiceid_value",),
    "opportunity": ("_customerid_value", "name"),
    "opportunityproduct": ("_opportunityid_value",),
    "account": ("accountnumber", "name"),
    "contact": ("_parentcustomerid_value", "emailaddress1"),
    "product": ("productnumber",),
    "productpricelevel": ("_productid_value", "_pricelevelid_value"),
    "pricelevel": ("name",),
    "uom": ("name", "_uomscheduleid_value"),
    "transactioncurrency": ("isocurrencycode",),
    "systemuser": ("azureactivedirectoryobjectid", "applicationid", "domainname", "_businessunitid_value"),
    "businessunit": ("name",),
    "quoteclose": ("_quoteid_value",),
    "annotation": ("_objectid_value",),
    "orderclose": ("_salesorderid_value",),
    "opportunityclose": ("_opportunityid_value",),
    "role": ("name",),
    "privilege": ("name",),
    "roleprivileges": ("roleid", "privilegeid"),
    "systemuserroles": ("systemuserid", "roleid"),
    "teamroles": ("teamid", "roleid"),
    "teammembership": ("teamid", "systemuserid"),
    "team": ("name",),
    "solution": ("uniquename",),
    "solutioncomponent": ("objectid", "_solutionid_value"),
    "sdkmessage": ("name",),
    "sdkmessagefilter": ("primaryobjecttypecode", "_sdkmessageid_value"),
    "sdkmessageprocessingstep": ("_sdkmessagefilterid_value", "_eventhandler_value"),
    "sdkmessageprocessingstepimage": ("_sdkmessageprocessingstepid_value",),
}

_SETTINGS: Final = {"currencydecimalprecision": 2, "isduplicatedetectionenabled": True}
"""Columns of the organization's row that nobody chooses."""


class Dataverse:
    """An environment of Dynamics 365 Sales on Dataverse."""

    _kept_schema: tuple[int, bytes | None] = (0, None)
    """The schema's version, and what of it lasts (`kept`)."""
    organization_type = "CustomerTest"
    """What kind of environment it says it is: a sandbox; `Customer` is production (OrganizationType EnumType)."""

    def __init__(
        self,
        origin: str,
        *,
        clock: Clock | None = None,
        organization_name: str = "contoso",
        limits: Limits | None = None,
        sales_order_integration: bool = False,
        pricing_decimal_precision: int = 2,
        change_tracking_days: int = 7,
        auditing: bool | None = None,
        application_role: str | None = None,
        bare: bool = False,
    ) -> None:
        """Make an empty environment: one business unit, the SYSTEM user, Microsoft's roles, and the product's solution.

        Args:
            origin: Its address without trailing slash, also the audience of its tokens.
            clock: The simulated world's time.
            organization_name: The environment's domain name, told in webhooks.
            limits: Of service protection; Microsoft's own where absent.
            sales_order_integration: `organization.issopintegrationenabled`: what an `isintegrationuser` writes is kept.
            pricing_decimal_precision: `organization.pricingdecimalprecision`, decimals of a price per unit, 0 to 10.
            change_tracking_days: `organization.expirechangetrackingindays`, how long a delta link lives.
            auditing: `organization.isauditenabled`; where absent, on, but for a bare environment.
            application_role: Security role of the product's application user: the solution's own where absent, System
                Administrator in a bare environment, which somebody has yet to set up; empty: none.
            bare: Leave the product's solution out: the environment is as Microsoft delivers it.
        """
        self.origin = origin.rstrip("/")
        self.organization_name = organization_name
        self.db = Database(clock)
        self.schema = load_schema()
        self.reader = Reader(self.db, self.schema, self.origin + ROOT)
        self.changes = ChangeLog(self.db, self.schema, self._delta_lifetime)
        self.security = Security(self.db, self.schema, SYSTEM_USER)
        self.queries = Queries(self.reader, self.changes, self.security, self.table)
        self.components = Components(self.db, self.schema)
        self.snapshots = Snapshots(self.db.clock)
        self.tables = TableDesign(self.schema, self.db, self._schema_changed)
        self.relationships = RelationshipDesign(self.schema, self.db, self._schema_changed)
        self.choices = ChoiceDesign(self.schema, self.db, self._schema_changed)
        self.webhooks = Webhooks(self.db, self.schema, self.reader, ORGANIZATION, organization_name)
        self.writer = Writer(base_currency=self._base_currency, security=self.security)
        self.actions = Actions(self.writer)
        self.protection = ServiceProtection(limits or Limits(), time.monotonic)
        self.execution_seconds = 0.0  # of every request: lets requests overlap, so that the concurrency limit is met
        self.effort = Effort()
        self._sales_order_integration = sales_order_integration
        self._settings = _SETTINGS | {
            "pricingdecimalprecision": pricing_decimal_precision,
            "expirechangetrackingindays": change_tracking_days,
            "issopintegrationenabled": sales_order_integration,
            "isauditenabled": not bare if auditing is None else auditing,
        }
        self.application_role = _role_of_the_product(bare) if application_role is None else application_role
        self._bare = bare
        self._followed: set[str] = set()
        self._change_set: Operation | None = None
        self._start()

    def table(self, entity: Entity) -> Any:
        """The rows of a table."""
        return self.db.table(entity.name, (entity.key,))

    def now(self) -> datetime:
        """The environment's time, UTC."""
        return self.db.clock.now()

    def create(self, entity_set: str, body: Mapping[str, Any], *, user: str | None = None) -> Row:
        """Create a row as `POST` does, nested rows included.

        Args:
            entity_set: e.g. `quotes`.
            body: Columns, `@odata.bind` references and nested collections.
            user: `systemuserid` of the caller; the SYSTEM user where absent.

        Returns:
            The stored row: lookups as `_x_value`, totals computed.

        Raises:
            DataverseError: The rules refuse it.
        """
        entity = self.entity(entity_set)
        with run(self.operation(user), pricing.settle, auditing.record, self.webhooks.deliver) as operation:
            row = self.writer.create(operation, entity, body)
        stored: Row = self.table(entity).get((row[entity.key],))
        return stored

    def update(self, entity_set: str, key: str, body: Mapping[str, Any], *, user: str | None = None) -> Row:
        """Change the row with this id as `PATCH` with `If-Match: *` does; returns the stored row.

        Raises:
            DataverseError: There is no such row, or the rules refuse it.
        """
        entity = self.entity(entity_set)
        row = self.get(entity_set, key)
        if row is None:
            raise errors.row_not_found(entity.name, key)
        with run(self.operation(user), pricing.settle, auditing.record, self.webhooks.deliver) as operation:
            self.writer.update(operation, entity, row, body)
        stored: Row = self.table(entity).get((key,))
        return stored

    def delete(self, entity_set: str, key: str, *, user: str | None = None) -> None:
        """Delete the row with this id.

        Raises:
            DataverseError: There is no such row, or the rules refuse it.
        """
        entity = self.entity(entity_set)
        row = self.get(entity_set, key)
        if row is None:
            raise errors.row_not_found(entity.name, key)
        with run(self.operation(user), pricing.settle, auditing.record, self.webhooks.deliver) as operation:
            self.writer.delete(operation, entity, row)

    def get(self, entity_set: str, key: str) -> Row | None:
        """The stored row with this id, None where there is none."""
        found: Row | None = self.table(self.entity(entity_set)).get((key,))
        return found

    def rows(self, name: str, /, **equal: Any) -> list[Row]:
        """The stored rows of a table (logical name) equal in the named columns; a lookup goes by its logical name."""
        entity = self.schema.by_name[name]
        wanted = {entity.columns[column].stored: value for column, value in equal.items()}
        found: list[Row] = self.table(entity).find(**wanted)
        return found

    def query(self, entity_set: str, text: str | None = None) -> list[Row]:
        """The stored rows a `$filter` selects.

        Raises:
            DataverseError: The filter is wrong.
        """
        return self.reader.rows(self.entity(entity_set), text)

    def action(self, name: str, body: Body, *, user: str | None = None) -> Row | None:
        """Run an action; returns the row it answers with, in full, None where it has none.

        Raises:
            DataverseError: There is no such action, or the rules refuse it.
        """
        handler = self.actions.by_name.get(name)
        if handler is None:
            raise errors.resource_not_found(name)
        with run(self.operation(user), pricing.settle, auditing.record, self.webhooks.deliver) as operation:
            outcome = handler(operation, body)
        if outcome is None:
            return None
        entity, row, _ = outcome
        stored: Row = self.table(entity).get((row[entity.key],))
        return stored

    def entity(self, entity_set: str) -> Entity:
        """The table of an entity set.

        Raises:
            DataverseError: There is none of this name.
        """
        entity = self.schema.by_set.get(entity_set)
        if entity is None:
            raise errors.resource_not_found(entity_set)
        return entity

    def operation(self, user: str | None) -> Operation:
        """The work of one request by a user.

        Raises:
            DataverseError: There is no such user.
        """
        row = self.table(self.schema.by_name["systemuser"]).get((user or SYSTEM_USER,))
        if row is None:
            raise errors.not_a_member()
        integration = self._sales_order_integration and row.get("isintegrationuser") is True
        operation = Operation(
            self.db, self.schema, row, to_moment(self.now()), integration=integration, effort=self.effort
        )
        if self._change_set is not None:
            operation.touched, operation.deferred = self._change_set.touched, True
        return operation

    @contextmanager
    def change_set(self, user: str | None = None) -> Iterator[None]:
        """What is done in the block is kept wholly or not at all; documents it touches are computed once, at its end.

        Args:
            user: `systemuserid` of the caller.
        """
        with self.db.transaction():
            if self._change_set is not None:
                yield
                return
            work = self._change_set = self.operation(user)
            try:
                yield
                pricing.settle(work)
            finally:
                self._change_set = None

    def settle(self) -> None:
        """Compute what an open change set has touched so far: somebody is going to read it."""
        if self._change_set is not None:
            pricing.settle(self._change_set)

    def user_of(self, claims: Mapping[str, Any]) -> Row:
        """The user a verified token speaks for: by object id, or for an application by its application id.

        Raises:
            DataverseError: 403, no such user or a disabled one.
        """
        users = self.table(self.schema.by_name["systemuser"])
        found = users.first(azureactivedirectoryobjectid=claims.get("oid")) if claims.get("oid") else None
        if found is None and claims.get("appid") and "scp" not in claims:
            found = users.first(applicationid=claims["appid"])
        if found is None:
            raise errors.not_a_member()
        if found.get("isdisabled"):
            raise errors.DataverseError(
                403, "0x80040225", "The specified user is either disabled or is not a member of any business unit."
            )
        row: Row = found
        return row

    def refuse_duplicate(self, entity: Entity, body: Mapping[str, Any]) -> None:
        """Refuse a row a published duplicate detection rule finds a duplicate of.

        Raises:
            DataverseError: 412, there is one.
        """
        for condition in duplicates.matches(entity.name, body):
            if self.table(entity).find(**condition):
                raise errors.duplicate_found()

    def component_created(self, unique_name: str | None, entity: Entity, row: Row) -> None:
        """Note that a new row of a component's table belongs to a solution."""
        kind = OF_TABLE.get(entity.name)
        if kind is not None:
            self.components.add(unique_name, kind, row[entity.key])

    def option_prefix(self, unique_name: str | None) -> int:
        """The first digits of new option values: the publisher's of a solution, else the default publisher's."""
        solutions = self.table(self.schema.by_name["solution"])
        row = solutions.first(uniquename=unique_name) if unique_name else None
        publisher = self.get("publishers", row["_publisherid_value"]) if row else None
        return int((publisher or {}).get("customizationoptionvalueprefix") or _DEFAULT_OPTION_PREFIX)

    def assign_role(self, principal: str, name: str, *, team: bool = False) -> None:
        """Give a user (`systemuserid`) or a team (`teamid`) a security role by its name.

        Raises:
            DataverseError: There is no such role.
        """
        role = self.table(self.schema.by_name["role"]).first(name=name)
        if role is None:
            raise errors.row_not_found("role", name)
        links = self.schema.many_to_many["teamroles_association" if team else "systemuserroles_association"]
        with self.db.transaction():
            self.writer.link(self.operation(None), links, principal, role["roleid"])

    def add_to_team(self, team: str, user: str) -> None:
        """Make a user (`systemuserid`) a member of a team."""
        link = self.schema.many_to_many["teammembership_association"]
        with self.db.transaction():
            self.writer.link(self.operation(None), link, team, user)

    def set_webhook(self, url: str | None, key: str = "") -> None:
        """Where the product's steps send, and the value of their `x-q2c-webhook-key` header; None stops sending."""
        endpoints = self.table(self.schema.by_name["serviceendpoint"])
        if endpoints.get((solution.ENDPOINT_ID,)) is not None:
            value = None if url is None else solution.header_setting(solution.KEY_HEADER, key)
            changes = {"url": url, "authvalue": value, "isauthvalueset": value is not None}
            endpoints.update((solution.ENDPOINT_ID,), changes)

    def clear(self) -> None:
        """Forget everything, customisations too: a new environment again."""
        self.db.clear()
        self.changes.clear()
        self.snapshots.clear()
        self.protection.clear()
        self._start()

    def kept(self) -> bytes | None:
        """The schema, where it is not as at the start: what lasts beside the tables. The same object while it stays."""
        version, _ = self._kept_schema
        if self.schema.version != version:
            self._kept_schema = (self.schema.version, pickle.dumps(self.schema))
        return self._kept_schema[1]

    def take_back(self, kept: bytes | None) -> None:
        """Go on from what `kept` gave."""
        if kept is not None:
            self.schema.restore(pickle.loads(kept))  # noqa: S301  # its own file
            self.reader.forget()
            self._followed = set(self.schema.by_name)

    async def aclose(self) -> None:
        """Stop sending webhooks."""
        await self.webhooks.aclose()

    def _start(self) -> None:
        """Be as a new environment is: like the template, with a name and settings of its own."""
        template = _template(self._bare)
        self.schema.restore(template.schema)
        self._followed = set(self.schema.by_name)
        self.reader.forget()
        self.db.copy_from(template.db)
        self._kept_schema = (self.schema.version, None)
        self._table("organization").update((ORGANIZATION,), {"name": self.organization_name, **self._settings})
        self._table("businessunit").update((ROOT_UNIT,), {"name": self.organization_name})

    def _table(self, name: str) -> Any:
        return self.table(self.schema.by_name[name])

    def _delta_lifetime(self) -> timedelta:
        row = self._table("organization").get((ORGANIZATION,))
        return timedelta(days=row["expirechangetrackingindays"])

    def _schema_changed(self) -> None:
        self.reader.forget()
        if self._followed != self.schema.by_name.keys():
            self._followed = set(self.schema.by_name)
            follow_schema(self.db, self.schema)

    def _base_currency(self) -> str | None:
        """The organization's currency: the first one that was created."""
        key = "transactioncurrencyid"
        first = next(iter(self.table(self.schema.by_name["transactioncurrency"])), None)
        return None if first is None else str(first[key])


def _role_of_the_product(bare: bool) -> str:
    return SYSTEM_ADMINISTRATOR if bare else solution.ROLE


class _Template(Dataverse):
    """An environment built from nothing, which new ones are copies of: building takes a while, copying does not."""

    def _start(self) -> None:
        for entity in self.schema.by_name.values():
            table = self.table(entity)
            for column in _INDEXES.get(entity.name, ()):
                table.index(column)
        self._table("productpricelevel").index("_pricelevelid_value", "_productid_value", "_uomid_value")
        self._table("roleprivileges").index("roleid", "privilegeid")
        with self.db.transaction():
            populate(self.db, self.schema, self.organization_name, self._settings)
            self._followed = set(self.schema.by_name)
            if not self._bare:
                solution.install(self)


@lru_cache(maxsize=2)
def _template(bare: bool) -> Dataverse:
    return _Template("https://template.invalid", bare=bare)
