"""What the two systems say of themselves: tables, columns, keys, and which of them Dual-Write keeps as well.

A record like any other, so that rules over it are pure; `q2c map lint` fills it from the metadata of both systems.
"""

from __future__ import annotations

from typing import Final, Literal

from domain.record import Record

Kind = Literal["text", "whole", "decimal", "money", "yes_no", "choice", "moment", "id", "lookup", "other"]

TEXTS: Final = frozenset({"text"})
NUMBERS: Final = frozenset({"decimal", "money"})
CHOICES: Final = frozenset({"choice", "yes_no"})


class Column(Record):
    """A column as its system describes it.

    Attributes:
        kind: what it holds.
        length: most characters of a text; None: not said.
        decimals: of a number; "currency": as its currency has; None: not said.
        required: a record cannot be created without it.
        writable: an integration may write it.
        options: values of a choice as text; None: it is none.
        targets: tables a lookup leads to.
    """

    kind: Kind
    length: int | None = None
    decimals: int | Literal["currency"] | None = None
    required: bool = False
    writable: bool = True
    options: tuple[str, ...] | None = None
    targets: tuple[str, ...] = ()


class Table(Record):
    """A table of Dataverse or an entity set of Finance.

    Attributes:
        columns: by name.
        keys: sets of columns of which no two records have the same values, the primary key among them.
        primary: column the system itself knows a row by; empty: none.
    """

    columns: dict[str, Column]
    keys: tuple[tuple[str, ...], ...] = ()
    primary: str = ""


class RunningMap(Record):
    """A map that Dual-Write runs.

    Attributes:
        table: logical name of its table in Dataverse.
        entity: its entity in Finance, as Dual-Write names it.
        columns: of Dataverse that it writes; None: it does not say, so each counts.
    """

    table: str
    entity: str
    columns: frozenset[str] | None = None


class Facts(Record):
    """What is known of an environment; what could not be asked is None, never empty.

    Attributes:
        finance: the asked entity sets that exist, by name.
        sales: the asked tables that exist, by name.
        dual_write: the maps that run.
    """

    finance: dict[str, Table] | None = None
    sales: dict[str, Table] | None = None
    dual_write: tuple[RunningMap, ...] | None = None

    def sales_column(self, table: str, path: str) -> Column | None:
        """The column a path names, through a lookup where it has one; None: there is none, or it was not asked."""
        tables = self.sales or {}
        first, _, last = path.partition(".")
        column = tables[table].columns.get(first) if table in tables else None
        if column is None or not last:
            return column
        below = (tables[target].columns.get(last) for target in column.targets if target in tables)
        return next((found for found in below if found is not None), None)

    def finance_column(self, name: str, column: str) -> Column | None:
        """A column of an entity set; None: there is none, or it was not asked."""
        tables = self.finance or {}
        return tables[name].columns.get(column) if name in tables else None


NOTHING_KNOWN: Final = Facts()
