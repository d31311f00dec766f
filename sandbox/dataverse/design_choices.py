"""Changing choices as the metadata Web API does: global ones, the options of a column, status reasons.

(Microsoft Learn: "Create and update choices", InsertOptionValue, UpdateOptionValue, DeleteOptionValue,
InsertStatusValue.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sandbox.dataverse import errors
from sandbox.dataverse.blueprints import options_of, with_column
from sandbox.dataverse.describing import label_text
from sandbox.dataverse.design import Body, Design
from sandbox.dataverse.schema import Entity, OptionSet


class ChoiceDesign(Design):
    """Changes choices."""

    def create_option_set(self, body: Body) -> OptionSet:
        """Create a global choice from an OptionSetMetadata.

        Raises:
            DataverseError: It has no name or options, or the name is taken.
        """
        name = str(body.get("Name") or "")
        if not name or name.lower() in {known.lower() for known in self.schema.option_sets}:
            raise errors.name_taken() if name else errors.invalid_argument("The Name of the choice is missing.")
        choice = OptionSet(
            name,
            options_of(body.get("Options")),
            label_text(body.get("DisplayName")) or name,
            label_text(body.get("Description")) or "",
            custom=True,
        )
        self.schema.option_sets[name] = choice
        self.changed()
        return choice

    def delete_option_set(self, choice: OptionSet) -> None:
        """Delete a global choice that no column uses.

        Raises:
            DataverseError: A column uses it.
        """
        for entity in self.schema.by_name.values():
            for column in entity.columns.values():
                if column.option_set == choice.name:
                    raise errors.has_dependencies(choice.name, f"{entity.name}.{column.name}")
        del self.schema.option_sets[choice.name]
        self.changed()

    def set_options(self, body: Body, change: Callable[[dict[int, str]], None]) -> None:
        """Change the options of a column or of a global choice (and of every column that uses it).

        Args:
            body: Names `OptionSetName`, or `EntityLogicalName` and `AttributeLogicalName`.
            change: Changes the options in place.

        Raises:
            DataverseError: There is no such column or choice.
        """
        choice_name = body.get("OptionSetName")
        if choice_name:
            choice = self.schema.option_sets.get(str(choice_name))
            if choice is None:
                raise errors.metadata_not_found("option set", str(choice_name))
            options = dict(choice.options)
            change(options)
            self.schema.option_sets[choice.name] = replace(choice, options=options)
            for entity in list(self.schema.by_name.values()):
                for column in list(entity.columns.values()):
                    if column.option_set == choice.name:
                        current = self.schema.by_name[entity.name]
                        self.put(with_column(current, replace(column, options=options)))
            self.changed()
            return
        entity = self.table(body, "EntityLogicalName")
        wanted = entity.columns.get(str(body.get("AttributeLogicalName") or "").lower())
        if wanted is None or not wanted.is_choice:
            raise errors.metadata_not_found("attribute", str(body.get("AttributeLogicalName")))
        options = dict(wanted.options)
        change(options)
        self.put(with_column(entity, replace(wanted, options=options)))

    def add_status(self, entity: Entity, value: int, state: int, label: str) -> None:
        """Add a status reason to a state."""
        column = entity.columns["statuscode"]
        entity = with_column(entity, replace(column, options={**column.options, value: label}))
        self.put(replace(entity, states={**entity.states, value: state}))
