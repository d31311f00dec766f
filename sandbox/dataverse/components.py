"""Which solution a component belongs to: rows of `solutioncomponent`, made as components are created.

(Microsoft Learn: "Create solutions", the request header `MSCRM.SolutionUniqueName`, table reference of
solutioncomponent.)
"""

from __future__ import annotations

from sandbox.dataverse import errors
from sandbox.dataverse.schema import Schema, metadata_id_of
from sandbox.store import Database

TABLE, COLUMN, OPTION_SET, RELATIONSHIP, KEY = 1, 2, 9, 10, 14
ROLE, STEP, IMAGE, ENDPOINT = 20, 92, 93, 95
OF_TABLE = {
    "role": ROLE,
    "sdkmessageprocessingstep": STEP,
    "sdkmessageprocessingstepimage": IMAGE,
    "serviceendpoint": ENDPOINT,
}
"""Tables whose rows are components -> their component type."""


class Components:
    """The solutions of one environment and what is in them."""

    def __init__(self, db: Database, schema: Schema) -> None:
        self._db = db
        self._schema = schema

    def check(self, unique_name: str | None) -> None:
        """A request may only name a solution that is there.

        Raises:
            DataverseError: It is not.
        """
        if unique_name is not None and self._solution(unique_name) is None:
            raise errors.invalid_argument(f"The solution '{unique_name}' does not exist.")

    def add(self, unique_name: str | None, kind: int, object_id: str) -> None:
        """Note that a component belongs to a solution; None is the default solution, which lists nothing."""
        if unique_name is None:
            return
        solution = self._solution(unique_name) or {}
        entity = self._schema.by_name["solutioncomponent"]
        table = self._db.table(entity.name, (entity.key,))
        row_id = metadata_id_of(f"component:{unique_name}/{kind}/{object_id}")
        if table.get((row_id,)) is None:
            table.insert(
                {
                    entity.key: row_id,
                    "componenttype": kind,
                    "objectid": object_id,
                    "rootcomponentbehavior": 0,
                    "ismetadata": kind in (TABLE, COLUMN, OPTION_SET, RELATIONSHIP, KEY),
                    "_solutionid_value": solution.get("solutionid"),
                    "versionnumber": self._db.version + 1,
                }
            )

    def remove(self, object_id: str) -> None:
        """A component is gone."""
        entity = self._schema.by_name["solutioncomponent"]
        table = self._db.table(entity.name, (entity.key,))
        for row in table.find(objectid=object_id):
            table.delete((row[entity.key],))

    def _solution(self, unique_name: str) -> dict[str, object] | None:
        entity = self._schema.by_name["solution"]
        return self._db.table(entity.name, (entity.key,)).first(uniquename=unique_name)
