"""`q2c data`: the dictionary of integration data, and records for other programs."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import inputs
from cli.data_extra import FromOption, maps_in_force, relations_of, require_data_extra
from cli.output import JsonOption, fail, note, result, result_as_json

GROUP_EXAMPLES = """Examples:

q2c data dictionary
    every field of both systems: meaning, owner, lineage, personal data

q2c data export customer --company usmf --from records --out parquet
    the records of a comparison, for Power BI or a notebook
"""

DICTIONARY_EXAMPLES = """Examples:

q2c data dictionary --out dictionary.md
    as a page to read

q2c data dictionary --json | jq '.entities[].fields[] | select(.personal)'
    which fields are personal, for a program
"""

EXPORT_EXAMPLES = """Examples:

q2c data export customer --company usmf \\
    --from .q2c/data/records --out parquet
    after q2c compare customer --company usmf --keep

q2c data export customer --company usmf --from records --out parquet \\
    --personal
    with personal data as well
"""


class Form(StrEnum):
    """How the dictionary is written."""

    MARKDOWN = "md"
    JSON = "json"


app = typer.Typer(
    help="The dictionary of integration data, and records for others.", no_args_is_help=True, epilog=GROUP_EXAMPLES
)


@app.command(epilog=DICTIONARY_EXAMPLES)
def dictionary(
    form: Annotated[Form, typer.Option("--format", help="How it is written.")] = Form.MARKDOWN,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
    json: JsonOption = False,
) -> None:
    """Describe every field of the maps in force: meaning, owner, personal data, lineage."""
    from policies import dictionary as words

    found = words.dictionary(maps_in_force())
    if json or form is Form.JSON:
        if out is None:
            result_as_json(found.model_dump(mode="json"))
            return
        text = found.model_dump_json(indent=2)
    else:
        text = words.as_markdown(found)
    if out is None:
        result(text)
        return
    out.write_text(text + "\n", encoding="utf-8")
    note(f"{out}: {len(found.entities)} entities")


@app.command(epilog=EXPORT_EXAMPLES)
def export(
    entity: Annotated[str, typer.Argument(help="Entity of the map.")],
    source: FromOption,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Write the files there.")],
    company: Annotated[str, typer.Option(help="Legal entity.")],
    personal: Annotated[bool, typer.Option("--personal", help="With personal data.")] = False,
    json: JsonOption = False,
) -> None:
    """Write records as Parquet, each column with meaning, owner, lineage and whether it is personal.

    Personal data is left out unless --personal is given.
    """
    require_data_extra()
    from cleansing.export import MANIFEST, NothingToExport
    from cleansing.export import export as write
    from policies import dictionary as words

    data = next((each for each in maps_in_force() if each.entity == entity), None)
    if data is None:
        fail(f"there is no map of {entity}: see `q2c map list`")
    if company.lower() not in inputs.policy().entity_map.business_units.values():
        fail(f"{company}: no company of entity_map.yaml")
    try:
        told = words.entity(data)
        written = write(relations_of(source), told, company.lower(), out, personal=personal, now=datetime.now(UTC))
    except NothingToExport as error:
        fail(str(error))
    if json:
        result_as_json({"folder": str(out), "files": [each.model_dump(mode="json") for each in written]})
        return
    for each in written:
        kept = f", personal: {', '.join(each.personal)}" if each.personal else ""
        left = f", left out: {', '.join(each.left_out)}" if each.left_out else ""
        result(f"{out / each.file}: {each.rows:,} records{kept}{left}")
        for name, count in each.unreadable.items():
            note(f"{each.file}: {count:,} values of {name} are no number or day, and empty there")
    result(f"{out / MANIFEST}: the dictionary of their fields")
