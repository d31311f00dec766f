"""The libraries of integration data, which are an extra: a command without them says what to install."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli import inputs
from cli.output import fail

if TYPE_CHECKING:
    from cleansing.relations import Relations
    from domain.entities.model import DataMap

LIBRARIES: Final = ("duckdb", "phonenumbers", "pyarrow", "splink", "stdnum", "xlsxwriter")
FromOption = Annotated[
    Path, typer.Option("--from", metavar="FOLDER", help="Records of both sides: customer_finance.parquet, …")
]


def require_data_extra() -> None:
    """End the command where a library is missing."""
    if missing := [name for name in LIBRARIES if find_spec(name) is None]:
        fail(f"{', '.join(missing)} not installed: install the product with its extra: quote-to-cash[data]")


def maps_in_force() -> tuple[DataMap, ...]:
    """The maps; ends the command where a file is none."""
    from cli.maps_in_force import maps_in_force as found

    return found(inputs.settings()).all


def relations_of(folder: Path) -> Relations:
    """The records of a folder; ends the command where there are none."""
    from cleansing.relations import Relations, RelationsError

    relations = Relations(maps_in_force())
    try:
        relations.add_folder(folder)
    except RelationsError as error:
        fail(str(error))
    return relations
