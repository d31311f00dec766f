"""The metadata Web API over HTTP: `$metadata`, definitions read and written, choices, publishing.

(Microsoft Learn: "Use the Web API with table definitions", "Create and update table definitions using the Web API",
"Create and update table relationships using the Web API", "Publish customizations", InsertOptionValue,
UpdateOptionValue, DeleteOptionValue, OrderOption, InsertStatusValue, CreateEntities.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

from sandbox.dataverse import components, definitions, errors
from sandbox.dataverse.csdl import service_metadata
from sandbox.dataverse.describing import label_text, privilege_id_of
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.schema import Column, Entity, ManyToMany, OneToMany
from sandbox.dataverse.web import JSON, NAMESPACE, ODATA, Call, Responder
from sandbox.odata.address import Segment
from sandbox.odata.batch import Answer
from sandbox.odata.jsonio import encode
from sandbox.odata.query import parse_query
from sandbox.odata.tokens import Literal
from sandbox.store import Row


class MetadataService(Responder):
    """Answers requests for the definitions of one environment."""

    def __init__(self, dataverse: Dataverse) -> None:
        super().__init__(dataverse)
        self.actions: Mapping[str, tuple[str, str, Callable[[Call, Row], Row | None]]] = {
            "InsertOptionValue": ("Write", "Attribute", self._insert_option),
            "UpdateOptionValue": ("Write", "Attribute", self._update_option),
            "DeleteOptionValue": ("Write", "Attribute", self._delete_option),
            "OrderOption": ("Write", "Attribute", self._order_options),
            "InsertStatusValue": ("Write", "Attribute", self._insert_status),
            "CreateEntities": ("Create", "Entity", self._create_entities),
            "AddSolutionComponent": ("Write", "Customization", self._add_component),
            "PublishXml": ("Publish", "Customization", self._publish_some),
            "PublishAllXml": ("Publish", "Customization", self._publish),
        }
        """Action -> what it needs a privilege for, and what it does."""
        self._document: tuple[int, bytes] = (-1, b"")

    def document(self, call: Call) -> Answer:
        """`$metadata`."""
        call.need("GET")
        schema = self.dataverse.schema
        if self._document[0] != schema.version:
            self._document = schema.version, service_metadata(schema)
        return Answer(200, {"Content-Type": "application/xml", **ODATA}, self._document[1])

    def act(self, call: Call, name: str) -> Answer:
        """Run an action that changes definitions."""
        call.need("POST")
        right, part, handler = self.actions[name]
        self._permit(call, right, part)
        body = call.body()
        self.dataverse.components.check(body.get("SolutionUniqueName") or call.solution)
        with self.dataverse.db.transaction():
            answer = handler(call, body)
        return Answer(204, ODATA) if answer is None else self.response(answer, name)

    def answer(self, call: Call) -> Answer:
        """Read or change definitions."""
        if call.method == "GET":
            options = parse_query(call.query)
            aliases = call.parameters()
            body = definitions.answer(self.dataverse.schema, call.segments, options, aliases, self.base)
            return Answer(200, JSON, encode(body))
        call.need("POST", "PUT", "PATCH", "DELETE")
        with self.dataverse.db.transaction():
            self.dataverse.components.check(call.solution)
            if call.method == "POST":
                return self._create(call)
            return self._delete(call) if call.method == "DELETE" else self._update(call)

    # --- creating ----------------------------------------------------------------------------------------------------

    def _create(self, call: Call) -> Answer:
        first, below = call.segments[0], [segment.name for segment in call.segments[1:]]
        body = call.body()
        if first.name == "EntityDefinitions" and first.key is None:
            self._permit(call, "Create", "Entity")
            entity = self._create_table(call, body)
            return self._created(f"EntityDefinitions({entity.metadata_id})")
        if first.name == "EntityDefinitions" and below == ["Attributes"]:
            self._permit(call, "Create", "Attribute")
            entity = self._table(first)
            column = self.dataverse.tables.create_column(entity, body)
            column_id = entity.column_metadata_id(column.name)
            self.dataverse.components.add(call.solution, components.COLUMN, column_id)
            return self._created(f"EntityDefinitions(LogicalName='{entity.name}')/Attributes({column_id})")
        if first.name == "EntityDefinitions" and below == ["Keys"]:
            self._permit(call, "Write", "Entity")
            entity = self._table(first)
            key_id = entity.column_metadata_id(f"key:{self.dataverse.tables.create_key(entity, body)}")
            self.dataverse.components.add(call.solution, components.KEY, key_id)
            return self._created(f"EntityDefinitions(LogicalName='{entity.name}')/Keys({key_id})")
        if first.name == "RelationshipDefinitions" and first.key is None:
            self._permit(call, "Create", "Relationship")
            link = self._create_relationship(body)
            self.dataverse.components.add(call.solution, components.RELATIONSHIP, link.metadata_id)
            return self._created(f"RelationshipDefinitions({link.metadata_id})")
        if first.name == "GlobalOptionSetDefinitions" and first.key is None:
            self._permit(call, "Create", "OptionSet")
            choice = self.dataverse.choices.create_option_set(body)
            self.dataverse.components.add(call.solution, components.OPTION_SET, choice.metadata_id)
            return self._created(f"GlobalOptionSetDefinitions({choice.metadata_id})")
        raise errors.method_not_allowed(call.method)

    def _create_table(self, call: Call, body: Row) -> Entity:
        entity = self.dataverse.tables.create_table(body)
        self.dataverse.components.add(call.solution, components.TABLE, entity.metadata_id)
        return entity

    def _create_relationship(self, body: Row) -> OneToMany | ManyToMany:
        kind = str(body.get("@odata.type") or "").rpartition(".")[2]
        if kind == "ManyToManyRelationshipMetadata":
            return self.dataverse.relationships.create_many_to_many(body)
        if kind != "OneToManyRelationshipMetadata":
            raise errors.bad_payload(
                "RelationshipDefinitions", "A type named in '@odata.type' is needed: the type is abstract."
            )
        return self.dataverse.relationships.create_one_to_many(body)[0]

    def _created(self, address: str) -> Answer:
        location = f"{self.base}/{address}"
        return Answer(204, {**ODATA, "Location": location, "OData-EntityId": location})

    # --- changing ----------------------------------------------------------------------------------------------------

    def _update(self, call: Call) -> Answer:
        """`PUT` of a definition: names, descriptions, lengths and switches change, the rest is left as it is."""
        if call.method == "PATCH":
            raise errors.method_not_allowed(call.method)
        first, below = call.segments[0], call.segments[1:]
        body = call.body()
        if first.name == "EntityDefinitions" and first.key is not None:
            entity = self._table(first)
            if not below:
                self._permit(call, "Write", "Entity")
                self.dataverse.tables.update_table(entity, body)
                return Answer(204, ODATA)
            if below[0].name == "Attributes":
                self._permit(call, "Write", "Attribute")
                self.dataverse.tables.update_column(entity, self._column(entity, below[0]), body)
                return Answer(204, ODATA)
        if first.name in ("RelationshipDefinitions", "GlobalOptionSetDefinitions") and first.key is not None:
            self._permit(call, "Write", "Relationship" if first.name.startswith("R") else "OptionSet")
            definitions.answer(self.dataverse.schema, call.segments, parse_query(""), {}, self.base)
            return Answer(204, ODATA)
        raise errors.method_not_allowed(call.method)

    def _delete(self, call: Call) -> Answer:
        first, below = call.segments[0], call.segments[1:]
        remove = self.dataverse.components.remove
        if first.key is None:
            raise errors.method_not_allowed(call.method)
        if first.name == "RelationshipDefinitions":
            self._permit(call, "Delete", "Relationship")
            link = self._relationship(first)
            self.dataverse.relationships.delete_relationship(link)
            remove(link.metadata_id)
            return Answer(204, ODATA)
        if first.name == "GlobalOptionSetDefinitions":
            self._permit(call, "Delete", "OptionSet")
            shown = definitions.answer(self.dataverse.schema, call.segments, parse_query(""), {}, self.base)
            self.dataverse.choices.delete_option_set(self.dataverse.schema.option_sets[shown["Name"]])
            remove(shown["MetadataId"])
            return Answer(204, ODATA)
        entity = self._table(first)
        if not below:
            self._permit(call, "Delete", "Entity")
            self.dataverse.tables.delete_table(entity)
            remove(entity.metadata_id)
        elif below[0].name == "Attributes":
            self._permit(call, "Delete", "Attribute")
            column = self._column(entity, below[0])
            self.dataverse.tables.delete_column(entity, column)
            remove(entity.column_metadata_id(column.name))
        elif below[0].name == "Keys":
            self._permit(call, "Write", "Entity")
            key = self._named(call, "LogicalName")
            self.dataverse.tables.delete_key(entity, key)
            remove(entity.column_metadata_id(f"key:{key}"))
        else:
            raise errors.method_not_allowed(call.method)
        return Answer(204, ODATA)

    # --- actions -----------------------------------------------------------------------------------------------------

    def _insert_option(self, call: Call, body: Row) -> Row:
        """A new option; without a value it gets the next one of the publisher's range."""
        value = body.get("Value")
        prefix = self.dataverse.option_prefix(body.get("SolutionUniqueName") or call.solution)
        chosen: list[int] = []

        def add(options: dict[int, str]) -> None:
            first = prefix * 10_000
            number = value if isinstance(value, int) else max([first - 1, *(v for v in options if v >= first)]) + 1
            if number in options:
                message = "The picklist value already exists.  Picklist values must be unique."
                raise errors.DataverseError(400, "0x80044310", message)
            options[number] = label_text(body.get("Label")) or str(number)
            chosen.append(number)

        self.dataverse.choices.set_options(body, add)
        return {"NewOptionValue": chosen[0]}

    def _update_option(self, call: Call, body: Row) -> None:
        def change(options: dict[int, str]) -> None:
            options[_known(options, body)] = label_text(body.get("Label")) or str(body.get("Value"))

        self.dataverse.choices.set_options(body, change)

    def _delete_option(self, call: Call, body: Row) -> None:
        def remove(options: dict[int, str]) -> None:
            del options[_known(options, body)]

        self.dataverse.choices.set_options(body, remove)

    def _order_options(self, call: Call, body: Row) -> None:
        def order(options: dict[int, str]) -> None:
            values = body.get("Values") or []
            if sorted(values) != sorted(options):
                message = (
                    "The array of option values that were provided for reordering does not match the number of options"
                    " for the attribute."
                )
                raise errors.DataverseError(400, "0x80044324", message)
            labels = dict(options)
            options.clear()
            options.update({value: labels[value] for value in values})

        self.dataverse.choices.set_options(body, order)

    def _insert_status(self, call: Call, body: Row) -> Row:
        entity = self.dataverse.tables.table(body, "EntityLogicalName")
        value = body.get("Value")
        if not isinstance(value, int):
            first = self.dataverse.option_prefix(body.get("SolutionUniqueName") or call.solution) * 10_000
            value = max([first - 1, *(known for known in entity.states if known >= first)]) + 1
        state = body.get("StateCode")
        if not isinstance(state, int) or state not in entity.states.values():
            raise errors.invalid_state(entity.name, state, value)
        self.dataverse.choices.add_status(entity, value, state, label_text(body.get("Label")) or str(value))
        return {"NewOptionValue": value}

    def _create_entities(self, call: Call, body: Row) -> Row:
        """Tables with all their columns in one request."""
        results = []
        for item in body.get("Entities") or []:
            entity = self._create_table(call, item)
            attributes = [entity.column_metadata_id(column.name) for column in entity.columns.values() if column.custom]
            results.append({"EntityId": entity.metadata_id, "AttributeIds": attributes})
        return {"EntityIds": [item["EntityId"] for item in results], "Entities": results}

    def _add_component(self, call: Call, body: Row) -> Row:
        """Put a component that exists into a solution."""
        for name in ("ComponentId", "ComponentType", "SolutionUniqueName", "AddRequiredComponents"):
            if body.get(name) is None:
                raise errors.invalid_argument(f"Required parameter '{name}' is missing.")
        self.dataverse.components.add(body["SolutionUniqueName"], body["ComponentType"], body["ComponentId"])
        return {"id": body["ComponentId"]}

    def _publish(self, call: Call, body: Row) -> None:
        """What was changed of auditing takes effect; all other changes of definitions did at once."""
        self.dataverse.schema.publish(self.dataverse.schema.by_name)

    def _publish_some(self, call: Call, body: Row) -> None:
        """The same for the tables that the ParameterXml names."""
        try:
            parameters = ElementTree.fromstring(str(body["ParameterXml"]))  # noqa: S314  # this machine's own callers
        except (KeyError, ElementTree.ParseError) as problem:
            raise errors.invalid_argument(f"ParameterXml is not valid: {problem}") from problem
        self.dataverse.schema.publish([entity.text or "" for entity in parameters.iterfind("entities/entity")])

    # --- pieces ------------------------------------------------------------------------------------------------------

    def _permit(self, call: Call, right: str, part: str) -> None:
        """Changing the schema needs a customizer's privilege.

        Raises:
            DataverseError: 403, it is missing.
        """
        user = self.user(call)
        security = self.dataverse.security
        name = f"prv{right}{part}"
        if security.is_administrator(user) or security.grants(user).depth(name.lower()):
            return
        entity = self.dataverse.schema.by_name["organization"]
        raise errors.privilege_missing(user, security.grants(user), name, privilege_id_of(name), entity)

    def _table(self, segment: Segment) -> Entity:
        shown = definitions.answer(self.dataverse.schema, (segment,), parse_query("$select=LogicalName"), {}, self.base)
        return self.dataverse.schema.by_name[shown["LogicalName"]]

    def _column(self, entity: Entity, segment: Segment) -> Column:
        path = (Segment("EntityDefinitions", _by_name(entity.name)), segment)
        shown = definitions.answer(self.dataverse.schema, path, parse_query("$select=LogicalName"), {}, self.base)
        return entity.columns[shown["LogicalName"]]

    def _named(self, call: Call, member: str) -> Any:
        segments = tuple(segment for segment in call.segments if not segment.name.startswith(NAMESPACE))
        shown = definitions.answer(self.dataverse.schema, segments, parse_query(""), {}, self.base)
        return shown[member]

    def _relationship(self, segment: Segment) -> OneToMany | ManyToMany:
        shown = definitions.answer(self.dataverse.schema, (segment,), parse_query(""), {}, self.base)
        schema, name = self.dataverse.schema, shown["SchemaName"]
        return schema.one_to_many[name] if name in schema.one_to_many else schema.many_to_many[name]


def _known(options: Mapping[int, str], body: Row) -> int:
    value = body.get("Value")
    if not isinstance(value, int) or value not in options:
        raise errors.invalid_argument(f"The option value '{value}' does not exist.")
    return value


def _by_name(name: str) -> dict[str, Literal]:
    return {"LogicalName": Literal("string", name)}
